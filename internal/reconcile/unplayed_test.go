package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/sweep"
)

// What no simulated history has: renaming, access groups, given service IDs,
// adoption, locks in stores, the end of a project, sweeps, and demands that are
// recorded just before the caller is answered.

func TestARenamedCredentialKeepsItsKey(t *testing.T) {
	w := newBench(t)
	key := w.rotated()
	w.c.Name, w.c.Former = "new-name", []string{"logs-sender"}
	w.must(result.Changed, protocol.Trigger{})
	if m := w.ids[0].Marker; m.Credential != "new-name" {
		t.Errorf("the service ID is marked %+v", m)
	}
	if out := w.must(result.Unchanged, protocol.Trigger{}); out.Key != key {
		t.Errorf("the key is %s, want %s", out.Key, key)
	}
}

func TestARenamedCredentialKeepsTheOtherFieldsOfItsMarker(t *testing.T) {
	w := newBench(t)
	w.rotated()
	want := w.ids[0].Marker
	want.Claimed, want.Unknown = w.now, []string{"soon=1"}
	want.Current, want.Since = w.a.entry.KeyID, w.now
	w.ids[0].Marker = want
	w.c.Name, w.c.Former = "new-name", []string{"logs-sender"}
	w.must(result.Changed, protocol.Trigger{})
	want.Credential = "new-name"
	if diff := cmp.Diff(want, w.ids[0].Marker); diff != "" {
		t.Errorf("the marker (-want +got):\n%s", diff)
	}
}

// Another replica may still have the old config.
func TestAKeyBearsTheNameInTheMarkerOfItsServiceID(t *testing.T) {
	w := newBench(t)
	w.rotated()
	w.c.Name, w.c.Former = "new-name", []string{"logs-sender"}
	w.fail["Mark"] = port.ErrLocked
	w.run(protocol.Trigger{NewerThan: w.now})
	if k := w.keys[1]; k.Credential != "logs-sender" || w.a.entry.KeyID != k.ID {
		t.Errorf("the rename is refused: the key is of %q, and the store names %s", k.Credential, w.a.entry.KeyID)
	}
	w.fail["Mark"], w.now = nil, w.now.Add(time.Hour)
	w.run(protocol.Trigger{NewerThan: w.now})
	if k := w.keys[2]; k.Credential != "new-name" || w.a.entry.KeyID != k.ID {
		t.Errorf("after the rename: the key is of %q, and the store names %s", k.Credential, w.a.entry.KeyID)
	}
}

func TestADuplicateIsRenamedBeforeItIsRemoved(t *testing.T) {
	w := newBench(t)
	w.rotated()
	second := w.ids[0]
	second.ID, second.IAMID, second.Created = "ServiceId-9", "iam-ServiceId-9", w.now
	w.ids = append(w.ids, second)
	w.c.Name, w.c.Former, w.now = "new-name", []string{"logs-sender"}, w.now.Add(time.Hour)
	w.reconciler = w.process()
	w.run(protocol.Trigger{})
	if len(w.ids) != 2 || w.ids[0].Marker.Credential != "new-name" || w.ids[1].Marker.Credential != "new-name" {
		t.Fatalf("after the first run: %+v", w.ids)
	}
	if w.run(protocol.Trigger{}); len(w.ids) != 1 {
		t.Errorf("after the second run: %+v", w.ids)
	}
}

func TestARunWithTheOldNameWaitsForAKeyThatAnotherReplicaHasJustMade(t *testing.T) {
	w := newBench(t)
	old := w.c
	first := w.rotated()
	w.c.Name, w.c.Former = "new-name", []string{"logs-sender"}
	fresh := w.must(result.Published, protocol.Trigger{NotKey: first}).Key
	w.ids[0].Marker.Credential = old.Name // as IAM still shows it
	w.c, w.reconciler = old, w.process()
	if out := w.must(result.InProgress, protocol.Trigger{}); out.Reason != reason.InProgress || w.a.entry.KeyID != fresh || len(w.keys) != 2 {
		t.Errorf("%s, the store names %s, want %s; %d keys", out.Reason, w.a.entry.KeyID, fresh, len(w.keys))
	}
}

