package reconcile

import (
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
)

// Errors of a run.
var (
	// errTried means that a run has met the refusal, and not this look.
	errTried = errors.New("the last run was refused")
	// errStorm means that the limit of forced rotations in an hour is reached.
	errStorm = errors.New("too many forced rotations")
)

// again returns observe.ErrAgain in place of a conflict: the state has changed.
func again(err error) error {
	if errors.Is(err, port.ErrConflict) {
		return fmt.Errorf("%w: %w", observe.ErrAgain, err)
	}
	return err
}
