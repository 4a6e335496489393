package rotation

import (
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
)

// next returns when the state will have changed without an event.
func (v view) next(t protocol.Trigger) time.Time {
	next := v.now.Add(max(v.r.After, v.r.SweepEvery))
	earlier := func(at time.Time) {
		if at.After(v.now) && at.Before(next) {
			next = at
		}
	}
	if k := v.published; k.ID != "" {
		earlier(v.dueAt(k))
		earlier(k.EndDue(v.r))
	}
	for _, k := range v.Keys {
		switch {
		case v.rival(k):
			earlier(k.Created.Add(v.r.Window))
		case !v.named[k.ID]:
			earlier(k.Expires.Add(v.r.ExpiryMargin))
		case !k.Superseded.IsZero():
			_, near := v.bit()
			earlier(k.Expires.Add(-near))
		}
	}
	if !v.allRead {
		earlier(v.now.Add(v.r.SweepEvery))
	}
	for _, at := range v.waits(t) {
		earlier(at)
	}
	return next
}

// waits returns when what a plan waits for may be over.
func (v view) waits(t protocol.Trigger) (times []time.Time) {
	for _, st := range v.Stores {
		if v.hidden(st) {
			times = append(times, st.Created.Add(2*v.r.Window))
		}
	}
	due := v.due(t)
	if due == "" {
		return times
	}
	if _, until := v.refusal(due); !until.IsZero() {
		return append(times, until)
	}
	for _, k := range v.Keys {
		times = append(times, k.Created.Add(v.r.MinAge), k.Expires) // one live key fewer
	}
	return times
}
