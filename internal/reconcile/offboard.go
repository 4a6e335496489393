package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// demand returns what is demanded of the credential's end: by the request, or by the
// config.
func (ru *run) demand() offboard.Demand {
	d := ru.req.End
	over := !ru.c.Ends.IsZero() && !ru.now().Before(ru.c.Ends)
	if d.Ask == "" && (over || ru.c.Gone && ru.c.RetireGone) {
		d.Ask = offboard.End
	}
	return d
}

// ending returns the state for the decision about the credential's end.
func (ru *run) ending() offboard.State {
	s := offboard.State{
		Demand: ru.demand(), Exists: ru.id.ID != "", Mark: ru.id.Marker.Deprovision, Given: ru.c.Given != "", Twice: len(ru.ours) > 1,
		Kept: ru.c.Kept, Foreign: ru.foreign[ru.id.IAMID],
	}
	for _, k := range ru.keys {
		s.Keys = append(s.Keys, offboard.Key{ID: k.ID, Disabled: k.Disabled || k.Expired(ru.now()), Suspended: k.Suspended, Leaked: !k.Leaked.IsZero(), Used: k.Used})
	}
	for _, e := range ru.entries {
		s.Stores = append(s.Stores, offboard.Store{Name: e.store.Name(), Unread: e.err != nil, Ours: ru.wrote(e)})
	}
	return s
}

// wrote reports whether an entry is one that we wrote for this credential: it names a
// key of it, or a key that IAM does not have any more and that our owner wrote.
func (ru *run) wrote(e reading) bool {
	return e.err == nil && e.KeyID != "" && !ru.strange[e.KeyID] && !ru.unseen(e.KeyID) && (ru.listed(e.KeyID) || e.Owner == ru.Owner)
}

// observeQuiet reads the last use of all keys before a deprovisioning begins.
func (ru *run) observeQuiet(ctx context.Context) error {
	if d := ru.demand(); d.Ask != offboard.End || d.Force || !ru.id.Marker.Deprovision.IsZero() {
		return nil
	}
	for i, k := range ru.keys {
		used, err := ru.Keys.Used(ctx, k.ID)
		if err != nil && !errors.Is(err, port.ErrNotFound) {
			return fmt.Errorf("%w: reading when key %s was last used: %w", ErrObserve, k.ID, err)
		}
		ru.keys[i].Used = used
	}
	return nil
}

// leave returns the plan for the credential's end in place of the one for its keys. It
// returns false for a credential that goes on.
func (ru *run) leave(plan rotation.Plan) (rotation.Plan, bool) {
	if plan.Blocked == rotation.Paused || plan.Blocked == rotation.ClockSkew {
		return plan, false
	}
	if s := ru.ending(); offboard.Concerns(s) {
		end := offboard.Decide(s, ru.c.Offboard, ru.now())
		ru.left, ru.why = true, end.Why
		return rotation.Plan{Published: plan.Published, Steps: end.Steps, Blocked: end.Blocked, Waiting: end.Waiting, Next: end.Until, Notes: plan.Notes}, true
	}
	if ru.c.Lost && ru.id.ID == "" && plan.Blocked == "" {
		return rotation.Plan{Waiting: plan.Waiting, Next: plan.Next}, true // its entries were removed, too
	}
	if !ru.c.NotAgain || ru.c.Gone {
		return plan, false
	}
	vacant := !slices.ContainsFunc(ru.entries, func(e reading) bool { return e.err != nil || e.KeyID != "" || !e.Value.Empty() })
	switch {
	case vacant && ru.id.ID == "":
		ru.left = true
		return rotation.Plan{}, true // it came to its end
	case vacant && ru.hadKey():
		return rotation.Plan{Blocked: rotation.EntryRemoved, Next: plan.Next}, true
	}
	return plan, false
}

// hadKey reports whether a store had a key of the credential.
func (ru *run) hadKey() bool {
	return slices.ContainsFunc(ru.keys, func(k rotation.Key) bool { return !k.Fused(ru.c.Rules) })
}

