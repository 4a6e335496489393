package reconcile

import (
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// Adapters wrap one of these sentinels together with the cause:
// fmt.Errorf("reading secret %q: %w: %w", …). The sentinel decides the next step.
var (
	// ErrNotFound means that the object does not exist. IAM is eventually
	// consistent, so for IAM it proves nothing.
	ErrNotFound = errors.New("not found")
	// ErrConflict means that the object has changed since it was read. Nothing
	// was written.
	ErrConflict = errors.New("changed since it was read")
	// ErrDenied means that latchkey lacks a permission. Nothing was written.
	ErrDenied = errors.New("access denied")
	// ErrLocked means that a lock on the object denies the change. Nothing was
	// written.
	ErrLocked = fmt.Errorf("%w: it is locked", ErrDenied)
	// ErrRefused means that the upstream will never accept this request. Nothing
	// was written.
	ErrRefused = errors.New("refused")
	// ErrQuota means that a quota is exhausted. Nothing was written.
	ErrQuota = errors.New("quota exceeded")
	// ErrLogin means that IAM refused latchkey's own login. No retry changes that.
	ErrLogin = errors.New("login refused")
	// ErrNotActive means that the object exists but is not ready yet.
	ErrNotActive = errors.New("not active yet")
	// ErrNotYet means that a proof failed, and that IAM's lag may be the cause. It
	// is worth retrying.
	ErrNotYet = errors.New("not effective yet")
	// ErrUnavailable means that there was no clear answer. A write may or may not
	// have happened.
	ErrUnavailable = errors.New("no clear answer")
	// ErrUnlocked means that the entry was written but not locked as in use. The
	// publication is valid.
	ErrUnlocked = errors.New("written, but not locked")
)

// Errors that Reconcile itself returns.
var (
	// ErrObserve means that IAM could not be read. Nothing was changed.
	ErrObserve = errors.New("observing the credential")
	// errAgain means that the state changed since it was observed. The run
	// observes and decides again.
	errAgain = errors.New("the state changed")
	// errTooLate means that the run is too old to write.
	errTooLate = errors.New("this run is too old to write")
	// errAltered means that a store's value is not that of the key that it names.
	errAltered = errors.New("the value does not belong to the key that the store names")
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
	errWeaker = errors.New("IAM granted less")
	// errStorm means that the limit of forced rotations in an hour is reached.
	errStorm = errors.New("too many forced rotations")
	// errDrift means that the local clock and IAM's clock moved apart during the
	// run.
	errDrift = errors.New("the clock moved during the run")
)

// storeFault returns the reason for a store's error.
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
