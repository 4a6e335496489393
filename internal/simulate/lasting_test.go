package simulate

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// lasting is the policy of a fault that stays: every call of one kind fails.
type lasting struct {
	*sim
	cell
	on bool
}

func (p *lasting) arrives(*call) bool { return false }

func (p *lasting) fate(c *call) fate {
	f := fate{effect: true, send: 10 * time.Millisecond, back: 10 * time.Millisecond}
	if c.step == napping {
		f.send, f.back = c.nap, 0
		return f
	}
	if p.on && c.step == p.step {
		p.hits.add(c.step, p.fault)
		return f.apply(p.fault, c.step)
	}
	return f
}

// tidying are the steps without which consumers still have a key that works.
var tidying = map[step]bool{
	remove: true, remember: true, retire: true, extend: true, disable: true, used: true, condemn: true, byValue: true, supersede: true,
}

// TestOneFaultThatStaysFor300Days lets each kind of call fail from the second day
// on. A consumer with a dead key is reported by the run before, and there is none
// if the call only tidies up.
func TestOneFaultThatStaysFor300Days(t *testing.T) {
	for _, layout := range []string{"GP", "P"} {
		for _, st := range steps {
			for _, f := range []fault{denied, broken} {
				t.Run(fmt.Sprintf("%s/%s/%s", layout, st, f), func(t *testing.T) {
					for _, problem := range endure(t, layout, cell{st, f}, 12*time.Hour, 300, nil) {
						t.Error(problem)
					}
				})
			}
		}
	}
}

// endure plays some days with a lasting fault, and then the end of the fault.
func endure(t *testing.T, layout string, what cell, every time.Duration, days int, m *mutant) (problems []string) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{mutant: m}, layout, 1, "A")
		s.rules.After, s.rules.Expire = 20*24*time.Hour, 30*24*time.Hour
		s.rules.Overlap, s.rules.SweepEvery = 24*time.Hour, every
		s.kill(s.replicas[0])
		p := &lasting{sim: s, cell: what}
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
func (s *sim) watch(days int, what cell) (problems []string) {
	made, dead := len(s.order), 0
	var last *run
	for range days * int(24*time.Hour/s.rules.SweepEvery) {
		last = s.sweep(s.replicas[0])
		for _, rd := range s.readers {
			s.reread(rd)
		}
		s.until(s.now.Add(s.rules.SweepEvery))
		if holder := s.dead(); holder != "" {
			dead++
			// The sweep after one that publishes tells what is left.
			told := last.err != nil || last.out.Result == reconcile.ResultBlocked || last.out.Result == reconcile.ResultPublished || last.out.Result == reconcile.ResultFailed
			if (tidying[what.step] || !told) && len(problems) < 3 {
				problems = append(problems, fmt.Sprintf("%s: %s has a key that does not work, and the sweep said %s %s %s",
					s.now.Format("02 Jan 15:04"), holder, last.out.Result, last.out.Reason, last.out.Error))
			}
		}
	}
	if n := len(s.order) - made; n > 3*days {
		problems = append(problems, fmt.Sprintf("%d keys were made in %d days; the last sweep said %s %s %s", n, days, last.out.Result, last.out.Reason, last.out.Error))
	}
	return problems
}

// dead returns a consumer whose key does not work.
func (s *sim) dead() string {
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
			return rd.name
		}
	}
	for _, a := range s.apps {
		if check(&a.reader) {
			return a.name
		}
	}
	return ""
}