func TestAServiceIDJoinsItsAccessGroups(t *testing.T) {
	w := newBench(t)
	w.c.Groups = []string{"AccessGroupId-1"}
	w.rotated()
	if got := w.groups[w.ids[0].IAMID]; len(got) != 1 || got[0].ID != "AccessGroupId-1" {
		t.Errorf("its groups are %v", got)
	}
	w.must(result.Unchanged, protocol.Trigger{})
}

func TestAGivenServiceIDKeepsItsMarkerAndPolicies(t *testing.T) {
	w := newBench(t)
	w.c.Given = "ServiceId-of-others"
	if out := w.must(result.Blocked, protocol.Trigger{}); out.Reason != reason.IdentityAbsent {
		t.Errorf("blocked by %s", out.Reason)
	}
	w.ids = []port.ServiceID{{ID: w.c.Given, IAMID: "iam-" + w.c.Given, Name: "theirs", Created: w.now}}
	w.c.Policies = nil
	w.rotated()
	if id := w.ids[0]; len(w.ids) != 1 || id.Marked || len(w.policies) != 0 || w.a.entry.IAMID != id.IAMID {
		t.Errorf("%+v, policies %v, the entry is for %s", w.ids, w.policies, w.a.entry.IAMID)
	}
}

func TestAnExistingKeyIsAdoptedWhereItsValueIs(t *testing.T) {
	w := newBench(t)
	w.c.Given, w.c.Policies = "ServiceId-1", nil
	w.ids = []port.ServiceID{{ID: "ServiceId-1", IAMID: "iam-ServiceId-1", Created: w.now}}
	old := w.add("iam-ServiceId-1", "by hand", "", secret.New("a value that was typed in"), time.Time{})
	w.c.AdoptKey, w.now = old.ID, w.now.Add(time.Hour)
	if out := w.must(result.Blocked, protocol.Trigger{}); out.Reason != reason.AdoptionFailed {
		t.Errorf("blocked by %s", out.Reason)
	}
	w.a.entry.Value = secret.New("a value that was typed in")
	if out := w.must(result.Changed, protocol.Trigger{}); out.Key != old.ID || w.a.entry.KeyID != old.ID || !w.find(old.ID).Ours {
		t.Errorf("the key is %s, the entry names %s", out.Key, w.a.entry.KeyID)
	} else if is, why, _ := condition.Of(out.Facts, w.now); is != condition.OK && is != condition.Due {
		t.Errorf("the credential is %s (%s) while the first store has the key", is, why)
	}
	w.must(result.Changed, protocol.Trigger{}) // the second store and the app catch up
	if w.b.entry.KeyID != old.ID || w.app.key != old.ID {
		t.Errorf("the second store names %s, the app has %s", w.b.entry.KeyID, w.app.key)
	}
}

func TestAKeyOfAnotherServiceIDIsNotAdopted(t *testing.T) {
	w := newBench(t)
	w.c.Given, w.c.Policies = "ServiceId-1", nil
	w.ids = []port.ServiceID{{ID: "ServiceId-1", IAMID: "iam-ServiceId-1", Created: w.now}}
	other := w.add("iam-ServiceId-2", "by hand", "", secret.New("a value that was typed in"), time.Time{})
	w.c.AdoptKey = other.ID
	w.a.entry.Value = secret.New("a value that was typed in")
	w.must(result.Blocked, protocol.Trigger{})
	if w.find(other.ID).Ours || w.a.entry.KeyID != "" {
		t.Errorf("adopted: %+v, the entry names %s", w.find(other.ID), w.a.entry.KeyID)
	}
}

func TestAKeyThatDoesNotAuthenticateIsNotAdopted(t *testing.T) {
	for name, end := range map[string]func(k *held){
		"disabled": func(k *held) { k.Disabled = true },
		"expired":  func(k *held) { k.Expires = k.Created.Add(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.c.Given, w.c.Policies = "ServiceId-1", nil
			w.ids = []port.ServiceID{{ID: "ServiceId-1", IAMID: "iam-ServiceId-1", Created: w.now}}
			old := w.add("iam-ServiceId-1", "by hand", "", secret.New("a value that was typed in"), time.Time{})
			end(w.find(old.ID))
			w.c.AdoptKey, w.now = old.ID, w.now.Add(time.Hour)
			w.a.entry.Value = secret.New("a value that was typed in")
			for range 2 {
				out := w.must(result.Failed, protocol.Trigger{})
				if !strings.Contains(out.Error, "it is disabled or has expired") || w.find(old.ID).Ours || w.a.entry.KeyID != "" {
					t.Errorf("adopted: %+v, the entry names %s: %s", w.find(old.ID), w.a.entry.KeyID, out.Error)
				}
			}
		})
	}
}

