package reconcile

import (
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// Request is a request to reconcile a credential.
type Request struct {
	Trigger protocol.Trigger
	// Cause is the event's type, source and ID. It is written in the description
	// of a key that is minted for it.
	Cause string
	// Force lets the run change keys of the service ID that we are logged in as.
	Force bool
	// End is a demand about the end of the credential.
	End offboard.Demand
	// Routine, if set, reports whether the key may be replaced because of its age alone,
	// beside those that others replace. If nil, it may. See protocol.Routine.
	Routine func() bool
	// Caller is the authenticated sender. Each has a limit of forced rotations.
	Caller string
	// Recorded, if set, is called with the credential's name once the demand is met
	// or recorded, which may be long before the run ends. It is not called for a
	// Request that shares another one's run.
	Recorded func(credential string)
}
