package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"

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
		ru.block(plan.Blocked, ru.storeError(plan.Blocked))
	case plan.Waiting != "":
		ru.set(result.InProgress, plan.Waiting, ru.storeError(plan.Waiting))
	}
}

// storeError returns the first error of a store, or of its consumers, with this
// reason.
func (ru *run) storeError(why reason.Reason) error {
	switch why {
	case reason.ConsumerUnknown, reason.ConsumerSilent:
		return ru.consumerError()
	case reason.OwnLogin:
		return errors.New(ru.id.ID)
	case reason.NameCollision:
		return ru.facts.Collision()
	case reason.StoreSilent:
		why = reason.StoreUnreachable
	}
	for _, e := range ru.facts.Entries {
		if e.Err != nil && storeFault(e.Err) == why {
			return e.Err
		}
	}
	return nil
}

// consumerError returns why consumers could not be read, or names those that do not
// exist.
func (ru *run) consumerError() error {
	if ru.facts.ConsumerErr != nil {
		return ru.facts.ConsumerErr
	}
	var missing []string
	for _, c := range ru.facts.Consumers {
		if c.Unknown {
			missing = append(missing, c.Name)
		}
	}
	return errors.New(strings.Join(missing, ", "))
}

// setStoreError sets the error of a store in the outcome, if a step failed that
// writes the store or restarts a consumer of it.
func (ru *run) setStoreError(s protocol.Step, err error) {
	store := s.Target
	switch s.Action {
	case protocol.Publish, protocol.Copy, protocol.Adopt, protocol.RemoveEntry:
	case protocol.RestartConsumer:
		i := slices.IndexFunc(ru.facts.Consumers, func(c protocol.Consumer) bool { return c.Name == s.Target })
		if i < 0 {
			return
		}
		store = ru.facts.Consumers[i].Store
	default:
		return
	}
	for i := range ru.out.Stores {
		if ru.out.Stores[i].Name == store {
			ru.out.Stores[i].Error = fence.Words(err)
		}
	}
}

// explainStore sets the outcome if a store after the first did not get the key and
// a person must act. An optional store blocks nothing.
func (ru *run) explainStore(step protocol.Step, err error) {
	final := errors.Is(err, port.ErrDenied) || errors.Is(err, port.ErrRefused) || errors.Is(err, port.ErrQuota)
	switch {
	case errors.Is(err, errAltered):
		ru.block(reason.EntryAltered, err)
	case step.Action == protocol.RestartConsumer && errors.Is(err, port.ErrRefused):
		ru.block(reason.ConsumerFailed, err)
	case step.Action == protocol.RestartConsumer && errors.Is(err, port.ErrNotActive) && ru.out.Result != result.Blocked:
		ru.set(result.InProgress, reason.ConsumerStarting, err)
	case !final || step.Action == protocol.RestartConsumer:
	case !ru.c.Optional[step.Target]:
		ru.block(storeFault(err), err)
	case ru.out.Result != result.Blocked:
		ru.set(result.InProgress, storeFault(err), err)
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
		ru.block(denial(step, err), err)
	}
}

// denial returns why IAM denied a step: a lock, or a permission that is missing.
func denial(step protocol.Step, err error) reason.Reason {
	switch {
	case !errors.Is(err, port.ErrLocked):
		return reason.IdentityDenied
	case step.Key == "":
		return reason.IdentityLocked
	}
	return reason.KeyLocked
}

// explanations say which reason explains the error of an action. The first row that
// fits counts. An empty action is any.
var explanations = []struct {
	action protocol.Action
	errs   []error
	reason reason.Reason
}{
	{joining, []error{port.ErrDenied, port.ErrRefused, port.ErrNotFound}, reason.GroupDenied},
	{protocol.Prove, []error{port.ErrDenied, port.ErrRefused, port.ErrNotYet}, reason.ProofDenied},
	{protocol.GrantPolicy, []error{port.ErrDenied}, reason.PolicyDenied},
	{protocol.GrantPolicy, []error{errWeaker}, reason.PolicyWeaker},
	{protocol.GrantPolicy, []error{port.ErrRefused}, reason.PolicyRefused},
	{protocol.GrantProfile, []error{port.ErrDenied}, reason.PolicyDenied},
	{protocol.GrantProfile, []error{errWeaker}, reason.PolicyWeaker},
	{protocol.GrantProfile, []error{port.ErrRefused}, reason.PolicyRefused},
	{protocol.Mint, []error{port.ErrQuota}, reason.KeyCap},
	{protocol.Mint, []error{port.ErrRefused}, reason.ValueRefused},
	{"", []error{port.ErrDenied}, reason.IdentityDenied},
}

// joining stands for a GrantPolicy that joins an access group.
const joining protocol.Action = "join"

// explain sets the outcome to blocked if a person must fix the error that ended a
// round.
func (ru *run) explain(ctx context.Context, step protocol.Step, err error) {
	creates := step.Action == protocol.Mint || step.Action == protocol.GrantPolicy || errors.Is(err, errUncleared)
	action := refusing(step, err)
	switch {
	case creates && ru.locked(ctx, err):
		ru.block(reason.IdentityLocked, err)
		return
	case (action == protocol.Publish || action == protocol.RemoveEntry || is(err, errUnread, errUnadopted)) && is(err, port.ErrDenied, port.ErrRefused, port.ErrQuota):
		ru.block(storeFault(err), err)
		return
	case errors.Is(err, errStorm):
		ru.block(reason.Storm, nil)
		return
	}
	for _, row := range explanations {
		if (row.action == "" || row.action == action) && is(err, row.errs...) {
			ru.block(row.reason, err)
			return
		}
	}
}

// refusing returns the action that an error is about. Whatever the step was, IAM
// refuses to delete a new key, or to clear one for publication.
func refusing(step protocol.Step, err error) protocol.Action {
	switch {
	case is(err, errWithdrawal, errUncleared):
		return ""
	case step.Action == protocol.GrantPolicy && strings.HasPrefix(step.Target, groupLabel):
		return joining
	}
	return step.Action
}

// is reports whether the error is one of several.
func is(err error, any ...error) bool {
	return slices.ContainsFunc(any, func(one error) bool { return errors.Is(err, one) })
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
