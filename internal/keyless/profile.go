package keyless

import (
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// Link lets a compute resource assume a trusted profile, in IAM's words.
type Link struct {
	// Type is IKS_SA, ROKS_SA, CE or VSI.
	Type string
	CRN  string
	// Namespace and Name are those of a service account in a cluster.
	Namespace, Name string
	// ComponentType and ComponentName narrow a link to a Code Engine project.
	ComponentType, ComponentName string
}

// Label names the link in steps.
func (l Link) Label() string {
	label := "link of " + l.Type + " " + l.CRN
	for _, part := range []string{l.Namespace, l.Name, l.ComponentType, l.ComponentName} {
		if part != "" {
			label += "/" + part
		}
	}
	return label
}

// PolicyLabel names a policy of the profile in steps.
func PolicyLabel(label string) string { return policyOfProfile + label }

const policyOfProfile = "profile's "

// IsPolicy returns the label of the policy if a step's target is one of PolicyLabel.
func IsPolicy(target string) (label string, is bool) {
	return strings.CutPrefix(target, policyOfProfile)
}

// Key is one key of the credential.
type Key struct {
	// Created is when it was made, and Used when it last authenticated, or zero.
	Created, Used time.Time
	// Suspended is when a deprovisioning disabled it, or zero. If it is live, an undo
	// brought it back.
	Suspended time.Time
	// Live is set if it can authenticate.
	Live bool
}

// State is the input of a decision about a credential's trusted profile.
type State struct {
	// Wanted is set if the config has mode: keyless. Otherwise the profile comes to its
	// end once the key is back.
	Wanted bool
	// ID is that of our profile, or empty if IAM has none. Foreign is the ID of the
	// profile that has its name and is not ours.
	ID, Foreign string
	// Unread is set if the profile could not be read.
	Unread bool
	// Leaving is set if the end of the credential is demanded, and Force if a use of the
	// profile does not count then.
	Leaving, Force bool
	// NotAgain is set if nothing is made again that was removed.
	NotAgain bool
	// Unlinked and Ungranted are the labels of links and policies that it lacks.
	Unlinked, Ungranted []string
	// Assumed is when the profile was last assumed, or zero.
	Assumed time.Time
	// Identity is set if IAM has the credential's service ID, Published if a store
	// names a live key, and Ending if the service ID's end has begun.
	Identity, Published, Ending bool
	Keys                        []Key
	// Others counts the keys of the service ID that are not ours.
	Others int
}

// Plan is what to do about the profile now.
type Plan struct {
	Steps []protocol.Step
	// End demands the end of the service ID with its keys. NoKey says that none is made.
	End, NoKey bool
	Notes      []protocol.Note
	// Blocked is set if the credential can't leave, and Why says the cause in words.
	Blocked reason.Reason
	Why     string
	// Until is when a later run may do more.
	Until time.Time
}

// Decide plans for the profile. The quiet time is that of a deprovisioning.
//
//		profile, links, policies ─▶ assumed by a consumer ─▶ no key used for the quiet time ─▶ end of the key
//
//	  - Nothing is granted to a profile that is not ours, and no key ends for it.
//	  - A key ends only if a consumer has assumed the profile within the quiet time, and
//	    no key authenticated, was made or was brought back by an undo in it.
//	  - A service ID with keys of others does not end, and its keys go on.
//	  - A note says what is proven of the profile, until the key is deleted.
//	  - Without mode: keyless a profile ends only if a store names a live key and no
//	    consumer has assumed the profile within the quiet time.
//	  - A credential that leaves makes nothing for its profile. The profile ends before the
//	    demand is recorded, unless a consumer has assumed it within the quiet time and the
//	    demand does not force it.
//	  - With keep: false a profile is made only for a service ID that goes on.
func Decide(s State, quiet time.Duration, now time.Time) Plan {
	switch {
	case s.Leaving:
		return end(s, quiet, now)
	case !s.Wanted:
		return back(s, quiet, now)
	case s.Unread:
		return Plan{NoKey: !s.Identity, End: s.Ending, Notes: []protocol.Note{{Reason: reason.ProfileUnread}}}
	case s.Foreign != "":
		return Plan{NoKey: !s.Identity, End: s.Ending, Notes: []protocol.Note{{Reason: reason.ProfileForeign, Thing: s.Foreign}}}
	}
	p := Plan{NoKey: !s.Identity, End: s.Ending}
	if s.ID != "" || !s.NotAgain || s.Identity && !s.Ending {
		p.Steps = missing(s)
	}
	if !s.Identity {
		p.End = len(s.Keys) == 0 // what is left in stores
		return p
	}
	if s.ID == "" || len(p.Steps) > 0 {
		return p
	}
	until := silentSince(s.Keys).Add(quiet)
	switch {
	case s.Assumed.IsZero(), s.Assumed.Add(quiet).Before(now):
		p.Notes = []protocol.Note{{Reason: reason.ProfileReady, Thing: s.ID, At: s.Assumed}}
		return p
	case now.Before(until) && !s.Ending:
		p.Until = until
	case s.Others > 0 && !s.Ending: // a note of its own tells of them
	default:
		p.End = true
	}
	p.Notes = []protocol.Note{{Reason: reason.ProfileAssumed, Thing: s.ID, At: s.Assumed}}
	return p
}

// missing returns the steps that make the profile what the config says.
func missing(s State) (steps []protocol.Step) {
	if s.ID == "" {
		steps = append(steps, protocol.Step{Action: protocol.CreateProfile, Reason: reason.NoProfile})
	}
	for _, label := range s.Ungranted {
		steps = append(steps, protocol.Step{Action: protocol.GrantProfile, Target: PolicyLabel(label), Reason: reason.ProfileLacks})
	}
	for _, label := range s.Unlinked {
		steps = append(steps, protocol.Step{Action: protocol.LinkProfile, Target: label, Reason: reason.ProfileLacks})
	}
	return steps
}

// silentSince returns when a key last authenticated, was made or was brought back.
func silentSince(keys []Key) (last time.Time) {
	for _, k := range keys {
		for _, at := range []time.Time{k.Created, k.Used, k.Suspended} {
			if k.Live && at.After(last) {
				last = at
			}
		}
	}
	return last
}

// end brings the profile to its end with its credential.
func end(s State, quiet time.Duration, now time.Time) Plan {
	idle := s.Assumed.Add(quiet)
	switch {
	case s.Wanted && !s.NotAgain:
		return Plan{Blocked: reason.EndRefused, Why: "mode: keyless would make the trusted profile again"}
	case s.ID == "":
		return Plan{}
	case now.Before(idle) && !s.Force:
		return Plan{Blocked: reason.InUse, Why: "trusted profile " + s.ID + " was assumed at " + s.Assumed.UTC().Format(time.RFC3339), Until: idle}
	}
	return Plan{Steps: []protocol.Step{{Action: protocol.RemoveProfile, Target: s.ID, Reason: reason.Deprovision}}}
}

// back brings the profile to its end after the key is back.
func back(s State, quiet time.Duration, now time.Time) Plan {
	switch {
	case s.ID == "" || s.Unread || !s.Published || s.Ending:
		return Plan{}
	case now.Before(s.Assumed.Add(quiet)):
		return Plan{Notes: []protocol.Note{{Reason: reason.ProfileUsed, Thing: s.ID, At: s.Assumed}}, Until: s.Assumed.Add(quiet)}
	}
	return Plan{Steps: []protocol.Step{{Action: protocol.RemoveProfile, Target: s.ID, Reason: reason.ProfileIdle}}}
}
