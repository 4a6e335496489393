package rotation

import (
	"slices"
	"time"
)

// removal ends the keys of a deleted project, and then its service ID.
func (v view) removal() (steps []Step) {
	for _, k := range v.Keys {
		steps = append(steps, v.remove(k)...)
	}
	if v.Identity.Exists && !v.Identity.Given && !v.Identity.Locked && len(v.Keys)+v.Foreign == 0 {
		steps = append(steps, Step{Action: RemoveIdentity, Reason: SubjectGone})
	}
	return steps
}

// remove is the next step of a key whose project is deleted. It lives for one overlap at most.
func (v view) remove(k Key) []Step {
	switch {
	case k.Locked:
		return nil
	case k.Expired(v.now):
		return v.clear(k)
	}
	switch v.phase(k) {
	case Leaked:
		return v.revoke(k)
	case Pending:
		return v.withdraw(k)
	case Published, Held, Orphan:
		switch {
		case k.Disabled || !k.Superseded.IsZero():
		case k.Fused(v.r):
			return v.withdraw(k) // the project took its store along
		default:
			return v.supersede(k, v.r.Overlap, SubjectGone)
		}
	}
	return nil
}

// endings ends the keys that no consumer holds, or starts their overlap. It needs
// to know all of them, and who else is at work.
func (v view) endings() (steps []Step) {
	if !v.allRead {
		return nil
	}
	for _, k := range v.Keys {
		if end := ends[v.phase(k)]; end != nil && !v.named[k.ID] && !k.Locked {
			steps = append(steps, end(v, k)...)
		}
	}
	return steps
}

// ends has the next step of a key that no store names, for each phase that has one.
// A leaked key ends as soon as no consumer needs it (see revocable), and an overlapping
// one by its expiry.
var ends = map[Phase]func(view, Key) []Step{
	Pending: view.unpublished,
	Held:    view.overlap,
	Orphan:  view.fallBack,
	Ended:   view.clear,
}

// unpublished deletes a key that no store took. One that is older than a key that a
// store had may have been published and locked with its fuse on, and one that was
// refused delays the next key, so their fuses end them.
func (v view) unpublished(k Key) []Step {
	later := func(o Key) bool { return (v.named[o.ID] || !o.Fused(v.r)) && k.Compare(o) < 0 }
	if !k.Refused.IsZero() || slices.ContainsFunc(v.Keys, later) {
		return nil
	}
	return v.withdraw(k)
}

// withdraw deletes a key that no store took.
func (v view) withdraw(k Key) []Step {
	return []Step{{Action: Retire, Key: k.ID, Reason: NeverPublished}}
}

// clear deletes a key that has expired for long enough that clocks don't matter.
func (v view) clear(k Key) []Step {
	if !k.Expired(v.now) || v.now.Before(k.Expires.Add(v.r.ExpiryMargin)) {
		return nil // a person disabled it, or it has just expired
	}
	return []Step{{Action: Retire, Key: k.ID, Reason: IsExpired}}
}

// overlap starts the overlap of a replaced key, once every consumer has the published
// one and every store names a key that works. A store may be behind: its key stays.
func (v view) overlap(k Key) []Step {
	if !k.Superseded.IsZero() || k.Fused(v.r) || v.newest.ID == "" || !v.settled() && !v.provided() {
		return nil
	}
	return v.supersede(k, v.r.Overlap, Replaced)
}

// fallBack gives a key a short overlap that the stores went back from. A consumer
// that may have it is restarted first. If the stores went back to a key that IAM
// does not have, consumers may need this one until another is published.
func (v view) fallBack(k Key) []Step {
	if v.newest.ID == "" && v.occupied() || v.marked(k) || v.consumerTrouble() != "" {
		return nil
	}
	return v.supersede(k, v.r.Fuse, RolledBack)
}

func (v view) supersede(k Key, overlap time.Duration, why Reason) []Step {
	return []Step{{Action: Supersede, Key: k.ID, At: v.end(overlap), Reason: why}}
}

// occupied reports whether a store names any key.
func (v view) occupied() bool {
	return slices.ContainsFunc(v.Stores, func(st Store) bool { return st.Fault == "" && (st.Key != "" || st.Foreign != "") })
}

// settled reports whether every store and every consumer has the published key,
// so that the overlap of the other keys may start.
func (v view) settled() bool {
	for _, st := range v.Stores {
		if !v.has(st) && !st.others() {
			return false
		}
	}
	return v.restarted() && v.published.ID != ""
}

// provided reports whether every store names a key that works, and every consumer has
// the published one.
func (v view) provided() bool {
	for _, st := range v.Stores {
		works := slices.ContainsFunc(v.Keys, func(k Key) bool { return k.ID == st.Key && k.Live(v.now) && k.Leaked.IsZero() })
		if st.Fault != "" || st.Altered || !works {
			return false
		}
	}
	return v.restarted()
}

// restarted reports whether every consumer has the published key.
func (v view) restarted() bool {
	return !slices.ContainsFunc(v.Consumers, func(c Consumer) bool { return c.Unknown || c.Key != v.published.ID })
}

// end is now + d, rounded up to the minute that IAM stores.
func (v view) end(d time.Duration) time.Time {
	return v.now.Add(d + time.Minute - time.Nanosecond).Truncate(time.Minute)
}
