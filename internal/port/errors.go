package port

import (
	"errors"
	"fmt"
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

// ErrNotTaken is a cause of ErrUnavailable: the server gave a write back over HTTP/2, by an
// error of its stream or by the end of the connection. Not each of these proves that nothing
// was done.
var ErrNotTaken = errors.New("the server did not take the request, and it was not sent again")
