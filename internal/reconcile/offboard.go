package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// leave returns the plan for the credential's end in place of the one for its keys. It
// returns false for a credential that goes on. Beside either, it plans for the
// credential's trusted profile. The notes about its keys are for one that goes on.
func (ru *run) leave(plan protocol.Plan) (protocol.Plan, bool) {
	if plan.Blocked == reason.Paused || plan.Blocked == reason.ClockSkew {
		return plan, false
	}
	demand := ru.c.Ending(ru.req.End, ru.now())
	profile := ru.keyless(plan, demand)
	s := ru.facts.Leaving(demand)
	if profile.End && s.Demand.Ask == "" {
		s.Demand.Ask = offboard.End
	}
	switch {
	case profile.Blocked != "":
		ru.left, ru.why = true, profile.Why
		return protocol.Plan{Published: plan.Published, Blocked: profile.Blocked, Next: profile.Until}, true
	case offboard.Concerns(s):
		end := offboard.Decide(s, ru.c.Offboard, ru.now())
		ru.left, ru.why = true, end.Why
		if demand.Ask == offboard.End && (end.Blocked != "" || end.Waiting == reason.InProgress) {
			profile.Steps = nil // the profile ends with its credential
		}
		plan = protocol.Plan{
			Published: plan.Published, Steps: append(profile.Steps, end.Steps...), Blocked: end.Blocked, Waiting: end.Waiting, Next: end.Until, Notes: profile.Notes,
		}
		if !s.Exists {
			plan = ru.unwanted(plan)
		}
		return plan, true
	case profile.NoKey:
		ru.left = true
		return ru.unwanted(protocol.Plan{Steps: profile.Steps, Next: plan.Next, Notes: profile.Notes}), true
	}
	plan.Notes = append(plan.Notes, profile.Notes...)
	if plan.Blocked == "" {
		plan.Steps = append(plan.Steps, profile.Steps...)
	}
	if profile.Until.After(ru.now()) && profile.Until.Before(plan.Next) {
		plan.Next = profile.Until
	}
	return ru.notAgain(plan)
}

// unwanted blocks the plan of a credential that has no key if another one is demanded.
func (ru *run) unwanted(plan protocol.Plan) protocol.Plan {
	if !ru.req.Trigger.NewerThan.IsZero() {
		plan.Blocked = reason.KeyUnwanted
	}
	return plan
}

// notAgain returns another plan for what came to its end, or was removed and is not made
// again. It returns false for a credential that goes on.
func (ru *run) notAgain(plan protocol.Plan) (protocol.Plan, bool) {
	vacant := !slices.ContainsFunc(ru.facts.Entries, func(e observe.Reading) bool { return e.Err != nil || e.KeyID != "" || !e.Value.Empty() })
	switch {
	case ru.c.Gone || !ru.c.NotAgain && !ru.c.Existing:
	case ru.id.ID == "" && plan.Blocked == "": // it came to its end
		ru.left = plan.Waiting == ""
		return ru.unwanted(protocol.Plan{Waiting: plan.Waiting, Next: plan.Next}), true
	case ru.c.NotAgain && vacant && ru.facts.HadKey():
		return protocol.Plan{Blocked: reason.EntryRemoved, Next: plan.Next}, true
	}
	return plan, false
}

// markEnd records on the service ID that the credential is deprovisioned, and unmarkEnd
// removes the record.
func (ru *run) markEnd(ctx context.Context, _ protocol.Step) error {
	return ru.setEnd(ctx, func(m *marker.Marker) { m.Deprovision = ru.now() })
}

func (ru *run) unmarkEnd(ctx context.Context, _ protocol.Step) error {
	return ru.setEnd(ctx, func(m *marker.Marker) { m.Deprovision = time.Time{} })
}

func (ru *run) setEnd(ctx context.Context, change func(*marker.Marker)) error {
	defer ru.memory.Forget(ru.c.Name)
	return ru.mark(ctx, ru.id, change)
}

// suspend marks a key and disables it. The mark comes first: an undo enables only keys
// that have it.
func (ru *run) suspend(ctx context.Context, s protocol.Step) error {
	rec, err := ru.get(ctx, s.Key)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil:
		return err
	case rec.Disabled:
		return nil // another replica, or a person
	}
	if _, err := ru.Keys.Update(ctx, rec, port.KeyChange{Suspended: ru.now()}); err != nil {
		return again(err)
	}
	return ru.Keys.Disable(ctx, s.Key)
}

// enable enables a key that a deprovisioning disabled.
func (ru *run) enable(ctx context.Context, s protocol.Step) error {
	return ru.Keys.Enable(ctx, s.Key)
}

// removeEntry removes our entry from a store. It is read again: another writer may have
// changed it.
func (ru *run) removeEntry(ctx context.Context, s protocol.Step) error {
	at := ru.facts.Reading(s.Target)
	now, err := ru.reread(ctx, at)
	if err != nil {
		return fmt.Errorf("removing the entry of %s: reading it again: %w", s.Target, err)
	}
	if now.KeyID != at.KeyID {
		return fmt.Errorf("%w: store %s names key %q now", observe.ErrAgain, s.Target, now.KeyID)
	}
	if err := at.Store.(port.Remover).Remove(ctx, now.Revision); err != nil {
		return again(err)
	}
	ru.setStoreKey(s.Target, "")
	return nil
}
