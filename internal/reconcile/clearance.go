package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey-io/latchkey/internal/fault"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
)

// If no store is guarded, two replicas that mint at the same time could both
// publish, and the stores would name different keys. The service ID's description
// is then the arbiter: the first replica that writes its key there, under the
// version that it read, continues.

// clearFor checks that the new key may be written to a store. It withdraws the key
// if another replica was first.
func (ru *run) clearFor(ctx context.Context, at observe.Reading) error {
	if at.Store.Guarded() {
		return nil
	}
	guarded := slices.ContainsFunc(ru.c.Stores, port.Store.Guarded)
	if !ru.fresh.stored && !guarded && ru.c.Given == "" {
		if err := ru.arbitrate(ctx); err != nil {
			return err
		}
	}
	// An unguarded store is read right before the write, so that the key of a
	// newer run stays.
	now, err := ru.reread(ctx, at)
	taken := ru.notOurs(now) && !ru.notOurs(at.Entry)
	switch {
	case err != nil:
		return fmt.Errorf("publishing key %s to %s: reading the entry again: %w", ru.fresh.ID, at.Store.Name(), err)
	case !taken && (now.KeyID == at.KeyID || now.KeyID == ru.fresh.ID || !ru.newer(ctx, now)):
		return nil
	case !ru.fresh.stored:
		return ru.withdraw(ctx, "another writer has written the entry of "+at.Store.Name()+" first")
	}
	return fmt.Errorf("publishing key %s to %s: %w: another writer has written the entry, which names key %q", ru.fresh.ID, at.Store.Name(), port.ErrConflict, now.KeyID)
}

// newer reports whether an entry names a key of this credential that is not older
// than the new one. The entry's time counts only if IAM does not return the key, and
// if it can be true.
func (ru *run) newer(ctx context.Context, e port.Entry) bool {
	created := e.Created
	if rec, err := ru.Keys.Get(ctx, e.KeyID); err == nil {
		if !rec.Ours || !slices.Contains(ru.c.Names(), rec.Credential) {
			return false
		}
		created = rec.Created
	}
	possible := !created.After(ru.now().Add(ru.c.Rules.Window))
	return e.KeyID != "" && possible && !created.Before(ru.fresh.Created)
}

// notOurs reports whether an entry was not written by this installation of
// latchkey.
func (ru *run) notOurs(e port.Entry) bool {
	return e.Unmarked() || (e.Owner != "" && e.Owner != ru.Owner)
}

func (ru *run) reread(ctx context.Context, at observe.Reading) (port.Entry, error) {
	e, err := at.Store.Read(ctx)
	if errors.Is(err, port.ErrNotFound) {
		return port.Entry{}, nil
	}
	return e, err
}

// arbitrate writes the new key's ID in the service ID's marker.
func (ru *run) arbitrate(ctx context.Context) error {
	for range 3 {
		id, err := ru.Identities.Lookup(ctx, ru.id.IAMID)
		if err != nil {
			return fmt.Errorf("%w: key %s: %w", fault.ErrUncleared, ru.fresh.ID, err)
		}
		m := id.Marker
		switch {
		case !ru.facts.Still(id, ru.id):
			return ru.withdraw(ctx, "service ID "+id.ID+" does not belong to the credential any more")
		case m.Current == ru.fresh.ID:
			return nil
		case m.Current != "" && !ru.facts.Listed(m.Current) && ru.now().Sub(m.Since) < ru.c.Rules.Window:
			return ru.withdraw(ctx, "the key "+m.Current+" was cleared for publication first")
		}
		m.Current, m.Since = ru.fresh.ID, ru.fresh.Created // the window of its writes, too, begins then
		err = ru.Identities.Mark(ctx, id, m)
		if err == nil {
			return nil
		}
		if errors.Is(err, fence.ErrTooLate) {
			return fmt.Errorf("clearing key %s for publication: %w", ru.fresh.ID, err)
		}
		if !errors.Is(err, port.ErrConflict) && !errors.Is(err, port.ErrUnavailable) {
			return fmt.Errorf("%w: key %s: %w", fault.ErrUncleared, ru.fresh.ID, err)
		}
		// The service ID has changed, or the answer was lost: read it again.
	}
	return fmt.Errorf("%w: key %s: %w: the service ID keeps changing", fault.ErrUncleared, ru.fresh.ID, port.ErrUnavailable)
}
