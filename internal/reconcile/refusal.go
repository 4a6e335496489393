package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// Some refusals are met only by a write, such as that of a policy. A run that meets one
// keeps the reason on the service ID, so that a look tells it. It decides
// nothing: every run tries again, and one that succeeds removes the mark.

// How long a refusal on the service ID counts, and how old it is when it is written again.
const (
	refusalLasts = 24 * time.Hour
	refusalFresh = refusalLasts / 2
)

// keepRefusal keeps why a step was refused on the service ID, or removes it. A plan that
// was blocked has not tried, and a new key that no store has keeps its own refusal.
func (ru *run) keepRefusal(ctx context.Context, plan protocol.Plan, err error) {
	if ru.id.ID == "" || !ru.id.Marked || ru.c.Given != "" || plan.Blocked != "" {
		return
	}
	m := ru.id.Marker
	switch refused := err != nil && ru.out.Reason.Kind() == reason.Block && ru.out.Reason != reason.Storm; {
	case !refused && err == nil && m.Refusal != "":
		ru.markRefusal(ctx, "")
	case !refused, ru.fresh != nil && !ru.fresh.stored:
	case m.Refusal != ru.out.Reason, ru.now().Sub(m.Refused) >= refusalFresh:
		ru.markRefusal(ctx, ru.out.Reason)
	}
}

// markRefusal writes the reason of a refusal on the service ID; none removes it.
func (ru *run) markRefusal(ctx context.Context, why reason.Reason) {
	err := ru.mark(ctx, ru.id, func(m *marker.Marker) {
		m.Refused, m.Refusal = time.Time{}, why
		if why != "" {
			m.Refused = ru.now().Truncate(time.Second)
		}
	})
	if err != nil {
		ru.log.Warn("keeping why a step was refused", "error", fence.Words(err))
	}
}

// setTried sets what a look can't see of the steps that runs have tried: one was refused,
// or consumers were restarted and do not run with the key yet.
func (ru *run) setTried(plan protocol.Plan) {
	m := ru.id.Marker
	lasts := m.Refusal.Kind() == reason.Block && ru.now().Sub(m.Refused).Abs() < refusalLasts
	required := func(s protocol.Step) bool { return !ru.c.Optional[ru.facts.StoreOf(s)] && !ru.endsHeld(s) }
	switch {
	case len(plan.Steps) == 0, plan.Blocked != "", plan.Waiting != "":
	case lasts && ru.c.Given == "":
		ru.set(result.InProgress, m.Refusal, fmt.Errorf("%w at %s; latchkey sweep %s tries again and prints the answer",
			errTried, m.Refused.UTC().Format(time.DateTime), ru.c.Name))
		if slices.ContainsFunc(plan.Steps, required) {
			ru.out.Result = result.Blocked
		}
	case ru.facts.Starting(plan.Steps):
		ru.set(result.InProgress, reason.ConsumerStarting, nil)
	}
}
