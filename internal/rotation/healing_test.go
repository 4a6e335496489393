package rotation_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// world does to a state what an executor would do to IAM and the stores, with
// nothing that can fail in between but the executor's own death.
type world struct {
	protocol.State
	minted int
}

func newWorld(s protocol.State) *world {
	s.Keys, s.Stores, s.Consumers = slices.Clone(s.Keys), slices.Clone(s.Stores), slices.Clone(s.Consumers)
	s.Identity.Unsatisfied, s.Identity.Duplicates = slices.Clone(s.Identity.Unsatisfied), slices.Clone(s.Identity.Duplicates)
	return &world{State: s}
}

func (w *world) key(id string) *protocol.Key {
	return &w.Keys[slices.IndexFunc(w.Keys, func(k protocol.Key) bool { return k.ID == id })]
}

func (w *world) apply(list []protocol.Step, trigger protocol.Trigger, at time.Time) {
	for _, step := range list {
		id := step.Key
		if id == protocol.NewKey {
			id = fmt.Sprintf("new%d", w.minted)
		}
		switch step.Action {
		case protocol.CreateIdentity:
			w.Identity.Exists = true
		case protocol.GrantPolicy:
			w.Identity.Unsatisfied = slices.DeleteFunc(w.Identity.Unsatisfied, func(p string) bool { return p == step.Target })
		case protocol.RemoveDuplicate:
			w.Identity.Duplicates = slices.DeleteFunc(w.Identity.Duplicates, func(d string) bool { return d == step.Target })
		case protocol.Mint:
			w.minted++
			born, asOf := at.Truncate(time.Minute), at
			if trigger.NewerThan.After(at) {
				asOf = trigger.NewerThan
			}
			w.Keys = append(w.Keys, protocol.Key{
				ID: fmt.Sprintf("new%d", w.minted), Created: born, AsOf: asOf, Expires: born.Add(limits().Fuse),
			})
		case protocol.Publish, protocol.Copy:
			i := slices.IndexFunc(w.Stores, func(s protocol.Store) bool { return s.Name == step.Target })
			w.Stores[i].Key, w.Stores[i].Created, w.Stores[i].Readable = id, w.key(id).Created, true
		case protocol.Unfuse:
			w.key(id).Expires = w.key(id).Created.Add(limits().Expire)
		case protocol.Extend:
			w.key(id).Expires = step.At
		case protocol.Record:
			w.key(id).Renew = step.At
		case protocol.Supersede:
			w.key(id).Superseded, w.key(id).Expires = at, step.At
		case protocol.Retire:
			w.Keys = slices.DeleteFunc(w.Keys, func(k protocol.Key) bool { return k.ID == id })
		case protocol.RestartConsumer:
			i := slices.IndexFunc(w.Consumers, func(c protocol.Consumer) bool { return c.Name == step.Target })
			w.Consumers[i].Key = id
		}
	}
}

// sweep decides, checks and does what was decided, dying after some steps.
func (w *world) sweep(t *rapid.T, trigger protocol.Trigger, at time.Time, survives func(int) int) protocol.Plan {
	trigger = trigger.Resolve(w.Keys)
	p := rotation.Decide(w.State, limits(), trigger, at)
	n := survives(len(p.Steps))
	t.Logf("%s: %q (%d done) waiting %q blocked %q", at.Sub(now), steps(p), n, p.Waiting, p.Blocked)
	holdsPromises(t, w.State, p, at)
	w.apply(p.Steps[:n], trigger, at)
	return p
}

func all(n int) int { return n }

// P2, P7, P9: whatever was there and wherever the process died, two sweeps
// later every store has the same live key, and further looks make no other.
func TestWhateverDiesHealsWithinTwoSweeps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, trigger := newWorld(history{keys: 3}.draw(t)), drawTrigger(t)
		w.sweep(t, trigger, now, func(n int) int { return rapid.IntRange(0, n).Draw(t, "dies after") })
		died := w.minted

		at := now
		for range 2 {
			at = at.Add(limits().SweepEvery)
			w.sweep(t, protocol.Trigger{}, at, all)
		}
		if w.minted-died > 1 {
			t.Errorf("healing took %d keys", w.minted-died)
		}
		good := published(w.State, at)
		for _, s := range w.Stores {
			if good == "" || s.Key != good {
				t.Errorf("after two sweeps store %s names %q, want %q", s.Name, s.Key, good)
			}
		}

		made := w.minted
		for range 2 {
			at = at.Add(limits().SweepEvery)
			p := w.sweep(t, protocol.Trigger{}, at, all)
			for _, i := range where(p, protocol.Mint) {
				if why := p.Steps[i].Reason; why == reason.Aged || why == reason.ExpiresSoon {
					return // time has made it due meanwhile
				}
			}
		}
		if w.minted != made {
			t.Errorf("%d more keys where nothing was due", w.minted-made)
		}
		for _, c := range w.Consumers {
			if c.Key != good {
				t.Errorf("consumer %s still holds %q, want %q", c.Name, c.Key, good)
			}
		}
		for _, k := range w.Keys {
			if k.ID != good && k.Live(at) && k.Superseded.IsZero() && !k.Fused(limits()) {
				t.Errorf("nothing ends the key %s, which no store names", k.ID)
			}
		}
	})
}

// P7: an event that is delivered again and again mints once at most, and soon
// finds nothing left to do: a restart and then an overlap may still be open.
func TestADuplicateEventChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, trigger := newWorld(history{keys: 4}.draw(t)), drawTrigger(t)
		at := now
		for range 4 {
			w.sweep(t, trigger, at, all)
			at = at.Add(time.Second)
		}
		if p := w.sweep(t, trigger, at, all); len(p.Steps) > 0 || w.minted > 1 {
			t.Errorf("the fifth delivery still finds %q, and %d keys were minted", steps(p), w.minted)
		}
	})
}

// Rule 3: a consumer's mark says which key it holds. One that is restarted
// while its own store could not be written reads the old value again, and
// must not pass for up to date when the store has caught up.
func TestAConsumerOfAStoreThatWasDownIsRestartedOnceThatStoreNamesTheKey(t *testing.T) {
	old := full("old", 70*day)
	w := newWorld(consumers(credential(stores(guarded("a", old), optional(plain("b", old))), old),
		protocol.Consumer{Name: "app/a", Key: "old"}, protocol.Consumer{Name: "app/b", Key: "old"}))
	held := "old" // by app/b, which reads store b when it starts
	for hour := range 5 {
		at := now.Add(time.Duration(hour) * time.Hour)
		seen := newWorld(w.State)
		if hour == 0 {
			seen.Stores[1] = failing(seen.Stores[1], reason.StoreUnreachable)
		}
		p := rotation.Decide(seen.State, limits(), protocol.Trigger{}, at)
		t.Logf("hour %d: %q", hour, steps(p))
		for _, step := range p.Steps {
			w.apply([]protocol.Step{step}, protocol.Trigger{}, at)
			if step.Action == protocol.RestartConsumer && step.Target == "app/b" {
				held = w.Stores[1].Key
			}
			if k := w.key(held); !k.Superseded.IsZero() {
				t.Fatalf("hour %d: %s is superseded while app/b holds it", hour, held)
			}
		}
	}
	if w.Stores[1].Key == "old" || held != w.Stores[1].Key {
		t.Errorf("store b names %q and app/b holds %q", w.Stores[1].Key, held)
	}
}
