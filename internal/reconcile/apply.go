package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/fault"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// patience is how long a proof or a read-back waits for IAM's lag.
const patience = 60 * time.Second

// round observes, decides and applies once.
func (ru *run) round(ctx context.Context) error {
	if err := ru.observe(ctx); err != nil {
		return err
	}
	begun := len(ru.out.Steps)
	plan := ru.decide()
	err := ru.apply(ru.fence.Within(ctx), plan)
	if err == nil && ru.lasts(plan) { // without a new key, something else may be due
		taken := result.Outcome{Steps: ru.out.Steps[begun:]}
		plan = ru.decide()
		plan.Steps = slices.DeleteFunc(plan.Steps, taken.Done)
		err = ru.apply(ru.fence.Within(ctx), plan)
	}
	ru.keepRefusal(ru.fence.Within(ctx), plan, err)
	ru.out.Recorded = ru.recorded(plan)
	ru.addNotes(plan)
	ru.setFacts(plan)
	adopts := slices.ContainsFunc(plan.Steps, func(s protocol.Step) bool { return s.Action == protocol.Adopt })
	if err == nil && adopts && !ru.out.Recorded {
		return fmt.Errorf("%w: the demand is for the adopted key", observe.ErrAgain)
	}
	return err
}

// onFailure is what a failed step means for the steps after it.
type onFailure int

const (
	stop           onFailure = iota // the later steps need this one
	goOn                            // none does
	goOnMintNot                     // a new key needs it
	goOnEndNot                      // a consumer may still have an old key, which must not end
	goOnRestartNot                  // the same, and no consumer may get the new key yet
)

// afterwards returns what the failure of a step means for the later ones.
func (ru *run) afterwards(s protocol.Step, err error) onFailure {
	after := actions[s.Action].failed
	switch {
	case untrusted(err), ru.left:
		return stop
	case s.Action == protocol.Publish && ru.fresh.stored:
		return goOnEndNot // a store after the first
	case s.Action == protocol.Unfuse && s.Key != ru.before && ru.changesOld(s):
		return goOn // no consumer gets it in this run
	case ru.leavesRoom(s, err, after):
		return goOn
	}
	return after
}

// leavesRoom reports whether a key that could not be ended leaves room for a new one.
func (ru *run) leavesRoom(s protocol.Step, err error, after onFailure) bool {
	switch {
	case s.Reason == reason.KeyLeaked:
		return after == goOnMintNot // it does not count toward the number of live keys
	case s.Action != protocol.Retire:
		return false
	case s.Reason == reason.NeverPublished: // its fuse ends it
		return (ru.withdrawn == s.Key || fault.Is(err, port.ErrDenied, port.ErrRefused)) && ru.facts.Count(ru.works) < ru.c.Rules.MaxKeys
	}
	return s.Reason == reason.IsExpired
}

// untrusted reports whether the run can't trust the time, or what it has read.
func untrusted(err error) bool {
	return fault.Is(err, fence.ErrDrift, fence.ErrTooLate, fault.ErrUnread)
}

// tidies reports whether a step only removes a key, a policy or a service ID that has no
// use any more, such as a leaked key that has ended. Its failure becomes a note, and the
// run goes on.
func (ru *run) tidies(s protocol.Step) bool {
	over := s.Reason == reason.IsExpired || s.Reason == reason.NeverPublished || s.Reason == reason.KeyLeaked && !ru.works(ru.facts.Newest(s.Key))
	ends := s.Action == protocol.Retire || s.Action == protocol.Disable
	return s.Action == protocol.RemoveDuplicate || s.Action == protocol.NarrowPolicy || ends && over
}

// works reports whether a key may authenticate, as far as is known.
func (ru *run) works(k protocol.Key) bool {
	return k.Live(ru.now()) && !ru.out.Took(protocol.Disable, k.ID) && !ru.out.Took(protocol.Retire, k.ID)
}

// apply takes the steps of a plan, and records the demand beside them.
func (ru *run) apply(ctx context.Context, plan protocol.Plan) error {
	rec, steps := ru.startRecording(ctx, plan.Steps)
	err := ru.rescue(func() error { return ru.takeSteps(ctx, plan, steps, rec) }) // else nothing waits for the recording
	return errors.Join(err, ru.endRecording(ctx, rec))
}

