package reconcile

import (
	"context"
	"errors"
	"slices"

	"github.com/latchkey-io/latchkey/internal/fault"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// recording is the write of a demand on the published key. It is made beside the
// other steps: none needs it, so no new key waits for it.
type recording struct {
	step protocol.Step
	at   int // of the step in the outcome
	done chan struct{}
	err  error // valid once done is closed
}

// startRecording starts to record the demand if the plan begins with that. It returns
// the steps that follow.
func (ru *run) startRecording(ctx context.Context, steps []protocol.Step) (*recording, []protocol.Step) {
	rec := &recording{at: len(ru.out.Steps), done: make(chan struct{})}
	if len(steps) == 0 || steps[0].Action != protocol.Record {
		close(rec.done)
		return rec, steps
	}
	rec.step = steps[0]
	ru.out.Steps = append(ru.out.Steps, result.Step{Step: rec.step, Error: "under way"})
	go func() {
		defer close(rec.done)
		if rec.err = ru.rescue(func() error { return ru.takeStep(ctx, rec.step) }); rec.err == nil {
			ru.renewed.Store(&rec.step)
		}
		if rec.err == nil && ru.req.Recorded != nil {
			ru.req.Recorded(ru.c.Name)
		}
	}()
	return rec, steps[1:]
}

// before returns the error of the recording if no later step may be taken. A step that
// changes the same key waits for the recording.
func (rec *recording) before(s protocol.Step) error {
	if s.Key == rec.step.Key {
		<-rec.done
	}
	select {
	case <-rec.done:
		if untrusted(rec.err) {
			return rec.err
		}
	default:
	}
	return nil
}

// endRecording waits for the recording and adds it to the outcome. A demand that is met
// needs no record.
func (ru *run) endRecording(ctx context.Context, rec *recording) error {
	if <-rec.done; rec.step.Action == "" {
		return nil
	}
	ru.out.Steps[rec.at].Error = ru.logStep(ctx, rec.step, rec.err)
	if rec.err == nil || ru.fresh != nil && ru.fresh.stored {
		return nil
	}
	ru.explainStep(ctx, rec.step, rec.err, goOn)
	return rec.err
}

// recordRefusal records on a new key that it could not be published, and why. Later
// runs then do not mint a key at every sweep.
func (ru *run) recordRefusal(ctx context.Context, s protocol.Step, err error) {
	if ru.fresh == nil || fault.Is(err, observe.ErrAgain, fence.ErrDrift, fence.ErrTooLate, fault.ErrUnread, fault.ErrWithdrawal) || s.Action != protocol.Prove && s.Action != protocol.Publish {
		return
	}
	final := fault.Final(err)
	why := fault.OfStore(err)
	switch {
	case !final && ru.fresh.stored:
		return // the next run copies the key, or tries again
	case final && ru.out.Result == result.Blocked:
		why = ru.out.Reason
	case s.Action == protocol.Prove, errors.Is(err, fault.ErrUncleared):
		why = reason.ProofUnclear
	}
	at := ru.now()
	err = ru.change(ctx, ru.fresh.ID, port.KeyChange{Refused: at, Refusal: why}, func(k protocol.Key) bool { return !k.Refused.IsZero() })
	if err != nil {
		ru.log.Warn("recording why a key could not be published", "key", ru.fresh.ID, "error", err.Error())
		return
	}
	if !ru.fresh.stored {
		ru.out.Next = ru.nextTry(at, why)
	}
}

// recorded reports whether the demand is met or recorded, or will never be. Without a
// service ID it is not, because sweeps find credentials by their markers.
func (ru *run) recorded(plan protocol.Plan) bool {
	if plan.Blocked == reason.KeyUnwanted {
		return true
	}
	if ru.id.ID == "" {
		return false
	}
	t := ru.wanted
	if t == (protocol.Trigger{}) || plan.Blocked == reason.KeyForeign {
		return true
	}
	if t.Leaked != "" {
		return ru.leakRecorded(t.Leaked)
	}
	switch i := slices.IndexFunc(ru.facts.Keys, func(k protocol.Key) bool { return k.ID == plan.Published }); {
	case ru.fresh != nil && ru.fresh.stored:
		return true
	case t.NotKey != "" && (ru.facts.Unseen(t.NotKey) || ru.facts.Unread()):
		return false // a store may name that key
	case i < 0:
		return ru.untouched() // then any key that is published is a new one
	default:
		return !t.Unmet(ru.facts.Keys[i]) || !ru.facts.Keys[i].Renew.Before(t.NewerThan) || ru.out.Took(protocol.Record, plan.Published)
	}
}

func (ru *run) leakRecorded(id string) bool {
	i := slices.IndexFunc(ru.facts.Keys, func(k protocol.Key) bool { return k.ID == id })
	if i < 0 {
		return !ru.facts.Unseen(id) && ru.facts.Stranger != id
	}
	return !ru.facts.Keys[i].Leaked.IsZero() || ru.out.Took(protocol.MarkLeaked, id)
}

// untouched reports whether the credential has no key, and no store names one.
func (ru *run) untouched() bool {
	return len(ru.facts.Keys) == 0 && ru.c.AdoptKey == "" && !ru.c.Gone && !slices.ContainsFunc(ru.facts.Entries, func(e observe.Reading) bool { return e.Err != nil || e.KeyID != "" })
}
