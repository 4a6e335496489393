package rotation_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

const day = 24 * time.Hour

// now has no seconds, so that a deadline is a whole minute unless a test says
// otherwise.
var now = time.Date(2027, 3, 9, 10, 0, 0, 0, time.UTC)

// limits has an overlap that differs from the fuse: with both at 24 h no test
// could tell an orphan's end from a superseded key's.
func limits() rotation.Rules {
	r := rotation.Standard()
	r.After, r.Jitter, r.Expire = 60*day, 2*day, 90*day
	r.Overlap, r.SweepEvery = 36*time.Hour, time.Hour
	return r
}

// full is a key with its whole life, as a store has once named it.
func full(id string, age time.Duration) rotation.Key {
	born := now.Add(-age)
	return rotation.Key{ID: id, Created: born, AsOf: born, Expires: born.Add(90 * day)}
}

// pending is a key with its fuse on.
func pending(id string, age time.Duration) rotation.Key {
	k := full(id, age)
	k.Expires = k.Created.Add(day)
	return k
}

// ending is a key whose overlap started some time ago.
func ending(id string, age, since time.Duration) rotation.Key {
	k := full(id, age)
	k.Superseded = now.Add(-since)
	k.Expires = k.Superseded.Add(36 * time.Hour)
	return k
}

func with(k rotation.Key, change func(*rotation.Key)) rotation.Key {
	change(&k)
	return k
}

// guarded is a required store that compares and sets, and whose value can be
// read; plain is the same without compare-and-set.
func guarded(name string, k rotation.Key) rotation.Store {
	return rotation.Store{Name: name, Key: k.ID, Created: k.Created, Guarded: true, Required: true, Readable: k.ID != ""}
}

func plain(name string, k rotation.Key) rotation.Store {
	s := guarded(name, k)
	s.Guarded = false
	return s
}

func optional(s rotation.Store) rotation.Store { s.Required = false; return s }

func sealed(s rotation.Store) rotation.Store { s.Readable = false; return s }

// failing is a store of which nothing is known.
func failing(s rotation.Store, why reason.Reason) rotation.Store {
	s.Key, s.Created, s.Readable, s.Fault = "", time.Time{}, false, why
	return s
}

var none rotation.Key

func stores(s ...rotation.Store) []rotation.Store { return s }

func credential(stores []rotation.Store, keys ...rotation.Key) rotation.State {
	return rotation.State{Identity: rotation.Identity{Exists: true}, Stores: stores, Keys: keys}
}

func but(s rotation.State, change func(*rotation.State)) rotation.State {
	change(&s)
	return s
}

func consumers(s rotation.State, c ...rotation.Consumer) rotation.State {
	s.Consumers = c
	return s
}

func TestADemandHeldBackIsRememberedSoThatALaterLookMeetsIt(t *testing.T) {
	for name, trigger := range map[string]rotation.Trigger{
		"newer than": {NewerThan: now.Add(-time.Minute)},
		"not key":    {NotKey: "n"},
		"both":       {NewerThan: now.Add(-30 * day), NotKey: "n"},
	} {
		t.Run(name, func(t *testing.T) {
			n := full("n", 5*time.Minute)
			s := credential(stores(guarded("a", n)), n)
			trigger = trigger.Resolve(s.Keys)
			p := rotation.Decide(s, limits(), trigger, now)
			if p.Waiting != reason.TooYoung || len(p.Steps) != 1 || p.Steps[0].Action != rotation.Record {
				t.Fatalf("the demand is not just remembered: %q, waiting for %q", steps(p), p.Waiting)
			}
			if p.Steps[0].Key != "n" {
				t.Fatalf("remembered on %s", p.Steps[0].Key)
			}
			s.Keys[0].Renew = p.Steps[0].At
			again := rotation.Decide(s, limits(), trigger, now.Add(time.Minute))
			if len(again.Steps) != 0 {
				t.Errorf("what is remembered is written again: %q", steps(again))
			}
			later := rotation.Decide(s, limits(), rotation.Trigger{}, now.Add(time.Hour))
			if len(later.Steps) == 0 || later.Steps[0].Action != rotation.Mint || later.Steps[0].Reason != reason.Remembered {
				t.Errorf("an hour later, without a demand: %q", steps(later))
			}
		})
	}
}

