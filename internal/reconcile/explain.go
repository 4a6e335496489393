package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// block sets the outcome to blocked. The message ends with the upstream's own
// error, if there is one.
func (ru *run) block(reason rotation.Reason, cause error) {
	ru.set(ResultBlocked, reason, cause)
}

// set sets the result, its reason and the message.
func (ru *run) set(result Result, reason rotation.Reason, cause error) {
	ru.out.Result, ru.out.Reason, ru.out.Message = result, reason, reason.Sentence()
	if cause != nil {
		ru.out.Message += ": " + words(cause)
	}
}

// setHeldBack sets the outcome to what blocks or delays the plan.
func (ru *run) setHeldBack(plan rotation.Plan) {
	switch {
	case plan.Blocked != "":
		ru.block(plan.Blocked, ru.storeError(plan.Blocked))
	case plan.Waiting != "":
		ru.set(ResultInProgress, plan.Waiting, ru.storeError(plan.Waiting))
	}
}

// storeError returns the first error of a store, or of its consumers, with this
// reason.
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

// setStoreError sets the error of a store in the outcome, if a step failed that
// writes the store or restarts a consumer of it.
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

// explainStore sets the outcome if a store after the first did not get the key and
// a person must act. An optional store blocks nothing.
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

// explain sets the outcome to blocked if a person must fix a step's error.
func (ru *run) explain(ctx context.Context, step rotation.Step, err error) {
	denied, refused := errors.Is(err, ErrDenied), errors.Is(err, ErrRefused)
	switch {
	case errors.Is(err, errWithdrawal):
		// The refusal is IAM's, whatever the step was. The fuse ends the key.
		if denied {
			ru.block(rotation.IdentityDenied, err)
		}
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
}

// locked reports whether a lock on the service ID explains the error of a create.
// A service ID from an earlier run may have been locked since. IBM does not
// document whether a locked service ID accepts keys.
func (ru *run) locked(ctx context.Context, err error) bool {
	if errors.Is(err, ErrQuota) || errors.Is(err, errTooLate) {
		return false
	}
	id, lerr := ru.Identities.Lookup(ctx, ru.id.IAMID)
	if lerr == nil && id.Locked {
		ru.remember(ru.c.Name, ServiceID{}) // the next run reads it again
	}
	return lerr == nil && id.Locked
}
