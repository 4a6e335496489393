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
	ExitDue      = 2
	ExitAct      = 3
	ExitTryAgain = 75
)

// Errors with an exit code of their own; see Exit.
var (
	ErrDue      = errors.New("something is due")
	ErrTryAgain = errors.New("not finished, try again")
	ErrAct      = errors.New("a person must act")
)

// Exit prints a command's error and returns its exit code. If several apply,
// ExitTryAgain precedes ExitAct, which precedes ExitDue.
func Exit(err error, stderr io.Writer) int {
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrDue) && !errors.Is(err, ErrTryAgain) && !errors.Is(err, ErrAct):
		return ExitDue
	}
	fmt.Fprintln(stderr, "latchkey:", visible(err.Error()))
	switch {
	case errors.Is(err, ErrTryAgain):
		return ExitTryAgain
	case errors.Is(err, ErrAct):
		return ExitAct
	}
	return ExitError
}