func TestAStoreThatDoesNotLockFailsNoPublication(t *testing.T) {
	w := newBench(t)
	w.a.fail["lock"] = says(port.ErrUnlocked, "403 no permission to lock")
	out := w.must(result.Published, protocol.Trigger{})
	if len(out.Notes) != 1 || out.Notes[0].Reason != reason.LockFailed || !strings.HasSuffix(out.Notes[0].Message, "403 no permission to lock") {
		t.Errorf("notes %+v", out.Notes)
	}
}

func TestAKeyThatEndedIsReleased(t *testing.T) {
	w := newBench(t)
	old := w.rotated()
	w.must(result.Published, protocol.Trigger{NotKey: old})
	w.a.fail["Release"] = says(port.ErrUnavailable, "503 try later")
	w.now = w.now.Add(26 * time.Hour)
	out := w.must(result.Changed, protocol.Trigger{})
	if !slices.Equal(w.a.released, []string{old}) || !slices.Equal(w.b.released, []string{old}) {
		t.Errorf("released %v and %v, want %s", w.a.released, w.b.released, old)
	}
	if len(out.Notes) != 1 || out.Notes[0].Store != "store-a" || out.Notes[0].Reason != reason.LockFailed {
		t.Errorf("notes %+v", out.Notes)
	}
}

func TestWhatIsGoneLosesItsKeysAndThenItsServiceID(t *testing.T) {
	w := newBench(t)
	w.rotated()
	w.c.Gone = true
	w.must(result.Changed, protocol.Trigger{})
	if k := w.keys[0]; k.Superseded.IsZero() || len(w.ids) != 1 {
		t.Errorf("the key is %+v", k)
	}
	w.now = w.now.Add(26 * time.Hour)
	for range 2 {
		w.must(result.Changed, protocol.Trigger{})
	}
	if len(w.keys) != 0 || len(w.ids) != 0 {
		t.Errorf("%d keys and %d service IDs are left", len(w.keys), len(w.ids))
	}
}

func TestAServiceIDThatWasRenamedIsFoundByTheKeyInAStore(t *testing.T) {
	w := newBench(t)
	key := w.rotated()
	w.c.ServiceIDName, w.reconciler = "another-name", w.process()
	if out := w.must(result.Unchanged, protocol.Trigger{}); out.Key != key || len(w.ids) != 1 {
		t.Errorf("the key is %s, want %s; %d service IDs", out.Key, key, len(w.ids))
	}
}

// The demand is on the published key before the new one is proven.
func TestADemandIsWrittenDownBesideTheMint(t *testing.T) {
	w := newBench(t)
	key := w.rotated()
	recorded := make(chan string, 10)
	w.c.Provers = []port.Prover{waits{func() {
		if name := <-recorded; name != w.c.Name {
			t.Errorf("recorded for %q", name)
		}
		defer w.lock()()
		if w.find(key).Renew.IsZero() {
			t.Error("the demand is not on the key")
		}
	}}}
	req := reconcile.Request{Trigger: protocol.Trigger{NotKey: key}, Recorded: func(name string) { recorded <- name }}
	out, err := w.reconciler.Reconcile(t.Context(), w.c, req)
	if err != nil || out.Result != result.Published || !out.Recorded {
		t.Errorf("%+v, %v", out, err)
	}
}

type waits struct{ until func() }

func (waits) Name() string { return "waits" }

func (p waits) Prove(context.Context, port.Proof) error { p.until(); return nil }

// later is a proof that succeeds three minutes after its first attempt.
type later struct {
	now   func() time.Time
	first *time.Time
}

func (later) Name() string { return "later" }

