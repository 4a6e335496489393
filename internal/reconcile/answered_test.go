package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
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

// capped is an IAM that lets no key live longer than some time.
type capped struct {
	*memory
	most time.Duration
}

func (m capped) Update(ctx context.Context, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	if last := rec.Created.Add(m.most); c.Expires.After(last) {
		c.Expires = last
	}
	return m.memory.Update(ctx, rec, c)
}

func TestTheExpiryThatIsToldIsWhatIAMAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBench(t)
		w.reconciler.Keys = capped{w.memory, 30 * day}
		out := w.must(result.Published, protocol.Trigger{})
		k := w.find(out.Key)
		if !out.KeyExpires.Equal(k.Expires) || !out.Keys[0].Expires.Equal(k.Expires) {
			t.Errorf("told %s and %s, and the key ends at %s", out.KeyExpires, out.Keys[0].Expires, k.Expires)
		}
		if due := k.Expires.Add(-w.c.Rules.Overlap); !out.Next.Equal(due) {
			t.Errorf("the outcome says that the next step is at %s; the key is due at %s", out.Next, due)
		}
		w.now = w.now.Add(time.Hour)
		if later := w.must(result.Unchanged, protocol.Trigger{}); !later.Next.Equal(out.Next) {
			t.Errorf("the next step is at %s, and in the next outcome at %s", out.Next, later.Next)
		}
	})
}

// A key that IAM gives less than its full lifetime is replaced in time, however little that
// is. No sweep before tells a later end, and keys are not made at each sweep.
func TestAKeyThatIAMGivesLessThanItsLifetimeIsReplacedInTime(t *testing.T) {
	for name, tc := range map[string]struct {
		most, after, expire, overlap, sweep time.Duration
		keys                                int // at most, in 40 days
		fails                               bool
	}{
		"no longer than the fuse":          {day, 60 * day, 90 * day, day, time.Hour, 80, true},
		"the same, with rare sweeps":       {day, 60 * day, 90 * day, day, 12 * time.Hour, 80, true},
		"an hour longer than the fuse":     {25 * time.Hour, 60 * day, 90 * day, day, time.Hour, 80, false},
		"less than four sweeps":            {40 * time.Hour, 60 * day, 90 * day, day, 12 * time.Hour, 60, false},
		"less than an overlap":             {3 * day, 20 * day, 60 * day, 30 * day, time.Hour, 30, false},
		"thirty days":                      {30 * day, 60 * day, 90 * day, day, time.Hour, 2, false},
		"what was asked for, and no more":  {26 * time.Hour, day, 26*time.Hour + time.Minute, time.Hour, 15 * time.Minute, 41, false},
		"all, and an overlap that is long": {90 * day, 10 * day, 90 * day, 79 * day, time.Hour, 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newBench(t)
				w.c.Consumers = nil
				w.c.Rules.After, w.c.Rules.Expire, w.c.Rules.Overlap, w.c.Rules.SweepEvery = tc.after, tc.expire, tc.overlap, tc.sweep
				w.reconciler.Keys = capped{w.memory, tc.most}
				made := map[string]bool{}
				for end := w.now.Add(40 * day); w.now.Before(end); w.now = w.now.Add(tc.sweep) {
					if k := w.find(w.a.entry.KeyID); k != nil && !k.Live(w.now) {
						t.Fatalf("%s: the store names a key that ended at %s", w.now, k.Expires)
					}
					out := w.run(protocol.Trigger{})
					made[out.Key] = true
					if k := w.find(out.Key); !out.KeyExpires.Equal(k.Expires) || out.Key != w.a.entry.KeyID {
						t.Fatalf("%s: told %s, and the key ends at %s", w.now, out.KeyExpires, k.Expires)
					}
					if (out.Result == result.Failed) != tc.fails || strings.Contains(out.Error, "IAM answered that it expires at") != tc.fails {
						t.Fatalf("%s: %s %s", w.now, out.Result, out.Error)
					}
				}
				if n := len(made); n > tc.keys {
					t.Errorf("%d keys, want %d at most", n, tc.keys)
				}
			})
		})
	}
}

