package reconcile_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/result"
)

// counting counts the reads and changes of each key.
type counting struct {
	*memory
	reads, changes map[string]int
}

func (m *counting) Get(ctx context.Context, keyID string) (port.KeyRecord, error) {
	unlock := m.lock()
	m.reads[keyID]++
	unlock()
	return m.memory.Get(ctx, keyID)
}

func (m *counting) Update(ctx context.Context, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	unlock := m.lock()
	m.changes[rec.ID]++
	unlock()
	return m.memory.Update(ctx, rec, c)
}

// restarting is an app during whose restart something happens.
type restarting struct {
	*app
	meanwhile func()
}

func (a restarting) Restart(ctx context.Context, name, keyID string) error {
	a.meanwhile()
	return a.app.Restart(ctx, name, keyID)
}

func TestAKeyIsReadBeforeAChangeOnlyIfNoAnswerShowsIt(t *testing.T) {
	for name, tc := range map[string]struct {
		meanwhile            func(w *bench, old string)
		oldReads, oldChanges int
	}{
		"the create and the record of the demand show both keys": {func(*bench, string) {}, 1, 2},
		"another replica changed the old key since": {func(w *bench, old string) {
			defer w.lock()()
			w.touch(w.find(old))
		}, 2, 3},
		"IAM's time was not compared for half a minute": {func(w *bench, _ string) { w.now = w.now.Add(30 * time.Second) }, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newBench(t)
				old := w.rotated()
				keys := &counting{w.memory, map[string]int{}, map[string]int{}}
				w.reconciler.Keys = keys
				w.c.Consumers = []port.Consumers{restarting{w.app, func() {
					synctest.Wait() // the demand is recorded beside the other steps
					tc.meanwhile(w, old)
				}}}
				out := w.must(result.Published, protocol.Trigger{NewerThan: w.now})
				if keys.reads[old] != tc.oldReads || keys.changes[old] != tc.oldChanges || keys.reads[out.Key] != 0 || keys.changes[out.Key] != 1 {
					t.Errorf("the old key was read %d times and changed %d times, and the new one %d and %d; want %d, %d, 0 and 1",
						keys.reads[old], keys.changes[old], keys.reads[out.Key], keys.changes[out.Key], tc.oldReads, tc.oldChanges)
				}
				if k := w.find(old); k.Superseded.IsZero() {
					t.Error("the overlap of the old key has not started")
				}
				if k := w.find(out.Key); k.Fused(w.c.Rules) {
					t.Error("the fuse of the new key is still on")
				}
			})
		})
	}
}

// capped is an IAM that lets no key live longer than a month.
type capped struct{ *memory }

func (m capped) Update(ctx context.Context, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	if most := m.now.Add(30 * 24 * time.Hour); c.Expires.After(most) {
		c.Expires = most
	}
	return m.memory.Update(ctx, rec, c)
}

func TestTheExpiryThatIsToldIsWhatIAMAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBench(t)
		w.reconciler.Keys = capped{w.memory}
		out := w.must(result.Published, protocol.Trigger{})
		if k := w.find(out.Key); !out.KeyExpires.Equal(k.Expires) {
			t.Errorf("told %s, and the key ends at %s", out.KeyExpires, k.Expires)
		}
	})
}
