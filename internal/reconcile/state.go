package reconcile

import (
	"cmp"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// state returns the input of Decide. Keys whose fuses this run has moved out end when IAM
// has answered that they do.
func (ru *run) state() protocol.State {
	s := ru.facts.State(ru.id).Unfused(ru.c.Rules, ru.ends)
	s.Storm, s.LeakStorm = ru.overForced(ru.dueByDemand()), ru.overForced(reason.KeyLeaked)
	return s
}

// decide plans, and sets the observed state, and what holds the run back, in the outcome.
func (ru *run) decide() protocol.Plan {
	s := ru.state()
	now := ru.fence.Started()
	ru.wanted = ru.req.Trigger
	if ru.fence.Offset().Abs() <= ru.c.Rules.MaxSkew { // else the time is unknown, and the plan is blocked
		ru.wanted = clamp(ru.wanted, now)
	}
	ru.wanted = ru.wanted.Resolve(ru.facts.Keys)
	s.Spread = ru.req.Routine != nil
	plan := ru.planner()(s, ru.c.Rules, ru.wanted, now)
	if len(plan.Later) > 0 && ru.req.Routine() {
		s.Spread = false
		plan = ru.planner()(s, ru.c.Rules, ru.wanted, now)
	}
	// A run that lost to another replica does not mint again. A lagging list may hide
	// the rival key, and the next key would lose to it again.
	if i := slices.IndexFunc(plan.Steps, func(s protocol.Step) bool { return s.Action == protocol.Mint }); i >= 0 && ru.spent {
		plan.Steps, plan.Waiting = plan.Steps[:i], reason.InProgress
	}
	plan, _ = ru.leave(plan)
	if ru.facts.Login && !ru.req.Force {
		plan.Steps, plan.Waiting, plan.Blocked = nil, "", reason.OwnLogin
	}
	ru.before = plan.Published
	ru.out.ServiceID = ru.id.ID
	ru.out.Next = plan.Next
	ru.out.Stores = nil
	for i, st := range s.Stores {
		so := result.Store{Name: st.Name, Key: cmp.Or(st.Key, st.Foreign), Fault: st.Fault, Altered: st.Altered}
		if err := ru.facts.Entries[i].Err; err != nil {
			so.Error = fence.Words(err)
		}
		ru.out.Stores = append(ru.out.Stores, so)
	}
	k := s.Key(plan.Published)
	ru.out.Key, ru.out.KeyCreated, ru.out.KeyExpires = k.ID, k.Created, k.Expires
	ru.setHeldBack(plan)
	return plan
}

// planner returns the function that plans.
func (r *Reconciler) planner() func(protocol.State, protocol.Rules, protocol.Trigger, time.Time) protocol.Plan {
	if r.Decide != nil {
		return r.Decide
	}
	return rotation.Decide
}

// nextTry returns when the next look is useful after the new key was refused.
func (ru *run) nextTry(at time.Time, why reason.Reason) time.Time {
	s, refused := ru.state(), ru.fresh.Key
	refused.Refused, refused.Refusal = at, why
	s.Keys = append(slices.Clone(s.Keys), refused)
	return ru.planner()(s, ru.c.Rules, ru.wanted, at).Next
}

// clamp limits a demand to the present. A sender's clock may be ahead, and a key
// can't be newer than now.
func clamp(t protocol.Trigger, now time.Time) protocol.Trigger {
	if latest := now.Add(fence.Ahead); t.NewerThan.After(latest) {
		t.NewerThan = latest
	}
	return t
}
