package rotation

import (
	"slices"
	"time"
)

// A key is held if a store names it or a consumer was last restarted with it. A
// consumer cannot be asked which key it has, so latchkey assumes that it still
// has each key that it may have.

// sustained extends the expiry of held keys whose overlap has started, step by
// step until a newer key replaces them. A step is an overlap, or longer if sweeps
// are rare.
func (v view) sustained() (steps []Step) {
	bit, near := v.bit()
	for _, k := range v.Keys {
		overlapping := !k.Superseded.IsZero() && k.Leaked.IsZero() && !k.Expires.IsZero()
		if v.Gone || !v.held(k) || !overlapping || !k.Live(v.now) || k.Locked || v.now.Before(k.Expires.Add(-near)) {
			continue
		}
		if v.now.Before(k.Superseded.Add(v.r.Window)) {
			continue // another replica may have updated its holders since we observed
		}
		last := k.Created.Add(v.r.Expire)
		if k.Minted.IsZero() { // adopted, and perhaps older than that
			last = k.Superseded.Add(v.r.Expire)
		}
		at := v.end(bit)
		if at.After(last) {
			at = last
		}
		if at.After(k.Expires) {
			steps = append(steps, Step{Action: Extend, Key: k.ID, At: at, Reason: StillHeld})
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

// held reports whether a store names the key, or a consumer was last restarted
// with it.
func (v view) held(k Key) bool { return v.named[k.ID] || v.marked(k) }

// marked reports whether a consumer was last restarted with the key.
func (v view) marked(k Key) bool {
	return slices.ContainsFunc(v.Consumers, func(c Consumer) bool { return c.Key == k.ID })
}
