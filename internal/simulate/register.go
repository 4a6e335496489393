package simulate

import (
	"math"
	"strconv"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
)

// A store that compares and sets is a register of revisions. What it answered
// must be explained by some order of the operations, or the replicas have
// nothing to agree by.

// request is a read, a write that expects a revision, or a person's write, which
// expects none.
type request struct {
	write, hand bool
	expects     int
}

// answer is the answer to a request.
type answer struct {
	revision int  // of a read
	done     bool // of a write
	unknown  bool // the answer was lost
}

// operation is a request with its answer, and when it began and ended.
type operation struct {
	request
	answer
	call, end int64
}

// fits reports whether some order of the operations explains their answers. The
// tests of this package set it, so that only they need a checker.
var fits = func([]operation) bool { return true }

func (w *world) record(p *place, made time.Time, in request, out answer) {
	op := operation{request: in, answer: out, call: made.UnixNano(), end: w.now.UnixNano()}
	if out.unknown {
		op.end = math.MaxInt64 // it may still have its effect
	}
	p.ops = append(p.ops, op)
}

func (w *world) recordRead(p *place, made time.Time, revision string) {
	at, err := strconv.Atoi(revision)
	if p.guarded && err == nil {
		w.record(p, made, request{}, answer{revision: at})
	}
}

func (w *world) recordWrite(p *place, made time.Time, revision string, err error) {
	expects, nerr := strconv.Atoi(revision)
	if !p.guarded || nerr != nil {
		return
	}
	switch in := (request{write: true, expects: expects}); {
	case err == nil:
		w.record(p, made, in, answer{done: true})
	case is(err, port.ErrConflict):
		w.record(p, made, in, answer{})
	case is(err, port.ErrUnavailable), is(err, errDead):
		w.record(p, made, in, answer{unknown: true})
	}
}

func (w *world) recordHand(p *place) {
	if p.guarded {
		w.record(p, w.now, request{hand: true}, answer{})
	}
}

// checkArbiter checks that the first guarded store was a register.
func (s *sim) checkArbiter() {
	for _, p := range s.places {
		if !p.guarded {
			continue
		}
		if !fits(p.ops) {
			s.violate("P7", "what was read from and written to %s fits no order", p.name)
		}
		return
	}
}
