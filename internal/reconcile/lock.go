package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// put writes an entry to a store. If only the lock failed, it adds a note, since
// consumers have the key.
func (ru *run) put(ctx context.Context, st port.Store, e port.Entry, revision string) error {
	err := st.Publish(ctx, e, revision)
	if errors.Is(err, port.ErrUnlocked) {
		ru.noteLock(st, e.KeyID, err)
		return nil
	}
	return err
}

// releasePatience limits how long a run waits for stores to unlock entries.
const releasePatience = 20 * time.Second

// release unlocks the entries of a key that has ended.
func (ru *run) release(ctx context.Context, keyID string) {
	ctx, cancel := context.WithTimeout(ctx, releasePatience)
	defer cancel()
	for _, st := range ru.c.Stores {
		if err := st.(fence.Store).Release(ctx, keyID); err != nil {
			ru.noteLock(st, keyID, err)
		}
	}
}

// noteLock adds a note about a lock that failed.
func (ru *run) noteLock(st port.Store, keyID string, err error) {
	ru.log.Warn("locking or unlocking an entry", "store", st.Name(), "key", keyID, "error", err.Error())
	n := protocol.Note{Reason: reason.LockFailed, Key: keyID, Store: st.Name()}
	ru.out.Notes = append(ru.out.Notes, result.Note{Note: n, Message: n.Reason.Sentence() + ": " + err.Error()})
}
