package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
)

// step is the kind of a call: a row of the coverage.
type step string

// The kinds of calls that a replica makes.
const (
	find      step = "find"
	lookup    step = "lookup"
	create    step = "create"
	remove    step = "remove"
	granted   step = "granted"
	grant     step = "grant"
	narrow    step = "narrow"
	list      step = "list"
	get       step = "get"
	post      step = "post" // the creation of a key
	byValue   step = "by-value"
	unfuse    step = "unfuse"
	supersede step = "supersede"
	remember  step = "remember"
	retire    step = "retire"
	exchange  step = "exchange"
	prove     step = "prove"
	read      step = "read"
	publish   step = "publish"
	copying   step = "copy"
	consumers step = "consumers"
	restart   step = "restart"
	clearing  step = "clear" // a key for publication, on the service ID
	condemn   step = "condemn"
	extend    step = "extend"
	disable   step = "disable"
	enable    step = "enable"
	used      step = "used"

	napping  step = "nap"      // not a call to the outside, but a place to be frozen
	returned step = "returned" // a Reconcile's end
)

var steps = []step{find, lookup, create, remove, granted, grant, list, get, post, byValue, unfuse, supersede,
	remember, retire, exchange, prove, read, publish, copying, consumers, restart, clearing, condemn, extend, disable, used}

// fault is how a call fails: a column of the coverage.
type fault string

// The faults.
const (
	none         fault = ""
	crashBefore  fault = "crash-before"  // the process dies before the call is sent
	crashAfter   fault = "crash-after"   // the process dies when the call has had its effect
	lost         fault = "lost-answer"   // the effect, and no answer
	truncated    fault = "truncated"     // the effect, and an answer that can't be read
	broken       fault = "5xx"           // no effect
	limited      fault = "429"           // no effect, with a time to wait
	denied       fault = "403"           // no effect
	refused      fault = "refused"       // no effect, and never will
	conflicted   fault = "409"           // no effect; as if the thing had changed
	timeout      fault = "timeout"       // the run's time is up; the effect may come later
	frozenBefore fault = "frozen-before" // the process stands still before it sends
	frozenAfter  fault = "frozen-after"  // the process stands still before it hears the answer
	contentless  fault = "contentless"   // no effect, and an answer without content, as of a gateway
	panicked     fault = "panic"         // the effect, and an answer at which the adapter panics
)

// drawn are the faults that a history may inject.
var drawn = []fault{crashBefore, crashAfter, lost, truncated, broken, limited, denied, timeout, frozenBefore, frozenAfter}

// strange are the faults of histories with bent answers.
var strange = []fault{contentless, panicked}

// What adapters make of strange answers.
var (
	errContentless = fmt.Errorf("%w: an answer without content", port.ErrUnavailable)
	errPanics      = fmt.Errorf("%w: the adapter panics", port.ErrUnavailable)
)

// fate is what happens to a call.
type fate struct {
	fault fault
	// send is the time until the effect, and back the time until the answer.
	send, back time.Duration
	effect     bool
	// late is set if the effect comes although the process is suspended.
	late bool
	// err replaces the error of the effect.
	err error
	// freeze suspends the process, and suspend its monotonic clock, too.
	freeze  time.Duration
	suspend bool
}

// never is the time that a call takes if its answer does not come.
const never = 10000 * time.Hour

// policy decides what happens to calls: by chance, by a list of faults, or by a
// schedule.
type policy interface {
	fate(c *call) fate
	// arrives reports whether a call that was in transit when its run ended has its
	// effect.
	arrives(c *call) bool
}

// apply returns the fate of a call with the fault.
func (f fate) apply(what fault, st step) fate {
	f.fault = what
	switch what {
	case lost:
		f.err = fmt.Errorf("%w: the connection broke", port.ErrUnavailable)
	case truncated:
		f.err = fmt.Errorf("%w: the answer can't be read", port.ErrUnavailable)
	case broken:
		f.effect, f.err = false, fmt.Errorf("%w: 503", port.ErrUnavailable)
	case limited:
		f.effect, f.err = false, fmt.Errorf("%w: 429, Retry-After: 1", port.ErrUnavailable)
		f.back += time.Second
	case denied:
		f.effect, f.err = false, fmt.Errorf("%w: 403", port.ErrDenied)
		if st == exchange { // no refusal of a token is final
			f.err = fmt.Errorf("%w: 403", port.ErrUnavailable)
		}
	case contentless:
		f.effect, f.err = false, errContentless
	case panicked:
		f.err = errPanics
	case conflicted:
		f.effect, f.err = false, fmt.Errorf("%w: 409", port.ErrConflict)
	case refused:
		f.effect, f.err = false, fmt.Errorf("%w: 400", port.ErrRefused)
	}
	return f
}

