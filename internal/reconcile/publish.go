package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey-io/latchkey/internal/fault"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// publish writes the new key to one store. The first store is the arbiter between
// replicas.
func (ru *run) publish(ctx context.Context, s protocol.Step) error {
	return ru.publishAt(ctx, ru.facts.Reading(s.Target))
}

// publishAt writes the new key over an entry that was read.
func (ru *run) publishAt(ctx context.Context, at observe.Reading) error {
	store := at.Store.Name()
	if err := ru.clearFor(ctx, at); err != nil {
		return err
	}
	entry := port.Entry{KeyID: ru.fresh.ID, Value: ru.fresh.value, Created: ru.fresh.Created, IAMID: ru.id.IAMID, Owner: ru.Owner}
	err := ru.put(ctx, at.Store, entry, at.Revision)
	if err == nil {
		// The store has the key, so consumers may hold it, whatever the read-back
		// returns.
		ru.published(store)
		return ru.readBack(ctx, at.Store, entry)
	}
	err = fmt.Errorf("publishing key %s to %s: %w", ru.fresh.ID, store, err)
	if !fault.Is(err, port.ErrConflict, port.ErrUnavailable) {
		return err // a final error: the fuse ends the key, and until then minAge delays the next one
	}
	return ru.settlePublish(ctx, at, err)
}

// settlePublish reads an entry back whose write had a conflict, perhaps with our own
// lost write, or whose answer was lost.
func (ru *run) settlePublish(ctx context.Context, at observe.Reading, err error) error {
	back, rerr := at.Store.Read(context.WithoutCancel(ctx))
	if errors.Is(rerr, port.ErrNotFound) {
		back, rerr = port.Entry{Revision: back.Revision}, nil
	}
	switch {
	case rerr == nil && back.KeyID == ru.fresh.ID:
		ru.published(at.Store.Name())
		return nil
	case rerr == nil && errors.Is(err, port.ErrConflict):
		return ru.settleConflict(ctx, at, back, err)
	}
	return err
}

// settleConflict decides after a conflict with a write that was not our own.
func (ru *run) settleConflict(ctx context.Context, at observe.Reading, back port.Entry, err error) error {
	store := at.Store.Name()
	same, moved := back.KeyID == at.KeyID, back.Revision != at.Revision
	switch {
	case same && moved && ru.notOurs(back) == ru.notOurs(at.Entry):
		// Another entry of the same secret changed, not ours.
		at.Entry = back
		return ru.publishAt(ctx, at)
	case same && !moved && at.Store.Guarded():
		return fmt.Errorf("%w, although the entry is unchanged: %s", port.ErrRefused, err.Error())
	case !ru.fresh.stored:
		return ru.withdraw(ctx, "another replica published to "+store+" first")
	}
	return err
}

// readBack compares the entry of a store with the one that was written, if the
// config asks for that. The old key is not ended until they match.
func (ru *run) readBack(ctx context.Context, st port.Store, given port.Entry) error {
	if !ru.c.ReadBack[st.Name()] {
		return nil
	}
	got, err := st.Read(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("reading key %s back from %s: %w", given.KeyID, st.Name(), err)
	case got.KeyID != given.KeyID:
		return fmt.Errorf("reading key %s back from %s: %w: it names %q", given.KeyID, st.Name(), port.ErrUnavailable, got.KeyID)
	case !got.Value.Empty() && !got.Value.Equal(given.Value):
		return fmt.Errorf("reading key %s back from %s: %w", given.KeyID, st.Name(), fault.ErrAltered)
	}
	return nil
}

// published records that consumers may hold the new key from now on.
func (ru *run) published(store string) {
	if !ru.fresh.stored {
		ru.fresh.stored, ru.out.Replaced = true, ru.facts.Replaced(ru.before)
		ru.out.Key, ru.out.KeyCreated, ru.out.KeyExpires = ru.fresh.ID, ru.fresh.Created, ru.fresh.Expires
		ru.out.Next = ru.fresh.Created.Add(ru.c.Rules.After - ru.c.Rules.Jitter)
		if len(ru.facts.Ours) == 1 && !ru.facts.Cached { // as in observeIdentity
			ru.memory.Remember(ru.c.Name, ru.id, ru.wall())
		}
	}
	ru.setStoreKey(store, ru.fresh.ID)
}

