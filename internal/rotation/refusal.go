package rotation

import "time"

// A key that could not be published keeps the reason in its marker. It is not deleted:
// its fuse ends it. The first such key delays the next by eight hours, or by one hour
// if stores name no key that is fit for use. Further ones delay it longer. So a lasting
// refusal costs two or three keys a day, not one at each sweep.

// refusal returns why the last new key could not be published, and until when the
// next one waits. What may pass by itself is tried again once without delay, and a
// demand that came since is tried at once.
func (v view) refusal() (why Reason, until time.Time) {
	var last Key
	var first time.Time // when the first of the keys ends
	n := 0
	for _, k := range v.Keys {
		if k.Refused.IsZero() || v.named[k.ID] || !k.Fused(v.r) || !k.Live(v.now) {
			continue
		}
		n++
		if !k.Refused.Before(last.Refused) {
			last = k
		}
		if first.IsZero() || k.Expires.Before(first) {
			first = k.Expires
		}
	}
	if last.Refusal.Kind() == Wait {
		n--
	}
	switch {
	case n <= 0 || v.asked.After(last.Refused):
		return "", time.Time{}
	case n == 1 && v.unfit():
		first = last.Refused.Add(v.r.Fuse / 24)
	case n == 1, n == 2 && v.unfit():
		first = last.Refused.Add(v.r.Fuse / 3)
	}
	if !v.now.Before(first) {
		return "", time.Time{}
	}
	return last.Refusal, first
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
	lasts := k.Refusal.Kind() == Block && v.now.Before(k.Refused.Add(v.r.Fuse)) && !v.asked.After(k.Refused)
	return lasts && v.has(v.order()[0]) && v.behind()
}