// coverage counts the pairs of step and fault that histories hit, the same by twist,
// and the same after each hand.
type coverage struct {
	cells   map[step]map[fault]int
	twisted map[twisted]int
	handed  map[handed]int
}

// handed is a call after a hand was played, and its fault or none.
type handed struct {
	hand string
	cell
}

// twisted is a call of a history with a twist, and its fault or none.
type twisted struct {
	twist twist
	cell
}

func newCoverage() *coverage {
	return &coverage{cells: map[step]map[fault]int{}, twisted: map[twisted]int{}, handed: map[handed]int{}}
}

func (c *coverage) add(st step, f fault) {
	if c.cells[st] == nil {
		c.cells[st] = map[fault]int{}
	}
	c.cells[st][f]++
}

func (c *coverage) merge(o *coverage) {
	for x, n := range o.twisted {
		c.twisted[x] += n
	}
	for x, n := range o.handed {
		c.handed[x] += n
	}
	for st, row := range o.cells {
		for f, n := range row {
			if c.cells[st] == nil {
				c.cells[st] = map[fault]int{}
			}
			c.cells[st][f] += n
		}
	}
}

// cells returns all pairs that a history can hit.
func cells() (all []cell) {
	for _, st := range steps {
		for _, f := range drawn {
			all = append(all, cell{st, f})
		}
	}
	return all
}

type cell struct {
	step  step
	fault fault
}

// missing returns the pairs that no history hit.
func (c *coverage) missing() (names []string) {
	for _, x := range cells() {
		if c.cells[x.step][x.fault] == 0 {
			names = append(names, string(x.step)+" × "+string(x.fault))
		}
	}
	return names
}

// untwisted returns the steps that no history with a twist took, and those at which no
// strange fault happened.
func (c *coverage) untwisted() (names []string) {
	for _, st := range steps {
		for _, t := range twists {
			if !slices.ContainsFunc(append(drawn, none), func(f fault) bool { return c.twisted[twisted{t, cell{st, f}}] > 0 }) {
				names = append(names, string(st)+" × "+string(t))
			}
		}
		for _, f := range strange {
			if c.cells[st][f] == 0 {
				names = append(names, string(st)+" × "+string(f))
			}
		}
	}
	return names
}

// untouched returns the steps that no history took after some hand. A service ID is
// created, and its duplicates are removed, before most hands find something to change.
// After a service ID is deleted, little is done.
func (c *coverage) untouched() (names []string) {
	for _, st := range steps {
		for _, h := range allHands() {
			if st == create || st == remove || h == deletesID {
				continue
			}
			if !slices.ContainsFunc(append(drawn, none), func(f fault) bool { return c.handed[handed{h, cell{st, f}}] > 0 }) {
				names = append(names, string(st)+" × "+h)
			}
		}
	}
	return names
}

// allHands returns the names of what people, the intruder and IBM do.
func allHands() (names []string) {
	for _, h := range slices.Concat(hands, deploying, scanning, tricks) {
		names = append(names, h.name)
	}
	return names
}

// String returns how many pairs of step and fault were hit, and of step, fault and
// twist or hand.
func (c *coverage) String() string {
	n, m := 0, 0
	for _, x := range cells() {
		for _, t := range twists {
			if c.twisted[twisted{t, x}] > 0 {
				n++
			}
		}
		for _, h := range allHands() {
			if c.handed[handed{h, x}] > 0 {
				m++
			}
		}
	}
	return fmt.Sprintf("%d/%d twisted=%d/%d handed=%d/%d", len(cells())-len(c.missing()), len(cells()),
		n, len(cells())*len(twists), m, len(cells())*len(allHands()))
}

// table returns the counts as text.
func (c *coverage) table() string {
	var b strings.Builder
	for _, st := range steps {
		fmt.Fprintf(&b, "%-10s", st)
		for _, f := range drawn {
			fmt.Fprintf(&b, " %s=%d", f, c.cells[st][f])
		}
		b.WriteByte('\n')
	}
	return b.String()
}
