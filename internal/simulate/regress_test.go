package simulate

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Sequences that reasoning found and no history had drawn.

// Two first provisions at once make two service IDs where no store compares and
// sets; then one of the replicas is scaled to zero.
func TestTheKeysOfBothServiceIDsEndWhicheverReplicaLivesOn(t *testing.T) {
	for _, layout := range []string{"P", "PP"} {
		for apart := 5 * time.Millisecond; apart <= 60*time.Millisecond; apart += 5 * time.Millisecond {
			for which := range 2 {
				synctest.Test(t, func(t *testing.T) {
					s := staged(uint64(apart), Options{}, layout, 0, "A", "B")
					s.policy = &script{sim: s}
					req := reconcile.Request{Cause: "timer"}
					s.begin(s.replicas[0], req, 10*time.Minute)
					s.after(apart, func() { s.begin(s.replicas[1], req, 10*time.Minute) })
					s.settle()
					s.until(s.now.Add(time.Hour))
					s.kill(s.replicas[1-which])
					for range 24 * 7 {
						s.sweep(s.replicas[which])
						s.until(s.now.Add(time.Hour))
					}
					for _, f := range s.order {
						if !s.named(f.id) && f.liveAt(s.now) {
							t.Errorf("%s, %s apart, %s lives on: after a week %s, which no store names, lives until %s", layout, apart, s.replicas[which].name, s.nick(f.id), f.expires)
						}
					}
					for _, in := range s.replicas {
						s.kill(in)
					}
					s.settle()
				})
			}
		}
	}
}

// wentBack has a store that was rolled back to the key before, and a service ID
// that they locked when the process knew it already.
var wentBack = flow{name: "a store went back", layout: "P", prepare: func(s *sim) {
	due(s)
	s.quiet(1)
	p := s.places[0]
	s.put(p, p.past[0], true, true)
	s.cloud.SetServiceIDLocked(s.idOf(), true)
}, request: sweeping}

func TestALockedServiceIDGetsNoKeyAtEverySweep(t *testing.T) {
	wentBack.run(t, nil, Options{after: func(s *sim) {
		before := len(s.order)
		var last *run
		for range 48 {
			last = s.sweep(s.replicas[0])
			s.until(s.now.Add(time.Hour))
		}
		if n := len(s.order) - before; n > 1 || last.out.Reason != reason.IdentityLocked {
			t.Errorf("%d keys in 48 sweeps, and the last says %s %s", n, last.out.Result, last.out.Reason)
		}
	}})
}

func TestAKeyThatAnotherReplicaMarksAsLeakedIsNotExtended(t *testing.T) {
	calls, _ := wentBack.run(t, nil, Options{})
	lengthened := 0
	for i, st := range calls {
		if st != extend {
			continue
		}
		lengthened++
		condemns := hand{"is another replica, which condemns it", func(s *sim) (func(), bool) {
			f := s.keys[s.places[0].keyID()]
			m, text, ok := marker.Parse(f.shown[len(f.shown)-1].Description)
			m.Leaked = s.now
			s.cloud.SetKeyDescription(f.id, m.Describe(text))
			s.refresh(f)
			f.leaked, f.excused = true, "revoked"
			return nil, ok
		}}
		wentBack.run(t, nil, Options{hand: &condemns, at: i, after: func(s *sim) {
			if f := s.order[0]; f.leaked && f.expires.Sub(s.now) > 20*time.Hour {
				t.Errorf("%s leaked, and lives until %s", s.nick(f.id), f.expires)
			}
		}})
	}
	if lengthened == 0 {
		t.Error("nothing was lengthened")
	}
}

// The lock of a service ID explains a refusal by IAM, and none by a store.
func TestAStoreThatRefusesAKeyIsNotExplainedByTheServiceIDsLock(t *testing.T) {
	fl := flow{name: "due, with a locked service ID", layout: "G", prepare: func(s *sim) {
		due(s)
		s.cloud.SetServiceIDLocked(s.idOf(), true)
	}, request: sweeping}
	calls, _ := fl.run(t, nil, Options{})
	i := slices.Index(calls, publish)
	fl.run(t, map[int]fault{i: denied}, Options{after: func(s *sim) {
		if out := s.runs[len(s.runs)-1].out; out.Reason != reason.StoreDenied {
			t.Errorf("blocked by %q: %s", out.Reason, out.Error)
		}
	}})
}

