package rotation

import "time"

// Action is one kind of step.
type Action string

// The actions, in the order in which a plan may hold them.
const (
	RemoveDuplicate Action = "remove-duplicate"  // delete a keyless duplicate service ID
	CreateIdentity  Action = "create-service-id" // create the service ID with our marker
	Rename          Action = "rename"            // write the credential's new name into the service ID's marker
	GrantPolicy     Action = "grant-policy"      // create a policy and read it back
	Unfuse          Action = "unfuse"            // move the fuse out to the key's full life
	Remember        Action = "remember"          // write an unmet demand on the published key
	MarkLeaked      Action = "condemn"           // write on a key that it leaked
	Disable         Action = "disable"           // stop a leaked key from authenticating
	Adopt           Action = "adopt"             // mark an existing key as ours, and its entry in a store
	Extend          Action = "extend"            // lengthen the overlap of a key that is still used or held
	Retire          Action = "retire"            // delete a key
	Supersede       Action = "supersede"         // start a key's overlap: move its expiry in
	Mint            Action = "mint"              // create a key, fuse on
	Prove           Action = "prove"             // show that the new key does its job
	Publish         Action = "publish"           // write the new key to a store
	Copy            Action = "copy"              // bring a store that is behind up to the published key
	RemoveIdentity  Action = "remove-service-id" // delete our keyless service ID of something that is gone
	RestartConsumer Action = "restart"           // restart a consumer and leave the key's ID on it
)

// NewKey stands in a step for the key that the same plan mints.
const NewKey = "new"

// Step is one thing to do.
type Step struct {
	Action Action `json:"action"`
	// Key is the ID of the key that the step is about, or NewKey.
	Key string `json:"key,omitempty"`
	// Target is the store, consumer, policy or service ID.
	Target string `json:"target,omitempty"`
	// At is the new expiry, or the moment of a remembered demand.
	At     time.Time `json:"at,omitzero"`
	Reason Reason    `json:"reason"`
}

// Plan is what to do about one credential now.
type Plan struct {
	// Published is the ID of the key that consumers get; empty when none is
	// live.
	Published string
	Steps     []Step
	// Next is when the next look is worth it.
	Next time.Time
	// Blocked says that a person has to act. The steps then only keep alive
	// what consumers hold and end what nobody does.
	Blocked Reason
	// Waiting says what keeps a step back for now and will pass by itself.
	Waiting Reason
	// Notes are what people should know although nothing is wrong yet.
	Notes []Note
}

// Note is something that people should know.
type Note struct {
	Reason Reason `json:"reason"`
	// Key is the ID of the key that the note is about.
	Key string `json:"key,omitempty"`
	// Store is the name of the store that it is about.
	Store string `json:"store,omitempty"`
	// At is when it happened, or will.
	At time.Time `json:"at,omitzero"`
}

// Reason is why a step is taken, held back or refused.
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

// Reasons to tell people something.
const (
	UsedToTheEnd Reason = "used-to-the-end"
	Expiring     Reason = "expiring"
	TokensLive   Reason = "tokens-live"
	LeakedAlive  Reason = "leaked-key-alive"
	Unconfigured Reason = "unconfigured"
	StoreDropped Reason = "store-dropped"
	LockFailed   Reason = "store-lock-failed"
)

// Reasons to wait: each passes by itself.
const (
	InProgress       Reason = "in-progress"
	TooYoung         Reason = "too-young"
	KeysFull         Reason = "keys-full"
	NotVisible       Reason = "key-not-visible"
	StoreUnreachable Reason = "store-unreachable"
	StoreNotActive   Reason = "store-not-active"
	ConsumerUnknown  Reason = "consumer-unknown"
)

