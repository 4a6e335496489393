package reconcile

import (
	"context"
	"errors"

	"github.com/latchkey-io/latchkey/internal/fault"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// block sets the outcome to blocked. The message ends with the upstream's own
// error, if there is one.
func (ru *run) block(why reason.Reason, cause error) {
	ru.set(result.Blocked, why, cause)
}

// set sets the result, its reason and the message.
func (ru *run) set(result result.Result, why reason.Reason, cause error) {
	ru.out.Result, ru.out.Reason, ru.out.Message = result, why, why.Sentence()
	if cause != nil {
		ru.out.Message += ": " + fence.Words(cause)
	}
}

// setHeldBack sets the outcome to what blocks or delays the plan.
func (ru *run) setHeldBack(plan protocol.Plan) {
	switch {
	case plan.Blocked != "" && ru.why != "":
		ru.block(plan.Blocked, errors.New(ru.why))
	case plan.Blocked != "":
		ru.block(plan.Blocked, ru.facts.Cause(plan.Blocked))
	case plan.Waiting != "":
		ru.set(result.InProgress, plan.Waiting, ru.facts.Cause(plan.Waiting))
	}
}

// setStoreError sets the error of a store in the outcome, if a step failed that
// writes the store or restarts a consumer of it.
func (ru *run) setStoreError(s protocol.Step, err error) {
	store := ru.facts.StoreOf(s)
	for i := range ru.out.Stores {
		if ru.out.Stores[i].Name == store {
			ru.out.Stores[i].Error = fence.Words(err)
		}
	}
}

// explainStore sets the outcome if a store after the first did not get the key, or a
// consumer did not restart, and a person must act. An optional store blocks nothing.
func (ru *run) explainStore(step protocol.Step, err error) {
	switch {
	case errors.Is(err, fault.ErrAltered):
		ru.block(reason.EntryAltered, err)
	case step.Action == protocol.RestartConsumer && errors.Is(err, port.ErrRefused):
		ru.block(reason.ConsumerFailed, err)
		ru.out.Message += ru.facts.RunsWith(step.Target)
	case step.Action == protocol.RestartConsumer && errors.Is(err, port.ErrNotActive) && ru.out.Result != result.Blocked:
		ru.set(result.InProgress, reason.ConsumerStarting, err)
	case !fault.Final(err):
	case !ru.c.Optional[ru.facts.StoreOf(step)]:
		ru.block(fault.OfStore(err), err)
	case ru.fresh != nil && ru.fresh.stored && ru.out.Result != result.Blocked:
		ru.set(result.Published, fault.OfStore(err), err)
	case ru.out.Result != result.Blocked:
		ru.set(result.InProgress, fault.OfStore(err), err)
	}
}

// explainStep sets the outcome if a person must act on a step's error.
func (ru *run) explainStep(ctx context.Context, step protocol.Step, err error, after onFailure) {
	switch {
	case after == stop:
		ru.explain(ctx, step, err)
	case after >= goOnEndNot && step.Action != protocol.Unfuse:
		ru.explainStore(step, err)
	case errors.Is(err, port.ErrDenied) && step.Action != protocol.MarkLeaked && ru.out.Result != result.Blocked:
		ru.block(fault.OfDenial(step, err), err)
	}
}

// explain sets the outcome to blocked if a person must fix the error that ended a
// round.
func (ru *run) explain(ctx context.Context, step protocol.Step, err error) {
	creates := step.Action == protocol.Mint || step.Action == protocol.GrantPolicy || errors.Is(err, fault.ErrUncleared)
	why := fault.OfStep(step, err)
	switch {
	case creates && ru.locked(ctx, err):
		ru.block(reason.IdentityLocked, err)
	case errors.Is(err, errStorm):
		ru.block(reason.Storm, nil)
	case why != "":
		ru.block(why, err)
	}
}

// locked reports whether a lock on the service ID explains the error of a create.
// A service ID from an earlier run may have been locked since. IBM does not
// document whether a locked service ID accepts keys.
func (ru *run) locked(ctx context.Context, err error) bool {
	if errors.Is(err, port.ErrQuota) || errors.Is(err, fence.ErrTooLate) {
		return false
	}
	id, lerr := ru.Identities.Lookup(ctx, ru.id.IAMID)
	if lerr == nil && id.Locked {
		ru.memory.Forget(ru.c.Name) // the next run reads it again
	}
	return lerr == nil && id.Locked
}
