package cli

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

// output is stdout or stderr. It keeps the first error. Once its reader has gone it
// writes nothing.
type output struct {
	to     io.Writer
	broken func() // called when the reader has gone

	mu    sync.Mutex
	err   error
	above io.Writer // if set, prints above a bar
}

// Write satisfies io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if errors.Is(o.err, syscall.EPIPE) {
		return 0, o.err
	}
	if o.above != nil {
		if n, err := o.above.Write(p); err == nil {
			return n, nil
		}
	}
	n, err := o.to.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		o.broken()
	}
	if o.err == nil || errors.Is(err, syscall.EPIPE) {
		o.err = err
	}
	return n, err
}

// divert lets what is written pass through w. If w is nil or fails, it does not.
func (o *output) divert(w io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.above = w
}

// failed returns the first error.
func (o *output) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// verdict returns the exit code of a command that ended with code. Output that was
// not written is an error.
func (o *output) verdict(code int, stderr io.Writer) int {
	err := o.failed()
	if err == nil {
		return code
	}
	// A closed pipe is no error to print. A command that failed has printed its own.
	if !errors.Is(err, syscall.EPIPE) && (code == ExitOK || code == ExitDue) {
		fmt.Fprintln(stderr, "latchkey: writing output:", err)
	}
	return ExitError
}
