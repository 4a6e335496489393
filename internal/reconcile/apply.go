package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// patience is how long a proof or a read-back waits for IAM's lag.
const patience = 60 * time.Second

// round observes, decides and applies once.
func (ru *run) round(ctx context.Context) error {
	if err := ru.observe(ctx); err != nil {
		return err
	}
	plan := ru.decide()
	// A run that lost an election does not mint again. A lagging list may hide
	// the rival key, and the next key would lose to it again.
	if i := slices.IndexFunc(plan.Steps, func(s rotation.Step) bool { return s.Action == rotation.Mint }); i >= 0 && ru.spent {
		plan.Steps, plan.Waiting = plan.Steps[:i], rotation.InProgress
	}
	ru.setHeldBack(plan)
	err := ru.apply(ru.within(ctx), plan)
	ru.out.Kept = ru.recorded(plan)
	ru.addNotes(plan)
	return err
}

// apply takes the steps in order. A failed step ends the round. If only a store
// after the first or a consumer fails, the round continues, but the old key is
// not ended.
func (ru *run) apply(ctx context.Context, plan rotation.Plan) error {
	defer ru.recordLate(ctx, plan)()
	var late, unmarked error
	unwritten := false
	for _, step := range plan.Steps {
		if late != nil && ru.endsHeld(step) {
			continue // a consumer may still hold the old key
		}
		if unwritten && step.Action == rotation.RestartConsumer {
			continue // its store may not have the key
		}
		if step.Key == rotation.NewKey && ru.fresh != nil {
			step.Key = ru.fresh.ID
		}
		err := ru.takeStep(ctx, step)
		if errors.Is(err, errAgain) {
			return err
		}
		done := StepOutcome{Step: step}
		if step.Action == rotation.Mint && ru.fresh != nil {
			done.Key = ru.fresh.ID
		}
		if err != nil {
			done.Error = err.Error()
			ru.setStoreError(step, err)
		}
		ru.out.Steps = append(ru.out.Steps, done)
		level := slog.LevelInfo
		if err != nil {
			level = slog.LevelWarn
		}
		ru.log.LogAttrs(ctx, level, "step", filled("action", string(step.Action), "key", done.Key, "target", step.Target,
			"reason", string(step.Reason), "error", done.Error)...)
		if err == nil {
			if ru.ask.Kept != nil && ru.recorded(plan) {
				ru.ask.Kept(ru.c.Name)
			}
			continue
		}
		if step.Action == rotation.MarkLeaked {
			if errors.Is(err, errDrift) || errors.Is(err, errTooLate) {
				return err // the run cannot trust the time
			}
			unmarked = err // the revocation continues without the mark
			continue
		}
		if step.Action == rotation.RestartConsumer || (step.Action == rotation.Publish && ru.fresh.stored) || step.Action == rotation.Copy {
			ru.explainStore(step, err)
			late = errors.Join(late, err)
			unwritten = unwritten || step.Action != rotation.RestartConsumer
			continue
		}
		return errors.Join(unmarked, late, ru.explain(ctx, step, err))
	}
	if held := ru.out.Result == ResultBlocked || ru.out.Result == ResultInProgress; ru.fresh != nil && ru.fresh.stored && !held {
		ru.out.Result = ResultPublished
	}
	return errors.Join(unmarked, late)
}

// endsHeld reports whether a step ends a key that consumers may hold. A contained
// key has already ended.
func (ru *run) endsHeld(s rotation.Step) bool {
	switch s.Action {
	case rotation.Supersede:
		return true
	case rotation.Disable, rotation.Retire:
		contained := ru.ask.Trigger.Contain && s.Key == ru.ask.Trigger.Leaked
		return s.Reason == rotation.KeyLeaked && !contained
	}
	return false
}

// takeStep makes the calls of one step. A run that is too old to write does not
// start one.
func (ru *run) takeStep(ctx context.Context, s rotation.Step) error {
	if err := ru.mayWrite(ctx, time.Time{}); err != nil {
		return err
	}
	switch s.Action {
	case rotation.CreateIdentity:
		return ru.createIdentity(ctx)
	case rotation.RemoveDuplicate:
		return ru.removeDuplicate(ctx, s.Target)
	case rotation.Rename:
		return ru.rename(ctx)
	case rotation.RemoveIdentity:
		return ru.removeIdentity(ctx)
	case rotation.MarkLeaked:
		return ru.change(ctx, s.Key, KeyChange{Leaked: s.At}, func(k rotation.Key) bool { return !k.Leaked.IsZero() })
	case rotation.Disable:
		return ru.disable(ctx, s)
	case rotation.Extend:
		return ru.changeAsRead(ctx, s.Key, func(k rotation.Key) (KeyChange, bool) {
			return KeyChange{Expires: s.At}, k.Leaked.IsZero() && k.Expires.Before(s.At)
		})
	case rotation.Adopt:
		return ru.adopt(ctx, s)
	case rotation.GrantPolicy:
		if group, ok := strings.CutPrefix(s.Target, groupLabel); ok {
			return ru.join(ctx, group)
		}
		return ru.grant(ctx, s.Target)
	case rotation.Unfuse:
		return ru.change(ctx, s.Key, KeyChange{Expires: ru.unfused(s)},
			func(k rotation.Key) bool { return !k.Superseded.IsZero() || !k.Expires.Before(ru.unfused(s)) })
	case rotation.Supersede:
		return ru.supersede(ctx, s)
	case rotation.Remember:
		return ru.change(ctx, s.Key, KeyChange{Renew: s.At},
			func(k rotation.Key) bool { return !k.Renew.Before(s.At) })
	case rotation.Retire:
		return ru.retire(ctx, s)
	case rotation.Mint:
		return ru.mint(ctx, s.Reason)
	case rotation.Prove:
		return ru.prove(ctx)
	case rotation.Publish:
		return ru.publish(ctx, s.Target)
	case rotation.Copy:
		return ru.copy(ctx, s)
	case rotation.RestartConsumer:
		return ru.restart(ctx, s)
	}
	return fmt.Errorf("taking step: unknown action %q", s.Action)
}