// The clock of who minted the key was ahead, or that of who demanded it.
func TestADemandForAnotherKeyIsRememberedWhateverTheKeyAnswered(t *testing.T) {
	for name, n := range map[string]rotation.Key{
		"minted by a clock that was ahead": with(full("n", 5*time.Minute), func(k *rotation.Key) { k.AsOf = now.Add(time.Minute) }),
		"answers a clock that was ahead":   with(full("n", 5*time.Minute), func(k *rotation.Key) { k.AsOf = now.Add(4 * time.Minute) }),
	} {
		s := credential(stores(guarded("a", n)), n)
		p := rotation.Decide(s, limits(), rotation.Trigger{NotKey: "n"}.Resolve(s.Keys), now)
		if len(p.Steps) != 1 || p.Steps[0].Action != rotation.Record {
			t.Fatalf("%s: not just remembered: %q", name, steps(p))
		}
		s.Keys[0].Renew = p.Steps[0].At
		later := rotation.Decide(s, limits(), rotation.Trigger{}, now.Add(time.Hour))
		if len(later.Steps) == 0 || later.Steps[0].Reason != reason.Remembered {
			t.Errorf("%s: an hour later, without a demand: %q", name, steps(later))
		}
	}
}

func TestDeadlinesAreRoundedUpToTheMinute(t *testing.T) {
	for name, c := range map[string]struct {
		key  rotation.Key
		want time.Time
	}{
		"of an overlap": {full("o", 20*day), now.Add(36*time.Hour + time.Minute)},
		"of an orphan":  {full("n", day), now.Add(day + time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			k := full("k", 10*day)
			p := rotation.Decide(credential(stores(guarded("a", k)), k, c.key), limits(), rotation.Trigger{}, now.Add(time.Second))
			if len(p.Steps) != 1 || !p.Steps[0].At.Equal(c.want) {
				t.Errorf("got %q, want one step at %v", steps(p), c.want)
			}
		})
	}
}

// A caller may sleep until Next, so it must come no later than the moment at
// which the plan would change.
func TestNextComesWhenSomethingChanges(t *testing.T) {
	k := full("k", 58*day-3*time.Hour)
	young := full("k", 4*time.Minute)
	for name, c := range map[string]struct {
		state   rotation.State
		trigger rotation.Trigger
		by      time.Time
	}{
		"when the published key is due": {state: credential(stores(guarded("a", k)), k), by: now.Add(3 * time.Hour)},
		"when an expired key may be cleaned": {
			state: credential(stores(guarded("a", full("k", day))), full("k", day), ending("o", 20*day, 36*time.Hour-10*time.Minute)),
			by:    now.Add(15 * time.Minute),
		},
		"when a rival's window is over": {state: credential(stores(guarded("a", none)), pending("r", 5*time.Minute)), by: now.Add(10 * time.Minute)},
		"when a demand may be met": {
			state: credential(stores(guarded("a", young)), young), trigger: rotation.Trigger{NotKey: "k"}, by: now.Add(6 * time.Minute),
		},
		"when an invisible key counts as gone": {state: credential(stores(guarded("a", full("k", 5*time.Minute)))), by: now.Add(25 * time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			p := rotation.Decide(c.state, limits(), c.trigger.Resolve(c.state.Keys), now)
			// IAM's created_at has whole minutes, so one more is no delay.
			if !p.Next.After(now) || p.Next.After(c.by.Add(time.Minute)) {
				t.Errorf("next look in %s, want one within %s", p.Next.Sub(now), c.by.Sub(now))
			}
		})
	}
}

func FuzzJitterIsAtMostATenth(f *testing.F) {
	f.Add("logs-sender", int64(60*day))
	f.Add("", int64(0))
	f.Fuzz(func(t *testing.T, name string, after int64) {
		if after < 0 {
			after = -(after + 1)
		}
		j := rotation.Jitter(name, time.Duration(after))
		if j < 0 || j > time.Duration(after)/10 {
			t.Errorf("jitter of %q in %s is %s", name, time.Duration(after), j)
		}
		if j != rotation.Jitter(name, time.Duration(after)) {
			t.Errorf("jitter of %q differs from call to call", name)
		}
	})
}

func TestJitterIsAtMostATenthAndSpreads(t *testing.T) {
	seen := map[time.Duration]bool{}
	for i := range 200 {
		j := rotation.Jitter(fmt.Sprintf("logs-sender/%d", i), 60*day)
		if j < 0 || j > 6*day {
			t.Fatalf("jitter %s", j)
		}
		seen[j] = true
	}
	if len(seen) < 150 {
		t.Errorf("only %d different jitters for 200 credentials", len(seen))
	}
	// A new version must not make everything due at once.
	if got := rotation.Jitter("logs-sender", 60*day); got != 96*time.Hour+46*time.Minute+4800*time.Millisecond {
		t.Errorf("the jitter of logs-sender is now %s", got)
	}
}