func (p later) Prove(context.Context, port.Proof) error {
	if p.first.IsZero() {
		*p.first = p.now()
	}
	if p.now().Sub(*p.first) < 3*time.Minute {
		return port.ErrNotYet
	}
	return nil
}

// patient is one that says how long it takes.
type patient struct{ later }

func (patient) Patience() time.Duration { return 5 * time.Minute }

func TestAProofWaitsAsLongAsItsProverSays(t *testing.T) {
	try := func(want result.Result, of func(later) port.Prover) result.Outcome {
		w := newBench(t)
		now := func() time.Time {
			defer w.lock()()
			return w.now
		}
		w.reconciler.Sleep = func(_ context.Context, d time.Duration) error {
			defer w.lock()()
			w.now = w.now.Add(d)
			return nil
		}
		w.c.Provers = []port.Prover{of(later{now: now, first: new(time.Time)})}
		return w.must(want, protocol.Trigger{})
	}
	if out := try(result.Blocked, func(p later) port.Prover { return p }); out.Reason != reason.ProofDenied {
		t.Errorf("after a minute: %s", out.Reason)
	}
	try(result.Published, func(p later) port.Prover { return patient{p} })
}

func sweepAll(t *testing.T, r *reconcile.Reconciler, all []port.Credential, req reconcile.Request) result.Sweep {
	t.Helper()
	return sweep.New(sweep.Config{Reconciler: r}).Sweep(t.Context(), all, req)
}

func TestADemandThatAStoreRefusesOnceIsMetTenMinutesLater(t *testing.T) {
	w := newBench(t)
	w.rotated()
	w.a.fail["Publish"] = port.ErrDenied
	out := w.must(result.Blocked, protocol.Trigger{NewerThan: w.now})
	later := w.now.Add(10 * time.Minute)
	if out.Reason != reason.StoreDenied || !out.Recorded || !out.Next.Equal(later) {
		t.Errorf("%s, recorded %t, the next try is at %s, want %s", out.Reason, out.Recorded, out.Next, later)
	}
	w.a.fail["Publish"] = nil
	w.now = later.Add(-time.Minute)
	if out := w.must(result.Blocked, protocol.Trigger{}); !out.Next.Equal(later) {
		t.Errorf("a minute before, the next try is at %s, want %s", out.Next, later)
	}
	w.now = later
	w.must(result.Published, protocol.Trigger{})
}

func TestAKeyThatIsReplacedWithinItsWindowIsSupersededAtOnce(t *testing.T) {
	w := newBench(t)
	first := w.must(result.Published, protocol.Trigger{})
	w.now = w.now.Add(12 * time.Minute)
	out := w.must(result.Published, protocol.Trigger{NewerThan: w.now})
	if out.Replaced != first.Key || out.ReplacedEnds.IsZero() {
		t.Errorf("%s ends at %s", out.Replaced, out.ReplacedEnds)
	}
	w.must(result.Unchanged, protocol.Trigger{})
}

func TestNoConsumerIsRestartedWithAKeyThatKeepsItsFuse(t *testing.T) {
	w := newBench(t)
	old := w.rotated()
	w.fail["Update"] = port.ErrDenied
	fresh := w.run(protocol.Trigger{NotKey: old}).Key
	if fresh == old {
		t.Fatalf("no new key was published")
	}
	w.now = w.now.Add(time.Hour)
	w.run(protocol.Trigger{})
	if w.app.key != old {
		t.Errorf("the app has %s, whose fuse is on, want %s", w.app.key, old)
	}
	w.fail["Update"] = nil
	w.run(protocol.Trigger{})
	if w.app.key != fresh {
		t.Errorf("the app has %s, want %s", w.app.key, fresh)
	}
}

func TestARevocationOfAForeignKeyIsNotRecordedWhileTheClockIsOff(t *testing.T) {
	w := newBench(t)
	w.rotated()
	foreign := w.add("iam-ServiceId-77", "theirs", "", secret.New("their own value"), time.Time{})
	w.reconciler.Now = func() time.Time { return w.now.Add(10 * time.Minute) }
	if out := w.must(result.Blocked, protocol.Trigger{Leaked: foreign.ID}); out.Reason != reason.ClockSkew || out.Recorded {
		t.Errorf("blocked by %s, recorded %t", out.Reason, out.Recorded)
	}
}

