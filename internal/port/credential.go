package port

import (
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// Credential is one service ID with its keys, made from a config entry, with its
// adapters.
type Credential struct {
	// Name is the entry's name, or ENTRY/INSTANCE. Entry is the entry's name.
	Name, Entry string
	// Project is the name of the Code Engine project that the credential is for, or "".
	Project string
	// With are the parameters that are written in the marker.
	With map[string]string
	// ServiceIDName and Description are those of the service ID. The marker is
	// appended to the description.
	ServiceIDName, Description string
	// Owner is the person or team that outcomes are for, or "".
	Owner string
	// KeyDescription begins the description of each key.
	KeyDescription string
	Policies       []access.Policy
	// NarrowPolicies lets a run take down what we granted and Policies do not say.
	NarrowPolicies bool
	// Groups are the access groups, by ID or name, that the service ID joins.
	Groups []string
	// Given is the ID of an existing service ID. Only our keys on it are changed,
	// and ServiceIDName is not used.
	Given string
	// Former are earlier names of the credential.
	Former []string
	// OnLeak is IAM's action_when_leaked for every key.
	OnLeak   string
	Rules    protocol.Rules
	Stores   []Store
	Optional map[string]bool // stores, by name, whose faults do not block a rotation
	// ReadBack are the stores, by name, that are read after a publication to
	// compare the value.
	ReadBack  map[string]bool
	Consumers []Consumers
	// Provers use a token of the new key. Getting the token is always proven.
	Provers []Prover
	Paused  bool
	// Overwrite lets the next key replace a value that has no key ID.
	Overwrite bool
	// AdoptKey is an existing key to adopt where a store holds its value.
	AdoptKey string
	// OwnName is the service ID's name if one of ours with ServiceIDName belongs to
	// another credential, or SharesName is set. If empty, the credential is blocked
	// then.
	OwnName string
	// SharesName is set if another credential wants the same ServiceIDName, too.
	SharesName bool
	// Collides says which other credential uses the same service ID name or the
	// same location in a store, if one does.
	Collides string
	// Invalid is why the config entry makes no credential of its input. The other
	// fields are then not used.
	Invalid error
	// Existing is set if only a marker in IAM or an entry in a store shows the credential,
	// and neither the config nor a demand. Without its service ID it is over: it gets none.
	Existing bool
	// Gone is set if the credential's project is deleted and its keys must end.
	// RetireGone ends them only once they are not used any more.
	Gone, RetireGone bool
	// Offboard are the durations of a deprovisioning.
	Offboard offboard.Rules
	// Ends is when the credential is deprovisioned without a demand. Zero is never.
	Ends time.Time
	// Kept is set if the config would make the credential again after its end.
	Kept bool
	// NotAgain is set if nothing is made again that was removed: neither the service ID
	// nor an entry of a store.
	NotAgain bool
	// Profile is the trusted profile of the credential, or nil.
	Profile *TrustedProfile
	// Unconfigured is our service ID that no config entry yields. It is reported
	// and not changed.
	Unconfigured *ServiceID
	// Forged is set if Unconfigured only carries our marker and is not ours.
	Forged bool
}

// TrustedProfile is what the config says about a credential's trusted profile. Its
// policies are the credential's.
type TrustedProfile struct {
	Name string
	// Wanted is set if consumers are to use it instead of a key.
	Wanted bool
	Links  []keyless.Link
}

// Names returns the present and the earlier names, with which keys are marked.
func (c Credential) Names() []string { return append([]string{c.Name}, c.Former...) }

// Ending returns what is demanded of the credential's end: d, or what the config says.
func (c Credential) Ending(d offboard.Demand, now time.Time) offboard.Demand {
	over := !c.Ends.IsZero() && !now.Before(c.Ends)
	if d.Ask == "" && (over || c.Gone && c.RetireGone) {
		d.Ask = offboard.End
	}
	return d
}
