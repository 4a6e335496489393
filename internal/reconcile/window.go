package reconcile

import (
	"context"
	"time"

	"github.com/latchkey-io/latchkey/internal/fence"
)

// within returns a context with which adapters ask whether this run may still
// write. Some adapters read before they write.
func (ru *run) within(ctx context.Context) context.Context {
	return fence.WithCheck(ctx, func() error { return ru.mayWrite(ctx, time.Time{}) })
}
