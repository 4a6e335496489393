// Package fault says which reason explains an error: that of a store, or that of a step
// which a person must see to. It is pure.
package fault

import (
	"errors"
	"slices"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// Errors of steps that have a reason of their own.
var (
	// ErrAltered means that a store's value is not that of the key that it names.
	ErrAltered = errors.New("the value is that of another key")
	// ErrUncleared means that the service ID, the arbiter if no store is guarded,
	// could not be written.
	ErrUncleared = errors.New("clearing for publication")
	// ErrWithdrawal means that a new key that no store has could not be deleted.
	ErrWithdrawal = errors.New("withdrawing the new key")
	// ErrUnread means that a store that was read could not be read again.
	ErrUnread = errors.New("reading a store again")
	// ErrUnadopted means that a store did not take the entry of an adopted key.
	ErrUnadopted = errors.New("writing the entry of the adopted key")
	// ErrWeaker means that IAM granted less than a policy asks for.
	ErrWeaker = errors.New("a role is missing")
)

// Is reports whether the error is one of several.
func Is(err error, any ...error) bool {
	return slices.ContainsFunc(any, func(one error) bool { return errors.Is(err, one) })
}

// Final reports whether the upstream refused a write, so that it fails again.
func Final(err error) bool { return Is(err, port.ErrDenied, port.ErrRefused, port.ErrQuota) }

// OfStore returns the reason for a store's error.
func OfStore(err error) reason.Reason {
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

// OfDenial returns why IAM denied a step: a lock, or a permission that is missing.
func OfDenial(step protocol.Step, err error) reason.Reason {
	switch {
	case !errors.Is(err, port.ErrLocked):
		return reason.IdentityDenied
	case step.Key == "":
		return reason.IdentityLocked
	}
	return reason.KeyLocked
}

// OfStep returns why a person must act on the error of a step that ended a round. It
// returns nothing if the next run may succeed.
func OfStep(step protocol.Step, err error) reason.Reason {
	action := refused(step, err)
	writes := action == protocol.Publish || action == protocol.RemoveEntry || Is(err, ErrUnread, ErrUnadopted)
	if writes && Final(err) {
		return OfStore(err)
	}
	for _, row := range explanations {
		if (row.action == "" || row.action == action) && Is(err, row.errs...) {
			return row.reason
		}
	}
	return ""
}

// explanations say which reason explains the error of an action. The first row that
// fits counts. An empty action is any.
var explanations = []struct {
	action protocol.Action
	errs   []error
	reason reason.Reason
}{
	{joining, []error{port.ErrDenied, port.ErrRefused, port.ErrNotFound}, reason.GroupDenied},
	{protocol.Prove, []error{port.ErrDenied, port.ErrRefused, port.ErrNotYet}, reason.ProofDenied},
	{protocol.GrantPolicy, []error{port.ErrDenied}, reason.PolicyDenied},
	{protocol.GrantPolicy, []error{ErrWeaker}, reason.PolicyWeaker},
	{protocol.GrantPolicy, []error{port.ErrRefused}, reason.PolicyRefused},
	{protocol.GrantProfile, []error{port.ErrDenied}, reason.PolicyDenied},
	{protocol.GrantProfile, []error{ErrWeaker}, reason.PolicyWeaker},
	{protocol.GrantProfile, []error{port.ErrRefused}, reason.PolicyRefused},
	{protocol.Mint, []error{port.ErrQuota}, reason.KeyCap},
	{protocol.Mint, []error{port.ErrRefused}, reason.ValueRefused},
	{"", []error{port.ErrDenied}, reason.IdentityDenied},
}

// joining stands for a GrantPolicy that joins an access group.
const joining protocol.Action = "join"

// refused returns the action that an error is about. Whatever the step was, IAM
// refuses to delete a new key, or to clear one for publication.
func refused(step protocol.Step, err error) protocol.Action {
	if Is(err, ErrWithdrawal, ErrUncleared) {
		return ""
	}
	if _, group := access.IsMembership(step.Target); group && step.Action == protocol.GrantPolicy {
		return joining
	}
	return step.Action
}
