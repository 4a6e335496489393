package rotation

import "time"

// Action is one kind of step.
type Action string

// The actions, in the order in which a plan may have them.
const (
	RemoveDuplicate Action = "remove-duplicate"  // delete a keyless duplicate service ID
	CreateIdentity  Action = "create-service-id" // create the service ID with our marker
	Rename          Action = "rename"            // write the credential's new name into the service ID's marker
	GrantPolicy     Action = "grant-policy"      // create a policy and read it back
	Unfuse          Action = "unfuse"            // move the key's expiry from the fuse to its full lifetime
	Remember        Action = "remember"          // record an unmet demand on the published key
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

// NewKey is the key ID in steps about the key that the same plan mints.
const NewKey = "new"

// Step is one action on one key, store, consumer, policy or service ID.
type Step struct {
	Action Action `json:"action"`
	// Key is the ID of the key that the step is about, or NewKey.
	Key string `json:"key,omitempty"`
	// Target is the store, consumer, policy or service ID.
	Target string `json:"target,omitempty"`
	// At is the new expiry, or the time of a recorded demand.
	At     time.Time `json:"at,omitzero"`
	Reason Reason    `json:"reason"`
}

// Plan is the steps that one credential needs now.
type Plan struct {
	// Published is the ID of the key that consumers get. It is empty if no store
	// names a live key.
	Published string
	Steps     []Step
	// Next is when the next run is useful.
	Next time.Time
	// Blocked is set if a person must act. The steps then only keep held keys
	// alive and end leaked ones.
	Blocked Reason
	// Waiting is a temporary reason why steps are missing. It needs no action.
	Waiting Reason
	// Notes inform the user about conditions that are not errors.
	Notes []Note
}

// Note is one piece of information for the user.
type Note struct {
	Reason Reason `json:"reason"`
	// Key is the ID of the key that the note is about.
	Key string `json:"key,omitempty"`
	// Store is the name of the store that the note is about.
	Store string `json:"store,omitempty"`
	// Thing is the ID of the foreign service ID or key that the note is about, and
	// Creator the identity that made it.
	Thing   string `json:"thing,omitempty"`
	Creator string `json:"creator,omitempty"`
	// At is when the event happened, or will happen.
	At time.Time `json:"at,omitzero"`
}

// Reason is why a step is planned, delayed or blocked. Reasons are stable codes.
type Reason string

// Reasons to act.
const (
	NoIdentity     Reason = "no-service-id"
	NoPolicy       Reason = "policy-missing"
	Duplicate      Reason = "duplicate-service-id"
	NothingThere   Reason = "nothing-published"
	Aged           Reason = "aged"
	ExpiresSoon    Reason = "expires-soon"
	Demanded       Reason = "demanded"
	Remembered     Reason = "demanded-earlier"
	ArbiterBehind  Reason = "first-store-behind"
	NoCopySource   Reason = "no-store-to-copy-from"
	StoreBehind    Reason = "store-behind"
	FuseOn         Reason = "fuse-on"
	NeverPublished Reason = "never-published"
	Replaced       Reason = "replaced"
	RolledBack     Reason = "rolled-back"
	IsExpired      Reason = "expired"
	ConsumerBehind Reason = "consumer-behind"
	NewlyMinted    Reason = "newly-minted"
	KeyLeaked      Reason = "key-leaked"
	StillUsed      Reason = "still-used"
	StillHeld      Reason = "still-held"
	Renamed        Reason = "renamed"
	Adoption       Reason = "adoption"
	SubjectGone    Reason = "subject-gone"
)

// Reasons for notes.
const (
	UsedToTheEnd Reason = "used-to-the-end"
	Expiring     Reason = "expiring"
	TokensLive   Reason = "tokens-live"
	LeakedAlive  Reason = "leaked-key-alive"
	Unconfigured Reason = "unconfigured"
	StoreDropped Reason = "store-dropped"
	LockFailed   Reason = "store-lock-failed"
)

// Reasons to wait. None needs an action.
const (
	InProgress       Reason = "in-progress"
	TooYoung         Reason = "too-young"
	KeysFull         Reason = "keys-full"
	NotVisible       Reason = "key-not-visible"
	StoreUnreachable Reason = "store-unreachable"
	StoreNotActive   Reason = "store-not-active"
	ConsumerUnknown  Reason = "consumer-unknown"
)

// Reasons to be blocked. A person must act.
const (
	Paused         Reason = "paused"
	ClockSkew      Reason = "clock-skew"
	NameTaken      Reason = "name-taken"
	NameCollision  Reason = "name-collision"
	IdentityLocked Reason = "service-id-locked"
	IdentityGone   Reason = "service-id-gone"
	ForgedMarker   Reason = "forged-marker" // a note as well
	IdentityShared Reason = "service-id-shared"
	IdentityTwice  Reason = "service-id-twice"
	KeyDisabled    Reason = "key-disabled"
	KeyLocked      Reason = "key-locked"
	KeyCap         Reason = "key-cap"
	PolicyDenied   Reason = "policy-denied"
	PolicyWeaker   Reason = "policy-weaker"
	IdentityDenied Reason = "service-id-denied"
	StoreDenied    Reason = "store-denied"
	StoreRefused   Reason = "store-refused"
	StoreSilent    Reason = "store-silent"
	StoreQuota     Reason = "store-quota"
	EntryUnmarked  Reason = "entry-unmarked"
	EntryForeign   Reason = "entry-foreign"
	EntryAltered   Reason = "entry-altered"
	ValueRefused   Reason = "value-refused"
	ProofDenied    Reason = "proof-denied"
	Storm          Reason = "storm"
	KeyForeign     Reason = "key-foreign"
	IdentityAbsent Reason = "service-id-absent"
	GroupDenied    Reason = "access-group-denied"
	AdoptionFailed Reason = "adoption-failed"
)

var sentences = map[Reason]string{
	NoIdentity:     "IAM has no service ID for this credential yet",
	NoPolicy:       "the service ID lacks a policy that the config asks for",
	Duplicate:      "two replicas created the service ID at the same time, and this one has no keys",
	NothingThere:   "no store names a live key",
	Aged:           "the published key has reached its rotation age",
	ExpiresSoon:    "the published key expires within four sweeps",
	Demanded:       "the event demands a newer key",
	Remembered:     "an earlier event demanded a newer key, which could not be created then",
	ArbiterBehind:  "the first guarded store names an older key than another store",
	NoCopySource:   "a store is behind, and no other store returns the value to copy",
	StoreBehind:    "the store names another key, or none",
	FuseOn:         "a store names the key, so its expiry moves from the fuse to its full lifetime",
	NeverPublished: "no store took the key, and the run that created it has ended",
	Replaced:       "every store names a newer key",
	RolledBack:     "the stores went back to an older key",
	IsExpired:      "the key has expired",
	ConsumerBehind: "the consumer has not restarted since the key changed",
	NewlyMinted:    "this run created the key",

	KeyLeaked:    "the key leaked: it ends as soon as consumers have another one",
	StillUsed:    "a consumer still authenticates with the key, so its overlap is extended, to three overlaps at most",
	StillHeld:    "a store or a consumer still has the key after its overlap started, so its expiry is extended until they have another one",
	Renamed:      "the config renamed the credential",
	Adoption:     "the config asks to adopt this existing key",
	SubjectGone:  "the project is deleted, and onGone asks to end its keys",
	UsedToTheEnd: "a consumer still authenticates with a key whose overlap can't be extended again: find the consumer that does not re-read the store",
	Expiring:     "the published key expires within 14 days",
	TokensLive:   "access tokens that were issued for the ended key stay valid for up to 60 minutes",
	LeakedAlive:  "the leaked key still works, because a store or consumer that may have it could not get another one yet: the next run tries again, and revoking with containment ends the key now",
	Unconfigured: "the service ID carries latchkey's marker, but no config entry yields it, so its keys are not rotated: restore the entry (list the old name in formerly if it was renamed), or delete the service ID",
	StoreDropped: "the key was published to a store that is no longer in the config: consumers of that store lose access when the key expires",
	ForgedMarker: "it carries latchkey's marker, but IAM does not show that latchkey made it, so it is left alone: delete it if it is a forgery; if an earlier login of latchkey made it, list that login in identity.formerly, or claim it (latchkey claim ID)",
	LockFailed:   "a store could not lock or unlock its copy of a key; the next publication tries again",

	InProgress:       "another replica is working on this credential; the next run does what remains",
	TooYoung:         "the newest key is less than 10 minutes old; the demand is recorded",
	KeysFull:         "the maximum number of keys is live; superseded keys expire soon",
	NotVisible:       "a store names a key that IAM does not return yet",
	StoreUnreachable: "a store did not answer, so no key is created or ended",
	ConsumerUnknown:  "a consumer could not be read or does not exist, so older keys are not ended",
	StoreNotActive:   "the project of a store is not active yet",

	Paused:         "paused in the config: set paused to false to continue",
	ClockSkew:      "the local clock and IAM's clock differ by more than 5 minutes: correct the local clock",
	NameTaken:      "a service ID with this name exists without this credential's marker: rename it, or use another name in the config",
	NameCollision:  "two credentials use the same service ID name or store entry: give each its own in the config",
	IdentityGone:   "a store names a key whose service ID is deleted, and latchkey does not recreate it: remove the entry from the store to start over",
	IdentityShared: "the service ID has keys that latchkey did not make, so it is granted nothing: delete those keys, or give the service ID by its ID in the config",
	IdentityTwice:  "a store names a key of another service ID of latchkey's than the one with the configured name: delete the one that is not needed, or correct serviceID.name",
	IdentityLocked: "the service ID is locked: unlock it (ibmcloud iam service-id-unlock)",
	KeyDisabled:    "the published key is disabled: enable it, or delete it to get a new one",
	KeyLocked:      "a key that must change is locked: unlock it (ibmcloud iam service-api-key-unlock)",
	KeyCap:         "the service ID has too many keys (latchkey stops at 15 of IAM's 20): delete unused keys",
	PolicyDenied:   "IAM denied the policy: give latchkey's identity Administrator on the service, and the role to be granted",
	PolicyWeaker:   "IAM granted less than the config asks for: give latchkey's identity the role to be granted",
	IdentityDenied: "IAM denied access to service IDs or keys: give latchkey's identity Administrator on IAM Identity",
	StoreDenied:    "the store denied access: give latchkey's identity the role that the store needs",
	StoreRefused:   "the store rejected the entry",
	StoreSilent:    "a required store does not answer, and the published key expires within 14 days: restore the store, or set required to false",
	StoreQuota:     "the store is full: delete unused secrets, or raise the quota",
	EntryUnmarked:  "the store's entry holds a value without a key ID: remove it, or set overwrite to true",
	EntryForeign:   "the store's entry belongs to another installation of latchkey: use another entry, or remove this one",
	EntryAltered:   "the store's value does not belong to the key that the entry names, so it is not copied: remove the entry to get a new key",
	ValueRefused:   "IAM rejected the value of the new key",
	Storm:          "more than 10 rotations were forced within an hour: find the sender. The demand is recorded and met within the hour",
	KeyForeign:     "the key does not belong to this credential, so latchkey does not change it: revoke it where it was created",
	IdentityAbsent: "the service ID in the config does not exist: create it, or correct serviceID.id",
	GroupDenied:    "IAM denied the access group membership: give latchkey's identity Editor on IAM Access Groups, or correct the group's name",
	AdoptionFailed: "no store holds the value of the key to adopt: put it there, or remove adopt",
	ProofDenied:    "the new key failed its proof",
}

// Sentence explains the reason in one sentence, with the fix if there is one.
func (r Reason) Sentence() string { return sentences[r] }