// spareRemoved leaves out the stores whose entry the owner removed, if the config says
// that none is made again.
func (ru *run) spareRemoved() {
	if !ru.c.NotAgain || ru.id.ID == "" || !ru.hadKey() {
		return
	}
	removed := func(e reading) bool { return e.err == nil && e.KeyID == "" && e.Value.Empty() }
	if !slices.ContainsFunc(ru.entries, func(e reading) bool { return !removed(e) }) {
		return // leave tells that all are
	}
	ru.entries = slices.DeleteFunc(ru.entries, removed)
}

// markEnd records on the service ID that the credential is deprovisioned, and unmarkEnd
// removes the record.
func (ru *run) markEnd(ctx context.Context, _ rotation.Step) error {
	return ru.setEnd(ctx, func(m *marker.Marker) { m.Deprovision = ru.now() })
}

func (ru *run) unmarkEnd(ctx context.Context, _ rotation.Step) error {
	return ru.setEnd(ctx, func(m *marker.Marker) { m.Deprovision = time.Time{} })
}

func (ru *run) setEnd(ctx context.Context, change func(*marker.Marker)) error {
	id, err := ru.Identities.Lookup(ctx, ru.id.IAMID)
	if err != nil {
		return fmt.Errorf("marking %s: %w", ru.id.ID, err)
	}
	if !ru.still(id) {
		return fmt.Errorf("marking %s: no longer ours: %w", id.ID, port.ErrRefused)
	}
	m := id.Marker
	change(&m)
	switch err := ru.Identities.Mark(ctx, id, m); {
	case errors.Is(err, port.ErrConflict):
		return fmt.Errorf("%w: marking %s: %w", errAgain, id.ID, err)
	case err != nil:
		return fmt.Errorf("marking %s: %w", id.ID, err)
	}
	ru.id.Marker = m
	ru.remember(ru.c.Name, port.ServiceID{})
	return nil
}

// suspend marks a key and disables it. The mark comes first: an undo enables only keys
// that have it.
func (ru *run) suspend(ctx context.Context, s rotation.Step) error {
	rec, err := ru.get(ctx, s.Key)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil:
		return err
	case rec.Disabled:
		return nil // another replica, or a person
	}
	switch err := ru.Keys.Update(ctx, rec, port.KeyChange{Suspended: ru.now()}); {
	case errors.Is(err, port.ErrConflict):
		return fmt.Errorf("%w: marking key %s: %w", errAgain, s.Key, err)
	case err != nil:
		return fmt.Errorf("marking key %s: %w", s.Key, err)
	}
	if err := ru.Keys.Disable(ctx, s.Key); err != nil {
		return fmt.Errorf("disabling key %s: %w", s.Key, err)
	}
	return nil
}

// enable enables a key that a deprovisioning disabled.
func (ru *run) enable(ctx context.Context, s rotation.Step) error {
	if err := ru.Keys.Enable(ctx, s.Key); err != nil {
		return fmt.Errorf("enabling key %s: %w", s.Key, err)
	}
	return nil
}

// removeEntry removes our entry from a store. It is read again: another writer may have
// changed it.
func (ru *run) removeEntry(ctx context.Context, s rotation.Step) error {
	at := ru.reading(s.Target)
	now, err := ru.reread(ctx, at)
	if err != nil {
		return fmt.Errorf("removing the entry of %s: reading it again: %w", s.Target, err)
	}
	if now.KeyID != at.KeyID {
		return fmt.Errorf("%w: store %s names key %q now", errAgain, s.Target, now.KeyID)
	}
	switch err := at.store.(port.Remover).Remove(ctx, now.Revision); {
	case errors.Is(err, port.ErrConflict):
		return fmt.Errorf("%w: removing the entry of %s: %w", errAgain, s.Target, err)
	case err != nil:
		return fmt.Errorf("removing the entry of %s: %w", s.Target, err)
	}
	ru.setStoreKey(s.Target, "")
	return nil
}
