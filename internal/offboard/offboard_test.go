package offboard_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

var (
	now   = time.Date(2026, time.November, 24, 10, 0, 0, 0, time.UTC)
	rules = offboard.Rules{Quiet: 7 * 24 * time.Hour, Wait: 24 * time.Hour}
)

func ago(d time.Duration) time.Time { return now.Add(-d) }

func step(a protocol.Action, key string) protocol.Step {
	return protocol.Step{Action: a, Key: key, Reason: reason.Deprovision}
}

func removal(store string) protocol.Step {
	return protocol.Step{Action: protocol.RemoveEntry, Target: store, Reason: reason.Deprovision}
}

func TestDecide(t *testing.T) {
	const day = 24 * time.Hour
	ours := []offboard.Store{{Name: "a", Ours: true}, {Name: "b"}}
	end := offboard.Demand{Ask: offboard.End}
	for sentence, tc := range map[string]struct {
		state offboard.State
		want  offboard.Plan
	}{
		"a quiet credential is marked, and its keys are disabled": {
			offboard.State{Demand: end, Exists: true, Keys: []offboard.Key{{ID: "k", Used: ago(8 * day)}, {ID: "never"}}, Stores: ours},
			offboard.Plan{
				Steps:   []protocol.Step{step(protocol.MarkEnd, ""), step(protocol.Suspend, "k"), step(protocol.Suspend, "never")},
				Waiting: reason.Deprovisioning, Until: now.Add(day),
			},
		},
		"a key that was used within the quiet time blocks": {
			offboard.State{Demand: end, Exists: true, Keys: []offboard.Key{{ID: "k", Used: ago(6 * day)}}, Stores: ours},
			offboard.Plan{Blocked: reason.InUse, Why: "key k was used at 2026-11-18T10:00:00Z", Until: now.Add(day)},
		},
		"the use of a key that is disabled does not count": {
			offboard.State{Demand: end, Exists: true, Keys: []offboard.Key{{ID: "k", Disabled: true, Used: ago(time.Hour)}}},
			offboard.Plan{Steps: []protocol.Step{step(protocol.MarkEnd, "")}, Waiting: reason.Deprovisioning, Until: now.Add(day)},
		},
		"force ends a key in use": {
			offboard.State{Demand: offboard.Demand{Ask: offboard.End, Force: true}, Exists: true, Keys: []offboard.Key{{ID: "k", Used: now}}},
			offboard.Plan{Steps: []protocol.Step{step(protocol.MarkEnd, ""), step(protocol.Suspend, "k")}, Waiting: reason.Deprovisioning, Until: now.Add(day)},
		},
		"a credential that the config would make again is refused": {
			offboard.State{Demand: end, Exists: true, Kept: true},
			offboard.Plan{Blocked: reason.EndRefused, Why: "the config would make the credential again"},
		},
		"an end that has begun is undone if the config asks for the credential again": {
			offboard.State{Exists: true, Kept: true, Mark: ago(time.Hour), Keys: []offboard.Key{{ID: "k", Disabled: true, Suspended: ago(time.Hour)}}},
			offboard.Plan{Steps: []protocol.Step{
				{Action: protocol.Enable, Key: "k", Reason: reason.Undone}, {Action: protocol.UnmarkEnd, Reason: reason.Undone},
			}},
		},
		"a service ID of other software is refused": {
			offboard.State{Demand: end, Exists: true, Given: true},
			offboard.Plan{Blocked: reason.EndRefused, Why: "the service ID belongs to other software, which has to delete it"},
		},
		"a service ID with keys that others made is refused": {
			offboard.State{Demand: end, Exists: true, Foreign: 1},
			offboard.Plan{Blocked: reason.EndRefused, Why: "the service ID has keys that latchkey did not make"},
		},
		"two service IDs wait for one to be removed": {
			offboard.State{Demand: end, Exists: true, Twice: true}, offboard.Plan{Waiting: reason.InProgress},
		},
		"entries of a service ID that is gone are removed": {
			offboard.State{Demand: end, Stores: ours}, offboard.Plan{Steps: []protocol.Step{removal("a")}},
		},
		"after a crash, the keys that still work are disabled": {
			offboard.State{Exists: true, Mark: ago(2 * day), Keys: []offboard.Key{{ID: "a", Disabled: true, Suspended: ago(2 * day)}, {ID: "b"}}},
			offboard.Plan{Steps: []protocol.Step{step(protocol.Suspend, "b")}, Waiting: reason.Deprovisioning, Until: now.Add(day)},
		},
		"the wait counts from the last key that was disabled": {
			offboard.State{Exists: true, Mark: ago(2 * day), Keys: []offboard.Key{{ID: "a", Disabled: true, Suspended: ago(day - time.Second)}}, Stores: ours},
			offboard.Plan{Waiting: reason.Deprovisioning, Until: now.Add(time.Second)},
		},
		"after the wait, entries go first, then keys, then the service ID": {
			offboard.State{Exists: true, Mark: ago(day), Keys: []offboard.Key{{ID: "a", Disabled: true, Suspended: ago(day)}}, Stores: ours},
			offboard.Plan{Steps: []protocol.Step{removal("a"), step(protocol.Retire, "a"), step(protocol.RemoveIdentity, "")}},
		},
		"a store that does not answer keeps everything": {
			offboard.State{Exists: true, Mark: ago(day), Keys: []offboard.Key{{ID: "a", Disabled: true}}, Stores: []offboard.Store{{Name: "a", Unread: true}, {Name: "b", Ours: true}}},
			offboard.Plan{Waiting: reason.StoreUnreachable},
		},
		"a key that another made since keeps the service ID": {
			offboard.State{Exists: true, Mark: ago(day), Foreign: 1, Stores: ours},
			offboard.Plan{Steps: []protocol.Step{removal("a")}, Blocked: reason.EndRefused, Why: "the service ID has keys that latchkey did not make"},
		},
		"an undo enables the keys that this deprovisioning disabled": {
			offboard.State{Demand: offboard.Demand{Ask: offboard.Undo}, Exists: true, Mark: ago(time.Hour), Keys: []offboard.Key{
				{ID: "ours", Disabled: true, Suspended: ago(time.Hour)}, {ID: "a person's", Disabled: true},
				{ID: "an earlier one's", Disabled: true, Suspended: ago(2 * time.Hour)}, {ID: "leaked", Disabled: true, Suspended: ago(time.Hour), Leaked: true},
				{ID: "not yet disabled", Suspended: ago(time.Hour)},
			}},
			offboard.Plan{Steps: []protocol.Step{
				{Action: protocol.Enable, Key: "ours", Reason: reason.Undone}, {Action: protocol.UnmarkEnd, Reason: reason.Undone},
			}},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			if !offboard.Concerns(tc.state) {
				t.Fatal("it is no state for a decision")
			}
			if diff := cmp.Diff(tc.want, offboard.Decide(tc.state, rules, now)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestACredentialThatGoesOnIsNotConcerned(t *testing.T) {
	for _, s := range []offboard.State{{}, {Exists: true}, {Demand: offboard.Demand{Ask: offboard.Undo}, Exists: true}} {
		if offboard.Concerns(s) {
			t.Errorf("%+v", s)
		}
	}
}
