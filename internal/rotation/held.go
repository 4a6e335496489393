package rotation

import (
	"slices"
	"time"
)

// What consumers have: a store names it, or a restart gave it to them. Nobody can
// ask a consumer, so what it may have is taken for what it has.

// sustained lengthens the life of keys that a store went back to after their
// overlap had started, and of those that a consumer was last restarted with, bit
// by bit while nothing newer takes their place: whatever keeps a new key back may
// last. A bit is an overlap, or long enough that no sweep comes too late; what is
// left of it once the key is replaced is the key's last.
func (v view) sustained() (steps []Step) {
	bit, near := v.bit()
	for _, k := range v.Keys {
		overlapping := !k.Superseded.IsZero() && k.Leaked.IsZero() && !k.Expires.IsZero()
		if v.Gone || !v.held(k) || !overlapping || !k.Live(v.now) || k.Locked || v.now.Before(k.Expires.Add(-near)) {
			continue
		}
		if v.now.Before(k.Superseded.Add(v.r.Window)) {
			continue // another instance may have served who held it since we looked
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

// bit is how much longer a held key lives at a time, and how near its end that is
// added: not at every look, and not so late that a sweep misses it.
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

// served reports whether every consumer has what its own store names, or the
// published key.
func (v view) served() bool {
	return v.published.ID != "" && !slices.ContainsFunc(v.Consumers, func(c Consumer) bool {
		own, known := v.own(c)
		return c.Unknown || c.Key != v.published.ID && (!known || c.Key != own)
	})
}

// unheld reports whether no consumer can have a key that no store names, although
// a store may be behind: enough to end the key when no other can be made for that
// store otherwise. A consumer has what its own store names, or the published key;
// one whose store has nothing that works has what its last restart gave it, if any.
func (v view) unheld(k Key) bool {
	for _, c := range v.Consumers {
		own, known := v.own(c)
		switch {
		case c.Unknown:
			return false
		case c.Key == v.published.ID || own != "" && c.Key == own:
		case own != "" || !known || c.Key == k.ID:
			return false
		}
	}
	return v.published.ID != ""
}

// own is the live key that a consumer's own store names, if any, and whether
// that is known.
func (v view) own(c Consumer) (id string, known bool) {
	i := slices.IndexFunc(v.Stores, func(st Store) bool { return st.Name == c.Store && st.Fault == "" })
	if i < 0 {
		return "", false
	}
	live := slices.ContainsFunc(v.Keys, func(k Key) bool { return k.ID == v.Stores[i].Key && k.Live(v.now) })
	if !live {
		return "", true
	}
	return v.Stores[i].Key, true
}