// takeSteps takes the steps in order. What a failure means for the others is in
// actions. A step that is spared has failed.
func (ru *run) takeSteps(ctx context.Context, plan protocol.Plan, steps []protocol.Step, rec *recording) (failed error) {
	worst, mintNot, begun := goOn, false, len(ru.out.Steps)
	for _, step := range steps {
		if step.Action == protocol.Mint && (mintNot || ru.lasts(plan)) {
			return failed
		}
		if ru.spared(step, ru.out.Steps[begun:], worst) {
			worst = max(worst, actions[step.Action].failed)
			continue
		}
		if step.Key == protocol.NewKey && ru.fresh != nil {
			step.Key = ru.fresh.ID
		}
		if err := rec.before(step); err != nil {
			return errors.Join(failed, err)
		}
		err := ru.takeStep(ctx, step)
		if err = ru.staying(step, err); errors.Is(err, observe.ErrAgain) {
			return err
		}
		ru.addStep(ctx, step, err)
		if err == nil {
			ru.tellRecorded(plan)
			continue
		}
		after, err := ru.settleFailure(ctx, step, err)
		failed = errors.Join(failed, err)
		if worst = max(worst, after); after == stop {
			return failed
		}
		mintNot = mintNot || after >= goOnMintNot && !ru.fuseEnds(step, err)
	}
	return ru.finish(plan, begun, failed)
}

// staying returns a conflict in the last round as one that stays: the state has not
// changed. It returns other errors as they are.
func (ru *run) staying(s protocol.Step, err error) error {
	if errors.Is(err, observe.ErrAgain) && ru.last && ru.changesOld(s) {
		return fmt.Errorf("%w: in %d rounds: %s", port.ErrConflict, maxRounds, err.Error())
	}
	return err
}

// lasts reports whether a key is to be minted because the published one ends soon, and
// IAM has answered since that it does not.
func (ru *run) lasts(plan protocol.Plan) bool {
	soon := func(s protocol.Step) bool { return s.Action == protocol.Mint && s.Reason == reason.ExpiresSoon }
	return slices.ContainsFunc(plan.Steps, soon) && !ru.state().Key(plan.Published).EndsSoon(ru.c.Rules, ru.fence.Started())
}

// fuseEnds reports whether a step could not give a key its full lifetime and its fuse
// ends soon. A new key must replace it before. After a conflict the state may have changed.
func (ru *run) fuseEnds(s protocol.Step, err error) bool {
	return s.Action == protocol.Unfuse && !errors.Is(err, port.ErrConflict) && ru.facts.Newest(s.Key).FuseEnds(ru.c.Rules, ru.now())
}

// settleFailure sets the outcome of a step that failed, and returns what that means
// for the later ones. The failure of a step that only tidies up is a note.
func (ru *run) settleFailure(ctx context.Context, step protocol.Step, err error) (onFailure, error) {
	after := ru.afterwards(step, err)
	if after == goOn && ru.tidies(step) {
		ru.noteCleanUp(step, err)
		return goOn, nil
	}
	ru.explainStep(ctx, step, err, after)
	ru.recordRefusal(ctx, step, err)
	return after, err
}

// changesOld reports whether a step changes or ends a key or a service ID that
// other steps do not need.
func (ru *run) changesOld(s protocol.Step) bool {
	fresh := ru.fresh != nil && s.Key == ru.fresh.ID
	return actions[s.Action].old && !fresh
}

// tellRecorded tells the caller once the demand is met or recorded.
func (ru *run) tellRecorded(plan protocol.Plan) {
	if ru.req.Recorded != nil && ru.recorded(plan) {
		ru.req.Recorded(ru.c.Name)
	}
}

// finish sets the result of a round that published a key and that nothing blocks, and
// returns the error of its steps. A key that was deleted need not have been disabled. The
// reason says what else is held back.
func (ru *run) finish(plan protocol.Plan, begun int, failed error) error {
	matters := func(s result.Step) bool { return s.Error != "" && !ru.needless(s.Step) }
	if failed != nil && !slices.ContainsFunc(ru.out.Steps[begun:], matters) {
		failed, ru.out.Result, ru.out.Reason, ru.out.Message = nil, result.Unchanged, "", ""
		ru.setHeldBack(plan)
	}
	switch stored := ru.fresh != nil && ru.fresh.stored; {
	case !stored || ru.out.HeldBack():
	case failed == nil:
		ru.set(result.Published, plan.Left, ru.facts.Cause(plan.Left))
	default:
		ru.out.Result = result.Published
	}
	return failed
}

// spared reports whether an earlier failure keeps a step from being taken. A
// consumer may still hold the old key, its store may not have the new one, the
// fuse may end the new one, or an overlap that could not be extended ends it.
func (ru *run) spared(s protocol.Step, taken []result.Step, worst onFailure) bool {
	restarts, store := s.Action == protocol.RestartConsumer, ru.facts.StoreOf(s)
	lacks := func(st result.Step) bool {
		writes := restarts && (st.Action == protocol.Publish || st.Action == protocol.Copy) && (store == "" || store == st.Target)
		return st.Error != "" && (writes || st.Action == protocol.Extend && st.Key == s.Key)
	}
	if (restarts || s.Action == protocol.Copy) && slices.ContainsFunc(taken, lacks) {
		return true
	}
	return worst >= goOnEndNot && ru.endsHeld(s) || worst == goOnRestartNot && restarts
}

