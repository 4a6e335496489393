package rotation_test

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

const day = 24 * time.Hour

// now has no seconds, so that a deadline is a whole minute unless a test says
// otherwise.
var now = time.Date(2027, 3, 9, 10, 0, 0, 0, time.UTC)

// limits has an overlap that differs from the fuse: with both at 24 h no test
// could tell an orphan's end from a superseded key's.
func limits() protocol.Rules {
	r := protocol.Standard()
	r.After, r.Jitter, r.Expire = 60*day, 2*day, 90*day
	r.Overlap, r.SweepEvery = 36*time.Hour, time.Hour
	return r
}

// full is a key with its whole life, as a store has once named it.
func full(id string, age time.Duration) protocol.Key {
	born := now.Add(-age)
	return protocol.Key{ID: id, Created: born, AsOf: born, Expires: born.Add(90 * day)}
}

// pending is a key with its fuse on.
func pending(id string, age time.Duration) protocol.Key {
	k := full(id, age)
	k.Expires = k.Created.Add(day)
	return k
}

// ending is a key whose overlap started some time ago.
func ending(id string, age, since time.Duration) protocol.Key {
	k := full(id, age)
	k.Superseded = now.Add(-since)
	k.Expires = k.Superseded.Add(36 * time.Hour)
	return k
}

func with(k protocol.Key, change func(*protocol.Key)) protocol.Key {
	change(&k)
	return k
}

// guarded is a required store that compares and sets, and whose value can be
// read; plain is the same without compare-and-set.
func guarded(name string, k protocol.Key) protocol.Store {
	return protocol.Store{Name: name, Key: k.ID, Created: k.Created, Guarded: true, Required: true, Readable: k.ID != ""}
}

func plain(name string, k protocol.Key) protocol.Store {
	s := guarded(name, k)
	s.Guarded = false
	return s
}

func optional(s protocol.Store) protocol.Store { s.Required = false; return s }

func sealed(s protocol.Store) protocol.Store { s.Readable = false; return s }

// failing is a store of which nothing is known.
func failing(s protocol.Store, why reason.Reason) protocol.Store {
	s.Key, s.Created, s.Readable, s.Fault = "", time.Time{}, false, why
	return s
}

var none protocol.Key

func stores(s ...protocol.Store) []protocol.Store { return s }

func credential(stores []protocol.Store, keys ...protocol.Key) protocol.State {
	return protocol.State{Identity: protocol.Identity{Exists: true}, Stores: stores, Keys: keys}
}

func but(s protocol.State, change func(*protocol.State)) protocol.State {
	change(&s)
	return s
}

func consumers(s protocol.State, c ...protocol.Consumer) protocol.State {
	s.Consumers = c
	return s
}

func TestADemandHeldBackIsRememberedSoThatALaterLookMeetsIt(t *testing.T) {
	for name, trigger := range map[string]protocol.Trigger{
		"newer than": {NewerThan: now.Add(-time.Minute)},
		"not key":    {NotKey: "n"},
		"both":       {NewerThan: now.Add(-30 * day), NotKey: "n"},
	} {
		t.Run(name, func(t *testing.T) {
			n := full("n", 5*time.Minute)
			s := credential(stores(guarded("a", n)), n)
			trigger = trigger.Resolve(s.Keys)
			p := rotation.Decide(s, limits(), trigger, now)
			if p.Waiting != reason.TooYoung || len(p.Steps) != 1 || p.Steps[0].Action != protocol.Record {
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
			later := rotation.Decide(s, limits(), protocol.Trigger{}, now.Add(time.Hour))
			if len(later.Steps) == 0 || later.Steps[0].Action != protocol.Mint || later.Steps[0].Reason != reason.Remembered {
				t.Errorf("an hour later, without a demand: %q", steps(later))
			}
		})
	}
}

// The clock of who minted the key was ahead, or that of who demanded it.
func TestADemandForAnotherKeyIsRememberedWhateverTheKeyAnswered(t *testing.T) {
	for name, n := range map[string]protocol.Key{
		"minted by a clock that was ahead": with(full("n", 5*time.Minute), func(k *protocol.Key) { k.AsOf = now.Add(time.Minute) }),
		"answers a clock that was ahead":   with(full("n", 5*time.Minute), func(k *protocol.Key) { k.AsOf = now.Add(4 * time.Minute) }),
	} {
		s := credential(stores(guarded("a", n)), n)
		p := rotation.Decide(s, limits(), protocol.Trigger{NotKey: "n"}.Resolve(s.Keys), now)
		if len(p.Steps) != 1 || p.Steps[0].Action != protocol.Record {
			t.Fatalf("%s: not just remembered: %q", name, steps(p))
		}
		s.Keys[0].Renew = p.Steps[0].At
		later := rotation.Decide(s, limits(), protocol.Trigger{}, now.Add(time.Hour))
		if len(later.Steps) == 0 || later.Steps[0].Reason != reason.Remembered {
			t.Errorf("%s: an hour later, without a demand: %q", name, steps(later))
		}
	}
}

func TestDeadlinesAreRoundedUpToTheMinute(t *testing.T) {
	for name, c := range map[string]struct {
		key  protocol.Key
		want time.Time
	}{
		"of an overlap": {full("o", 20*day), now.Add(36*time.Hour + time.Minute)},
		"of an orphan":  {full("n", day), now.Add(day + time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			k := full("k", 10*day)
			p := rotation.Decide(credential(stores(guarded("a", k)), k, c.key), limits(), protocol.Trigger{}, now.Add(time.Second))
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
		state   protocol.State
		trigger protocol.Trigger
		by      time.Time
	}{
		"when the published key is due": {state: credential(stores(guarded("a", k)), k), by: now.Add(3 * time.Hour)},
		"when an expired key may be cleaned": {
			state: credential(stores(guarded("a", full("k", day))), full("k", day), ending("o", 20*day, 36*time.Hour-10*time.Minute)),
			by:    now.Add(15 * time.Minute),
		},
		"when a rival's window is over": {state: credential(stores(guarded("a", none)), pending("r", 5*time.Minute)), by: now.Add(10 * time.Minute)},
		"when a demand may be met": {
			state: credential(stores(guarded("a", young)), young), trigger: protocol.Trigger{NotKey: "k"}, by: now.Add(6 * time.Minute),
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
