package simulate

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// A store that compares and sets is a register of revisions. What the instances
// were told about it must be explained by some order of what they did, or else
// the arbiter of this simulation is none.

// access is what was asked of the register: a read, a write that expects a
// revision, or a person's write, which expects none.
type access struct {
	write, hand bool
	expects     int
}

// answer is what came back.
type answer struct {
	revision int  // of a read
	done     bool // of a write
	unknown  bool // the answer was lost
}

var register = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{0} },
	Step: func(state, input, output any) []any {
		at, in, out := state.(int), input.(access), output.(answer)
		switch {
		case in.hand:
			return []any{at + 1}
		case !in.write && out.revision == at:
			return []any{at}
		case !in.write:
			return nil
		case out.unknown && in.expects == at:
			return []any{at, at + 1}
		case out.unknown:
			return []any{at}
		case out.done && in.expects == at:
			return []any{at + 1}
		case !out.done && in.expects != at:
			return []any{at}
		}
		return nil
	},
	Equal: func(a, b any) bool { return a == b },
}).ToModel()

func (w *world) record(p *place, made time.Time, in access, out answer) {
	op := porcupine.Operation{ClientId: len(p.ops), Input: in, Output: out, Call: made.UnixNano(), Return: w.now.UnixNano()}
	if out.unknown {
		op.Return = math.MaxInt64 // it may still have its effect
	}
	p.ops = append(p.ops, op)
}

func (w *world) recordRead(p *place, made time.Time, revision string) {
	at, err := strconv.Atoi(revision)
	if p.guarded && err == nil {
		w.record(p, made, access{}, answer{revision: at})
	}
}

func (w *world) recordWrite(p *place, made time.Time, revision string, err error) {
	expects, nerr := strconv.Atoi(revision)
	if !p.guarded || nerr != nil {
		return
	}
	switch in := (access{write: true, expects: expects}); {
	case err == nil:
		w.record(p, made, in, answer{done: true})
	case is(err, reconcile.ErrConflict):
		w.record(p, made, in, answer{})
	case is(err, reconcile.ErrUnavailable), is(err, errDead):
		w.record(p, made, in, answer{unknown: true})
	}
}

func (w *world) recordHand(p *place) {
	if p.guarded {
		w.record(p, w.now, access{hand: true}, answer{})
	}
}

// checkArbiter looks whether the store that decides was a register.
func (s *sim) checkArbiter() {
	for _, p := range s.places {
		if !p.guarded {
			continue
		}
		// The order of a few hundred operations that mostly come one by one is
		// found at once; a second is for the machine, not for the history.
		if porcupine.CheckOperationsTimeout(register, p.ops, time.Second) == porcupine.Illegal {
			s.violate("P7", "what was read from and written to %s fits no order", p.name)
		}
		return
	}
}

func TestTwoWritesThatExpectTheSameRevisionCanNotBothBeDone(t *testing.T) {
	w := &world{now: epoch}
	p := &place{guarded: true}
	w.recordWrite(p, epoch, "0", nil)
	w.recordRead(p, epoch, "1")
	w.recordWrite(p, epoch, "0", reconcile.ErrConflict)
	w.recordWrite(p, epoch, "1", reconcile.ErrUnavailable)
	if !porcupine.CheckOperations(register, p.ops) {
		t.Error("an ordinary history fits no order")
	}
	w.recordWrite(p, epoch, "0", nil)
	if porcupine.CheckOperations(register, p.ops) {
		t.Error("two writes over the same revision pass")
	}
}
