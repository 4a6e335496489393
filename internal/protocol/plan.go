package protocol

import (
	"time"

	"github.com/latchkey-io/latchkey/internal/reason"
)

// Action is one kind of step.
type Action string

// The actions.
const (
	RemoveDuplicate Action = "remove-duplicate"  // delete a keyless duplicate service ID
	CreateIdentity  Action = "create-service-id" // create the service ID with our marker
	Rename          Action = "rename"            // write the credential's new name into the service ID's marker
	GrantPolicy     Action = "grant-policy"      // create a policy and read it back
	NarrowPolicy    Action = "narrow-policy"     // take down a policy that the config no longer says, or roles of it
	Unfuse          Action = "unfuse"            // move the key's expiry from the fuse to its full lifetime
	Record          Action = "remember"          // record an unmet demand on the published key
	MarkLeaked      Action = "condemn"           // record on a key that it leaked
	Disable         Action = "disable"           // stop a leaked key from authenticating
	Adopt           Action = "adopt"             // mark an existing key, and its entry in a store, as ours
	Extend          Action = "extend"            // extend the overlap of a key that is used or held
	Retire          Action = "retire"            // delete a key
	Supersede       Action = "supersede"         // start a key's overlap by moving its expiry in
	Mint            Action = "mint"              // create a key, fuse on
	Prove           Action = "prove"             // prove that the new key works
	Publish         Action = "publish"           // write the new key to a store
	Copy            Action = "copy"              // write the published key to a store that is behind
	RemoveIdentity  Action = "remove-service-id" // delete the keyless service ID of a deleted project
	RestartConsumer Action = "restart"           // restart a consumer and leave the key's ID on it
)

// The actions of package offboard.
const (
	MarkEnd     Action = "mark-deprovision"   // record on the service ID that the credential is deprovisioned
	Suspend     Action = "suspend"            // mark a key and disable it
	Enable      Action = "enable"             // enable a key that a deprovisioning disabled
	UnmarkEnd   Action = "unmark-deprovision" // remove the record
	RemoveEntry Action = "remove-entry"       // remove our entry from a store, and keep its neighbours
)

// The actions of package keyless.
const (
	CreateProfile Action = "create-profile" // create the trusted profile with our marker
	GrantProfile  Action = "grant-profile"  // create a policy of the profile
	LinkProfile   Action = "link-profile"   // let a compute resource assume the profile
	RemoveProfile Action = "remove-profile" // delete the profile with its policies and links
)

// NewKey is the ID of the key that the same plan mints.
const NewKey = "new"

// Step is one action on one key, store, consumer, policy or service ID.
type Step struct {
	Action Action `json:"action"`
	// Key is the ID of the key that the step is about, or NewKey.
	Key string `json:"key,omitempty"`
	// Target is the store, consumer, policy or service ID.
	Target string `json:"target,omitempty"`
	// At is the new expiry, or the time of a recorded demand.
	At     time.Time     `json:"at,omitzero"`
	Reason reason.Reason `json:"reason"`
}

// Plan is the steps that one credential needs now.
type Plan struct {
	// Published is the key that consumers get. Empty if no store names a live key.
	Published string
	Steps     []Step
	// Later are steps that are due and left to a later sweep: see State.Spread.
	Later []Step
	// Next is when the next run is useful.
	Next time.Time
	// Blocked is set if a person must act. The steps are those that the closed gate
	// still lets through.
	Blocked reason.Reason
	// Waiting is why steps are missing for now. It needs no action.
	Waiting reason.Reason
	// Left is what still holds stores, consumers or older keys back once a new key of the
	// plan is published. LeftBlocks is set if a person must act then.
	Left       reason.Reason
	LeftBlocks bool
	// Notes inform the user.
	Notes []Note
}

// Note is one piece of information for the user.
type Note struct {
	Reason reason.Reason `json:"reason"`
	// Key is the ID of the key, and Store the name of the store, that the note is about.
	Key   string `json:"key,omitempty"`
	Store string `json:"store,omitempty"`
	// By is the identity that acted on the key, or the client that used it, if known.
	By string `json:"by,omitempty"`
	// Thing is the ID of the foreign service ID or key that the note is about, and
	// Creator the identity that made it.
	Thing   string `json:"thing,omitempty"`
	Creator string `json:"creator,omitempty"`
	// At is when the event happened, or will happen.
	At time.Time `json:"at,omitzero"`
}
