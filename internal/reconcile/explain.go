package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// block says that a person must act. The cause, where there is one, is the
// other side's own error.
func (ru *run) block(reason rotation.Reason, cause error) {
	ru.set(ResultBlocked, reason, cause)
}

func (ru *run) set(result Result, reason rotation.Reason, cause error) {
	ru.out.Result, ru.out.Reason, ru.out.Message = result, reason, reason.Sentence()
	if cause != nil {
		ru.out.Message += ": " + words(cause)
	}
}

// settle puts into the outcome what holds the plan back.
func (ru *run) setHeldBack(plan rotation.Plan) {
	switch {
	case plan.Blocked != "":
		ru.block(plan.Blocked, ru.storeError(plan.Blocked))
	case plan.Waiting != "":
		ru.set(ResultInProgress, plan.Waiting, ru.storeError(plan.Waiting))
	}
}

// storeError is the first error of a store, or of its consumers, that explains
// the reason.
func (ru *run) storeError(reason rotation.Reason) error {
	switch reason {
	case rotation.ConsumerUnknown:
		return ru.consumerErr
	case rotation.StoreSilent:
		reason = rotation.StoreUnreachable
	}
	for _, e := range ru.entries {
		if e.err != nil && storeFault(e.err) == reason {
			return e.err
		}
	}
	return nil
}

// setStoreError records on a store's outcome why a step did not reach it or a
// consumer of it.
func (ru *run) setStoreError(s rotation.Step, err error) {
	store := s.Target
	switch s.Action {
	case rotation.Publish, rotation.Copy, rotation.Adopt:
	case rotation.RestartConsumer:
		i := slices.IndexFunc(ru.serving, func(c rotation.Consumer) bool { return c.Name == s.Target })
		if i < 0 {
			return
		}
		store = ru.serving[i].Store
	default:
		return
	}
	for i := range ru.out.Stores {
		if ru.out.Stores[i].Name == store {
			ru.out.Stores[i].Error = words(err)
		}
	}
}

// hold says why a store that is not the first did not get the key, where only a
// person can mend that. One that is optional blocks nothing.
func (ru *run) explainStore(step rotation.Step, err error) {
	final := errors.Is(err, ErrDenied) || errors.Is(err, ErrRefused) || errors.Is(err, ErrQuota)
	switch {
	case errors.Is(err, errAltered):
		ru.block(rotation.EntryAltered, err)
	case !final || step.Action == rotation.RestartConsumer:
	case !ru.c.Optional[step.Target]:
		ru.block(storeFault(err), err)
	case ru.out.Result != ResultBlocked:
		ru.set(ResultInProgress, storeFault(err), err)
	}
}

// explain turns a step's failure into a blocked reason where only a person can
// mend it.
func (ru *run) explain(ctx context.Context, step rotation.Step, err error) error {
	denied, refused := errors.Is(err, ErrDenied), errors.Is(err, ErrRefused)
	switch {
	case (step.Action == rotation.Mint || step.Action == rotation.GrantPolicy || errors.Is(err, errUncleared)) && ru.locked(ctx, err):
		ru.block(rotation.IdentityLocked, err)
	case step.Action == rotation.Publish && (denied || refused || errors.Is(err, ErrQuota)):
		ru.block(storeFault(err), err)
	case errors.Is(err, errStorm):
		ru.block(rotation.Storm, nil)
	case step.Action == rotation.GrantPolicy && strings.HasPrefix(step.Target, groupLabel) && (denied || refused || errors.Is(err, ErrNotFound)):
		ru.block(rotation.GroupDenied, err)
	case step.Action == rotation.GrantPolicy && denied:
		ru.block(rotation.PolicyDenied, err)
	case step.Action == rotation.GrantPolicy && refused:
		ru.block(rotation.PolicyWeaker, err)
	case step.Action == rotation.Prove && (denied || refused || errors.Is(err, ErrNotYet)):
		ru.block(rotation.ProofDenied, err)
	case step.Action == rotation.Mint && errors.Is(err, ErrQuota):
		ru.block(rotation.KeyCap, err)
	case step.Action == rotation.Mint && refused:
		ru.block(rotation.ValueRefused, err)
	case denied:
		ru.block(rotation.IdentityDenied, err)
	}
	return err
}

// locked reports whether a lock on the service ID explains why something was
// not created on it: an earlier run that knew it may not know the lock, and
// whether a locked one takes keys is not documented.
func (ru *run) locked(ctx context.Context, err error) bool {
	if errors.Is(err, ErrQuota) || errors.Is(err, errTooLate) {
		return false
	}
	id, lerr := ru.Identities.Lookup(ctx, ru.id.IAMID)
	if lerr == nil && id.Locked {
		ru.remember(ru.c.Name, ServiceID{}) // the next run reads it anew
	}
	return lerr == nil && id.Locked
}
