package reconcile_test

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// These tests are about what IAM accepted, and about what an answer says is recorded.

// polite is IAM that answers success and grants nothing.
type polite struct{ *memory }

func (polite) Grant(context.Context, string, access.Policy) error { return nil }

func (polite) Join(context.Context, string, string) error { return nil }

// named is IAM that shows the groups that others know by their names.
type named struct{ *memory }

func (m named) Join(_ context.Context, iamID, group string) error {
	defer m.lock()()
	m.groups[iamID] = append(m.groups[iamID], port.Group{ID: "AccessGroupId-1", Name: group})
	return nil
}

func TestNoKeyIsMadeBeforeItsRolesAreReadBack(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(w *bench)
		keys    int
	}{
		"a policy is not there": {func(w *bench) { w.reconciler.Identities = polite{w.memory} }, 0},
		"a policy is weaker":    {func(w *bench) { w.fail["weaker"] = port.ErrRefused }, 0},
		"a membership is not there": {func(w *bench) {
			w.reconciler.Identities, w.c.Policies, w.c.Groups = polite{w.memory}, nil, []string{"senders"}
		}, 0},
		"a membership is shown with the name":  {func(w *bench) { w.reconciler.Identities, w.c.Groups = named{w.memory}, []string{"senders"} }, 1},
		"a membership is shown with the ID":    {func(w *bench) { w.c.Groups = []string{"AccessGroupId-1"} }, 1},
		"memberships can't be read afterwards": {func(w *bench) { w.fail["Groups"], w.c.Groups = port.ErrUnavailable, []string{"senders"} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			tc.prepare(w)
			out := w.run(protocol.Trigger{})
			if len(w.keys) != tc.keys {
				t.Errorf("%d keys, want %d: %s %s", len(w.keys), tc.keys, out.Result, out.Error)
			}
			if name == "a policy is weaker" && out.Reason != reason.PolicyWeaker {
				t.Errorf("blocked by %s", out.Reason)
			}
		})
	}
}

// The sender of a demand stops when the answer says that it is recorded.
func TestADemandIsNotRecordedWhileItIsNotKnownWhatItIsAbout(t *testing.T) {
	young := func(w *bench) {
		w.rotated()
		w.b.entry = port.Entry{KeyID: "ApiKey-young", Value: secret.New("a young value"), Created: w.now, Owner: owner}
	}
	silent := func(w *bench) { w.rotated(); w.b.fail["Read"] = port.ErrUnavailable }
	keyless := func(w *bench) {
		w.fail["Mint"] = port.ErrUnavailable
		w.run(protocol.Trigger{})
	}
	none := func(*bench) {}
	for name, tc := range map[string]struct {
		prepare func(w *bench)
		trigger protocol.Trigger // of a newer key, if it demands nothing
		want    bool
	}{
		"another key than one that IAM does not return yet":    {young, protocol.Trigger{NotKey: "ApiKey-young"}, false},
		"another key than one that no store names":             {func(w *bench) { w.rotated() }, protocol.Trigger{NotKey: "ApiKey-gone"}, true},
		"another key, and a store can't be read":               {silent, protocol.Trigger{NotKey: "ApiKey-perhaps"}, false},
		"the end of one that IAM does not return yet":          {young, protocol.Trigger{Leaked: "ApiKey-young"}, false},
		"the end of one that no store names":                   {func(w *bench) { w.rotated() }, protocol.Trigger{Leaked: "ApiKey-gone"}, true},
		"a newer key, and there is no service ID":              {func(w *bench) { w.fail["Create"] = port.ErrUnavailable }, protocol.Trigger{}, false},
		"a newer key, and there is none":                       {keyless, protocol.Trigger{}, true},
		"a newer key, and a store that may name one is silent": {func(w *bench) { keyless(w); w.b.fail["Read"] = port.ErrUnavailable }, protocol.Trigger{}, false},
		"a newer key, and a store names one that is gone": {func(w *bench) {
			keyless(w)
			w.b.entry = port.Entry{KeyID: "ApiKey-gone", Value: secret.New("an old value"), Created: w.now.Add(-day), Owner: owner}
		}, protocol.Trigger{}, false},
		"a newer key, and another replica has made one": {func(w *bench) {
			keyless(w)
			w.born(w.c.Name, "of another replica")
			w.now = w.now.Add(2 * time.Minute)
		}, protocol.Trigger{}, false},
		"a newer key, and one is to be adopted": {func(w *bench) { keyless(w); w.c.AdoptKey = "ApiKey-old" }, protocol.Trigger{}, false},
		"a newer key, and the project is gone":  {func(w *bench) { keyless(w); w.c.Gone = true }, protocol.Trigger{}, false},
		"a newer key, and it is published":      {none, protocol.Trigger{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			tc.prepare(w)
			if tc.trigger == (protocol.Trigger{}) {
				tc.trigger = protocol.Trigger{NewerThan: w.now}
			}
			if out := w.run(tc.trigger); out.Recorded != tc.want {
				t.Errorf("recorded: %t, want %t: %s %s", out.Recorded, tc.want, out.Result, out.Reason)
			}
		})
	}
}
