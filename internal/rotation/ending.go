package rotation

import (
	"slices"
	"time"
)

// removal ends the keys of a deleted project, and then its service ID.
func (v view) removal() (steps []Step) {
	for _, k := range v.Keys {
		switch {
		case k.Locked || v.rival(k):
		case k.Expired(v.now):
			if !v.now.Before(k.Expires.Add(v.r.ExpiryMargin)) {
				steps = append(steps, Step{Action: Retire, Key: k.ID, Reason: IsExpired})
			}
		case !k.Leaked.IsZero():
			steps = append(steps, v.revoke(k)...)
		case k.Disabled || !k.Superseded.IsZero():
		case k.Fused(v.r):
			steps = append(steps, Step{Action: Retire, Key: k.ID, Reason: NeverPublished})
		default:
			steps = append(steps, Step{Action: Supersede, Key: k.ID, At: v.end(v.r.Overlap), Reason: SubjectGone})
		}
	}
	if v.Identity.Exists && !v.Identity.Given && !v.Identity.Locked && len(v.Keys)+v.Foreign == 0 {
		steps = append(steps, Step{Action: RemoveIdentity, Reason: SubjectGone})
	}
	return steps
}

// mostOverlaps is the total number of overlaps that use can extend a key to.
const mostOverlaps = 3

// extension returns the expiry of a superseded key that is still used, and
// whether that is later than its present expiry. A consumer that re-reads its
// store in time does not use the key in the second half of the overlap.
func (v view) extension(k Key) (at time.Time, used, later bool) {
	if v.held(k) || !k.Ending(v.r, v.now) || !k.Used.After(k.Superseded) || k.Used.Before(k.Expires.Add(-v.r.Overlap/2)) {
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
func (v view) extensions() (steps []Step) {
	for _, k := range v.Keys {
		if at, _, later := v.extension(k); later {
			steps = append(steps, Step{Action: Extend, Key: k.ID, At: at, Reason: StillUsed})
		}
	}
	return steps
}

// unfuse gives every named key its full lifetime, as a consumer may hold it.
func (v view) unfuse() (steps []Step) {
	for _, k := range v.Keys {
		if v.named[k.ID] && k.Live(v.now) && !k.Locked && k.Fused(v.r) {
			steps = append(steps, Step{Action: Unfuse, Key: k.ID, At: k.Created.Add(v.r.Expire), Reason: FuseOn})
		}
	}
	return steps
}

// rival reports whether another replica may still be working with k.
func (v view) rival(k Key) bool {
	return !v.named[k.ID] && k.Live(v.now) && k.Superseded.IsZero() && k.Leaked.IsZero() && v.now.Before(k.Created.Add(v.r.Window))
}

func (v view) inFlight() bool { return slices.ContainsFunc(v.Keys, v.rival) }

// endings ends the keys that no consumer holds, or starts their overlap.
func (v view) endings() (steps []Step) {
	if !v.allRead {
		return nil
	}
	settled := v.settled()
	for _, k := range v.Keys {
		switch {
		case v.named[k.ID] || k.Locked:
		case k.Expired(v.now):
			if !v.now.Before(k.Expires.Add(v.r.ExpiryMargin)) {
				steps = append(steps, Step{Action: Retire, Key: k.ID, Reason: IsExpired})
			}
		case !k.Leaked.IsZero(): // see exposed
		case k.Disabled || !k.Superseded.IsZero():
			// Disabled by a person, or its overlap runs.
		case k.Fused(v.r) && !v.marked(k): // else a consumer has it, and the fuse ends it
			steps = append(steps, Step{Action: Retire, Key: k.ID, Reason: NeverPublished})
		case k.Fused(v.r):
		case v.newest.ID == "" && v.occupied():
			// The key that a store names is deleted or foreign. Consumers may still
			// use this one until another is published.
		case (v.newest.ID == "" || k.Compare(v.newest) > 0) && (v.marked(k) || v.consumerTrouble() != ""):
			// A consumer may have it, and is restarted first.
		case v.newest.ID == "" || k.Compare(v.newest) > 0:
			steps = append(steps, Step{Action: Supersede, Key: k.ID, At: v.end(v.r.Fuse), Reason: RolledBack})
		case settled:
			steps = append(steps, Step{Action: Supersede, Key: k.ID, At: v.end(v.r.Overlap), Reason: Replaced})
		}
	}
	return steps
}

// occupied reports whether a store names any key.
func (v view) occupied() bool {
	return slices.ContainsFunc(v.Stores, func(st Store) bool { return st.Fault == "" && (st.Key != "" || st.Foreign != "") })
}

// settled reports whether every store and every consumer has the published key,
// so that the overlap of the other keys may start.
func (v view) settled() bool {
	for _, st := range v.Stores {
		if st.Key != v.published.ID {
			return false
		}
	}
	return v.restarted() && v.published.ID != ""
}

// restarted reports whether every consumer has the published key.
func (v view) restarted() bool {
	return !slices.ContainsFunc(v.Consumers, func(c Consumer) bool { return c.Unknown || c.Key != v.published.ID })
}

// end is now + d, rounded up to the minute that IAM stores.
func (v view) end(d time.Duration) time.Time {
	return v.now.Add(d + time.Minute - time.Nanosecond).Truncate(time.Minute)
}