func TestASweepGoesOnAfterOneCredentialFails(t *testing.T) {
	w := newBench(t)
	broken := w.c
	broken.Name, broken.ServiceIDName, broken.Given = "broken", "", "ServiceId-1"
	broken.Consumers = nil // an app is for one credential
	w.ids = []port.ServiceID{{ID: "ServiceId-1", IAMID: "iam-ServiceId-1"}}
	w.fail["Lookup"] = port.ErrUnavailable
	orphan := port.Credential{Name: "old", Unconfigured: &port.ServiceID{ID: "ServiceId-9"}}
	s := sweepAll(t, w.reconciler, []port.Credential{broken, w.c, orphan}, reconcile.Request{})
	var results []result.Result
	for _, o := range s.Outcomes {
		results = append(results, o.Result)
	}
	want := []result.Result{result.Failed, result.Published, result.Unconfigured}
	if !slices.Equal(results, want) || !errors.Is(s.Unknown, observe.ErrFailed) || s.Worst() != result.Failed {
		t.Errorf("%v, %v, worst %s; want %v", results, s.Unknown, s.Worst(), want)
	}
}

func TestALeakedKeyIsEndedWhereItBelongs(t *testing.T) {
	w := newBench(t)
	key := w.rotated()
	other := w.c
	other.Name, other.ServiceIDName = "other", "other"
	other.Stores, other.Consumers = []port.Store{&shelf{name: "store-c", guarded: true}}, nil
	all := []port.Credential{w.c, other}
	revoke := func(keyID string) (result.Sweep, bool) {
		return result.WhereLeaked(sweepAll(t, w.reconciler, all, reconcile.Request{Trigger: protocol.Trigger{Leaked: keyID}}))
	}
	s, known := revoke(key)
	if !known || len(s.Outcomes) != 1 || s.Outcomes[0].Leaked != result.LeakedRevoked || w.find(key) != nil {
		t.Errorf("%t, %+v", known, s.Outcomes)
	}
	if s, known := revoke("ApiKey-unknown"); !known || s.Worst() == result.Failed {
		t.Errorf("a key that IAM does not have: %t, %+v", known, s.Outcomes)
	}
	foreign := w.add("iam-ServiceId-77", "theirs", "", secret.New("their own value"), time.Time{})
	if s, _ := revoke(foreign.ID); s.Outcomes[0].Leaked != result.LeakedForeign || s.Outcomes[0].Reason != reason.KeyForeign {
		t.Errorf("a foreign key: %+v", s.Outcomes[0])
	}
	elsewhere := w.add("iam-ServiceId-77", "x", marker.Marker{Owner: owner, Credential: "third"}.Describe(""), secret.New("a third value"), time.Time{})
	if s, known := revoke(elsewhere.ID); known {
		t.Errorf("a key of a credential that was not looked at: %+v", s.Outcomes)
	}
}

func TestALockedKeyWhoseRevocationIsDemandedLeaks(t *testing.T) {
	w := newBench(t)
	old := w.rotated()
	w.find(old).Locked = true
	out := w.must(result.Published, protocol.Trigger{Leaked: old})
	if out.Condition != condition.Leaked || out.Leaked != result.LeakedAlive || out.Recorded {
		t.Errorf("the condition is %s, the key %s, recorded: %t", out.Condition, out.Leaked, out.Recorded)
	}
	if later := w.run(protocol.Trigger{}); later.Condition != condition.OK {
		t.Errorf("nothing is recorded, and a later run says %s %s", later.Condition, later.Reason)
	}
}

func TestANewKeyReplacesOneThatNoStoreNamesAnyMore(t *testing.T) {
	w := newBench(t)
	if first := w.must(result.Published, protocol.Trigger{}); first.Replaced != "" {
		t.Errorf("the first key replaces %s", first.Replaced)
	}
	old := w.keys[0].ID
	w.now = w.now.Add(time.Hour)
	w.a.entry, w.b.entry = port.Entry{}, port.Entry{}
	if out := w.must(result.Published, protocol.Trigger{}); out.Replaced != old {
		t.Errorf("the new key replaces %q, want %s", out.Replaced, old)
	}
}
