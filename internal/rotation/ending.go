package rotation

import (
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// ends has the next step of a key that may end, for each phase that has one.
var ends = map[Phase]func(view, protocol.Key) []protocol.Step{
	Pending:     view.unpublished,
	Held:        view.overlap,
	Overlapping: view.overlap,
	Orphan:      view.fallBack,
	Leaked:      view.revoke,
	Ended:       view.clear,
}

// mayEnd reports whether a key may end: every store was read, IAM has what they name,
// and none of them names this key. A lock keeps it alive.
func (v view) mayEnd(k protocol.Key) bool {
	return v.allRead && !v.unlisted && !v.named[k.ID] && !k.Locked
}

// endings returns the next step of the keys in some phases that may end. After a new
// key, or a repair, it is asked about the state that the plan leaves (see after).
func (v view) endings(phases ...Phase) (steps []protocol.Step) {
	for _, k := range v.Keys {
		if phase := v.phase(k); slices.Contains(phases, phase) && v.mayEnd(k) {
			steps = append(steps, ends[phase](v, k)...)
		}
	}
	return steps
}

// removal ends the keys of a deleted project, and then its service ID. The project
// took its stores and consumers along.
func (v view) removal() []protocol.Step {
	bare := v.State
	bare.Stores, bare.Consumers = nil, nil
	steps := look(bare, v.r, protocol.Trigger{}, v.now).endings(Pending, Held, Orphan, Leaked, Ended)
	if v.Identity.Exists && !v.Identity.Given && !v.Identity.Locked && len(v.Keys)+v.Foreign == 0 {
		steps = append(steps, protocol.Step{Action: protocol.RemoveIdentity, Reason: reason.SubjectGone})
	}
	return steps
}

// unpublished deletes a key that no store took. One that a later key followed may have
// been published and locked with its fuse on, and so may any if stores name only keys that
// IAM lacks. One that was refused delays the next key. Their fuses end them.
func (v view) unpublished(k protocol.Key) []protocol.Step {
	later := func(o protocol.Key) bool { return k.Compare(o) < 0 }
	if !k.Refused.IsZero() || v.newest.ID == "" && v.occupied() || slices.ContainsFunc(v.Keys, later) {
		return nil
	}
	return []protocol.Step{{Action: protocol.Retire, Key: k.ID, Reason: reason.NeverPublished}}
}

// clear deletes a key that has expired for long enough that clocks don't matter.
func (v view) clear(k protocol.Key) []protocol.Step {
	if !k.Expired(v.now.Add(-v.r.ExpiryMargin)) || !v.Gone && !v.published.Meets(k.Renew) {
		return nil // a person disabled it, it has just expired, or the demand on it is not met
	}
	return []protocol.Step{{Action: protocol.Retire, Key: k.ID, Reason: reason.IsExpired}}
}

// overlap starts the overlap of a replaced key, once every consumer has the published
// one and every store names a key that works. A store may be behind: its key stays. A
// key that stores had gone back to gets a whole overlap again. One that IAM gave the mark
// and no expiry gets its end again.
func (v view) overlap(k protocol.Key) []protocol.Step {
	again := v.left[k.ID] && k.Expires.Before(v.minuteAfter(v.r.Overlap)) || k.Expires.IsZero()
	if !v.settled() || !k.Superseded.IsZero() && !again {
		return nil
	}
	return v.supersede(k, v.r.Overlap, reason.Replaced)
}

// fallBack gives a key a short overlap that the stores went back from. A consumer that may
// have it is restarted first, and another key is published first if stores name none that works.
func (v view) fallBack(k protocol.Key) []protocol.Step {
	switch {
	case v.Gone:
		return v.supersede(k, v.r.Overlap, reason.SubjectGone)
	case v.published.ID == "", v.consumerTrouble() != "":
		return nil
	}
	return v.supersede(k, v.r.Fuse, reason.RolledBack)
}

// revoke disables and deletes a leaked key once no consumer needs it. One that keeps
// its fuse waits for none. The deletion may fail or take time.
func (v view) revoke(k protocol.Key) (steps []protocol.Step) {
	if !k.Disabled && !k.Fused(v.r) && !v.restarted() {
		return nil
	}
	if k.Live(v.now) {
		steps = append(steps, protocol.Step{Action: protocol.Disable, Key: k.ID, Reason: reason.KeyLeaked})
	}
	if v.Gone || v.published.Meets(k.Renew) { // else the demand would be gone with the key
		steps = append(steps, protocol.Step{Action: protocol.Retire, Key: k.ID, Reason: reason.KeyLeaked})
	}
	return steps
}

func (v view) supersede(k protocol.Key, overlap time.Duration, why reason.Reason) []protocol.Step {
	return []protocol.Step{{Action: protocol.Supersede, Key: k.ID, At: v.minuteAfter(overlap), Reason: why}}
}

// occupied reports whether a store names any key.
func (v view) occupied() bool {
	return len(v.named) > 0 || slices.ContainsFunc(v.Stores, func(st protocol.Store) bool { return st.Foreign != "" })
}

// settled reports whether every store names a key that works, and every consumer has
// the published one, so that the overlap of the other keys may start.
func (v view) settled() bool {
	for _, st := range v.Stores {
		works := func(k protocol.Key) bool { return k.ID == st.Key && k.Live(v.now) && k.Leaked.IsZero() }
		if !v.has(st) && !others(st) && (st.Altered || !slices.ContainsFunc(v.Keys, works)) {
			return false
		}
	}
	return v.restarted()
}

// restarted reports whether every consumer has the published key.
func (v view) restarted() bool {
	return !slices.ContainsFunc(v.Consumers, func(c protocol.Consumer) bool { return c.Unknown || c.Key != v.published.ID })
}

// minuteAfter is now + d, rounded up to the minute that IAM stores.
func (v view) minuteAfter(d time.Duration) time.Time {
	return v.now.Add(d + time.Minute - time.Nanosecond).Truncate(time.Minute)
}

// after returns the view of the state that steps leave. A new key is newer than all
// others.
func (v view) after(steps []protocol.Step) view {
	s := v.State
	s.Keys, s.Stores, s.Consumers = slices.Clone(s.Keys), slices.Clone(s.Stores), slices.Clone(s.Consumers)
	for _, step := range steps {
		key := func(change func(*protocol.Key)) {
			if i := slices.IndexFunc(s.Keys, func(k protocol.Key) bool { return k.ID == step.Key }); i >= 0 {
				change(&s.Keys[i])
			}
		}
		switch step.Action {
		case protocol.Mint:
			s.Keys = append(s.Keys, protocol.Key{ID: protocol.NewKey, Created: v.now, AsOf: v.now.Add(v.r.Window), Expires: v.now.Add(v.r.Expire)})
		case protocol.Publish, protocol.Copy:
			i := slices.IndexFunc(s.Stores, func(st protocol.Store) bool { return st.Name == step.Target })
			s.Stores[i].Key, s.Stores[i].Altered = step.Key, false
		case protocol.RestartConsumer:
			i := slices.IndexFunc(s.Consumers, func(c protocol.Consumer) bool { return c.Name == step.Target })
			s.Consumers[i].Key = step.Key
		case protocol.Extend, protocol.Unfuse:
			if step.Key != protocol.NewKey {
				key(func(k *protocol.Key) { k.Expires = step.At })
			}
		case protocol.Supersede:
			key(func(k *protocol.Key) { k.Superseded, k.Expires = v.now, step.At })
		case protocol.Disable:
			key(func(k *protocol.Key) { k.Disabled = true })
		case protocol.Retire:
			s.Keys = slices.DeleteFunc(s.Keys, func(k protocol.Key) bool { return k.ID == step.Key })
		}
	}
	w := look(s, v.r, protocol.Trigger{}, v.now)
	w.left = v.named
	return w
}

// leak marks a key as leaked, so that later runs know, and disables it if
// containment is requested.
func (v view) leak(t protocol.Trigger) (steps []protocol.Step) {
	k := v.leaked
	if k.ID == "" || k.Locked {
		return nil
	}
	if k.Leaked.IsZero() {
		steps = append(steps, protocol.Step{Action: protocol.MarkLeaked, Key: k.ID, At: v.now, Reason: reason.KeyLeaked})
	}
	if t.Contain && k.Live(v.now) {
		steps = append(steps, protocol.Step{Action: protocol.Disable, Key: k.ID, Reason: reason.KeyLeaked})
	}
	return steps
}

// lockedLeak reports whether a lock keeps a leaked key alive.
func (v view) lockedLeak() bool {
	return slices.ContainsFunc(v.Keys, func(k protocol.Key) bool { return !k.Leaked.IsZero() && k.Locked && k.Live(v.now) })
}