// addStep adds a step to the outcome and the log.
func (ru *run) addStep(ctx context.Context, step protocol.Step, err error) {
	done := result.Step{Step: step}
	if step.Action == protocol.Mint && ru.fresh != nil {
		done.Key = ru.fresh.ID
	}
	done.Error = ru.logStep(ctx, done.Step, err)
	ru.out.Steps = append(ru.out.Steps, done)
}

// logStep logs a step, and returns the text of its error.
func (ru *run) logStep(ctx context.Context, step protocol.Step, err error) (text string) {
	level := slog.LevelInfo
	if err != nil {
		text, level = err.Error(), slog.LevelWarn
		ru.setStoreError(step, err)
	}
	ru.log.LogAttrs(ctx, level, "step", filled("action", string(step.Action), "key", step.Key, "target", step.Target,
		"reason", string(step.Reason), "error", text)...)
	return text
}

// endsHeld reports whether a step ends a key that consumers may hold. A contained
// key has already ended.
func (ru *run) endsHeld(s protocol.Step) bool {
	switch s.Action {
	case protocol.Supersede:
		return true
	case protocol.Disable, protocol.Retire:
		contained := ru.req.Trigger.Contain && s.Key == ru.req.Trigger.Leaked
		return s.Reason == reason.KeyLeaked && !contained
	}
	return false
}

// takeStep makes the calls of one step. A run that is too old to write does not
// start one.
func (ru *run) takeStep(ctx context.Context, s protocol.Step) error {
	if err := ru.fence.MayWrite(ctx); err != nil {
		return err
	}
	row, ok := actions[s.Action]
	if !ok {
		return fmt.Errorf("taking step: unknown action %q", s.Action)
	}
	return row.take(ru, ctx, s)
}

// action is a row of the table of actions.
type action struct {
	take   func(*run, context.Context, protocol.Step) error // makes the calls
	failed onFailure                                        // what a failure means, if afterwards knows nothing better
	old    bool                                             // it changes a key or a service ID that other steps do not need
}

var actions = map[protocol.Action]action{
	protocol.RemoveDuplicate: {take: (*run).removeDuplicate, failed: goOn, old: true},
	protocol.CreateIdentity:  {take: (*run).createIdentity, failed: stop},
	protocol.Rename:          {take: (*run).rename, failed: goOn, old: true},
	protocol.GrantPolicy:     {take: (*run).grant, failed: stop},
	protocol.NarrowPolicy:    {take: (*run).narrow, failed: goOn, old: true},
	protocol.Unfuse:          {take: (*run).unfuse, failed: goOnRestartNot, old: true},
	protocol.Record:          {take: (*run).record, failed: goOn},
	protocol.MarkLeaked:      {take: (*run).markLeaked, failed: goOn},
	protocol.Disable:         {take: (*run).disable, failed: goOnMintNot},
	protocol.Adopt:           {take: (*run).adopt, failed: stop},
	protocol.Extend:          {take: (*run).extend, failed: goOn, old: true},
	protocol.Retire:          {take: (*run).retire, failed: goOnMintNot, old: true},
	protocol.Supersede:       {take: (*run).supersede, failed: goOn, old: true},
	protocol.Mint:            {take: (*run).mint, failed: stop},
	protocol.Prove:           {take: (*run).prove, failed: stop},
	protocol.Publish:         {take: (*run).publish, failed: stop},
	protocol.Copy:            {take: (*run).copy, failed: goOnEndNot},
	protocol.RemoveIdentity:  {take: (*run).removeIdentity, failed: goOn},
	protocol.RestartConsumer: {take: (*run).restart, failed: goOnEndNot},
	protocol.MarkEnd:         {take: (*run).markEnd, failed: stop},
	protocol.Suspend:         {take: (*run).suspend, failed: stop},
	protocol.Enable:          {take: (*run).enable, failed: stop},
	protocol.UnmarkEnd:       {take: (*run).unmarkEnd, failed: stop},
	protocol.RemoveEntry:     {take: (*run).removeEntry, failed: stop},
	protocol.CreateProfile:   {take: (*run).createProfile, failed: stop},
	protocol.GrantProfile:    {take: (*run).grantProfile, failed: stop},
	protocol.LinkProfile:     {take: (*run).linkProfile, failed: stop},
	protocol.RemoveProfile:   {take: (*run).removeProfile, failed: goOn},
}
