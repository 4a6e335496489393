package reconcile

import (
	"context"
	"errors"
	"fmt"
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
