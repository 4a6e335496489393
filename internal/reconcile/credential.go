package reconcile

import (
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/rotation"
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
	// KeyDescription begins the description of each key.
	KeyDescription string
	Policies       []Policy
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
	Rules    rotation.Rules
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
	// Unconfigured is our service ID that no config entry yields. It is reported
	// and not changed.
	Unconfigured *ServiceID
	// Forged is set if Unconfigured only carries our marker and is not ours.
	Forged bool
}

// names returns the present and the earlier names, with which keys are marked.
func (c Credential) names() []string { return append([]string{c.Name}, c.Former...) }

// Request is a request to reconcile a credential.
type Request struct {
	Trigger rotation.Trigger
	// Cause is the event's type, source and ID. It is written in the description
	// of a key that is minted for it.
	Cause string
	// Force lets the run change keys of the service ID that we are logged in as.
	Force bool
	// End is a demand about the end of the credential.
	End offboard.Demand
	// Caller is the authenticated sender. Each has a limit of forced rotations.
	Caller string
	// Recorded, if set, is called with the credential's name once the demand is met
	// or recorded, which may be long before the run ends. It is not called for a
	// Request that shares another one's run.
	Recorded func(credential string)
}

// Result is how a run ended.
type Result string

// The results.
const (
	ResultUnchanged    Result = "unchanged"    // nothing was due
	ResultChanged      Result = "changed"      // repaired or cleaned up; the published key is the same
	ResultPublished    Result = "published"    // a new key is in the stores
	ResultInProgress   Result = "in-progress"  // must wait; the next run continues
	ResultBlocked      Result = "blocked"      // a person must act
	ResultUnconfigured Result = "unconfigured" // has our marker, but no config entry yields it
	ResultFailed       Result = "failed"       // a step failed; the next run tries again
)

// StoreOutcome is the state of a store after the run.
type StoreOutcome struct {
	Name  string          `json:"name"`
	Key   string          `json:"key,omitempty"`
	Fault rotation.Reason `json:"fault,omitempty"`
	// Error is the store's own error, if the store could not be read or written,
	// or if a consumer of it could not be restarted.
	Error string `json:"error,omitempty"`
}

// Leaked is the state of a key whose revocation was requested.
type Leaked string

// The states of a leaked key.
const (
	LeakedRevoked   Leaked = "ended"     // it no longer authenticates
	LeakedAlive     Leaked = "alive"     // it still works; the request is recorded, and the next run continues
	LeakedGone      Leaked = "gone"      // IAM has no such key
	LeakedElsewhere Leaked = "elsewhere" // it belongs to another credential
	LeakedForeign   Leaked = "foreign"   // it has no marker of ours
)

// NoteOutcome is a note with its sentence.
type NoteOutcome struct {
	rotation.Note
	Message string `json:"message"`
}

// StepOutcome is one step and its error, if any.
type StepOutcome struct {
	rotation.Step
	Error string `json:"error,omitempty"`
}

// Outcome is what a run did to one credential. Answers, events and commands all
// show it. It never contains a key's value.
type Outcome struct {
	Credential string `json:"credential"`
	// Project is the name of the credential's project, for people.
	Project string `json:"project,omitempty"`
	// Condition is how the credential is now; Reason says why it is not OK.
	Condition  condition.Condition `json:"condition,omitempty"`
	Result     Result              `json:"result"`
	Reason     rotation.Reason     `json:"reason,omitempty"`
	Message    string              `json:"message,omitempty"`
	ServiceID  string              `json:"serviceID,omitempty"`
	Key        string              `json:"key,omitempty"`
	KeyCreated time.Time           `json:"keyCreated,omitzero"`
	KeyExpires time.Time           `json:"keyExpires,omitzero"`
	Replaced   string              `json:"replaced,omitempty"`
	// ReplacedEnds is when the replaced key stops working.
	ReplacedEnds time.Time      `json:"replacedEnds,omitzero"`
	Stores       []StoreOutcome `json:"stores,omitempty"`
	Steps        []StepOutcome  `json:"steps,omitempty"`
	Next         time.Time      `json:"next,omitzero"`
	// Cause is what the run was requested by. The run itself does not set it.
	Cause *Cause `json:"cause,omitempty"`
	// RecordedCause is the end of the cause of a recorded demand that the run met.
	RecordedCause string `json:"recordedCause,omitempty"`
	// Recorded is set if the demand is met, or recorded where the next run finds it.
	Recorded bool `json:"-"`
	// Leaked is the state of the key whose revocation was requested.
	Leaked Leaked `json:"leakedKey,omitempty"`
	// Notes inform the user about conditions that are not errors.
	Notes []NoteOutcome `json:"notes,omitempty"`
	Error string        `json:"error,omitempty"`

	// Keys are the credential's keys as the run left them, without values.
	Keys []rotation.Key `json:"-"`

	facts    condition.Facts // when the last round ended
	observed time.Time
}

// held reports whether a reason held the run back.
func (o *Outcome) held() bool { return o.Result == ResultBlocked || o.Result == ResultInProgress }
