package cli

import (
	"errors"
	"fmt"
	"io"
)

// Exit codes. The help lists them.
const (
	ExitOK       = 0
	ExitError    = 1
	ExitPending  = 2
	ExitBlocked  = 3
	ExitTryAgain = 75
)

// Errors with an exit code of their own; see Exit.
var (
	ErrPending  = errors.New("changes are pending")
	ErrTryAgain = errors.New("try again later")
	ErrBlocked  = errors.New("blocked: a person has to act")
)

// Exit prints a command's error and returns its exit code. If several apply,
// ExitTryAgain precedes ExitBlocked, which precedes ExitPending.
func Exit(err error, stderr io.Writer) int {
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrPending) && !errors.Is(err, ErrTryAgain) && !errors.Is(err, ErrBlocked):
		return ExitPending
	}
	fmt.Fprintln(stderr, "latchkey:", err)
	switch {
	case errors.Is(err, ErrTryAgain):
		return ExitTryAgain
	case errors.Is(err, ErrBlocked):
		return ExitBlocked
	}
	return ExitError
}
