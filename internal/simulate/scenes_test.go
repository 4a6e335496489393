package simulate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/storm"
)

// Scenes that no random history has: those of several credentials of one process, whose
// limits are shared, and those of a fault that stays. The checks of a history know one
// credential only, so a scene of several says itself what is wrong.

// several returns n credentials of one replica, each with a store of its own.
func several(t *testing.T, n int, m *mutant) (*sim, []port.Credential) {
	t.Helper()
	s := staged(1, Options{mutant: m}, strings.Repeat("G", n), 0, "A")
	s.policy = &script{sim: s}
	var all []port.Credential
	for i, st := range s.replicas[0].cred.Stores {
		c := s.replicas[0].cred
		c.Name = fmt.Sprintf("%s-%d", credential, i)
		c.Entry, c.ServiceIDName, c.Stores, c.Consumers = c.Name, c.Name, []port.Store{st}, nil
		all = append(all, c)
	}
	for _, c := range all {
		s.runFor(c, sweeping(s))
	}
	s.until(s.now.Add(time.Hour))
	for i, p := range s.places {
		if p.keyID() == "" {
			t.Fatalf("credential %d has no key", i)
		}
	}
	return s, all
}

// runFor plays a run for a credential to its end. It returns how many keys it made.
func (s *sim) runFor(c port.Credential, req reconcile.Request) (made int) {
	in, before := s.replicas[0], len(s.order)
	in.cred = c
	s.begin(in, req, 100*time.Second)
	s.settle()
	s.until(s.now.Add(20 * time.Second))
	return len(s.order) - before
}

// stop ends the replicas of a scene.
func (s *sim) stop() {
	for _, in := range s.replicas {
		s.kill(in)
	}
	s.settle()
}

func demandedBy(caller string, s *sim) reconcile.Request {
	return reconcile.Request{Cause: "demand", Caller: caller, Trigger: protocol.Trigger{NewerThan: s.now}}
}

// callersDemand is an hour in which each of seven callers demands keys of twelve
// credentials of its own. Then the first caller, which has used up what it may demand,
// revokes a key.
func callersDemand(t *testing.T, m *mutant) (problems []string) {
	const callers, each, mayMake = 7, 12, 10
	synctest.Test(t, func(t *testing.T) {
		s, all := several(t, callers*each, m)
		began, total := s.now, 0
		for n, its := range slices.Collect(slices.Chunk(all, each)) {
			caller, made := fmt.Sprint("caller-", n), 0
			for _, c := range its {
				made += s.runFor(c, demandedBy(caller, s))
			}
			if total += made; made > mayMake {
				problems = append(problems, fmt.Sprintf("%s makes %d keys in an hour", caller, made))
			}
		}
		if total > storm.Ceiling {
			problems = append(problems, fmt.Sprintf("all callers together make %d keys in an hour", total))
		}
		leaked := s.places[each-1].keyID() // not replaced yet, so old enough
		s.runFor(all[each-1], reconcile.Request{Cause: "revoke", Caller: "caller-0", Trigger: protocol.Trigger{Leaked: leaked}})
		if s.keys[leaked].liveAt(s.now) {
			problems = append(problems, "a leaked key waits for what its caller has demanded")
		}
		for range 3 { // what was held back is recorded, and done later
			s.until(s.now.Add(time.Hour))
			for _, c := range all {
				s.runFor(c, sweeping(s))
			}
		}
		for i, p := range s.places {
			if f := s.keys[p.keyID()]; f == nil || f.born.Before(began) {
				problems = append(problems, fmt.Sprintf("the demand for credential %d is not met", i))
			}
		}
		s.stop()
	})
	return problems
}

// oneKeyAfterAnother is an hour in which callers demand keys of one credential and revoke
// those that were replaced, so that there is always room for another.
func oneKeyAfterAnother(t *testing.T, m *mutant) (problems []string) {
	const mayMake = 5
	synctest.Test(t, func(t *testing.T) {
		s, all := several(t, 1, m)
		made := 0
		for i := range 6 {
			old := s.places[0].keyID()
			at := s.now
			made += s.runFor(all[0], demandedBy(fmt.Sprint("caller-", i), s))
			s.runFor(all[0], reconcile.Request{Cause: "revoke", Trigger: protocol.Trigger{Leaked: old}})
			s.until(at.Add(630 * time.Second))
		}
		if made > mayMake {
			problems = append(problems, fmt.Sprintf("a credential gets %d keys in an hour", made))
		}
		if made < mayMake {
			problems = append(problems, fmt.Sprintf("a credential gets no more than %d keys in an hour", made))
		}
		s.stop()
	})
	return problems
}

