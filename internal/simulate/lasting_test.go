package simulate

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/result"
)

// stay is a fault that stays: each call of some kinds fails.
type stay struct {
	layout string
	steps  []step
	fault  fault
}

// lasting is the policy of a fault that stays.
type lasting struct {
	*sim
	stay
	on bool
}

func (p *lasting) arrives(*call) bool { return false }

func (p *lasting) fate(c *call) fate {
	f := fate{effect: true, send: 10 * time.Millisecond, back: 10 * time.Millisecond}
	if c.step == napping {
		f.send, f.back = c.nap, 0
		return f
	}
	if p.on && slices.Contains(p.steps, c.step) {
		p.hits.add(c.step, p.fault)
		return f.apply(p.fault, c.step)
	}
	return f
}

// tidying are the steps without which consumers still have a key that works.
var tidying = []step{remove, remember, retire, extend, disable, used, condemn, byValue, supersede}

// changing are the steps without which what re-reads its store still has a key that works:
// keys keep their fuses, and are replaced before those end.
var changing = append(slices.Clone(tidying), unfuse)

// within reports whether all calls that fail are of some kinds.
func (what stay) within(of []step) bool {
	return !slices.ContainsFunc(what.steps, func(st step) bool { return !slices.Contains(of, st) })
}

// permissions are kinds of calls that one permission covers.
var permissions = [][]step{
	{unfuse, supersede, extend, remember, condemn}, // may not change keys
	{retire, remove, disable},                      // may not end anything
	{publish, copying},                             // may not write to stores
	{consumers, restart},                           // may not see or restart consumers
	{grant, granted},                               // may not see or grant policies
}

// TestOneFaultThatStaysFor300Days lets each kind of call, or those of one
// permission, fail from the second day on. A consumer with a dead key is reported
// by the run before, and there is none if the calls only tidy up.
func TestOneFaultThatStaysFor300Days(t *testing.T) {
	var all []stay
	for _, st := range steps {
		all = append(all, stay{"GP", []step{st}, denied}, stay{"GP", []step{st}, broken})
	}
	for _, st := range []step{lookup, clearing} {
		all = append(all, stay{"P", []step{st}, denied}, stay{"P", []step{st}, broken})
	}
	for _, st := range []step{unfuse, supersede, extend, remember, retire, disable, condemn, remove, publish, copying} {
		all = append(all, stay{"GP", []step{st}, conflicted})
	}
	for _, p := range permissions {
		all = append(all, stay{"GP", p, denied})
	}
	for _, what := range sampled(all, 4) {
		t.Run(fmt.Sprintf("%s/%s/%v", what.layout, what.fault, what.steps), func(t *testing.T) {
			t.Parallel()
			for _, problem := range endure(t, what, 12*time.Hour, 300, nil) {
				t.Error(problem)
			}
		})
	}
}

// endure plays some days with a lasting fault, and then the end of the fault.
func endure(t *testing.T, what stay, every time.Duration, days int, m *mutant) (problems []string) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{mutant: m}, what.layout, 1, "A")
		s.rules.After, s.rules.Expire = 20*24*time.Hour, 30*24*time.Hour
		s.rules.Overlap, s.rules.SweepEvery = 24*time.Hour, every
		s.kill(s.replicas[0])
		p := &lasting{sim: s, stay: what}
		s.policy = p
		s.quiet(3)
		p.on = true
		problems = s.watch(days, what)
		p.on = false
		for range 4 { // two sweeps, and the end of a fuse
			s.sweep(s.replicas[0])
			s.until(s.now.Add(s.rules.SweepEvery))
		}
		s.heal()
		for _, in := range s.replicas {
			s.kill(in)
		}
		s.settle()
		problems = append(problems, s.violations...)
	})
	return problems
}

// watch sweeps for some days, and returns what consumers were not told.
func (s *sim) watch(days int, what stay) (problems []string) {
	made := len(s.order)
	var last *run
	for range days * int(24*time.Hour/s.rules.SweepEvery) {
		last = s.sweep(s.replicas[0])
		for _, rd := range s.readers {
			s.reread(rd)
		}
		s.until(s.now.Add(s.rules.SweepEvery))
		if holder := s.dead(); holder != nil {
			// The sweep after one that publishes tells what is left.
			tidies := what.within(tidying) || what.within(changing) && what.fault != conflicted && slices.Contains(s.readers, holder)
			told := last.err != nil || last.out.Result == result.Blocked || last.out.Result == result.Published || last.out.Result == result.Failed
			if (tidies || !told) && len(problems) < 3 {
				problems = append(problems, fmt.Sprintf("%s: %s has a key that does not work, and the sweep said %s %s %s",
					s.now.Format("02 Jan 15:04"), holder.name, last.out.Result, last.out.Reason, last.out.Error))
			}
		}
	}
	if n := len(s.order) - made; n > 3*days {
		problems = append(problems, fmt.Sprintf("%d keys were made in %d days; the last sweep said %s %s %s", n, days, last.out.Result, last.out.Reason, last.out.Error))
	}
	return problems
}

// dead returns a consumer whose key does not work, one that re-reads its store first.
func (s *sim) dead() *reader {
	check := func(r *reader) bool {
		if r.key == "" {
			return false
		}
		s.lagged(0, 0, 0)
		_, err := s.cloud.ExchangeAPIKey(r.value.Expose())
		return err != nil
	}
	for _, rd := range s.readers {
		if check(rd) {
			return rd
		}
	}
	for _, a := range s.apps {
		if check(&a.reader) {
			return &a.reader
		}
	}
	return nil
}
