package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// put writes an entry to a store. That the store could not say that the key is
// in use is told and nothing more: consumers have the key.
func (ru *run) put(ctx context.Context, st Store, e Entry, revision string) error {
	err := st.Publish(ctx, e, revision)
	if errors.Is(err, ErrUnlocked) {
		ru.noteLock(st, e.KeyID, err)
		return nil
	}
	return err
}

// releasePatience bounds what may not hold anything up.
const releasePatience = 20 * time.Second

// release lets the stores know that a key has ended.
func (ru *run) release(ctx context.Context, keyID string) {
	ctx, cancel := context.WithTimeout(ctx, releasePatience)
	defer cancel()
	for _, st := range ru.c.Stores {
		if err := st.(guardedStore).Release(ctx, keyID); err != nil {
			ru.noteLock(st, keyID, err)
		}
	}
}

func (ru *run) noteLock(st Store, keyID string, err error) {
	ru.log.Warn("locking or unlocking in a store", "store", st.Name(), "key", keyID, "error", err.Error())
	n := rotation.Note{Reason: rotation.LockFailed, Key: keyID, Store: st.Name()}
	ru.out.Notes = append(ru.out.Notes, NoteOutcome{Note: n, Message: n.Reason.Sentence() + ": " + err.Error()})
}
