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

// onFailure is what a failed step means for the steps after it.
type onFailure int

const (
	stop           onFailure = iota // the later steps need this one
	goOn                            // none does
	goOnMintNot                     // it was to make room for a new key
	goOnEndNot                      // a consumer may still have an old key, which must not end
	goOnRestartNot                  // the same, and no consumer may get the new key yet
)

// failures says for each action what its failure means. A step that only tidies up
// ends no round.
var failures = map[rotation.Action]onFailure{
	rotation.RemoveDuplicate: goOn, rotation.CreateIdentity: stop, rotation.Rename: goOn, rotation.GrantPolicy: stop,
	rotation.Unfuse: goOnRestartNot, rotation.Remember: goOn, rotation.MarkLeaked: goOn, rotation.Disable: goOnMintNot,
	rotation.Adopt: stop, rotation.Extend: goOn, rotation.Retire: goOnMintNot, rotation.Supersede: goOn,
	rotation.Mint: stop, rotation.Prove: stop, rotation.Publish: stop, rotation.Copy: goOnRestartNot,
	rotation.RemoveIdentity: goOn, rotation.RestartConsumer: goOnEndNot,
}

// afterwards returns what the failure of a step means for the later ones.
func (ru *run) afterwards(s rotation.Step, err error) onFailure {
	after := failures[s.Action]
	switch {
	case errors.Is(err, errDrift), errors.Is(err, errTooLate), errors.Is(err, errUnread):
		return stop // the run cannot trust the time, or what it has read
	case s.Action == rotation.Publish && ru.fresh.stored:
		return goOnRestartNot // a store after the first
	case s.Action == rotation.Unfuse && s.Key != rotation.NewKey && (ru.fresh == nil || s.Key != ru.fresh.ID):
		return goOn
	case s.Action == rotation.Retire && s.Reason == rotation.IsExpired, s.Reason == rotation.KeyLeaked && after == goOnMintNot:
		return goOn // it does not count toward the number of live keys
	}
	return after
}

// apply takes the steps in order. What a failure means for the others is in
// failures.
func (ru *run) apply(ctx context.Context, plan rotation.Plan) error {
	defer ru.recordLate(ctx, plan)()
	var failed error
	worst := goOn
	for _, step := range plan.Steps {
		switch {
		case worst == goOnMintNot && step.Action == rotation.Mint:
			return failed
		case worst >= goOnEndNot && ru.endsHeld(step):
			continue // a consumer may still hold the old key
		case worst == goOnRestartNot && step.Action == rotation.RestartConsumer:
			continue // its store may not have the key, or the fuse may end the key
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
		failed = errors.Join(failed, err)
		after := ru.afterwards(step, err)
		switch {
		case after == stop:
			ru.explain(ctx, step, err)
			return failed
		case after >= goOnEndNot && step.Action != rotation.Unfuse:
			ru.explainStore(step, err)
		case errors.Is(err, ErrDenied) && step.Action != rotation.MarkLeaked && ru.out.Result != ResultBlocked:
			ru.block(rotation.IdentityDenied, err)
		}
		worst = max(worst, after)
	}
	if held := ru.out.Result == ResultBlocked || ru.out.Result == ResultInProgress; ru.fresh != nil && ru.fresh.stored && !held {
		ru.out.Result = ResultPublished
	}
	return failed
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
