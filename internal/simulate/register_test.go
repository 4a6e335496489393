package simulate

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/latchkey-io/latchkey/internal/port"
)

var register = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{0} },
	Step: func(state, input, output any) []any {
		at, in, out := state.(int), input.(request), output.(answer)
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

func init() { fits = linearizable }

// linearizable looks for an order. That of a few hundred operations that mostly
// come one by one is found at once; a second is for the machine, not for the
// history.
func linearizable(ops []operation) bool {
	all := make([]porcupine.Operation, len(ops))
	for i, op := range ops {
		all[i] = porcupine.Operation{ClientId: i, Input: op.request, Output: op.answer, Call: op.call, Return: op.end}
	}
	return porcupine.CheckOperationsTimeout(register, all, time.Second) != porcupine.Illegal
}

func TestTwoWritesThatExpectTheSameRevisionCanNotBothBeDone(t *testing.T) {
	w := &world{now: epoch}
	p := &place{guarded: true}
	w.recordWrite(p, epoch, "0", nil)
	w.recordRead(p, epoch, "1")
	w.recordWrite(p, epoch, "0", port.ErrConflict)
	w.recordWrite(p, epoch, "1", port.ErrUnavailable)
	if !fits(p.ops) {
		t.Error("an ordinary history fits no order")
	}
	w.recordWrite(p, epoch, "0", nil)
	if fits(p.ops) {
		t.Error("two writes over the same revision pass")
	}
}
