package simulate

import (
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

var interleave = flag.Bool("interleave", false, "enumerate all interleavings of two replicas, not only a few")

// schedule is the policy of an interleaving: one of two runs goes on until the
// schedule preempts it, and then the other one, until that is over or
// preempted. Calls take no time to speak of.
type schedule struct {
	*sim
	// turns are the indexes of the calls, counted over both runs, before which
	// the turn passes to the other run.
	turns map[int]bool
	// fault goes wrong with the call of this index.
	fault fault
	at    int

	first   int // the run of the scheduler's that is the first of the two
	turn    int
	waiting [2][]*call
	seen    int
	passed  int
}

func (p *schedule) arrives(*call) bool { return false }

// fate holds every call: next lets one go on.
func (p *schedule) fate(c *call) fate {
	if c.step == napping {
		return fate{effect: true, send: c.nap}
	}
	i := c.run.nth - p.first
	if i < 0 || i > 1 {
		return fate{effect: true, send: time.Millisecond, back: time.Millisecond}
	}
	p.waiting[i] = append(p.waiting[i], c)
	return fate{effect: true, send: never, fault: waits}
}

const waits fault = "waits"

// next carries out one call of the run whose turn it is. It returns false when
// neither has one.
func (p *schedule) next() bool {
	if len(p.waiting[0])+len(p.waiting[1]) == 0 {
		return false
	}
	if p.turns[p.seen] {
		p.turn = 1 - p.turn
		p.passed++
	}
	if len(p.waiting[p.turn]) == 0 {
		if p.napping(p.turn) {
			return false // it sleeps, and time must pass
		}
		p.turn = 1 - p.turn
	}
	c := p.waiting[p.turn][0]
	p.waiting[p.turn] = p.waiting[p.turn][1:]
	f := fate{effect: true}
	if p.seen == p.at && p.fault != none {
		f = f.apply(p.fault, c.step)
		f.back = 0
		p.hits.add(c.step, p.fault)
	}
	p.seen++
	p.send(c, f)
	return true
}

// napping reports whether the run sleeps between two polls.
func (p *schedule) napping(i int) bool {
	r := p.runs[p.first+i]
	for _, c := range r.pending {
		if c.step == napping {
			return true
		}
	}
	return false
}

// interleaving plays two sweeps of two replicas, over stores of a layout, with
// turns and a fault, from a credential that is due. It returns how many calls
// there were.
func interleaving(t *testing.T, layout string, turns map[int]bool, at int, what fault) (calls int, v Verdict) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{}, layout, 0, "A", "B")
		calm := &script{sim: s}
		s.policy = calm
		due(s)
		for _, rd := range s.readers {
			s.consume(rd, s.now.Add(8*time.Hour))
		}
		p := &schedule{sim: s, turns: turns, at: at, fault: what, first: len(s.runs)}
		s.policy = p
		s.sweep(s.replicas[0])
		s.sweep(s.replicas[1])
		for range 2000 {
			if !p.next() {
				if s.runs[p.first].ended() && s.runs[p.first+1].ended() {
					break
				}
				s.until(s.now.Add(50 * time.Millisecond))
				continue
			}
			s.settle()
			s.until(s.now.Add(time.Millisecond))
		}
		calls = p.seen
		s.policy = calm
		s.heal()
		for _, in := range s.replicas {
			s.kill(in)
		}
		s.settle()
		v = s.verdict(1)
	})
	return calls, v
}

func (r *run) ended() bool { return r.dead || r.over }

// TestEnumerateInterleavings plays two replicas against each other: with up to
// three preemptions, each with one fault, over the three kinds of stores. An
// ordinary run has one preemption, and two without a fault.
func TestEnumerateInterleavings(t *testing.T) {
	type scenario struct {
		layout string
		turns  map[int]bool
		at     int
		fault  fault
	}
	faults := []fault{none, crashAfter, lost, broken}
	var all []scenario
	for _, layout := range []string{"G", "GP", "P"} {
		n, _ := interleaving(t, layout, map[int]bool{1: true}, -1, none)
		for _, turns := range turnsOf(n, *interleave) {
			for _, f := range faults {
				if f == none {
					all = append(all, scenario{layout, turns, -1, none})
					continue
				}
				if (len(turns) > 1 || raceDetector) && !*interleave {
					continue
				}
				for at := range n {
					all = append(all, scenario{layout, turns, at, f})
				}
			}
		}
	}
	done, bad := enumerate(t, all, func(t *testing.T, sc scenario) Verdict {
		_, v := interleaving(t, sc.layout, sc.turns, sc.at, sc.fault)
		return v
	}, func(sc scenario) string {
		return fmt.Sprintf("%s, turns before %v, %s at %d", sc.layout, sc.turns, sc.fault, sc.at)
	})
	report(t, *interleave, fmt.Sprintf("interleavings %d/%d violations=%d", done, len(all), bad))
}

// turnsOf are all sets of up to three preemptions among n calls; up to two
// unless all are wanted.
func turnsOf(n int, all bool) (sets []map[int]bool) {
	for a := range n {
		sets = append(sets, map[int]bool{a: true})
		for b := a + 1; b < n; b++ {
			sets = append(sets, map[int]bool{a: true, b: true})
			for c := b + 1; c < n && all; c++ {
				sets = append(sets, map[int]bool{a: true, b: true, c: true})
			}
		}
	}
	return sets
}
