package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// restart restarts a consumer, so that it reads its store. An unguarded store is
// read right before, because the consumer must get the key that it is marked with.
func (ru *run) restart(ctx context.Context, s rotation.Step) error {
	consumer := ru.whose[s.Target]
	i := slices.IndexFunc(ru.serving, func(c rotation.Consumer) bool { return c.Name == s.Target })
	for _, at := range ru.entries {
		if i < 0 || at.store.Name() != ru.serving[i].Store || at.store.Guarded() {
			continue
		}
		now, err := ru.reread(ctx, at)
		if err != nil {
			return fmt.Errorf("restarting %s: reading store %s again: %w", s.Target, at.store.Name(), err)
		}
		if now.KeyID != s.Key {
			return fmt.Errorf("restarting %s: %w: store %s names key %q now", s.Target, port.ErrConflict, at.store.Name(), now.KeyID)
		}
	}
	return consumer.by.Restart(ctx, consumer.name, s.Key)
}
