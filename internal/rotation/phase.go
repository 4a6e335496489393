package rotation

import (
	"slices"

	"github.com/latchkey-io/latchkey/internal/protocol"
)

// Phase is where a key is in its life. The package comment draws it.
type Phase string

// The phases of a key of ours. A key that is not ours is foreign, and no Key.
const (
	Rival       Phase = "rival"       // no store names it, and another replica may be working with it
	Pending     Phase = "pending"     // no store took it: its fuse is on, and no consumer has it
	Published   Phase = "published"   // the newest live key that a store names, of those that did not leak
	Held        Phase = "held"        // a store or a consumer may have it, and it is not the published one
	Overlapping Phase = "overlapping" // its overlap runs, and neither a store nor a consumer has it
	Orphan      Phase = "orphan"      // newer than every key that a store names: the stores went back
	Leaked      Phase = "leaked"      // its revocation was requested, or IAM itself disabled it
	Ended       Phase = "ended"       // it no longer authenticates
)

// phase classifies a key.
func (v view) phase(k protocol.Key) Phase {
	switch {
	case k.Expired(v.now):
		return Ended
	case !k.Leaked.IsZero():
		return Leaked
	case v.rival(k):
		return Rival
	case v.published.ID == k.ID:
		return Published
	case k.Disabled:
		return Ended
	case v.hasHolder(k):
		return Held
	case !k.Superseded.IsZero():
		return Overlapping
	case k.Fused(v.r) && !v.Replaced(k):
		return Pending
	case k.Compare(v.newest) > 0:
		return Orphan
	}
	return Held
}

// rival reports whether another replica may still be working with k. None is if the key
// bears a reason why it could not be published, or if a store had it and a newer key
// has taken its place.
func (v view) rival(k protocol.Key) bool {
	replaced := !k.Fused(v.r) && k.Compare(v.published) < 0
	over := !k.Superseded.IsZero() || !k.Leaked.IsZero() || !k.Refused.IsZero() || replaced
	return !v.named[k.ID] && k.Live(v.now) && !over && v.now.Before(k.Created.Add(v.r.Window))
}

// hasHolder reports whether a store names the key, or a consumer was last restarted
// with it.
func (v view) hasHolder(k protocol.Key) bool {
	return v.named[k.ID] || slices.ContainsFunc(v.Consumers, func(c protocol.Consumer) bool { return c.Key == k.ID })
}
