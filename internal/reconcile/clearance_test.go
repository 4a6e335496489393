package reconcile_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// What an unguarded store names right before the write decides, as far as IAM confirms it.

func TestOnlyANewerKeyOfTheCredentialKeepsAnUnguardedStore(t *testing.T) {
	for name, tc := range map[string]struct {
		names func(w *bench) port.Entry // what the store names before the write
		stays bool
	}{
		"a key that another run has made": {func(w *bench) port.Entry {
			return port.Entry{KeyID: w.born(w.c.Name, "of another run").ID}
		}, true},
		"an older key, with a time that IAM does not confirm": {func(w *bench) port.Entry {
			return port.Entry{KeyID: w.keys[0].ID, Created: w.now}
		}, false},
		"a young key that IAM does not return yet": {func(w *bench) port.Entry {
			return port.Entry{KeyID: "ApiKey-unlisted", Created: w.now}
		}, true},
		"an old key that IAM does not return": {func(w *bench) port.Entry {
			return port.Entry{KeyID: "ApiKey-unlisted", Created: w.now.Add(-time.Hour)}
		}, false},
		"a key of the future that IAM does not return": {func(w *bench) port.Entry {
			return port.Entry{KeyID: "ApiKey-unlisted", Created: w.now.Add(1000 * time.Hour)}
		}, false},
		"a key of another credential": {func(w *bench) port.Entry {
			return port.Entry{KeyID: w.born("metrics-sender", "of another credential").ID}
		}, false},
		"a key that others made": {func(w *bench) port.Entry {
			k := w.born(w.c.Name, "of others")
			w.find(k.ID).Ours = false
			return port.Entry{KeyID: k.ID, Created: w.now}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newBench(t)
				w.c.Consumers = nil
				w.rotated()
				w.must(result.Published, protocol.Trigger{NewerThan: w.now})
				w.now = w.now.Add(time.Hour)
				var e port.Entry
				w.c.Provers = []port.Prover{waits{func() {
					synctest.Wait() // the demand is recorded beside the other steps
					e = tc.names(w)
					e.Value, e.Owner = secret.New("what the store has"), owner
					w.b.entry = e
				}}}
				w.run(protocol.Trigger{NewerThan: w.now})
				if stays := w.b.entry.KeyID == e.KeyID; stays != tc.stays {
					t.Errorf("the store names %s, and had %s", w.b.entry.KeyID, e.KeyID)
				}
				if k := w.find(w.a.entry.KeyID); k == nil {
					t.Errorf("the first store names %s, which is gone", w.a.entry.KeyID)
				}
			})
		})
	}
}

func TestATypedValueIsWrittenOverIfTheConfigSaysSo(t *testing.T) {
	w := newBench(t)
	w.c.Consumers = nil
	w.c.Overwrite, w.b.entry = true, typedEntry
	if out := w.must(result.Published, protocol.Trigger{}); w.b.entry.KeyID != out.Key {
		t.Errorf("the store names %q, want %s", w.b.entry.KeyID, out.Key)
	}
}

// The clearance of a key on its service ID.

// arbiter is a bench without a guarded store.
func arbiter(t *testing.T) *bench {
	w := newBench(t)
	w.a.guarded, w.c.Consumers = false, nil
	return w
}

func TestAKeyIsClearedOnlyOnAServiceIDThatIsStillOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := arbiter(t)
		old := w.rotated()
		w.c.Provers = []port.Prover{waits{func() {
			synctest.Wait()
			w.ids[0].Ours, w.ids[0].Creator = false, "IBMid-hers"
		}}}
		w.run(protocol.Trigger{NewerThan: w.now})
		if w.a.entry.KeyID != old || w.b.entry.KeyID != old || w.ids[0].Marker.Current != old || len(w.keys) != 1 {
			t.Errorf("the stores name %s and %s, the service ID %s; %d keys", w.a.entry.KeyID, w.b.entry.KeyID, w.ids[0].Marker.Current, len(w.keys))
		}
	})
}

// unclear is IAM whose answers to changes of a service ID are lost.
type unclear struct{ *memory }

func (m unclear) Mark(ctx context.Context, id port.ServiceID, mk marker.Marker) error {
	if err := m.memory.Mark(ctx, id, mk); err != nil {
		return err
	}
	return port.ErrUnavailable
}

