// Package protocol has the words that the parts of latchkey share: what a run observes,
// what an event demands, the rules, and the steps of a plan. They are plain types. What
// they lead to is decided in packages rotation, offboard and keyless.
//
//	key.go     a key, and what follows from its marks alone
//	state.go   a service ID, a store, a consumer, and all that one run observes
//	demand.go  what an event demands
//	rules.go   durations and limits
//	plan.go    actions, steps, plans and notes
package protocol

import (
	"cmp"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/reason"
)

// Key is the metadata of one of our keys in IAM. It never has the value.
type Key struct {
	ID string
	// Created is IAM's created_at, in whole minutes.
	Created time.Time
	// AsOf is how fresh the key is: it meets all demands up to this time. It is when
	// we requested the key, by IAM's clock, or the latest demand that it was minted
	// for. It is zero for an adopted key, which is as fresh as its creation.
	AsOf time.Time
	// Print is the print of its value in the key's name. Empty for an adopted key.
	Print string
	// Expires is zero for a key that never expires.
	Expires  time.Time
	Disabled bool
	// Suspended is when a deprovisioning disabled the key. Zero if none did.
	Suspended time.Time
	// DisabledBy is the identity that disabled the key, as far as IAM tells.
	DisabledBy string
	Locked     bool
	// Elsewhere is set if the key is on a second service ID of ours, with a limit of
	// its own.
	Elsewhere bool

	// Superseded is when this key's overlap started.
	Superseded time.Time
	// Renew is a recorded demand for a key newer than this time.
	Renew time.Time
	// RenewCause is what the recorded demand was requested by. It decides nothing.
	RenewCause string
	// Served is the latest expiry date of a secret that this key, or one before
	// it, was minted for.
	Served time.Time
	// Leaked is when the key's revocation was requested, or when IAM itself disabled it.
	Leaked time.Time
	// Refused is when a run could not publish the key to a store, and Refusal is why.
	Refused time.Time
	Refusal reason.Reason
	// Replaces is the key that a store named when this one was minted, if that key still
	// had its fuse. It shows later runs that a store had that key.
	Replaces string
	// Stores are the stores of the config when the key was minted, if that is known.
	Stores []string
	// Used is the key's last known authentication, read only near the end of an
	// overlap. IAM reports it late, so it only ever extends an overlap.
	Used time.Time
}

// Meets reports whether the key satisfies a demand for one newer than t.
func (k Key) Meets(t time.Time) bool { return !k.asOf().Before(t) }

func (k Key) asOf() time.Time {
	if k.AsOf.IsZero() {
		return k.Created
	}
	return k.AsOf
}

// Live reports whether the key can authenticate at now.
func (k Key) Live(now time.Time) bool { return !k.Disabled && !k.Expired(now) }

// Expired reports whether the key has expired at now.
func (k Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && !k.Expires.After(now) }

// iamItself begins the IAM ID of IAM as a service. IBM does not document as whom IAM acts
// on a key that it found in public (onLeak). As guessed here, it is the CRN of IAM, which
// no user, service ID or profile of an account has.
const iamItself = "crn-crn:v1:bluemix:public:iam-identity:"

// Found reports whether IAM itself disabled the key, which it does with one that it found
// in public. Such a key leaked, and is contained already.
func (k Key) Found() bool { return k.Disabled && strings.HasPrefix(k.DisabledBy, iamItself) }

// FoundNotes tells that IAM found the key in public, and until when its tokens live.
func (k Key) FoundNotes(now time.Time) (notes []Note) {
	if !k.Found() {
		return nil
	}
	notes = []Note{{Reason: reason.KeyFound, Key: k.ID, By: k.DisabledBy, At: k.Leaked}}
	if ends := k.Leaked.Add(TokenLife); now.Before(ends) {
		notes = append(notes, Note{Reason: reason.TokensLive, Key: k.ID, At: ends})
	}
	return notes
}

// TokenLife is the longest time that an access token outlives its key.
const TokenLife = time.Hour

// Fused reports whether the key still has the expiry that it was created with. The
// slack covers IAM's rounding and a clock that moved during the run that minted it.
func (k Key) Fused(r Rules) bool {
	return k.Superseded.IsZero() && !k.Expires.IsZero() && !k.Expires.After(k.Created.Add(r.Fuse+fuseSlack))
}

const fuseSlack = 15 * time.Minute

// EndDue returns when a published key that expires is replaced whatever its age: an
// overlap or four sweeps before its end, but not in the first half of its life. One whose
// overlap has started, since stores went back to it, is extended until it is replaced.
func (k Key) EndDue(r Rules) time.Time {
	sweeps := 4 * r.SweepEvery
	half := k.Expires.Sub(k.Created)/2 + r.Window // so that a sweep every half fuse is in time
	early := min(max(r.Overlap, sweeps), half)
	switch {
	case !k.Superseded.IsZero():
		early = sweeps
	case k.Locked: // no later update extends it
		early = max(early, sweeps)
	}
	return k.Expires.Add(-early)
}

// EndsSoon reports whether the end of a published key is a reason to replace it.
func (k Key) EndsSoon(r Rules, now time.Time) bool {
	return !k.Expires.IsZero() && !now.Before(k.EndDue(r))
}

// FuseEnds reports whether the key keeps its fuse and is old enough to be replaced.
func (k Key) FuseEnds(r Rules, now time.Time) bool { return k.Fused(r) && k.EndsSoon(r, now) }

// OverlapEnds reports whether an overlap is near its end, so that the key's last use
// matters.
func (k Key) OverlapEnds(r Rules, now time.Time) bool {
	runs := !k.Superseded.IsZero() && !k.Locked && k.Leaked.IsZero() && k.Live(now)
	return runs && k.Expired(now.Add(max(r.Overlap/4, 2*r.SweepEvery)))
}

// Extended reports whether the overlap of a superseded key was extended, so that its user
// still matters. An extension is a whole overlap, and times are rounded by minutes.
func (k Key) Extended(r Rules, now time.Time) bool {
	return !k.Superseded.IsZero() && k.Leaked.IsZero() && k.Live(now) && k.Expires.After(k.Superseded.Add(r.Overlap+r.Overlap/2))
}

// Compare orders keys by freshness, then by ID. The highest is the newest.
func (k Key) Compare(other Key) int {
	return cmp.Or(k.asOf().Compare(other.asOf()), cmp.Compare(k.ID, other.ID))
}
