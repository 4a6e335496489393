package reconcile_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/result"
)

// A key ends only if it still is what it was when its end was planned.

// ending is IAM that tells when a key ends that a store names.
type ending struct {
	*bench
	ended    []string
	disables func() error // called in place of the call, if set
}

func (m *ending) ends(keyID string) {
	m.ended = append(m.ended, keyID)
	if m.a.entry.KeyID == keyID || m.b.entry.KeyID == keyID {
		m.t.Errorf("key %s ends, which a store names", keyID)
	}
}

func (m *ending) Retire(ctx context.Context, keyID string) error {
	m.ends(keyID)
	return m.memory.Retire(ctx, keyID)
}

func (m *ending) Disable(ctx context.Context, keyID string) error {
	if m.disables != nil {
		return m.disables()
	}
	m.ends(keyID)
	return m.memory.Disable(ctx, keyID)
}

// over is a bench with keys that may end.
func over(t *testing.T) (*bench, *ending) {
	t.Helper()
	w := newBench(t)
	w.c.Consumers = nil
	w.rotated()
	iam := &ending{bench: w}
	w.reconciler.Keys = iam
	return w, iam
}

// pending adds a key that no store took.
func (w *bench) pending() string {
	k := w.born(w.c.Name, "unpublished")
	w.find(k.ID).Expires = k.Created.Add(w.c.Rules.Fuse)
	w.now = w.now.Add(time.Hour)
	return k.ID
}

// leaked leaves a key that leaked, and that no store names.
func (w *bench) leaked() string {
	w.t.Helper()
	old := w.a.entry.KeyID
	w.fail["Retire"], w.fail["Disable"] = port.ErrUnavailable, port.ErrUnavailable
	w.must(result.Failed, protocol.Trigger{Leaked: old})
	delete(w.fail, "Retire")
	delete(w.fail, "Disable")
	w.now = w.now.Add(time.Hour)
	return old
}

func TestAKeyThatASlowReplicaPublishesDoesNotEnd(t *testing.T) {
	t.Run("it was pending", func(t *testing.T) {
		w, _ := over(t)
		key := w.pending()
		w.meanwhile(func() { w.b.entry.KeyID, w.b.entry.Value = key, w.find(key).value })
		if w.run(protocol.Trigger{}); w.find(key) == nil {
			t.Error("it is deleted")
		}
	})
	t.Run("it leaked", func(t *testing.T) {
		w, iam := over(t)
		before := w.a.entry
		key := w.leaked()
		iam.ended = nil
		w.meanwhile(func() { w.b.entry = before })
		if w.run(protocol.Trigger{}); !slices.Contains(iam.ended, key) {
			t.Error("it does not end once the store has the other key")
		}
	})
	t.Run("it leaked, and could not be disabled", func(t *testing.T) {
		w, iam := over(t)
		before := w.a.entry
		key := w.leaked()
		iam.ended = nil
		iam.disables = func() error {
			w.b.entry, iam.disables = before, nil
			return port.ErrUnavailable
		}
		if w.run(protocol.Trigger{}); !slices.Contains(iam.ended, key) {
			t.Error("it does not end once the store has the other key")
		}
	})
}

func TestAKeyWhoseEndAnotherRunMovedDoesNotEnd(t *testing.T) {
	for name, of := range map[string]func(w *bench) string{
		"it was pending": (*bench).pending,
		"it had expired": func(w *bench) string {
			old := w.a.entry.KeyID
			w.must(result.Published, protocol.Trigger{NewerThan: w.now})
			w.now = w.now.Add(26 * time.Hour)
			return old
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := over(t)
			key := of(w)
			w.meanwhile(func() {
				defer w.lock()()
				k := w.find(key)
				k.Expires = w.now.Add(50 * day)
				w.touch(k)
			})
			if w.run(protocol.Trigger{}); w.find(key) == nil {
				t.Error("it is deleted")
			}
		})
	}
}

// A read may lag, and a deletion compares no versions.
func TestAPendingKeyThatIAMShowsAsItWasDoesNotEnd(t *testing.T) {
	w, _ := over(t)
	key := w.pending()
	was := w.find(key).KeyRecord
	iam := &lagging{memory: w.memory, key: key}
	w.reconciler.Keys = iam
	w.meanwhile(func() {
		k := w.find(key)
		k.Expires, iam.misses, iam.was = k.Created.Add(w.c.Rules.Expire), 1, &was
		w.touch(k)
	})
	if w.run(protocol.Trigger{}); w.find(key) == nil {
		t.Error("it is deleted")
	}
}

func TestADemandThatAnotherRunRecordsOnALeakedKeyIsMet(t *testing.T) {
	w, _ := over(t)
	key := w.leaked()
	w.meanwhile(func() {
		defer w.lock()()
		k := w.find(key)
		k.Renew = w.now
		w.touch(k)
	})
	w.must(result.Published, protocol.Trigger{})
	if w.find(key) != nil {
		t.Error("the leaked key is not deleted")
	}
}

func TestAKeyThatAnotherReplicaDeletesIsReleased(t *testing.T) {
	w, _ := over(t)
	key := w.leaked()
	w.meanwhile(func() {
		if err := w.Retire(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	})
	out := w.must(result.Changed, protocol.Trigger{})
	if out.Error != "" || !slices.Equal(w.a.released, []string{key}) || !slices.Equal(w.b.released, []string{key}) {
		t.Errorf("released %v and %v, want %s: %s", w.a.released, w.b.released, key, out.Error)
	}
}

func TestAContainedKeyThatAnotherReplicaDeletesIsNoFailure(t *testing.T) {
	w, _ := over(t)
	key := w.a.entry.KeyID
	w.find(key).Leaked = w.now
	w.b.fail["Read"] = port.ErrUnavailable // so no new key is made
	w.meanwhile(func() { w.keys = nil })
	if out := w.must(result.InProgress, protocol.Trigger{Leaked: key, Contain: true}); out.Error != "" {
		t.Errorf("%s: %+v", out.Error, out.Steps)
	}
}

func TestAnOverlapIsWholeHoweverLongTheRunStoodStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBench(t)
		old := w.rotated()
		w.c.Consumers = []port.Consumers{restarting{w.app, func() {
			synctest.Wait() // the demand is recorded beside the other steps
			w.now = w.now.Add(10 * time.Minute)
		}}}
		w.must(result.Published, protocol.Trigger{NewerThan: w.now})
		if k := w.find(old); k.Expires.Before(w.now.Add(w.c.Rules.Overlap)) {
			t.Errorf("it ends at %s, %s after it began", k.Expires, k.Expires.Sub(w.now))
		}
	})
}