func TestAClearanceWhoseAnswerIsLostIsOne(t *testing.T) {
	w := arbiter(t)
	w.reconciler.Identities = unclear{w.memory}
	if out := w.must(result.Published, protocol.Trigger{}); w.a.entry.KeyID != out.Key || w.made != 2 {
		t.Errorf("the store names %s, want %s; %d things were made", w.a.entry.KeyID, out.Key, w.made)
	}
}

func TestAKeyThatWasListedDoesNotHoldBackTheNextWithinItsWindow(t *testing.T) {
	w := arbiter(t)
	first := w.must(result.Published, protocol.Trigger{}).Key
	w.now = w.now.Add(12 * time.Minute)
	if out := w.must(result.Published, protocol.Trigger{NewerThan: w.now}); out.Key == first || len(w.keys) != 2 {
		t.Errorf("the key is %s, the first was %s; %d keys", out.Key, first, len(w.keys))
	}
}

func TestAGivenServiceIDIsNoArbiter(t *testing.T) {
	w := arbiter(t)
	w.c.Given, w.c.Policies = "ServiceId-of-others", nil
	w.ids = []port.ServiceID{{ID: w.c.Given, IAMID: "iam-" + w.c.Given, Name: "theirs", Created: w.now}}
	w.must(result.Published, protocol.Trigger{})
	if m := w.ids[0].Marker; m.Current != "" {
		t.Errorf("it is marked %+v", m)
	}
}

// wrote is a store after whose write something happens.
type wrote struct {
	*shelf
	then func()
}

func (s wrote) Publish(ctx context.Context, e port.Entry, revision string) error {
	defer s.then()
	return s.shelf.Publish(ctx, e, revision)
}

func TestAKeyThatAStoreHasNeedsNoOtherClearance(t *testing.T) {
	w := arbiter(t)
	w.rotated()
	w.c.Stores = []port.Store{wrote{w.a, func() {
		w.ids[0].Marker.Current, w.ids[0].Marker.Since = "ApiKey-of-another-replica", w.now
	}}, w.b}
	w.run(protocol.Trigger{NewerThan: w.now})
	if k := w.find(w.a.entry.KeyID); k == nil || w.b.entry.KeyID != k.ID {
		t.Errorf("the stores name %s and %s; the first is %+v", w.a.entry.KeyID, w.b.entry.KeyID, k)
	}
}

// late is an unguarded store in which a write arrives after its answer. Another entry of
// the same secret changes at that moment.
type late struct {
	*shelf
	write port.Entry
	reads int
}

func (s *late) Publish(ctx context.Context, e port.Entry, revision string) error {
	if s.write.KeyID == "" {
		s.write, s.reads, s.rev = e, 0, s.rev+1
		return port.ErrConflict
	}
	return s.shelf.Publish(ctx, e, revision)
}

func (s *late) Read(ctx context.Context) (port.Entry, error) {
	if s.reads++; s.reads == 2 && s.write.KeyID != "" {
		s.entry, s.rev = s.write, s.rev+1
	}
	return s.shelf.Read(ctx)
}

func TestAKeyIsNotWithdrawnBecauseOfItsOwnWrite(t *testing.T) {
	w := arbiter(t)
	w.c.Stores = []port.Store{&late{shelf: w.b}}
	if out := w.must(result.Published, protocol.Trigger{}); w.b.entry.KeyID != out.Key || w.made != 2 {
		t.Errorf("the store names %s, want %s; %d things were made", w.b.entry.KeyID, out.Key, w.made)
	}
}

// Its answer does not show that it compares the entry with what the run has read.
func TestAConflictOfAnUnguardedStoreIsNoRefusal(t *testing.T) {
	w := arbiter(t)
	w.c.Stores = []port.Store{w.b}
	w.b.fail["Publish"] = port.ErrConflict
	if out := w.must(result.InProgress, protocol.Trigger{}); len(w.keys) != 0 {
		t.Errorf("%d keys: %+v", len(w.keys), out.Steps)
	}
	w.b.fail["Publish"], w.now = nil, w.now.Add(w.c.Rules.Window) // its clearance has ended
	w.must(result.Published, protocol.Trigger{})
}
