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
	} {
		if diff := cmp.Diff(tc.want, keyless.Decide(tc.state, quiet, now)); diff != "" {
			t.Errorf("%s:\n%s", sentence, diff)
		}
	}
}