// allAreDueInAStorm is a caller that demands more keys than it may, of credentials that
// are due by their age.
func allAreDueInAStorm(t *testing.T, m *mutant) (problems []string) {
	synctest.Test(t, func(t *testing.T) {
		s, all := several(t, 12, m)
		s.until(s.now.Add(s.rules.After))
		for i, c := range all {
			if s.runFor(c, demandedBy("caller", s)) == 0 {
				problems = append(problems, fmt.Sprintf("credential %d is due by its age, and waits for demands", i))
			}
		}
		s.stop()
	})
	return problems
}

// allAreOldAtOnce is two intervals of sweeps after more keys have become old than an
// interval may replace.
func allAreOldAtOnce(t *testing.T, m *mutant) (problems []string) {
	synctest.Test(t, func(t *testing.T) {
		s, all := several(t, 40, m)
		s.until(s.now.Add(s.rules.After))
		var of []protocol.Rules
		for _, c := range all {
			of = append(of, c.Rules)
		}
		total := 0
		for range 2 {
			room := protocol.Routine(of, s.rules.SweepEvery)
			most, made := room, 0
			for _, c := range all {
				begun := false // a run that observes again asks again
				made += s.runFor(c, reconcile.Request{Cause: "timer", Routine: func() bool {
					if !begun && room > 0 {
						begun, room = true, room-1
					}
					return begun
				}})
			}
			if made > most {
				problems = append(problems, fmt.Sprintf("%d keys are made in an interval, and no more than %d may be", made, most))
			}
			total += made
			s.until(s.now.Add(s.rules.SweepEvery))
		}
		if total != len(all) {
			problems = append(problems, fmt.Sprintf("%d keys of %d are replaced", total, len(all)))
		}
		s.stop()
	})
	return problems
}

// othersComeFirst is an old key for which no sweep has room.
func othersComeFirst(t *testing.T, m *mutant) (problems []string) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{mutant: m}, "G", 0, "A")
		s.policy = &script{sim: s}
		due(s)
		f := s.newest()
		for s.now.Before(f.born.Add(s.rules.Expire)) {
			s.begin(s.replicas[0], reconcile.Request{Cause: "timer", Routine: func() bool { return false }}, 100*time.Second)
			s.settle()
			s.until(s.now.Add(12 * time.Hour))
			if s.newest() == nil {
				problems = append(problems, "the store names a key that has expired")
				break
			}
		}
		s.stop()
	})
	return problems
}

// writesConflict is a store that answers each write with a conflict, and whose entry
// stays as it is.
func writesConflict(t *testing.T, m *mutant) []string {
	return endure(t, stay{"GP", []step{publish}, conflicted}, time.Hour, 30, m)
}

// overlapsConflict are two demands while IAM answers each start of an overlap with a
// conflict.
func overlapsConflict(t *testing.T, m *mutant) (problems []string) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{mutant: m}, "G", 0, "A")
		s.policy = &script{sim: s}
		rested(s)
		s.policy = &lasting{sim: s, stay: stay{"G", []step{supersede}, conflicted}, on: true}
		for range 2 {
			f := s.newest()
			s.begin(s.replicas[0], reconcile.Request{Cause: "demand", Trigger: protocol.Trigger{NotKey: f.id}}, 10*time.Minute)
			s.settle()
			s.until(s.now.Add(time.Hour))
			if s.newest() == f {
				problems = append(problems, fmt.Sprintf("%s is not replaced, since the overlap of another key can't start", s.nick(f.id)))
			}
		}
		problems = append(problems, s.violations...)
		s.stop()
	})
	return problems
}

// concedes takes each conflict for the key of another replica, whatever its store names.
type concedes struct {
	adapter
	lost *run
}

