package reconcile

import (
	"context"
	"time"
)

type windowKey struct{}

// within returns a context with which adapters ask whether this run may still
// write. Some adapters read before they write.
func (ru *run) within(ctx context.Context) context.Context {
	return WithWriteCheck(ctx, func() error { return ru.mayWrite(ctx, time.Time{}) })
}

// MayWrite returns an error if the run of the context is too old to write: more
// than a window has passed since it observed. It reads the wall clock, because the
// context's deadline does not advance while a machine is suspended. A context
// without a run allows everything.
func MayWrite(ctx context.Context) error {
	if check, of := ctx.Value(windowKey{}).(func() error); of {
		return check()
	}
	return nil
}
