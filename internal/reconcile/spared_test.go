package reconcile_test

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// A failed step keeps later ones from being taken. What these would have done is not
// done, so no key ends that a consumer may still have.

// crossed is a store to which others write right before a run does.
type crossed struct {
	*shelf
	before func()
}

func (s *crossed) Publish(ctx context.Context, e port.Entry, revision string) error {
	if s.before != nil {
		s.before()
		s.before = nil
	}
	return s.shelf.Publish(ctx, e, revision)
}

func TestAConsumerIsRestartedWhoseStoreCouldNotBeWrittenInAnEarlierRound(t *testing.T) {
	w := newBench(t)
	c := &crossed{shelf: &shelf{name: "store-c", guarded: true, fail: map[string]error{}}}
	w.c.Stores, w.app.store = append(w.c.Stores, c), "store-b"
	old := w.rotated()
	w.b.fail["Publish"], c.fail["Publish"] = port.ErrUnavailable, port.ErrUnavailable
	w.run(protocol.Trigger{NewerThan: w.now})
	w.now = w.now.Add(time.Hour)
	delete(c.fail, "Publish")
	c.before = func() { // another run writes both, and stops before it restarts the consumer
		delete(w.b.fail, "Publish")
		for _, s := range []*shelf{w.b, c.shelf} {
			s.entry, s.rev = w.a.entry, s.rev+1
		}
	}
	w.run(protocol.Trigger{})
	if w.app.key != w.a.entry.KeyID {
		t.Errorf("the consumer has key %s, want %s", w.app.key, w.a.entry.KeyID)
	}
	if k := w.find(old); w.app.key == old && !k.Superseded.IsZero() {
		t.Error("the consumer's key is superseded")
	}
}

func TestAKeyIsKeptWhoseConsumerIsNotRestartedSinceTheNewerKeyCouldNotBeExtended(t *testing.T) {
	w := newBench(t)
	w.app.store = "store-b"
	old := w.rotated()
	w.b.fail["Publish"] = port.ErrUnavailable
	w.run(protocol.Trigger{NewerThan: w.now})
	newer := w.a.entry.KeyID
	delete(w.b.fail, "Publish")
	k := w.find(newer)
	k.Superseded, k.Expires = w.now, w.now.Add(3*time.Hour)
	w.touch(k)
	w.c.Rules.MaxKeys, w.c.Rules.Spare = 1, 0 // there is no room for another key
	w.now = w.now.Add(20 * time.Minute)
	w.fail["Get "+newer] = port.ErrUnavailable
	out := w.run(protocol.Trigger{})
	if w.app.key != old || w.b.entry.KeyID != old {
		t.Fatalf("the consumer and its store have keys %s and %s, want %s: %+v", w.app.key, w.b.entry.KeyID, old, out.Steps)
	}
	if k := w.find(old); !k.Superseded.IsZero() {
		t.Errorf("the consumer's key is superseded: %+v", out.Steps)
	}
}