func (p *concedes) Publish(ctx ctx, e port.Entry, revision string) error {
	err := p.adapter.Publish(ctx, e, revision)
	if is(err, port.ErrConflict) {
		p.lost = runOf(ctx)
	}
	return err
}

func (p *concedes) Read(ctx ctx) (port.Entry, error) {
	e, err := p.adapter.Read(ctx)
	if err == nil && p.lost == runOf(ctx) {
		p.lost, e.KeyID = nil, "ApiKey-of-another-replica"
	}
	return e, err
}

// notesConflicts knows the keys whose update had a conflict.
type notesConflicts struct {
	iam
	on map[string]bool
}

func (k notesConflicts) Update(ctx ctx, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	now, err := k.iam.Update(ctx, rec, c)
	k.on[rec.ID] = is(err, port.ErrConflict)
	return now, err
}

// worseKey is an app that could not be restarted when its key was replaced. After a wait
// something is wrong with the newer key. No other key can be made, since the last store
// does not answer. The app can be restarted again.
func worseKey(layout string, denies step, wait time.Duration, spoil func(*sim, *fact)) func(*testing.T, *mutant) []string {
	return func(t *testing.T, m *mutant) (problems []string) {
		synctest.Test(t, func(*testing.T) {
			s := staged(1, Options{mutant: m}, layout, 1, "A")
			s.policy = &script{sim: s}
			due(s)
			old := s.newest()
			s.policy = &lasting{sim: s, stay: stay{layout, []step{denies}, denied}, on: true}
			s.sweep(s.replicas[0])
			s.until(s.now.Add(wait))
			s.policy = &script{sim: s}
			s.places[len(s.places)-1].down = "unavailable"
			f := s.newest()
			spoil(s, f)
			s.sweep(s.replicas[0])
			s.until(s.now.Add(10 * time.Minute))
			if f == old || s.apps[0].key == "" {
				problems = append(problems, "the scene is not set")
			}
			for _, p := range s.places[1 : len(s.places)-1] {
				if p.keyID() != old.id {
					problems = append(problems, fmt.Sprintf("%s gets %s in place of %s", p.name, s.nick(p.keyID()), s.nick(old.id)))
				}
			}
			if s.apps[0].key != old.id {
				problems = append(problems, fmt.Sprintf("%s is restarted with %s", s.apps[0].name, s.nick(s.apps[0].key)))
			}
			problems = append(problems, s.violations...)
			s.stop()
		})
		return problems
	}
}

var (
	// leakedIsNewest is a newer key that leaked.
	leakedIsNewest = worseKey("GP", restart, 48*time.Hour, func(s *sim, f *fact) {
		f.leaked = true
		s.begin(s.replicas[0], reconcile.Request{Cause: "revoke", Trigger: protocol.Trigger{Leaked: f.id}}, 100*time.Second)
		s.settle()
		s.until(s.now.Add(10 * time.Minute))
	})
	// newestEndsSoon is a newer key that a person lets end before the next sweep. The second
	// store was rolled back to the key before.
	newestEndsSoon = worseKey("GPP", restart, 48*time.Hour, func(s *sim, f *fact) {
		s.put(s.places[1], s.places[1].past[0], true, true)
		s.cloud.SetKeyExpiry(f.id, s.now.Add(50*time.Minute))
		s.refresh(f)
	})
	// newestIsLocked is a newer key that a person locked with its fuse on, which ends soon.
	newestIsLocked = worseKey("GP", unfuse, 23*time.Hour+10*time.Minute, func(s *sim, f *fact) {
		s.cloud.SetKeyLocked(f.id, true)
		s.refresh(f)
	})
)

// prefers makes a mutant by which the published key takes the place of others as if it
// were another.
func prefers(name string, as func(rules, *protocol.Key)) mutant {
	return deciding(name, func(s state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(s, r, t, now)
		s.Keys = slices.Clone(s.Keys)
		for i := range s.Keys {
			if s.Keys[i].ID == p.Published {
				as(r, &s.Keys[i])
			}
		}
		for _, st := range rotation.Decide(s, r, t, now).Steps {
			if (st.Action == protocol.Copy || st.Action == protocol.RestartConsumer) && !slices.Contains(p.Steps, st) {
				p.Steps = append(p.Steps, st)
			}
		}
		return p
	})
}

