package rotation

import (
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// A holder of a key is a store that names it, or a consumer that was last restarted with
// it. A consumer that reads its store by itself can't be asked which key it has. So a key
// that a store had is held until it is superseded, whether or not a holder is known.

// sustained extends the published key and held ones whose overlap has started, since
// stores went back to them, step by step until a newer key replaces them. A step is an
// overlap, or longer if sweeps are rare.
func (v view) sustained() (steps []protocol.Step) {
	bit, near := v.bit()
	for _, k := range v.Keys {
		phase := v.phase(k)
		if phase != Published && phase != Held || k.Superseded.IsZero() || k.Locked || !k.Expired(v.now.Add(near)) {
			continue
		}
		if v.now.Before(k.Superseded.Add(v.r.Window)) {
			continue // another replica may have updated its holders since we observed
		}
		last := k.Created.Add(v.r.Expire)
		if k.AsOf.IsZero() { // adopted, and perhaps older than that
			last = k.Superseded.Add(v.r.Expire)
		}
		at := v.minuteAfter(bit)
		if at.After(last) {
			at = last
		}
		if at.After(k.Expires) {
			steps = append(steps, protocol.Step{Action: protocol.Extend, Key: k.ID, At: at, Reason: reason.StillHeld})
		}
	}
	return steps
}

// bit returns by how much a held key is extended at a time, and how long before
// its expiry. The latter is long enough that no sweep comes too late.
func (v view) bit() (bit, near time.Duration) {
	bit = max(v.r.Overlap, v.r.Fuse, 3*v.r.SweepEvery)
	return bit, min(3*v.r.SweepEvery, bit/2)
}

// unfuse gives every key that a store names or had its full lifetime, as a consumer may
// hold it.
func (v view) unfuse() (steps []protocol.Step) {
	for _, k := range v.Keys {
		if (v.named[k.ID] || v.Replaced(k) && k.Leaked.IsZero()) && k.Live(v.now) && !k.Locked && k.Fused(v.r) {
			steps = append(steps, protocol.Step{Action: protocol.Unfuse, Key: k.ID, At: k.Created.Add(v.r.Expire), Reason: reason.FuseOn})
		}
	}
	return steps
}

// mostOverlaps is the total number of overlaps that use can extend a key to.
const mostOverlaps = 3

// extension returns the expiry of a superseded key that is still used, and
// whether that is later than its present expiry. A consumer that re-reads its
// store in time does not use the key in the second half of the overlap.
func (v view) extension(k protocol.Key) (at time.Time, used, later bool) {
	if v.phase(k) != Overlapping || !k.OverlapEnds(v.r, v.now) || !k.Used.After(k.Superseded) || k.Used.Before(k.Expires.Add(-v.r.Overlap/2)) {
		return k.Expires, false, false
	}
	at = k.Expires.Add(v.r.Overlap)
	if last := k.Superseded.Add(mostOverlaps * v.r.Overlap).Truncate(time.Minute); at.After(last) {
		at = last
	}
	return at, true, at.After(k.Expires)
}

// extensions extend the overlap of keys that are still used, even if stores do
// not answer.
func (v view) extensions() (steps []protocol.Step) {
	for _, k := range v.Keys {
		if at, _, later := v.extension(k); later {
			steps = append(steps, protocol.Step{Action: protocol.Extend, Key: k.ID, At: at, Reason: reason.StillUsed})
		}
	}
	return steps
}
