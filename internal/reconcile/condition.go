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
		case ru.out.Took(protocol.Retire, k.ID):
			continue
		case k.ID == ru.out.Replaced && !ru.out.ReplacedEnds.IsZero():
			k.Superseded, k.Expires = ru.now(), ru.out.ReplacedEnds
		case k.ID == ru.out.Key:
			k.Expires = ru.out.KeyExpires
		}
		k.Disabled = k.Disabled || ru.out.Took(protocol.Disable, k.ID)
		ru.out.Keys = append(ru.out.Keys, k)
	}
	if ru.fresh != nil && ru.fresh.stored && !ru.facts.Listed(ru.fresh.ID) {
		ru.fresh.Expires = ru.out.KeyExpires
		ru.out.Keys = append(ru.out.Keys, ru.fresh.Key)
	}
}

// setFacts sets what the condition follows from, as the steps left it.
func (ru *run) setFacts(plan protocol.Plan) {
	now := ru.now()
	f := condition.Facts{Gone: ru.c.Gone || ru.left, SweepEvery: ru.c.Rules.SweepEvery, Key: ru.facts.Newest(plan.Published)}
	if ru.out.Result == result.Published {
		f.HeldBack, f.Blocked = ru.out.Reason, plan.LeftBlocks
	}
	for _, k := range ru.facts.Keys {
		demanded := k.ID == ru.req.Trigger.Leaked && (k.Locked || ru.out.Took(protocol.MarkLeaked, k.ID)) // a lock keeps the record off it
		leaked := !k.Leaked.IsZero() || demanded
		f.LeakedAlive = f.LeakedAlive || leaked && ru.works(k)
	}
	if stored := ru.fresh != nil && ru.fresh.stored; stored || f.Key.ID == "" { // new, or adopted
		f.Key = protocol.Key{ID: ru.out.Key, Created: ru.out.KeyCreated, Expires: ru.out.KeyExpires}
	} else {
		f.Expiring = slices.ContainsFunc(plan.Notes, func(n protocol.Note) bool { return n.Reason == reason.Expiring })
	}
	for _, s := range plan.Steps {
		if !ru.out.Done(s) && !ru.needless(s) {
			f.Due = append(f.Due, s)
		}
	}
	f.Due = append(f.Due, plan.Later...)
	ru.out.Facts, ru.out.Observed = f, now
	ru.setKeys()
	ru.setNext(now)
}

// needless reports whether no later run takes a step that was not done: its key was deleted,
// or ends with its fuse because there is a later one.
func (ru *run) needless(s protocol.Step) bool {
	return s.Action == protocol.Disable && ru.out.Took(protocol.Retire, s.Key) || s.Reason == reason.NeverPublished && ru.fresh != nil
}

// setNext brings the next step forward to the end of a key, or to when the published one is
// replaced before its end. The steps may have given one an end, or published another.
func (ru *run) setNext(now time.Time) {
	for _, k := range ru.out.Keys {
		end := k.Expires.Add(ru.c.Rules.ExpiryMargin)
		if k.ID == ru.out.Key {
			end = k.EndDue(ru.c.Rules)
		}
		if end.After(now) && k.Expires.After(now) && end.Before(ru.out.Next) {
			ru.out.Next = end
		}
	}
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
