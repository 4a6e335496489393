package reconcile

import (
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// Errors of a run.
var (
	// errAltered means that a store's value is not that of the key that it names.
	errAltered = errors.New("the value is that of another key")
	// errUncleared means that the service ID, the arbiter if no store is guarded,
	// could not be written.
	errUncleared = errors.New("clearing for publication")
	// errWithdrawal means that a new key that no store has could not be deleted.
	errWithdrawal = errors.New("withdrawing the new key")
	// errUnread means that a store that was read could not be read again.
	errUnread = errors.New("reading a store again")
	// errUnadopted means that a store did not take the entry of an adopted key.
	errUnadopted = errors.New("writing the entry of the adopted key")
	// errWeaker means that IAM granted less than a policy asks for.
	errWeaker = errors.New("a role is missing")
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

// storeFault returns the reason for a store's error.
func storeFault(err error) reason.Reason {
	switch {
	case errors.Is(err, port.ErrDenied):
		return reason.StoreDenied
	case errors.Is(err, port.ErrQuota):
		return reason.StoreQuota
	case errors.Is(err, port.ErrRefused):
		return reason.StoreRefused
	case errors.Is(err, port.ErrNotActive):
		return reason.StoreNotActive
	default:
		return reason.StoreUnreachable
	}
}
