package simulate

import (
	"math/rand/v2"
	"slices"
	"time"
)

// parallel are the reads of an observation, which a run makes at the same time.
var parallel = []step{find, lookup, list, granted, read, consumers}

// chance is the policy of a random history: every call takes some time, and some
// fail.
type chance struct {
	*sim
	rnd *rand.Rand
	// on is false at the quiet beginning and end of a history.
	on bool
	// often is the share of calls that fail.
	often float64
	// steady is set if no clock changes during a run.
	steady bool
	// slow is the share of calls that take seconds.
	slow float64
	// target is a fault that certainly happens the first time that its step comes.
	target cell
	struck bool
}

func (p *chance) arrives(*call) bool { return p.on && p.rnd.IntN(2) == 0 }

func (p *chance) between(least, most time.Duration) time.Duration {
	return least + time.Duration(p.rnd.Int64N(int64(most-least)+1))
}

func (p *chance) fate(c *call) fate {
	f := fate{effect: true, send: p.between(2*time.Millisecond, 80*time.Millisecond), back: p.between(2*time.Millisecond, 80*time.Millisecond)}
	if c.step == napping {
		f.send, f.back = c.nap, 0
	}
	if !p.on {
		return f
	}
	if c.step == get && p.rnd.IntN(200) == 0 && !p.steady { // a person sets the clock meanwhile
		step := p.between(2*time.Minute, 9*time.Minute)
		if p.rnd.IntN(2) == 0 {
			step = -step
		}
		p.after(f.send, func() { c.run.offset += step })
	}
	if p.rnd.Float64() < p.slow {
		f.send += p.between(0, 10*time.Second)
		f.back += p.between(0, 10*time.Second)
	}
	what := none
	switch {
	case c.step == p.target.step && !p.struck:
		what, p.struck = p.target.fault, true
	case p.rnd.Float64() < p.often:
		what = drawn[p.rnd.IntN(len(drawn))]
	}
	if r := p.twists[bent]; r != nil && what == none && r.IntN(40) == 0 {
		what = strange[r.IntN(len(strange))]
	}
	if r := p.twists[slow]; r != nil && slices.Contains(parallel, c.step) && r.IntN(25) == 0 {
		f.back += 4*time.Minute + upTo(r, 4*time.Minute)
	}
	if c.step == napping && what != crashBefore && what != frozenBefore {
		what = none
	}
	for t := range p.twists {
		p.hits.twisted[twisted{t, cell{c.step, what}}]++
	}
	for h := range p.played {
		p.hits.handed[handed{h, cell{c.step, what}}]++
	}
	switch what {
	case none:
		return f
	case timeout:
		switch p.rnd.IntN(3) {
		case 0:
			f.back = never
		case 1:
			f.effect, f.back = false, never
		default: // it arrives after all, after the deadline
			f.send = c.run.limit.Sub(p.now) + p.between(0, 90*time.Second)
		}
		return f
	case frozenBefore, frozenAfter:
		f.freeze = p.between(time.Minute, 2*time.Hour)
		if p.rnd.IntN(8) == 0 {
			f.freeze = p.between(2*time.Hour, 30*time.Hour)
		}
		f.suspend = p.rnd.IntN(2) == 0
		f.late = what == frozenAfter
		if what == frozenBefore && p.rnd.IntN(2) == 0 {
			f.send += f.freeze // the timer fires first when the process resumes
		}
	}
	return f.apply(what, c.step)
}