// setStoreKey sets the key of a store in the outcome.
func (ru *run) setStoreKey(store, keyID string) {
	for i := range ru.out.Stores {
		if ru.out.Stores[i].Name == store {
			ru.out.Stores[i].Key, ru.out.Stores[i].Altered = keyID, false
		}
	}
}

// proveCopy checks that a value belongs to the key's service ID before it is
// copied. A writer of the store may have changed it. IAM may not know a young key
// yet.
func (ru *run) proveCopy(ctx context.Context, from observe.Reading, k protocol.Key) error {
	var who port.Bearer
	try := func() (err error) {
		who, err = ru.Exchange.Exchange(ctx, from.Value)
		return err
	}
	young := ru.now().Before(k.Created.Add(ru.c.Rules.Window)) // as it was when IAM was asked
	err := try()
	if errors.Is(err, port.ErrNotYet) && young {
		err = ru.poll(ctx, try)
	}
	switch {
	case errors.Is(err, port.ErrNotYet) && young:
		return fmt.Errorf("%w: IAM does not know the value yet: %s", port.ErrUnavailable, err.Error())
	case errors.Is(err, port.ErrNotYet):
		return fmt.Errorf("%w: %w", fault.ErrAltered, err)
	case err != nil:
		return err
	case who.IAMID != ru.facts.Home[from.KeyID]:
		return fmt.Errorf("%w: its token is for %s", fault.ErrAltered, who.IAMID)
	}
	return nil
}

// copy writes the published key to a store that is behind, from one that has it.
// Only the value comes from that store.
func (ru *run) copy(ctx context.Context, s protocol.Step) error {
	to := ru.facts.Reading(s.Target)
	i := slices.IndexFunc(ru.facts.Keys, func(k protocol.Key) bool { return k.ID == s.Key })
	if i < 0 {
		return fmt.Errorf("copying key %s to %s: %w", s.Key, s.Target, observe.ErrAgain)
	}
	var altered error
	for _, from := range ru.facts.Entries {
		if from.Err != nil || from.KeyID != s.Key || from.Value.Empty() || from.Altered || from.Unproven {
			continue
		}
		if err := ru.proveCopy(ctx, from, ru.facts.Keys[i]); err != nil {
			altered = fmt.Errorf("copying key %s from %s to %s: %w", s.Key, from.Store.Name(), s.Target, err)
			if errors.Is(err, fault.ErrAltered) {
				continue // another store may have the value
			}
			return altered
		}
		if err := ru.unmoved(ctx, to); err != nil {
			return err
		}
		e := port.Entry{KeyID: s.Key, Value: from.Value, Created: ru.facts.Keys[i].Created, IAMID: ru.facts.Home[s.Key], Owner: ru.Owner}
		err := ru.put(ctx, to.Store, e, to.Revision)
		if errors.Is(err, port.ErrConflict) {
			return fmt.Errorf("%w: copying key %s to %s: %w", observe.ErrAgain, s.Key, s.Target, err)
		}
		if err != nil {
			return fmt.Errorf("copying key %s to %s: %w", s.Key, s.Target, err)
		}
		ru.setStoreKey(s.Target, s.Key)
		return ru.readBack(ctx, to.Store, e)
	}
	if altered != nil {
		return altered
	}
	return fmt.Errorf("copying key %s to %s: %w", s.Key, s.Target, observe.ErrAgain)
}

// restart restarts a consumer, so that it reads its store. An unguarded store is
// read right before, because the consumer must get the key that it is marked with.
func (ru *run) restart(ctx context.Context, s protocol.Step) error {
	consumer := ru.facts.Restarter(s.Target)
	i := slices.IndexFunc(ru.facts.Consumers, func(c protocol.Consumer) bool { return c.Name == s.Target })
	for _, at := range ru.facts.Entries {
		if i < 0 || at.Store.Name() != ru.facts.Consumers[i].Store || at.Store.Guarded() {
			continue
		}
		now, err := ru.reread(ctx, at)
		if err != nil {
			return fmt.Errorf("restarting %s: reading store %s again: %w", s.Target, at.Store.Name(), err)
		}
		if now.KeyID != s.Key {
			return fmt.Errorf("restarting %s: %w: store %s names key %q now", s.Target, port.ErrConflict, at.Store.Name(), now.KeyID)
		}
	}
	return consumer.By.Restart(ctx, consumer.Name, s.Key)
}
