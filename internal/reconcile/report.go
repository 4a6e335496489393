package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// took reports whether a step about a key was taken with success.
func (ru *run) took(a rotation.Action, keyID string) bool {
	return slices.ContainsFunc(ru.out.Steps, func(s StepOutcome) bool { return s.Action == a && s.Key == keyID && s.Error == "" })
}

// report tells people what the steps leave behind.
func (ru *run) report(plan rotation.Plan) {
	for _, n := range plan.Notes {
		replaced := n.Reason == rotation.Expiring && ru.fresh != nil && ru.fresh.stored
		if !replaced {
			ru.tell(n)
		}
	}
	ru.out.Leaked = ru.fate()
	for _, k := range ru.keys {
		if k.Leaked.IsZero() && k.ID != ru.ask.Trigger.Leaked {
			continue
		}
		switch {
		case ru.took(rotation.Disable, k.ID):
			ru.tell(rotation.Note{Reason: rotation.TokensLive, Key: k.ID, At: ru.now().Add(tokenLife).Truncate(time.Second)})
		case k.Live(ru.now()) && !ru.took(rotation.Retire, k.ID):
			ru.tell(rotation.Note{Reason: rotation.LeakedAlive, Key: k.ID})
		}
	}
}

// fate is what has become of the key whose revocation was asked for.
func (ru *run) fate() Leaked {
	id := ru.ask.Trigger.Leaked
	i := slices.IndexFunc(ru.keys, func(k rotation.Key) bool { return k.ID == id })
	switch {
	case id == "" || ru.out.Leaked == LeakedElsewhere:
		return ru.out.Leaked
	case ru.other != "":
		return LeakedForeign
	case i < 0 && ru.unseen(id):
		return LeakedAlive
	case i < 0:
		return LeakedGone
	case ru.took(rotation.Disable, id) || ru.took(rotation.Retire, id) || !ru.keys[i].Live(ru.now()):
		return LeakedEnded
	}
	return LeakedAlive
}

// tokenLife is how long an access token outlives its key at the most.
const tokenLife = time.Hour

func (ru *run) tell(notes ...rotation.Note) {
	for _, n := range notes {
		ru.out.Notes = append(ru.out.Notes, NoteOutcome{Note: n, Message: n.Reason.Sentence()})
	}
}

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
func (ru *run) settle(plan rotation.Plan) {
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

// noteFailure records on a store's outcome why a step did not reach it or a
// consumer of it.
func (ru *run) noteFailure(s rotation.Step, err error) {
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
func (ru *run) hold(step rotation.Step, err error) {
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
		ru.keep(ru.c.Name, ServiceID{}) // the next run reads it anew
	}
	return lerr == nil && id.Locked
}
