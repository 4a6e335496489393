package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/fault"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// disable disables a leaked key. Unless it is contained, the stores are read again
// first, because a slow replica may have published it meanwhile.
func (ru *run) disable(ctx context.Context, s protocol.Step) error {
	rec, err := ru.get(ctx, s.Key)
	if errors.Is(err, port.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !rec.Live(rec.Date) {
		return nil
	}
	if contain := ru.req.Trigger.Contain && s.Key == ru.req.Trigger.Leaked; !contain {
		if err := ru.checkUnnamed(ctx, s.Key); err != nil {
			return err
		}
	}
	return ru.Keys.Disable(ctx, s.Key)
}

// retire deletes a key that no consumer holds, unless it has changed since it was
// observed. Another replica may have published it meanwhile.
func (ru *run) retire(ctx context.Context, s protocol.Step) error {
	rec, err := ru.get(ctx, s.Key)
	if errors.Is(err, port.ErrNotFound) {
		ru.release(ctx, s.Key) // the replica that deleted it may have stopped before this
		return nil
	}
	if err != nil {
		return err
	}
	if err := ru.unchanged(s, rec); err != nil {
		return err
	}
	if s.Reason == reason.NeverPublished || s.Reason == reason.Deprovision || (s.Reason == reason.KeyLeaked && !rec.Disabled) {
		if err := ru.checkUnnamed(ctx, s.Key); err != nil {
			return err
		}
	}
	if s.Reason == reason.NeverPublished {
		// IAM deletes without comparing versions, and its reads may lag. Only an
		// update under the version that was read proves that no other replica has
		// moved the fuse out.
		if _, err := ru.Keys.Update(ctx, rec, port.KeyChange{Withdrawn: ru.now()}); err != nil {
			return again(err)
		}
		ru.withdrawn = s.Key
	}
	if err := ru.Keys.Retire(ctx, s.Key); err != nil {
		return err
	}
	ru.release(ctx, s.Key)
	return nil
}

// unchanged returns observe.ErrAgain if a key to delete is not as it was observed. A leaked
// key is deleted whatever its expiry, since this plan may have moved its fuse out.
func (ru *run) unchanged(s protocol.Step, rec port.KeyRecord) error {
	known := ru.facts.Newest(s.Key)
	switch {
	case known.ID == "" || s.Reason != reason.KeyLeaked && !known.Expires.Equal(rec.Expires):
		return fmt.Errorf("%w: key %s has another expiry", observe.ErrAgain, s.Key)
	case rec.Renew.After(known.Renew) && rec.Renew.After(ru.req.Trigger.NewerThan): // it would be gone with the key
		return fmt.Errorf("%w: a demand is recorded on key %s", observe.ErrAgain, s.Key)
	}
	return nil
}

// checkUnnamed reads the stores again before a key is deleted. The replica that
// minted it may be slow and publish it late.
func (ru *run) checkUnnamed(ctx context.Context, keyID string) error {
	for _, e := range ru.facts.Entries {
		now, err := e.Store.Read(ctx)
		switch {
		case errors.Is(err, port.ErrNotFound):
		case err != nil:
			return fmt.Errorf("%w: looking for key %s in %s: %w", fault.ErrUnread, keyID, e.Store.Name(), err)
		case now.KeyID == keyID:
			return fmt.Errorf("%w: store %s names key %s now", observe.ErrAgain, e.Store.Name(), keyID)
		}
	}
	return nil
}
