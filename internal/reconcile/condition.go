package reconcile

import (
	"errors"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// setKeys sets the keys as the steps left them.
func (ru *run) setKeys() {
	ru.out.Keys = nil
	for _, k := range ru.facts.Keys {
		switch {
		case ru.took(protocol.Retire, k.ID):
			continue
		case k.ID == ru.out.Replaced && !ru.out.ReplacedEnds.IsZero():
			k.Superseded, k.Expires = ru.now(), ru.out.ReplacedEnds
		case k.ID == ru.out.Key:
			k.Expires = ru.out.KeyExpires
		}
		k.Disabled = k.Disabled || ru.took(protocol.Disable, k.ID)
		ru.out.Keys = append(ru.out.Keys, k)
	}
	if ru.fresh != nil && ru.fresh.stored && !ru.facts.Listed(ru.fresh.ID) {
		ru.out.Keys = append(ru.out.Keys, ru.fresh.Key)
	}
}

// setFacts sets what the condition follows from, as the steps left it.
func (ru *run) setFacts(plan protocol.Plan) {
	now := ru.now()
	f := condition.Facts{Gone: ru.c.Gone || ru.left, SweepEvery: ru.c.Rules.SweepEvery, Key: ru.newestNamed(plan)}
	for _, k := range ru.facts.Keys {
		leaked := !k.Leaked.IsZero() || ru.took(protocol.MarkLeaked, k.ID)
		ended := ru.took(protocol.Disable, k.ID) || ru.took(protocol.Retire, k.ID)
		f.LeakedAlive = f.LeakedAlive || leaked && !ended && k.Live(now)
	}
	if ru.fresh != nil && ru.fresh.stored {
		f.Key = protocol.Key{ID: ru.fresh.ID, Created: ru.fresh.Created, Expires: ru.fresh.Expires}
	} else {
		f.Expiring = slices.ContainsFunc(plan.Notes, func(n protocol.Note) bool { return n.Reason == reason.Expiring })
	}
	for _, s := range plan.Steps {
		if !ru.done(s) {
			f.Due = append(f.Due, s)
		}
	}
	f.Due = append(f.Due, plan.Later...)
	ru.out.Facts, ru.out.Observed = f, now
	ru.setKeys()
	ru.setNext(now)
}

// setNext brings the next step forward to the end of a key. The steps may have given one
// an end, or published another.
func (ru *run) setNext(now time.Time) {
	for _, k := range ru.out.Keys {
		end := k.Expires.Add(ru.c.Rules.ExpiryMargin)
		if k.ID != ru.out.Key && k.Expires.After(now) && end.Before(ru.out.Next) {
			ru.out.Next = end
		}
	}
}

// newestNamed returns the published key, or the newest that a store names if none is
// published.
func (ru *run) newestNamed(plan protocol.Plan) (newest protocol.Key) {
	for _, k := range ru.facts.Keys {
		if k.ID == plan.Published || plan.Published == "" && ru.facts.Named(k.ID) && (newest.ID == "" || k.Compare(newest) > 0) {
			newest = k
		}
	}
	return newest
}

// done reports whether a step was taken without an error.
func (ru *run) done(s protocol.Step) bool {
	return slices.ContainsFunc(ru.out.Steps, func(t result.Step) bool {
		same := t.Key == s.Key || s.Key == protocol.NewKey || s.Key == ""
		return t.Error == "" && same && t.Action == s.Action && t.Target == s.Target && t.Reason == s.Reason
	})
}

// unobserved returns the outcome of a credential that err kept from being observed. If
// latchkey lacks a role, no retry helps. The next look is the next sweep.
func (r *Reconciler) unobserved(c port.Credential, err error) result.Outcome {
	out := result.Outcome{
		Credential: c.Name, Project: c.Project, Owner: c.Owner, Condition: condition.Unknown, Result: result.Unchanged,
		Reason: reason.Unobserved, Next: r.wall().Add(c.Rules.SweepEvery),
	}
	if errors.Is(err, port.ErrDenied) && !errors.Is(err, port.ErrLogin) {
		out.Condition, out.Result, out.Reason = condition.Blocked, result.Blocked, reason.IdentityDenied
		out.Message = ": " + fence.Words(err)
	}
	out.Message = out.Reason.Sentence() + out.Message
	return out
}