// The published key had its fuse until another replica moved it out a moment ago.
func TestAKeyWhoseFuseAnotherReplicaMovedOutIsNotReplaced(t *testing.T) {
	w := newBench(t)
	w.c.Consumers = nil
	w.fail["Update"] = port.ErrUnavailable
	first := w.must(result.Failed, protocol.Trigger{}).Key
	w.fail["Update"] = nil
	w.now = w.now.Add(13 * time.Hour)
	w.reconciler.Keys = overtaken{w.memory}
	w.c.Policies = append(w.c.Policies, access.Policy{Service: "metrics", Roles: []string{"Sender"}})
	w.b.entry = port.Entry{}
	out := w.must(result.Changed, protocol.Trigger{})
	if out.Key != first || !out.KeyExpires.Equal(w.find(first).Expires) || len(w.keys) != 1 {
		t.Errorf("the key is %s until %s of %d: %s", out.Key, out.KeyExpires, len(w.keys), out.Error)
	}
	// What a new key would have brought along, and what comes before one.
	if n := len(w.policies[w.ids[0].IAMID]); w.b.entry.KeyID != first || n != 2 {
		t.Errorf("the second store names %q, and the service ID has %d policies: %+v", w.b.entry.KeyID, n, out.Steps)
	}
}

// overtaken is an IAM in which another replica moves fuses out before a key is read.
type overtaken struct{ *memory }

func (m overtaken) Get(ctx context.Context, keyID string) (port.KeyRecord, error) {
	unlock := m.lock()
	k := m.find(keyID)
	k.Expires = k.Created.Add(90 * day)
	m.touch(k)
	unlock()
	return m.memory.Get(ctx, keyID)
}

// endless is an IAM that keeps the expiry of no key.
type endless struct{ *memory }

func (m endless) Mint(ctx context.Context, r port.MintRequest, v secret.Value) (port.KeyRecord, error) {
	r.Expires = time.Time{}
	return m.memory.Mint(ctx, r, v)
}

func (m endless) Update(ctx context.Context, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	c.Expires = time.Time{}
	return m.memory.Update(ctx, rec, c)
}

func TestAnOverlapThatIAMDoesNotKeepIsToldUntilItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBench(t)
		w.reconciler.Keys = endless{w.memory}
		old := w.rotated()
		out := w.must(result.Failed, protocol.Trigger{NotKey: old})
		for range 3 {
			if !strings.Contains(out.Error, "IAM answered that it never expires") || out.Key == old {
				t.Errorf("%s: key %s, %s", w.now, out.Key, out.Error)
			}
			w.now = w.now.Add(time.Hour)
			out = w.must(result.Failed, protocol.Trigger{})
		}
		w.reconciler.Keys = w.memory
		w.must(result.Changed, protocol.Trigger{})
		if k := w.find(old); k.Expires.IsZero() {
			t.Error("the old key lives for ever")
		}
		w.must(result.Unchanged, protocol.Trigger{})
	})
}

// stuck is an IAM that makes no key's life shorter.
type stuck struct{ *memory }

func (m stuck) Update(ctx context.Context, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	if c.Expires.Before(rec.Expires) {
		c.Expires = time.Time{}
	}
	return m.memory.Update(ctx, rec, c)
}

func TestAnOverlapThatIAMMakesLongerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBench(t)
		old := w.rotated()
		w.reconciler.Keys = stuck{w.memory}
		out := w.must(result.Failed, protocol.Trigger{NotKey: old})
		if want := "IAM answered that it expires at " + w.find(old).Expires.Format(time.RFC3339); !strings.Contains(out.Error, want) {
			t.Errorf("told %s, want %q", out.Error, want)
		}
	})
}
