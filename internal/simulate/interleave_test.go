package simulate

import (
	"flag"
	"fmt"
	"slices"
	"sync/atomic"
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
	order order

	first   int // the run of the scheduler's that is the first of the two
	turn    int
	passed  int // how many turns have passed
	waiting [2][]*call
	seen    int
	// idle is set if the last turn passed to a run that had ended.
	idle bool
}

// order is what happens in an interleaving.
type order struct {
	// turns are the indexes of the calls, counted over both runs, before which
	// the turn passes to the other run.
	turns []int
	// fault goes wrong with the call of this index.
	fault fault
	at    int
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
	passes := p.passed < len(p.order.turns) && p.order.turns[p.passed] == p.seen
	if passes {
		p.turn = 1 - p.turn
		p.passed++
	}
	if len(p.waiting[p.turn]) == 0 {
		if p.napping(p.turn) {
			return false // it sleeps, and time must pass
		}
		p.turn, p.idle = 1-p.turn, p.idle || passes
	}
	c := p.waiting[p.turn][0]
	p.waiting[p.turn] = p.waiting[p.turn][1:]
	f := fate{effect: true}
	if p.seen == p.order.at && p.order.fault != none {
		f = f.apply(p.order.fault, c.step)
		f.back = 0
		p.hits.add(c.step, p.order.fault)
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

// interleaving plays two sweeps of two replicas, over stores of a layout, from a
// credential that is due. It returns how many calls there were, and whether the last
// turn changed nothing.
func interleaving(t *testing.T, layout string, o order) (calls int, idle bool, v Verdict) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{}, layout, 0, "A", "B")
		calm := &script{sim: s}
		s.policy = calm
		due(s)
		for _, rd := range s.readers {
			s.consume(rd, s.now.Add(8*time.Hour))
		}
		p := &schedule{sim: s, order: o, first: len(s.runs)}
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
		calls, idle = p.seen, p.idle
		s.policy = calm
		s.heal()
		for _, in := range s.replicas {
			s.kill(in)
		}
		s.settle()
		v = s.verdict(1)
	})
	return calls, idle, v
}

func (r *run) ended() bool { return r.dead || r.over }

// interleaved is an interleaving over the stores of a layout.
type interleaved struct {
	layout string
	order
}

// with returns the interleavings with one thing more, behind all others: a turn, or the
// fault, at each of the calls that the interleaving has.
func (sc interleaved) with(calls, mostTurns int) (all []interleaved) {
	turn, failed := -1, sc.fault != none
	if n := len(sc.turns); n > 0 {
		turn = sc.turns[n-1]
	}
	for at := range calls {
		if at > turn && (!failed || at > sc.at) && len(sc.turns) < mostTurns {
			o := sc.order
			o.turns = append(slices.Clone(o.turns), at)
			all = append(all, interleaved{sc.layout, o})
		}
		if at < turn || failed {
			continue
		}
		for _, f := range []fault{crashAfter, lost, broken} {
			all = append(all, interleaved{sc.layout, order{sc.turns, f, at}})
		}
	}
	return all
}

// TestEnumerateInterleavings plays two replicas against each other: with up to
// three preemptions, each with one fault, over the three kinds of stores. An
// ordinary run has one preemption with a fault, and two without one.
func TestEnumerateInterleavings(t *testing.T) {
	var idle atomic.Int64
	done, bad := explore(t, []interleaved{{layout: "G"}, {layout: "GP"}, {layout: "P"}}, func(t *testing.T, sc interleaved) (Verdict, []interleaved) {
		calls, same, v := interleaving(t, sc.layout, sc.order)
		if same {
			idle.Add(1)
			return v, nil // it is an interleaving without that turn
		}
		most := 3
		if !*interleave {
			most = 2
			if sc.fault != none || raceDetector {
				most = 1
			}
		}
		follow := sc.with(calls, most)
		if !*interleave && (len(sc.turns) > 1 || raceDetector) {
			follow = slices.DeleteFunc(follow, func(sc interleaved) bool { return sc.fault != none })
		}
		return v, follow
	}, func(sc interleaved) string {
		return fmt.Sprintf("%s, turns before %v, %s at %d", sc.layout, sc.turns, sc.fault, sc.at)
	})
	report(t, *interleave, fmt.Sprintf("interleavings %d, of them as without their last turn %d, violations %d", done, idle.Load(), bad))
}
