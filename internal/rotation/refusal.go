package rotation

import (
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// A key that could not be published keeps the reason in its marker. It is not deleted:
// its fuse ends it. The first such key delays the next by eight hours, or by one hour
// if stores name no key that is fit for use. Further ones delay it longer. So a lasting
// refusal costs two or three keys a day, not one at each sweep.

// refusal returns why the last new key could not be published, and until when the one
// that is due waits. What may pass by itself is tried again once without delay. What an
// event demands is tried again once when the refused key is old enough, and at once if
// the event came since. Each try costs one of the keys that demands may have.
func (v view) refusal(due reason.Reason) (why reason.Reason, until time.Time) {
	refused := v.refused()
	if len(refused) == 0 {
		return "", time.Time{}
	}
	n := len(refused) // the more, the longer
	last := refused[n-1]
	passes := last.Refusal.Kind() == reason.Wait
	if passes || due.Demand() {
		n--
	}
	if n == 0 && passes || v.asked.After(last.Refused) {
		return "", time.Time{}
	}
	if n > 0 && !v.unfit() {
		n++
	}
	until = v.retryAt(n, last, refused)
	if !v.now.Before(until) {
		return "", time.Time{}
	}
	return last.Refusal, until
}

// refused returns the live keys that could not be published, the last refused last.
func (v view) refused() (refused []protocol.Key) {
	for _, k := range v.Keys {
		if !k.Refused.IsZero() && !v.named[k.ID] && k.Fused(v.r) && k.Live(v.now) {
			refused = append(refused, k)
		}
	}
	slices.SortStableFunc(refused, func(a, b protocol.Key) int { return a.Refused.Compare(b.Refused) })
	return refused
}

// retryAt returns when the next try is due. n is how often the wait has grown.
func (v view) retryAt(n int, last protocol.Key, refused []protocol.Key) time.Time {
	switch n {
	case 0:
		return last.Created.Add(v.r.MinAge)
	case 1:
		return last.Refused.Add(v.r.Fuse / 24)
	case 2:
		return last.Refused.Add(v.r.Fuse / 3)
	}
	return slices.MinFunc(refused, func(a, b protocol.Key) int { return a.Expires.Compare(b.Expires) }).Expires
}

// unfit reports whether stores name keys, and none of them both works and has not
// leaked.
func (v view) unfit() bool {
	return len(v.named) > 0 && (v.published.ID == "" || !v.published.Leaked.IsZero())
}

// declined reports whether a store after the first refused the published key, so
// that a new key for its sake would be refused as well.
func (v view) declined() bool {
	k := v.published
	lasts := k.Refusal.Kind() == reason.Block && v.now.Before(k.Refused.Add(v.r.Fuse))
	return lasts && v.has(v.order()[0]) && v.behind()
}
