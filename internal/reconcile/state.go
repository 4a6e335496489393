package reconcile

import (
	"cmp"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// named reports whether a store that was read names the key.
func (ru *run) named(keyID string) bool {
	return slices.ContainsFunc(ru.entries, func(e reading) bool { return e.err == nil && e.KeyID == keyID })
}

// unseen reports whether a store names the key, and IAM does not return it, but the
// key is so young that this proves nothing.
func (ru *run) unseen(keyID string) bool {
	return !ru.listed(keyID) && !ru.strange[keyID] && slices.ContainsFunc(ru.entries, func(e reading) bool {
		return e.err == nil && e.KeyID == keyID && ru.now().Before(e.Created.Add(2*ru.c.Rules.Window))
	})
}

func (ru *run) listed(keyID string) bool {
	return slices.ContainsFunc(ru.keys, func(k rotation.Key) bool { return k.ID == keyID })
}

func (ru *run) ourIdentity(iamID string) bool {
	return slices.ContainsFunc(ru.ours, func(d port.ServiceID) bool { return d.IAMID == iamID })
}

// state returns the input of Decide.
func (ru *run) state() rotation.State {
	excess, left := ru.narrowable()
	s := rotation.State{
		Paused:    ru.c.Paused,
		Keys:      ru.keys,
		Foreign:   ru.foreign[ru.id.IAMID],
		Consumers: ru.serving,
		Skew:      ru.fence.Offset(),
		Storm:     ru.overForced(ru.dueByDemand()),
		LeakStorm: ru.overForced(rotation.KeyLeaked),
		Gone:      ru.c.Gone,
		Stranger:  ru.other,
		Adopting:  ru.c.AdoptKey,
		Identity: rotation.Identity{
			Exists: ru.id.ID != "", Created: ru.id.Created, Locked: ru.id.Locked, NameTaken: ru.taken, Collides: ru.collision() != nil,
			Posing: ru.posing, Twice: ru.twice, Newer: ru.ahead,
			Unsatisfied: append(access.Missing(ru.c.Policies, left), ru.outside()...), Given: ru.c.Given != "",
			Excess: ru.settledExcess(excess, left),
		},
	}
	if m := ru.id.Marker; ru.id.Marked && ru.c.Given == "" && m.Credential != ru.c.Name {
		s.Identity.Former = m.Credential
	}
	for i, k := range ru.keys {
		ru.keys[i].Elsewhere = ru.home[k.ID] != ru.id.IAMID
	}
	for _, d := range ru.ours {
		if d.ID != ru.id.ID && !ru.busy[d.ID] && !d.Locked && ru.now().Sub(d.Created) >= ru.c.Rules.Window {
			s.Identity.Duplicates = append(s.Identity.Duplicates, d.ID)
		}
	}
	for _, e := range ru.entries {
		s.Stores = append(s.Stores, ru.storeState(e))
	}
	return s
}

// storeState returns one store as Decide sees it.
func (ru *run) storeState(e reading) rotation.Store {
	st := rotation.Store{
		Name: e.store.Name(), Guarded: e.store.Guarded(), Required: !ru.c.Optional[e.store.Name()],
		Key: e.KeyID, Created: e.Created, Readable: !e.Value.Empty() && !e.altered && !e.unproven, Altered: e.altered,
	}
	if ru.strange[e.KeyID] {
		st.Key, st.Foreign = "", e.KeyID
	}
	switch {
	case e.err != nil:
		st.Fault = storeFault(e.err)
		ru.log.Warn("reading store", "store", st.Name, "error", e.err.Error())
	case ru.adopted[st.Name]:
		st.Adoptable = ru.c.AdoptKey
	case e.Unmarked() && !ru.c.Overwrite:
		st.Fault = rotation.EntryUnmarked
	case e.Owner != "" && e.Owner != ru.Owner:
		st.Fault = rotation.EntryForeign
	}
	return st
}

// outside returns the access groups that the service ID must join, as targets of
// steps.
func (ru *run) outside() (labels []string) {
	for _, want := range ru.c.Groups {
		if !slices.ContainsFunc(ru.member, func(g port.Group) bool { return g.ID == want || g.Name == want }) {
			labels = append(labels, groupLabel+want)
		}
	}
	return labels
}

const groupLabel = "membership of "

// decide plans, and sets the observed state in the outcome.
func (ru *run) decide() rotation.Plan {
	s := ru.state()
	now := ru.fence.Started()
	ru.wanted = ru.req.Trigger
	if ru.fence.Offset().Abs() <= ru.c.Rules.MaxSkew { // else the time is unknown, and the plan is blocked
		ru.wanted = clamp(ru.wanted, now)
	}
	ru.wanted = ru.wanted.Resolve(ru.keys)
	plan := ru.planner()(s, ru.c.Rules, ru.wanted, now)
	plan, _ = ru.leave(plan)
	if ru.login && !ru.req.Force {
		plan.Steps, plan.Waiting, plan.Blocked = nil, "", rotation.OwnLogin
	}
	ru.before = plan.Published
	ru.out.ServiceID = ru.id.ID
	ru.out.Next = plan.Next
	ru.out.Stores = nil
	for i, st := range s.Stores {
		so := result.Store{Name: st.Name, Key: cmp.Or(st.Key, st.Foreign), Fault: st.Fault, Altered: st.Altered}
		if err := ru.entries[i].err; err != nil {
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
func (r *Reconciler) planner() func(rotation.State, rotation.Rules, rotation.Trigger, time.Time) rotation.Plan {
	if r.Decide != nil {
		return r.Decide
	}
	return rotation.Decide
}

// nextTry returns when the next look is useful after the new key was refused.
func (ru *run) nextTry(at time.Time, why rotation.Reason) time.Time {
	s, refused := ru.state(), ru.fresh.Key
	refused.Refused, refused.Refusal = at, why
	s.Keys = append(slices.Clone(s.Keys), refused)
	return ru.planner()(s, ru.c.Rules, ru.wanted, at).Next
}

// clamp limits a demand to the present. A sender's clock may be ahead, and a key
// can't be newer than now.
func clamp(t rotation.Trigger, now time.Time) rotation.Trigger {
	if latest := now.Add(fence.Ahead); t.NewerThan.After(latest) {
		t.NewerThan = latest
	}
	return t
}
