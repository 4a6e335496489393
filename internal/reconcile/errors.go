package reconcile

import (
	"errors"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// What an adapter's error means for the next step. Adapters wrap these
// together with their cause: fmt.Errorf("reading secret %q: %w: %w", …).
var (
	// ErrNotFound: it is not there. IAM is eventually consistent, so this alone
	// proves nothing about IAM's things.
	ErrNotFound = errors.New("not found")
	// ErrConflict: somebody else changed it since it was read. Nothing was
	// written.
	ErrConflict = errors.New("changed by somebody else")
	// ErrDenied: we lack a permission. Nothing was written.
	ErrDenied = errors.New("access denied")
	// ErrRefused: the other side will never accept this. Nothing was written.
	ErrRefused = errors.New("refused")
	// ErrQuota: the other side is full. Nothing was written.
	ErrQuota = errors.New("quota exceeded")
	// ErrNotActive: it exists, but is not ready yet.
	ErrNotActive = errors.New("not active yet")
	// ErrNotYet: a proof failed in a way that IAM's lag explains. Ask again.
	ErrNotYet = errors.New("not effective yet")
	// ErrUnavailable: no clear answer. A write may or may not have happened.
	ErrUnavailable = errors.New("no clear answer")
	// ErrUnlocked: it was written, but what says there that the key is in use
	// could not be set. The publication stands.
	ErrUnlocked = errors.New("written, but not locked")
)

// Errors that Reconcile itself returns.
var (
	// ErrObserve: IAM could not be read, so nothing is known and nothing was
	// changed.
	ErrObserve = errors.New("observing the credential")
	// errAgain: the facts changed under the plan; observe and decide anew.
	errAgain = errors.New("the facts changed")
	// errTooLate: this run is too old to write anything more.
	errTooLate = errors.New("this run is too old to write")
	// errAltered: a store's value is not the key that it names.
	errAltered = errors.New("the value is not that of the key that the store names")
	// errUncleared: the service ID, which decides between instances where no store
	// does, could not be written.
	errUncleared = errors.New("clearing for publication")
	// errStorm: as many rotations were forced as an hour may see.
	errStorm = errors.New("too many forced rotations")
	// errDrift: the clocks moved against each other in mid-run.
	errDrift = errors.New("the clock moved during the run")
)

// storeFault sorts a store's error into the reason that Decide sees.
func storeFault(err error) rotation.Reason {
	switch {
	case errors.Is(err, ErrDenied):
		return rotation.StoreDenied
	case errors.Is(err, ErrQuota):
		return rotation.StoreQuota
	case errors.Is(err, ErrRefused):
		return rotation.StoreRefused
	case errors.Is(err, ErrNotActive):
		return rotation.StoreNotActive
	default:
		return rotation.StoreUnreachable
	}
}
