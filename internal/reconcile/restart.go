package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// restart lets a consumer read its store. A store that only overwrites is read
// right before: the mark would name a key that the consumer does not get.
func (ru *run) restart(ctx context.Context, s rotation.Step) error {
	consumer := ru.whose[s.Target]
	i := slices.IndexFunc(ru.serving, func(c rotation.Consumer) bool { return c.Name == s.Target })
	for _, at := range ru.entries {
		if i < 0 || at.store.Name() != ru.serving[i].Store || at.store.Guarded() {
			continue
		}
		now, err := ru.reread(ctx, at)
		if err != nil {
			return fmt.Errorf("restarting %s: reading store %s once more: %w", s.Target, at.store.Name(), err)
		}
		if now.KeyID != s.Key {
			return fmt.Errorf("restarting %s: %w: store %s names key %q now", s.Target, ErrConflict, at.store.Name(), now.KeyID)
		}
	}
	return consumer.by.Restart(ctx, consumer.name, s.Key)
}
