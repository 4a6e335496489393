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
	consumer := ru.facts.Restarter(s.Target)
	i := slices.IndexFunc(ru.facts.Consumers, func(c rotation.Consumer) bool { return c.Name == s.Target })
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
