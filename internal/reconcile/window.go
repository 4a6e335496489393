package reconcile

import (
	"context"
	"time"
)

type windowKey struct{}

// within lets whoever sends a request of this run ask whether it may still be
// sent: some steps read before they write, where only the adapter sees it.
func (ru *run) within(ctx context.Context) context.Context {
	return WithWriteCheck(ctx, func() error { return ru.mayWrite(ctx, time.Time{}) })
}

// MayWrite reports whether a request that changes something may still be sent:
// nobody writes later than a window after what was observed. The context's own
// deadline does not see that a machine stood still, the wall clock does. A
// context that belongs to no run allows everything.
func MayWrite(ctx context.Context) error {
	if check, of := ctx.Value(windowKey{}).(func() error); of {
		return check()
	}
	return nil
}
