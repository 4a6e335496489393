package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// unfused is the new key's full life where the plan could not know its birth.
func (ru *run) unfused(s rotation.Step) time.Time {
	if s.At.IsZero() && ru.fresh != nil {
		return ru.fresh.Created.Add(ru.c.Rules.Expire)
	}
	return s.At
}

// supersede starts a key's overlap. It starts at the write, not when it was
// planned: the process may have stood still in between.
func (ru *run) supersede(ctx context.Context, s rotation.Step) error {
	var ends time.Time
	err := ru.changeAsRead(ctx, s.Key, func(k rotation.Key) (KeyChange, bool) {
		ends = s.At.Add(ru.wall().Sub(ru.started)).Add(time.Minute - time.Nanosecond).Truncate(time.Minute)
		open := k.Superseded.IsZero() || k.Expires.Before(ends)
		if !open {
			ends = k.Expires // it lives longer already
		}
		return KeyChange{Expires: ends, Superseded: ru.now()}, open
	})
	if err == nil && s.Key == ru.out.Replaced {
		ru.out.ReplacedEnds = ends
	}
	return err
}

// change updates one key unless that is done already. A conflict is read again
// for a while, since what was read may lag: to observe everything anew would lose
// the value of a key that is half published, and who was first may have done the
// same.
func (ru *run) change(ctx context.Context, keyID string, c KeyChange, done func(rotation.Key) bool) error {
	const first, longest = 250 * time.Millisecond, 8 * time.Second
	end := ru.wall().Add(patience)
	for pause := first; ; pause = min(2*pause, longest) {
		err := ru.changeAsRead(ctx, keyID, func(k rotation.Key) (KeyChange, bool) { return c, !done(k) })
		if !errors.Is(err, ErrConflict) || !ru.wall().Add(pause).Before(end) {
			return err
		}
		if serr := ru.sleep(ctx, pause); serr != nil {
			return err
		}
	}
}

// changeAsRead updates one key: read, look whether a change is still wanted and
// which, write under the version that was read. A conflict is to be observed anew.
func (ru *run) changeAsRead(ctx context.Context, keyID string, wanted func(rotation.Key) (KeyChange, bool)) error {
	rec, err := ru.getPatiently(ctx, keyID)
	if err != nil {
		return err
	}
	c, open := wanted(rec.Key)
	if !open {
		return nil
	}
	switch err := ru.Keys.Update(ctx, rec, c); {
	case errors.Is(err, ErrConflict):
		return fmt.Errorf("%w: updating key %s: %w", errAgain, keyID, err)
	case err != nil:
		return fmt.Errorf("updating key %s: %w", keyID, err)
	}
	if !c.Expires.IsZero() && ru.out.Key == keyID {
		ru.out.KeyExpires = c.Expires
	}
	return nil
}

// getPatiently reads a key that was seen to exist: that IAM does not know it
// may be IAM's lag.
func (ru *run) getPatiently(ctx context.Context, keyID string) (rec KeyRecord, err error) {
	err = ru.poll(ctx, func() error {
		rec, err = ru.get(ctx, keyID)
		if errors.Is(err, ErrNotFound) {
			return fmt.Errorf("%w: %w", ErrNotYet, err)
		}
		return err
	})
	return rec, err
}

// get reads a key and the clock with it.
func (ru *run) get(ctx context.Context, keyID string) (KeyRecord, error) {
	rec, err := ru.Keys.Get(ctx, keyID)
	if err != nil {
		return rec, fmt.Errorf("reading key %s: %w", keyID, err)
	}
	if err := ru.checkDrift(rec.Date); err != nil {
		return rec, err
	}
	if !rec.Ours {
		return rec, fmt.Errorf("reading key %s: no longer ours: %w", keyID, ErrRefused)
	}
	return rec, nil
}

// retire deletes a key that nobody holds, if it still is as it was observed:
// an instance may have published it meanwhile.
func (ru *run) retire(ctx context.Context, s rotation.Step) error {
	rec, err := ru.get(ctx, s.Key)
	if errors.Is(err, ErrNotFound) {
		ru.release(ctx, s.Key) // whoever deleted it may not have come so far
		return nil
	}
	if err != nil {
		return err
	}
	// A leaked key ends whatever became of its expiry: this plan may have moved
	// its fuse out.
	i := slices.IndexFunc(ru.keys, func(k rotation.Key) bool { return k.ID == s.Key })
	if i < 0 || (s.Reason != rotation.KeyLeaked && !ru.keys[i].Expires.Equal(rec.Expires)) {
		return fmt.Errorf("%w: key %s has another expiry", errAgain, s.Key)
	}
	if s.Reason == rotation.NeverPublished || (s.Reason == rotation.KeyLeaked && !rec.Disabled) {
		if err := ru.checkUnnamed(ctx, s.Key); err != nil {
			return err
		}
	}
	if s.Reason == rotation.NeverPublished {
		// A deletion carries no version, and what IAM showed may lag: only a
		// change under the version that was read proves that nobody moved the
		// fuse out.
		if err := ru.mark(ctx, rec); err != nil {
			return err
		}
	}
	if err := ru.Keys.Retire(ctx, s.Key); err != nil {
		return err
	}
	ru.release(ctx, s.Key)
	return nil
}

// mark notes on a key that it is about to be deleted; its expiry stays.
func (ru *run) mark(ctx context.Context, rec KeyRecord) error {
	err := ru.Keys.Update(ctx, rec, KeyChange{Withdrawn: ru.now()})
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("%w: marking key %s: %w", errAgain, rec.ID, err)
	}
	if err != nil {
		return fmt.Errorf("marking key %s: %w", rec.ID, err)
	}
	return nil
}

// checkUnnamed looks once more whether a store names a key that is about to be
// deleted: its instance may have been slow, not gone.
func (ru *run) checkUnnamed(ctx context.Context, keyID string) error {
	for _, e := range ru.entries {
		now, err := e.store.Read(ctx)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return fmt.Errorf("looking for key %s in %s: %w", keyID, e.store.Name(), err)
		case now.KeyID == keyID:
			return fmt.Errorf("%w: store %s names key %s now", errAgain, e.store.Name(), keyID)
		}
	}
	return nil
}
