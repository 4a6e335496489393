package simulate

import (
	"fmt"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// step is what a call does: a row of the coverage.
type step string

// The steps that an instance takes, as the calls that they consist of.
const (
	find      step = "find"
	lookup    step = "lookup"
	create    step = "create"
	remove    step = "remove"
	granted   step = "granted"
	grant     step = "grant"
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
	used      step = "used"

	napping  step = "nap"      // not a call to the outside, but a place to be frozen
	returned step = "returned" // a Reconcile's end
)

var steps = []step{find, lookup, create, remove, granted, grant, list, get, post, byValue, unfuse, supersede,
	remember, retire, exchange, prove, read, publish, copying, consumers, restart, clearing, condemn, extend, disable, used}

// fault is what goes wrong with a call: a column of the coverage.
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
	timeout      fault = "timeout"       // the run's time is up; the effect may come later
	frozenBefore fault = "frozen-before" // the process stands still before it sends
	frozenAfter  fault = "frozen-after"  // the process stands still before it hears the answer
)

// drawn are the faults that a history may inject; a timeout follows from a
// slow call.
var drawn = []fault{crashBefore, crashAfter, lost, truncated, broken, limited, denied, timeout, frozenBefore, frozenAfter}

// fate is what becomes of a call.
type fate struct {
	fault fault
	// send is how long it takes until the effect, back until the answer.
	send, back time.Duration
	effect     bool
	// late effects come even though the process stands still.
	late bool
	// err is the answer in place of the effect's own.
	err error
	// freeze stops the whole process; suspend its monotonic clock as well.
	freeze  time.Duration
	suspend bool
}

// never is how long a call takes whose answer does not come.
const never = 10000 * time.Hour

// policy decides about calls: by chance, by a list of faults, by a schedule.
type policy interface {
	fate(c *call) fate
	// arrives says whether a call that was under way when its run ended has
	// its effect.
	arrives(c *call) bool
}

// apply gives a fate the fault's consequences.
func (f fate) apply(what fault, st step) fate {
	f.fault = what
	switch what {
	case lost:
		f.err = fmt.Errorf("%w: the connection broke", reconcile.ErrUnavailable)
	case truncated:
		f.err = fmt.Errorf("%w: the answer can't be read", reconcile.ErrUnavailable)
	case broken:
		f.effect, f.err = false, fmt.Errorf("%w: 503", reconcile.ErrUnavailable)
	case limited:
		f.effect, f.err = false, fmt.Errorf("%w: 429, Retry-After: 1", reconcile.ErrUnavailable)
		f.back += time.Second
	case denied:
		f.effect, f.err = false, fmt.Errorf("%w: 403", reconcile.ErrDenied)
		if st == exchange { // no refusal of a token is final
			f.err = fmt.Errorf("%w: 403", reconcile.ErrUnavailable)
		}
	case refused:
		f.effect, f.err = false, fmt.Errorf("%w: 400", reconcile.ErrRefused)
	}
	return f
}

// coverage counts the cells that histories hit.
type coverage struct{ cells map[step]map[fault]int }

func newCoverage() *coverage { return &coverage{cells: map[step]map[fault]int{}} }

func (c *coverage) add(st step, f fault) {
	if c.cells[st] == nil {
		c.cells[st] = map[fault]int{}
	}
	c.cells[st][f]++
}

func (c *coverage) merge(o *coverage) {
	for st, row := range o.cells {
		for f, n := range row {
			if c.cells[st] == nil {
				c.cells[st] = map[fault]int{}
			}
			c.cells[st][f] += n
		}
	}
}

// cells are all that a history can hit.
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

// missing names the cells that no history hit.
func (c *coverage) missing() (names []string) {
	for _, x := range cells() {
		if c.cells[x.step][x.fault] == 0 {
			names = append(names, string(x.step)+" × "+string(x.fault))
		}
	}
	return names
}

func (c *coverage) String() string {
	return fmt.Sprintf("%d/%d", len(cells())-len(c.missing()), len(cells()))
}

// table shows the counts.
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
