package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/internal/fault"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// unfuse gives a key its full lifetime. The plan does not know it for a new key.
func (ru *run) unfuse(ctx context.Context, s protocol.Step) error {
	at := s.At
	if at.IsZero() && ru.fresh != nil {
		at = ru.fresh.Created.Add(ru.c.Rules.Expire)
	}
	return ru.change(ctx, s.Key, port.KeyChange{Expires: at}, func(k protocol.Key) bool { return !k.Superseded.IsZero() || !k.Expires.Before(at) })
}

// record writes a demand on a key.
func (ru *run) record(ctx context.Context, s protocol.Step) error {
	c := port.KeyChange{Renew: s.At, RenewCause: marker.Recordable(ru.req.Cause), Served: ru.wanted.Expiry}
	return ru.change(ctx, s.Key, c, func(k protocol.Key) bool { return !k.Renew.Before(s.At) })
}

// markLeaked writes on a key that it leaked.
func (ru *run) markLeaked(ctx context.Context, s protocol.Step) error {
	return ru.change(ctx, s.Key, port.KeyChange{Leaked: s.At}, func(k protocol.Key) bool { return !k.Leaked.IsZero() })
}

// extend extends a key's overlap, unless it leaked meanwhile.
func (ru *run) extend(ctx context.Context, s protocol.Step) error {
	return ru.changeAsRead(ctx, s.Key, func(k protocol.Key) (port.KeyChange, bool) {
		return port.KeyChange{Expires: s.At}, k.Leaked.IsZero() && k.Expires.Before(s.At)
	})
}

// supersede starts a key's overlap. The overlap starts at the write, because the
// process may have been suspended since the plan.
func (ru *run) supersede(ctx context.Context, s protocol.Step) error {
	var ends time.Time
	err := ru.changeAsRead(ctx, s.Key, func(k protocol.Key) (port.KeyChange, bool) {
		ends = s.At.Add(ru.fence.Age()).Add(time.Minute - time.Nanosecond).Truncate(time.Minute)
		open := k.Superseded.IsZero() || k.Expires.Before(ends)
		if !open {
			ends = k.Expires // it already expires later
		}
		return port.KeyChange{Expires: ends, Superseded: ru.now()}, open
	})
	if err == nil && s.Key == ru.out.Replaced {
		ru.out.ReplacedEnds = ends
	}
	return err
}

// change updates one key unless it already has the change. It retries conflicts
// for a while, because reads may lag, and another replica may make the same
// change. Observing again would lose the value of a new key.
func (ru *run) change(ctx context.Context, keyID string, c port.KeyChange, done func(protocol.Key) bool) error {
	const first, longest = 250 * time.Millisecond, 8 * time.Second
	end := ru.wall().Add(patience)
	for pause := first; ; pause = min(2*pause, longest) {
		err := ru.changeAsRead(ctx, keyID, func(k protocol.Key) (port.KeyChange, bool) { return c, !done(k) })
		if !errors.Is(err, port.ErrConflict) {
			return err
		}
		if !ru.wall().Add(pause).Before(end) { // a conflict that stays is no change of the state
			return fmt.Errorf("%w: for %s: %s", port.ErrConflict, patience, err.Error())
		}
		if serr := ru.sleep(ctx, pause); serr != nil {
			return err
		}
	}
}

// changeAsRead reads one key and, if wanted returns a change, updates it under the
// version that it read. It does not read a key that the last answer showed, unless IAM
// has another version since. It returns observe.ErrAgain on a conflict.
func (ru *run) changeAsRead(ctx context.Context, keyID string, wanted func(protocol.Key) (port.KeyChange, bool)) (err error) {
	rec, known := ru.Keys.Answered(keyID)
	if !known {
		if rec, err = ru.getPatiently(ctx, keyID); err != nil {
			return err
		}
	}
	c, open := wanted(rec.Key)
	if open {
		rec, err = ru.Keys.Update(ctx, rec, c)
	}
	switch {
	case known && fault.Is(err, port.ErrConflict, port.ErrNotFound, port.ErrRefused):
		return ru.changeAsRead(ctx, keyID, wanted)
	case err != nil:
		return again(err)
	}
	if !c.Expires.IsZero() {
		if ru.ends[keyID] = rec.Expires; ru.out.Key == keyID {
			ru.out.KeyExpires = rec.Expires
		}
	}
	return c.Kept(rec.Key, ru.c.Rules)
}

// getPatiently reads a key that exists. It retries ErrNotFound, and a key that shows
// nothing yet of the demand that this run has recorded on it, because IAM lags.
func (ru *run) getPatiently(ctx context.Context, keyID string) (rec port.KeyRecord, err error) {
	err = ru.poll(ctx, func() error {
		rec, err = ru.get(ctx, keyID)
		if errors.Is(err, port.ErrNotFound) {
			return fmt.Errorf("%w: %w", port.ErrNotYet, err)
		}
		if done := ru.renewed.Load(); err == nil && done != nil && done.Key == keyID && rec.Renew.Before(done.At) {
			return fmt.Errorf("reading key %s: %w: it is as it was before a demand was recorded", keyID, port.ErrNotYet)
		}
		return err
	})
	return rec, err
}

// get reads a key, and checks the marker.
func (ru *run) get(ctx context.Context, keyID string) (port.KeyRecord, error) {
	rec, err := ru.Keys.Get(ctx, keyID)
	if err == nil && !rec.Ours {
		err = fmt.Errorf("reading key %s: no longer ours: %w", keyID, port.ErrRefused)
	}
	return rec, err
}
