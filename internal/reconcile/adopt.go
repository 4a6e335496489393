package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/fault"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// adopt marks an existing key, and then its entry in a store, as ours. The entry
// is only written if it has not changed since its value was identified.
func (ru *run) adopt(ctx context.Context, s protocol.Step) error {
	at := ru.facts.Reading(s.Target)
	rec, err := ru.Keys.Get(ctx, s.Key)
	if err != nil {
		return fmt.Errorf("adopting key %s: %w", s.Key, err)
	}
	if rec.IAMID != ru.id.IAMID {
		return fmt.Errorf("adopting key %s: it belongs to %s: %w", s.Key, rec.IAMID, port.ErrRefused)
	}
	if !rec.Live(ru.now()) {
		return fmt.Errorf("adopting key %s: it is disabled or has expired: %w", s.Key, port.ErrRefused)
	}
	if !rec.Ours {
		m := ru.marker()
		m.With = nil
		if err := ru.Keys.Adopt(ctx, rec, m); err != nil {
			return fmt.Errorf("adopting key %s: %w", s.Key, again(err))
		}
	}
	if err := ru.unmoved(ctx, at); err != nil {
		return fmt.Errorf("adopting key %s in %s: %w: %w", s.Key, s.Target, fault.ErrUnadopted, err)
	}
	e := port.Entry{KeyID: rec.ID, Value: at.Value, Created: rec.Created, IAMID: rec.IAMID, Owner: ru.Owner}
	switch err := ru.put(ctx, at.Store, e, at.Revision); {
	case errors.Is(err, port.ErrConflict):
		return fmt.Errorf("%w: adopting key %s in %s: %w", observe.ErrAgain, s.Key, s.Target, err)
	case err != nil:
		return fmt.Errorf("adopting key %s in %s: %w: %w", s.Key, s.Target, fault.ErrUnadopted, err)
	}
	ru.setStoreKey(s.Target, s.Key)
	ru.out.Key, ru.out.KeyCreated, ru.out.KeyExpires = rec.ID, rec.Created, rec.Expires
	return nil
}

// unmoved returns observe.ErrAgain if the entry of an unguarded store has changed since it
// was read. Guarded stores check that themselves.
func (ru *run) unmoved(ctx context.Context, at observe.Reading) error {
	if at.Store.Guarded() {
		return nil
	}
	now, err := ru.reread(ctx, at)
	if err != nil {
		return fmt.Errorf("reading %s again: %w", at.Store.Name(), err)
	}
	if now.KeyID != at.KeyID || ru.notOurs(now) != ru.notOurs(at.Entry) {
		return fmt.Errorf("%w: store %s names key %q now", observe.ErrAgain, at.Store.Name(), now.KeyID)
	}
	return nil
}
