package reconcile

import (
	"cmp"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// state returns the input of Decide.
func (ru *run) state() protocol.State {
	excess, left := ru.excess()
	s := protocol.State{
		Paused:    ru.c.Paused,
		Keys:      ru.facts.Keys,
		Foreign:   ru.facts.Foreign[ru.id.IAMID],
		Consumers: ru.facts.Consumers,
		Skew:      ru.fence.Offset(),
		Storm:     ru.overForced(ru.dueByDemand()),
		LeakStorm: ru.overForced(reason.KeyLeaked),
		Gone:      ru.c.Gone,
		Stranger:  ru.facts.Stranger,
		Adopting:  ru.c.AdoptKey,
		Identity: protocol.Identity{
			Exists: ru.id.ID != "", Created: ru.id.Created, Locked: ru.id.Locked, NameTaken: ru.facts.Taken, Collides: ru.facts.Collision() != nil,
			Posing: ru.facts.Posing, Twice: ru.facts.Twice, Newer: ru.facts.Newer,
			Unsatisfied: append(access.Missing(ru.c.Policies, left), ru.outside()...), Given: ru.c.Given != "",
			Excess: access.Removable(excess, ru.c.Policies, left, ru.now(), ru.c.Rules.Window),
		},
	}
	for _, d := range ru.facts.Ours {
		if ru.bearsFormer(d) {
			s.Identity.Former = d.Marker.Credential
			continue // it is renamed before it is removed
		}
		if d.ID != ru.id.ID && !ru.facts.Busy[d.ID] && !d.Locked && ru.now().Sub(d.Created) >= ru.c.Rules.Window {
			s.Identity.Duplicates = append(s.Identity.Duplicates, d.ID)
		}
	}
	for _, e := range ru.facts.Entries {
		s.Stores = append(s.Stores, ru.storeState(e))
	}
	return s
}

// storeState returns one store as Decide sees it.
func (ru *run) storeState(e observe.Reading) protocol.Store {
	st := protocol.Store{
		Name: e.Store.Name(), Guarded: e.Store.Guarded(), Required: !ru.c.Optional[e.Store.Name()],
		Key: e.KeyID, Created: e.Created, Readable: !e.Value.Empty() && !e.Altered && !e.Unproven, Altered: e.Altered,
	}
	if ru.facts.Strange[e.KeyID] {
		st.Key, st.Foreign = "", e.KeyID
	}
	switch {
	case e.Err != nil:
		st.Fault = storeFault(e.Err)
		ru.log.Warn("reading store", "store", st.Name, "error", e.Err.Error())
	case ru.facts.Adopted[st.Name]:
		st.Adoptable = ru.c.AdoptKey
	case e.Unmarked() && !ru.c.Overwrite:
		st.Fault = reason.EntryUnmarked
	case e.Owner != "" && e.Owner != ru.Owner:
		st.Fault = reason.EntryForeign
	}
	return st
}

// outside returns the access groups that the service ID must join, as targets of
// steps.
func (ru *run) outside() (labels []string) {
	for _, want := range ru.c.Groups {
		if !slices.ContainsFunc(ru.facts.Member, func(g port.Group) bool { return g.ID == want || g.Name == want }) {
			labels = append(labels, groupLabel+want)
		}
	}
	return labels
}

const groupLabel = "membership of "

// decide plans, and sets the observed state in the outcome.
func (ru *run) decide() protocol.Plan {
	s := ru.state()
	now := ru.fence.Started()
	ru.wanted = ru.req.Trigger
	if ru.fence.Offset().Abs() <= ru.c.Rules.MaxSkew { // else the time is unknown, and the plan is blocked
		ru.wanted = clamp(ru.wanted, now)
	}
	ru.wanted = ru.wanted.Resolve(ru.facts.Keys)
	plan := ru.planner()(s, ru.c.Rules, ru.wanted, now)
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
	ru.out.Key, ru.out.KeyCreated, ru.out.KeyExpires = "", time.Time{}, time.Time{}
	for _, k := range s.Keys {
		if k.ID == plan.Published {
			ru.out.Key, ru.out.KeyCreated, ru.out.KeyExpires = k.ID, k.Created, k.Expires
		}
	}
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