// Reasons to be blocked: a person has to act.
const (
	Paused         Reason = "paused"
	ClockSkew      Reason = "clock-skew"
	NameTaken      Reason = "name-taken"
	NameCollision  Reason = "name-collision"
	IdentityLocked Reason = "service-id-locked"
	IdentityGone   Reason = "service-id-gone"
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
	Duplicate:      "two instances created the service ID at once; this one has no keys and loses",
	NothingThere:   "no store names a live key",
	Aged:           "the published key has reached its age for replacement",
	ExpiresSoon:    "the published key expires before many more sweeps could replace it",
	Demanded:       "the event demands a newer key",
	Remembered:     "an earlier event demanded a newer key, and it could not be made then",
	ArbiterBehind:  "the store that decides names another key than the newest live one",
	NoCopySource:   "a store is behind and no store holds a readable value to copy",
	StoreBehind:    "the store names another key, or none",
	FuseOn:         "a store names the key, so its fuse is moved out to its full life",
	NeverPublished: "no store took the key, and the instance that minted it is gone",
	Replaced:       "a newer key took its place in every store",
	RolledBack:     "the stores went back to an older key, so this newer one is ended",
	IsExpired:      "IAM has ended the key, so it is cleaned up",
	ConsumerBehind: "the consumer has not been restarted since the key changed",
	NewlyMinted:    "the key was minted in this run",

	KeyLeaked:    "the key leaked: it ends as soon as consumers have another",
	StillUsed:    "somebody still authenticates with the key, so its overlap is lengthened (to three overlaps at most)",
	StillHeld:    "a store went back to the key after its overlap had started, or a consumer still has it, so it lives on until they have another",
	Renamed:      "the config has renamed the credential, so the service ID's marker follows",
	Adoption:     "the config says that this existing key is to be taken over",
	SubjectGone:  "the project is gone, and onGone says that its keys end with it",
	UsedToTheEnd: "somebody still authenticates with a key whose overlap ends for good: find the consumer that does not read the store again",
	Expiring:     "the published key ends within 14 days",
	TokensLive:   "access tokens that were issued for the ended key stay valid for up to 60 minutes",
	LeakedAlive:  "the leaked key still works, since something that may hold it could not be given another: the next look goes on, and containment ends it now",
	Unconfigured: "the service ID carries our marker, but no config entry yields it any more: nobody rotates its keys. Bring the entry back (formerly, if it was renamed), or delete the service ID",
	StoreDropped: "a store that the config named earlier got this key and is written no more: its consumers lose the key when it ends",
	LockFailed:   "a store could not be told that a key is in use, or no longer is: the error says why, and the next publication tries again",

	InProgress:       "another instance is at work on this credential; the next look finishes what is left",
	TooYoung:         "the newest key is younger than 10 minutes; the demand is remembered",
	KeysFull:         "as many keys as allowed are alive; superseded ones end soon",
	NotVisible:       "a store names a key that IAM does not show yet",
	StoreUnreachable: "a store did not answer, so nothing is minted and nothing is ended",
	ConsumerUnknown:  "a consumer could not be read, or does not exist, so the keys before the published one are not ended by us",
	StoreNotActive:   "the project of a store is not active yet",

	Paused:         "paused in the config: set paused to false to go on",
	ClockSkew:      "the local clock and IAM's differ by more than 5 minutes: set the clock right",
	NameTaken:      "a service ID with this exact name exists without latchkey's marker: rename it, or name another in the config",
	NameCollision:  "two credentials want the same service ID name, or the same place in a store: make them differ per instance",
	IdentityGone:   "a store names a key whose service ID is gone, and what people delete is not brought back: remove the store's entry to start anew",
	IdentityLocked: "the service ID is locked: unlock it (ibmcloud iam service-id-unlock)",
	KeyDisabled:    "somebody disabled the published key: enable it, or delete it to get a new one",
	KeyLocked:      "somebody locked a key that has to be changed: unlock it (ibmcloud iam service-api-key-unlock)",
	KeyCap:         "the service ID has too many keys (15 of IAM's 20 stop us): delete keys that nobody needs",
	PolicyDenied:   "IAM refused the policy: give latchkey's identity Administrator on the service and the role that it grants",
	PolicyWeaker:   "IAM granted less than asked: who grants a role must hold it, so give latchkey's identity that role",
	IdentityDenied: "IAM refused access to service IDs or keys: give latchkey's identity Administrator on IAM Identity",
	StoreDenied:    "a store refused access: give latchkey's identity the role that the store needs",
	StoreRefused:   "a store refused the entry: the error names the rule",
	StoreSilent:    "a required store has not answered for so long that the published key ends within 14 days: bring the store back, or say required: false",
	StoreQuota:     "a store is full: delete secrets that nobody needs, or raise the quota",
	EntryUnmarked:  "a store's entry holds a value without a key ID: remove it, or set adopt to true",
	EntryForeign:   "a store's entry belongs to another installation of latchkey: name another entry, or remove that one",
	EntryAltered:   "a store's value is not that of the key that it names, so it is not copied: remove the entry to get a new key",
	ValueRefused:   "IAM refused the key's value",
	Storm:          "more than 10 rotations were forced within an hour: find out who asks. What was asked is remembered and goes on as the hour passes",
	KeyForeign:     "the key is not one of this credential's, so it is not touched: end it where it was made",
	IdentityAbsent: "the service ID that the config names does not exist: create it, or correct serviceID.id",
	GroupDenied:    "IAM refused the membership of an access group: give latchkey's identity Editor on IAM Access Groups, or correct the group's name",
	AdoptionFailed: "no store holds the value of the key that is to be adopted: put it there, or take adopt away",
	ProofDenied:    "the new key does not do its job: the error says what was denied",
}

// Sentence says the reason to people, with the way out where there is one.
func (r Reason) Sentence() string { return sentences[r] }
