package reconcile

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
)

// errPanic means that code panicked, in an adapter or here.
var errPanic = errors.New("panic")

// rescue calls f and returns an error if it panics. One credential's panic must not
// end the process, which works for others. The error has the text of the Go runtime's
// panics only, since others may contain anything.
func (r *Reconciler) rescue(f func() error) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err = fmt.Errorf("%w: %T", errPanic, p)
		if fault, ok := p.(runtime.Error); ok {
			err = fmt.Errorf("%w: %w", errPanic, fault)
		}
		r.log().Error("panic", "error", err.Error(), "stack", string(debug.Stack()))
	}()
	return f()
}

// rescued returns f for a goroutine of its own.
func (r *Reconciler) rescued(f func() error) func() error {
	return func() error { return r.rescue(f) }
}