// theArbiterIsSilent are two replicas that find a key due while the arbiter, an optional
// store, does not answer.
func theArbiterIsSilent(t *testing.T, m *mutant) (problems []string) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{mutant: m}, "OP", 0, "A", "B")
		s.policy = &script{sim: s}
		due(s)
		s.places[0].down = "unavailable"
		for _, in := range s.replicas {
			s.begin(in, reconcile.Request{Cause: "timer"}, 100*time.Second)
		}
		s.settle()
		s.until(s.now.Add(10 * time.Minute))
		problems = append(problems, s.violations...)
		s.stop()
	})
	return problems
}

// failsAt is a policy by which a kind of call fails for one store.
type failsAt struct {
	*script
	step  step
	place *place
	how   fault
}

func (p failsAt) fate(c *call) fate {
	f := p.script.fate(c)
	if c.step == p.step && strings.HasPrefix(c.name, string(c.step)+" "+p.place.name) {
		return f.apply(p.how, c.step)
	}
	return f
}

// secondStoreIsLate is a run that dies between two stores, and one that can't read the
// second. Each store has an app.
func secondStoreIsLate(t *testing.T, m *mutant) (problems []string) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{mutant: m}, "GG", 2, "A")
		s.policy = &script{sim: s}
		due(s)
		for _, p := range []policy{
			failsAt{&script{sim: s}, publish, s.places[1], crashBefore},
			failsAt{&script{sim: s}, read, s.places[1], broken},
			&script{sim: s},
		} {
			s.policy = p
			s.sweep(s.replicas[0])
			s.until(s.now.Add(time.Hour))
		}
		problems = append(problems, s.violations...)
		s.stop()
	})
	return problems
}

// overlapsFromStart counts an overlap from the start of its run, however slow that is.
type overlapsFromStart struct{ iam }

func (k overlapsFromStart) Update(ctx ctx, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	if !c.Superseded.IsZero() {
		c.Expires = c.Expires.Add(-k.now.Sub(runOf(ctx).start)).Truncate(time.Minute)
	}
	return k.iam.Update(ctx, rec, c)
}

// names reports whether a store names a key.
func names(s state, keyID string) bool {
	return slices.ContainsFunc(s.Stores, func(st protocol.Store) bool { return st.Key == keyID })
}

// takes reports whether a plan has a step for a thing.
func takes(p plan, want protocol.Step) bool {
	return slices.ContainsFunc(p.Steps, func(s protocol.Step) bool {
		return s.Action == want.Action && s.Key == want.Key && s.Target == want.Target
	})
}

// entryRewritten is an entry that something else changes after each sweep: its value, or back
// to the entry before. A run has to say so, and latchkey repairs the entry once that stops.
func entryRewritten(t *testing.T, m *mutant) (problems []string) {
	for name, change := range map[string]func(*sim, *place){
		"a wrong value": func(s *sim, p *place) {
			e := p.entry
			e.Value = secret.New("not the value that IAM knows, whoever wrote it")
			s.put(p, e, true, true)
		},
		"the entry before": func(s *sim, p *place) {
			if len(p.past) > 0 {
				s.put(p, p.past[0], true, true)
			}
		},
	} {
		changed := flow{name: name, layout: "G", prepare: due, request: sweeping}
		changed.run(t, nil, Options{mutant: m, after: func(s *sim) {
			apart, told := s.rules.Overlap/12, false
			for range 24 {
				change(s, s.places[0])
				last := s.sweep(s.replicas[0])
				s.until(s.now.Add(apart))
				told = told || last.out.Reason == reason.EntryRewritten
				if n := s.live(); n > s.rules.MaxKeys+s.rules.Spare {
					problems = append(problems, fmt.Sprintf("%s: %d keys are live", name, n))
				}
			}
			if !told {
				problems = append(problems, name+": no run says that something else changes the entry")
			}
			var last *run
			for range 30 {
				last = s.sweep(s.replicas[0])
				s.until(s.now.Add(time.Hour))
			}
			if last.out.Result != result.Unchanged || s.places[0].keyID() != s.newest().id {
				problems = append(problems, fmt.Sprintf("%s: after it stopped the last sweep says %s %s", name, last.out.Result, last.out.Reason))
			}
		}})
	}
	return problems
}
