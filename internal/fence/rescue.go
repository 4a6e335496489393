package fence

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
)

// errPanic means that code panicked, in an adapter or here.
var errPanic = errors.New("panic")

// Rescue calls f and returns an error if it panics. One credential's panic must not
// end the process, which works for others. The error has the text of the Go runtime's
// panics only, since others may contain anything.
func Rescue(log *slog.Logger, f func() error) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err = fmt.Errorf("%w: %T", errPanic, p)
		if fault, ok := p.(runtime.Error); ok {
			err = fmt.Errorf("%w: %w", errPanic, fault)
		}
		log.Error("panic", "error", err.Error(), "stack", string(debug.Stack()))
	}()
	return f()
}
