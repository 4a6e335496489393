package keyless_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

const (
	day   = 24 * time.Hour
	quiet = 7 * day
)

var now = time.Date(2026, time.November, 24, 10, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

func key(created, used time.Duration) []keyless.Key {
	return []keyless.Key{{Created: ago(created), Used: ago(used), Live: true}}
}

func note(r reason.Reason, at time.Time) []protocol.Note {
	return []protocol.Note{{Reason: r, Thing: "Profile-1", At: at}}
}

func TestDecide(t *testing.T) {
	ready := func(change func(*keyless.State)) keyless.State {
		s := keyless.State{Wanted: true, ID: "Profile-1", Assumed: ago(time.Hour), Identity: true, Published: true, Keys: key(30*day, 8*day)}
		change(&s)
		return s
	}
	back := func(change func(*keyless.State)) keyless.State {
		return ready(func(s *keyless.State) {
			s.Wanted, s.Assumed = false, ago(8*day)
			change(s)
		})
	}
	leaves := func(change func(*keyless.State)) keyless.State {
		return ready(func(s *keyless.State) {
			s.Leaving, s.NotAgain, s.Assumed = true, true, ago(8*day)
			change(s)
		})
	}
	removed := keyless.Plan{Steps: []protocol.Step{{Action: protocol.RemoveProfile, Target: "Profile-1", Reason: reason.Deprovision}}}
	same := func(*keyless.State) {}
	for sentence, tc := range map[string]struct {
		state keyless.State
		want  keyless.Plan
	}{
		"a profile that is missing is made, granted and linked, in this order": {
			keyless.State{Wanted: true, Identity: true, Keys: key(30*day, 8*day), Ungranted: []string{"Sender on logs"}, Unlinked: []string{"link of CE crn"}},
			keyless.Plan{Steps: []protocol.Step{
				{Action: protocol.CreateProfile, Reason: reason.NoProfile},
				{Action: protocol.GrantProfile, Target: "profile's Sender on logs", Reason: reason.ProfileLacks},
				{Action: protocol.LinkProfile, Target: "link of CE crn", Reason: reason.ProfileLacks},
			}},
		},
		"a profile that lost its link is repaired, and no key ends": {
			ready(func(s *keyless.State) { s.Unlinked = []string{"l"} }),
			keyless.Plan{Steps: []protocol.Step{{Action: protocol.LinkProfile, Target: "l", Reason: reason.ProfileLacks}}},
		},
		"a foreign profile of the name is granted nothing, and no key ends": {
			ready(func(s *keyless.State) { s.ID, s.Foreign, s.Ungranted = "", "Profile-1", []string{"x"} }),
			keyless.Plan{Notes: []protocol.Note{{Reason: reason.ProfileForeign, Thing: "Profile-1"}}},
		},
		"a profile that can't be read changes nothing": {
			ready(func(s *keyless.State) { s.ID, s.Unread, s.Ungranted = "", true, []string{"x"} }),
			keyless.Plan{Notes: []protocol.Note{{Reason: reason.ProfileUnread}}},
		},
		"a profile that no consumer has assumed ends no key": {
			ready(func(s *keyless.State) { s.Assumed = time.Time{} }), keyless.Plan{Notes: note(reason.ProfileReady, time.Time{})},
		},
		"a profile that was last assumed long ago ends no key": {
			ready(func(s *keyless.State) { s.Assumed = ago(8 * day) }), keyless.Plan{Notes: note(reason.ProfileReady, ago(8*day))},
		},
		"a key that was used within the quiet time does not end": {
			ready(func(s *keyless.State) { s.Keys = key(30*day, 6*day) }), keyless.Plan{Notes: note(reason.ProfileAssumed, ago(time.Hour)), Until: now.Add(day)},
		},
		"a key that was made within the quiet time does not end": {
			ready(func(s *keyless.State) { s.Keys = key(6*day, 20*day) }), keyless.Plan{Notes: note(reason.ProfileAssumed, ago(time.Hour)), Until: now.Add(day)},
		},
		"a key that an undo brought back within the quiet time does not end": {
			ready(func(s *keyless.State) { s.Keys[0].Suspended = ago(6 * day) }), keyless.Plan{Notes: note(reason.ProfileAssumed, ago(time.Hour)), Until: now.Add(day)},
		},
		"a dead key does not count": {
			ready(func(s *keyless.State) { s.Keys = []keyless.Key{{Created: ago(day), Used: ago(day)}} }), keyless.Plan{End: true, Notes: note(reason.ProfileAssumed, ago(time.Hour))},
		},
		"a silent key ends once the profile is in use": {ready(same), keyless.Plan{End: true, Notes: note(reason.ProfileAssumed, ago(time.Hour))}},
		"an end that has begun goes on": {
			ready(func(s *keyless.State) { s.Ending, s.Keys = true, key(30*day, time.Hour) }), keyless.Plan{End: true, Notes: note(reason.ProfileAssumed, ago(time.Hour))},
		},
		"an end that has begun goes on, whatever the profile is used for": {
			ready(func(s *keyless.State) { s.Ending, s.Assumed = true, time.Time{} }), keyless.Plan{End: true, Notes: note(reason.ProfileReady, time.Time{})},
		},
		"a service ID with keys of others does not end": {
			ready(func(s *keyless.State) { s.Others = 1 }), keyless.Plan{Notes: note(reason.ProfileAssumed, ago(time.Hour))},
		},
		"without a service ID no key is made, and what is left in stores goes": {
			ready(func(s *keyless.State) { s.Identity, s.Keys = false, nil }), keyless.Plan{NoKey: true, End: true},
		},
		"a key of another service ID is left alone": {
			ready(func(s *keyless.State) { s.Identity = false }), keyless.Plan{NoKey: true},
		},
		"back: a profile ends once a key is published and no consumer assumes it": {
			back(same), keyless.Plan{Steps: []protocol.Step{{Action: protocol.RemoveProfile, Target: "Profile-1", Reason: reason.ProfileIdle}}},
		},
		"back: without a published key the profile stays":  {back(func(s *keyless.State) { s.Published = false }), keyless.Plan{}},
		"back: while the undo is under way it stays":       {back(func(s *keyless.State) { s.Ending = true }), keyless.Plan{}},
		"back: a profile that can't be read stays":         {back(func(s *keyless.State) { s.Unread = true }), keyless.Plan{}},
		"back: a foreign profile of the name is not ended": {back(func(s *keyless.State) { s.ID, s.Foreign = "", "Profile-1" }), keyless.Plan{}},
		"back: a profile that is assumed stays": {
			back(func(s *keyless.State) { s.Assumed = ago(6 * day) }), keyless.Plan{Notes: note(reason.ProfileUsed, ago(6*day)), Until: now.Add(day)},
		},
		"leaving: a profile that no consumer assumes ends":            {leaves(same), removed},
		"leaving: without a service ID it ends, too":                  {leaves(func(s *keyless.State) { s.Identity, s.Published, s.Keys = false, false, nil }), removed},
		"leaving: without mode: keyless it ends before a key is back": {leaves(func(s *keyless.State) { s.Wanted, s.NotAgain, s.Published = false, false, false }), removed},
		"leaving: what it lacks is not made":                          {leaves(func(s *keyless.State) { s.Unlinked = []string{"l"} }), removed},
		"leaving: a profile that is missing is not made":              {leaves(func(s *keyless.State) { s.ID = "" }), keyless.Plan{}},
		"leaving: a foreign profile of the name stays":                {leaves(func(s *keyless.State) { s.ID, s.Foreign = "", "Profile-1" }), keyless.Plan{}},
		"leaving: a profile that is assumed stays, and the reason says when": {
			leaves(func(s *keyless.State) { s.Assumed = ago(6 * day) }),
			keyless.Plan{Blocked: reason.InUse, Why: "trusted profile Profile-1 was assumed at 2026-11-18T10:00:00Z", Until: now.Add(day)},
		},
		"leaving by force: a profile that is assumed ends": {leaves(func(s *keyless.State) { s.Assumed, s.Force = ago(time.Hour), true }), removed},
		"leaving: with keep: true the config would make it again": {
			leaves(func(s *keyless.State) { s.NotAgain, s.Force = false, true }),
			keyless.Plan{Blocked: reason.EndRefused, Why: "mode: keyless would make the trusted profile again"},
		},
		"keep: false: while the service ID ends, no profile is made again": {
			ready(func(s *keyless.State) { s.NotAgain, s.ID, s.Ending = true, "", true }), keyless.Plan{End: true},
		},
		"keep: false: after the end no profile is made again": {
			ready(func(s *keyless.State) { s.NotAgain, s.ID, s.Identity, s.Keys = true, "", false, nil }), keyless.Plan{NoKey: true, End: true},
		},
		"keep: false: a service ID that goes on gets its profile": {
			ready(func(s *keyless.State) { s.NotAgain, s.ID = true, "" }),
			keyless.Plan{Steps: []protocol.Step{{Action: protocol.CreateProfile, Reason: reason.NoProfile}}},
		},
		"keep: false: a profile is repaired": {
			ready(func(s *keyless.State) { s.NotAgain, s.Identity, s.Keys, s.Unlinked = true, false, nil, []string{"l"} }),
			keyless.Plan{Steps: []protocol.Step{{Action: protocol.LinkProfile, Target: "l", Reason: reason.ProfileLacks}}, NoKey: true, End: true},
		},
	} {
		if diff := cmp.Diff(tc.want, keyless.Decide(tc.state, quiet, now)); diff != "" {
			t.Errorf("%s:\n%s", sentence, diff)
		}
	}
}