// IAM's list lacks a young key that a store names, so the key is read by its ID:
// by then the clock was set.
func TestAClockThatMovesWhileANamedKeyIsReadIsNoticed(t *testing.T) {
	read := 0
	for seed := range uint64(40) {
		var calls []step
		for _, meddles := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s := staged(seed, Options{}, "Go", 0, "A", "B")
				s.policy = &script{sim: s}
				due(s)
				s.places[1].down = "unavailable"
				s.sweep(s.replicas[0])
				s.until(s.now.Add(5 * time.Second))
				s.places[1].down = "" // what it lacks can be copied
				s.lag = 60 * time.Second
				sc := &script{sim: s}
				if i := slices.Index(calls, get); meddles && i >= 0 {
					sc.before, sc.meddle = i, func() { s.replicas[1].offset += 4 * time.Minute }
				}
				s.policy = sc
				s.sweep(s.replicas[1])
				s.until(s.now.Add(10 * time.Minute))
				if calls = sc.calls; meddles && slices.Contains(calls, get) {
					read++
				}
				for _, v := range s.violations {
					t.Errorf("seed %d: %s", seed, v)
				}
				for _, in := range s.replicas {
					s.kill(in)
				}
				s.settle()
			})
		}
	}
	if read == 0 {
		t.Error("no key was read by its ID")
	}
}

// A person lets others use an unguarded entry right before the new key is written there.
// The outcome says so. It does not blame the store.
func TestAnEntryThatAnotherTakesDuringARunIsToldAsTheirs(t *testing.T) {
	fl := flow{name: "due", layout: "P", prepare: due, request: sweeping}
	calls, _ := fl.run(t, nil, Options{})
	taken := hand{"lets another installation use the entry", func(s *sim) (func(), bool) {
		s.put(s.places[0], port.Entry{KeyID: "ApiKey-of-others", Value: secret.New("the key of another owner's service ID"), Owner: "test"}, true, true)
		return nil, true
	}}
	fl.run(t, nil, Options{hand: &taken, at: slices.Index(calls, clearing), after: func(s *sim) {
		if out := s.runs[len(s.runs)-1].out; out.Reason != reason.EntryForeign {
			t.Errorf("%s %q: %s", out.Result, out.Reason, out.Error)
		}
		for _, f := range s.order {
			if m := f.last().mark; m.Refusal != "" {
				t.Errorf("%s bears the reason %s", s.nick(f.id), m.Refusal)
			}
		}
	}})
}

// A run that moves a fuse out late mints no key. It does what else is due, and does not
// say that a key is due.
func TestAFuseThatIsMovedOutLateLeavesNothingDue(t *testing.T) {
	fl := flow{name: "the fuse stays", layout: "GO", prepare: func(s *sim) {
		due(s)
		s.places[1].down = "unavailable"
		s.policy = &script{sim: s, at: unfuse, then: denied}
		s.sweep(s.replicas[0])
		s.until(s.now.Add(22 * time.Hour))
		s.places[1].down = ""
	}, request: sweeping}
	fl.run(t, nil, Options{after: func(s *sim) {
		if out := s.runs[len(s.runs)-1].out; out.Result != result.Changed || out.Reason != "" || out.Condition != condition.OK {
			t.Errorf("%s %q: %s", out.Result, out.Reason, out.Condition)
		}
		if has, f := s.places[1].keyID(), s.newest(); has != f.id || len(s.order) != 2 {
			t.Errorf("%s names %s and not %s, of %d keys", s.places[1].name, s.nick(has), s.nick(f.id), len(s.order))
		}
	}})
}

func TestAnEntryThatIsChangedAtEverySweepIsToldAndRepairedOnceThatStops(t *testing.T) {
	for _, problem := range entryRewritten(t, nil) {
		t.Error(problem)
	}
}
