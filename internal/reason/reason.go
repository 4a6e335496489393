// Package reason has the reasons why a step is taken, held back or refused, and what
// notes are about: one table with all that follows from each.
package reason

// Reason is why a step is planned, delayed or blocked, or what a note is about.
// Reasons are stable codes. The table reasons has all that follows from one.
type Reason string

// Reasons to act.
const (
	NoIdentity       Reason = "no-service-id"
	NoPolicy         Reason = "policy-missing"
	PolicyExcess     Reason = "policy-excess"
	Duplicate        Reason = "duplicate-service-id"
	NothingThere     Reason = "nothing-published"
	Aged             Reason = "aged"
	Spread           Reason = "spread"
	ExpiresSoon      Reason = "expires-soon"
	Demanded         Reason = "demanded"
	Remembered       Reason = "demanded-earlier"
	FirstStoreBehind Reason = "first-store-behind"
	NoCopySource     Reason = "no-store-to-copy-from"
	StoreBehind      Reason = "store-behind"
	ValueAltered     Reason = "value-altered" // a note as well
	FuseOn           Reason = "fuse-on"
	NeverPublished   Reason = "never-published"
	Replaced         Reason = "replaced"
	RolledBack       Reason = "rolled-back"
	IsExpired        Reason = "expired"
	ConsumerBehind   Reason = "consumer-behind"
	NewlyMinted      Reason = "newly-minted"
	KeyLeaked        Reason = "key-leaked"
	StillUsed        Reason = "still-used"
	StillHeld        Reason = "still-held"
	Renamed          Reason = "renamed"
	Adoption         Reason = "adoption"
	SubjectGone      Reason = "subject-gone"
	KeyEnded         Reason = "key-ended" // a note as well
	Deprovision      Reason = "deprovision"
	Undone           Reason = "deprovision-undone"
	NoProfile        Reason = "profile-missing"
	ProfileLacks     Reason = "profile-incomplete"
	ProfileIdle      Reason = "profile-unused"
)

// Reasons for notes.
const (
	UsedToTheEnd  Reason = "used-to-the-end"
	Expiring      Reason = "expiring"
	KeyFound      Reason = "key-found"
	TokensLive    Reason = "tokens-live"
	LeakedAlive   Reason = "leaked-key-alive"
	Unconfigured  Reason = "unconfigured"
	StoreDropped  Reason = "store-dropped"
	PutBack       Reason = "put-back"
	LockFailed    Reason = "store-lock-failed"
	NextTry       Reason = "next-try"
	CleanUpFailed Reason = "clean-up-failed"

	// What a service ID has beyond the config: see Drift.
	PolicyWider   Reason = "policy-wider"
	PolicyLeft    Reason = "policy-left"
	PolicyForeign Reason = "policy-foreign"
	KeysForeign   Reason = "keys-foreign"
	GroupForeign  Reason = "group-foreign"
	TextChanged   Reason = "description-changed"

	// What is to know about a trusted profile: see Keyless.
	ProfileReady   Reason = "profile-ready"
	ProfileAssumed Reason = "profile-assumed"
	ProfileUsed    Reason = "profile-used"
	ProfileForeign Reason = "profile-foreign"
	ProfileUnread  Reason = "profile-not-read"
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
	ConsumerStarting Reason = "consumer-starting"
	ProofUnclear     Reason = "proof-unclear"
	Deprovisioning   Reason = "deprovisioning"
	// Unobserved closes no gate: nothing is decided.
	Unobserved Reason = "not-observed"
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
	NewerVersion   Reason = "newer-version"
	IdentityShared Reason = "service-id-shared"
	IdentityTwice  Reason = "service-id-twice"
	KeyDisabled    Reason = "key-disabled"
	KeyLocked      Reason = "key-locked" // a note as well
	KeyCap         Reason = "key-cap"
	PolicyDenied   Reason = "policy-denied"
	PolicyWeaker   Reason = "policy-weaker"
	PolicyRefused  Reason = "policy-refused"
	IdentityDenied Reason = "service-id-denied"
	StoreDenied    Reason = "store-denied"
	StoreRefused   Reason = "store-refused"
	StoreSilent    Reason = "store-silent"
	ConsumerSilent Reason = "consumer-silent"
	StoreQuota     Reason = "store-quota"
	EntryUnmarked  Reason = "entry-unmarked"
	EntryForeign   Reason = "entry-foreign"
	EntryAltered   Reason = "entry-altered"
	EntryRewritten Reason = "entry-rewritten"
	ValueRefused   Reason = "value-refused"
	ProofDenied    Reason = "proof-denied"
	Storm          Reason = "storm"
	KeyForeign     Reason = "key-foreign"
	IdentityAbsent Reason = "service-id-absent"
	GroupDenied    Reason = "access-group-denied"
	AdoptionFailed Reason = "adoption-failed"
	OwnLogin       Reason = "own-login"
	// ConsumerFailed is set after a restart: it closes no gate.
	ConsumerFailed Reason = "consumer-failed"
	// InUse, EndRefused and EntryRemoved are those of package offboard.
	InUse        Reason = "in-use"
	EndRefused   Reason = "deprovision-refused"
	KeyUnwanted  Reason = "key-unwanted"
	EntryRemoved Reason = "entry-removed"
	// ExpansionFailed blocks a credential before a run.
	ExpansionFailed Reason = "expansion-failed"
)

// Kind says what a reason asks of its reader.
type Kind int

// The kinds.
const (
	Act   Kind = iota // nothing: it is why a step is planned
	Tell              // to know
	Wait              // to wait: it passes by itself
	Block             // to act
)

// Level is how far a plan may go. Each level includes those before it.
type Level int

// The levels, lowest first.
const (
	Nothing   Level = iota
	Unpaused        // the config does not pause the credential
	Trusted         // the clock can be trusted
	Unblocked       // no person must act
	Visible         // IAM returns every key that a store names
	Quiet           // no other replica is at work
)

// row is a row of the table.
type row struct {
	kind Kind
	// lets is how far a plan may go while the reason holds it back. It is only set
	// if the reason closes a gate; one that holds back a new key alone lets the
	// rest pass.
	lets Level
	text string
	// fix is the action that resolves a block.
	fix string
}

var reasons = map[Reason]row{
	NoIdentity:       {kind: Act, text: "IAM has no service ID for this credential yet"},
	NoPolicy:         {kind: Act, text: "the service ID lacks a policy that the config asks for"},
	PolicyExcess:     {kind: Act, text: "latchkey granted the policy, and the config does not say it"},
	Duplicate:        {kind: Act, text: "two replicas created the service ID at the same time, and this one has no keys"},
	NothingThere:     {kind: Act, text: "no store names a live key"},
	Aged:             {kind: Act, text: "the published key has reached its rotation age"},
	Spread:           {kind: Act, text: "the published key has reached its rotation age, and a later sweep replaces it, since this one has begun with as many as an interval may"},
	ExpiresSoon:      {kind: Act, text: "the published key expires within an overlap or four sweeps"},
	Demanded:         {kind: Act, text: "the event demands a newer key"},
	Remembered:       {kind: Act, text: "an earlier event demanded a newer key, which could not be created then"},
	FirstStoreBehind: {kind: Act, text: "the first guarded store names an older key than another store"},
	NoCopySource:     {kind: Act, text: "a store is behind, and no other store returns the value to copy"},
	StoreBehind:      {kind: Act, text: "the store names another key, or none"},
	ValueAltered:     {kind: Act, text: "the store's value is not that of the key that its entry names"},
	FuseOn:           {kind: Act, text: "a store names the key, so its expiry moves from the fuse to its full lifetime"},
	NeverPublished:   {kind: Act, text: "no store took the key, and the run that created it has ended"},
	Replaced:         {kind: Act, text: "every store names a newer key"},
	RolledBack:       {kind: Act, text: "the stores went back to an older key"},
	NoProfile:        {kind: Act, text: "IAM has no trusted profile for this credential yet"},
	ProfileLacks:     {kind: Act, text: "the trusted profile lacks a link or a policy that the config asks for"},
	ProfileIdle:      {kind: Act, text: "the config does not ask for the trusted profile, a store names a key, and no consumer has assumed the profile within the quiet time"},
	IsExpired:        {kind: Act, text: "the key has expired"},
	ConsumerBehind:   {kind: Act, text: "the consumer has not restarted since the key changed"},
	NewlyMinted:      {kind: Act, text: "this run created the key"},
	KeyLeaked:        {kind: Act, text: "the key leaked: it ends as soon as consumers have another one"},
	StillUsed:        {kind: Act, text: "a consumer still authenticates with the key, so its overlap is extended, to three overlaps at most"},
	StillHeld:        {kind: Act, text: "a store or a consumer still has the key after its overlap started, so its expiry is extended until they have another one"},
	Renamed:          {kind: Act, text: "the config renamed the credential"},
	Adoption:         {kind: Act, text: "the config asks to adopt this existing key"},
	SubjectGone:      {kind: Act, text: "the project is deleted, and onGone asks to end its keys"},
	KeyEnded:         {kind: Act, text: "the published key was disabled, and not by latchkey: consumers get another one, and the key stays disabled"},
	Deprovision:      {kind: Act, text: "the credential is deprovisioned"},
	Undone:           {kind: Act, text: "the deprovisioning is undone"},
	UsedToTheEnd:     {kind: Tell, text: "a consumer still authenticates with a key whose overlap can't be extended again: find the consumer that does not re-read the store"},
	Expiring:         {kind: Tell, text: "the published key expires within 14 days"},
	KeyFound:         {kind: Tell, text: "IAM itself disabled the key, as it does with one that it finds in public, so it leaked: consumers get another one, and the key is deleted"},
	TokensLive:       {kind: Tell, text: "access tokens that were issued for the ended key stay valid for up to 60 minutes"},
	LeakedAlive:      {kind: Tell, text: "the leaked key still works, because a store or consumer that may have it could not get another one yet: the next run tries again, and revoking with containment ends the key now"},
	Unconfigured:     {kind: Tell, text: "the service ID carries latchkey's marker, but no config entry yields it, so its keys are not rotated: restore the entry (list the old name in formerly if it was renamed), or delete the service ID (ibmcloud iam service-id-delete)"},
	StoreDropped:     {kind: Tell, text: "the key was published to a store that is no longer in the config: consumers of that store lose access when the key expires"},
	PutBack:          {kind: Tell, text: "the store names a key that a newer one had replaced: something put it back, or the store was not in the config then; consumers get a newer key again; if this happens at every sweep, find what writes the entry (a GitOps tool, a restored backup), and stop it"},
	LockFailed:       {kind: Tell, text: "a store could not lock or unlock its copy of a key; the next publication tries again"},
	CleanUpFailed:    {kind: Tell, text: "something that is over could not be removed; the next run tries again, and nothing waits for it"},
	NextTry:          {kind: Tell, text: "the last new keys could not be published, so the next one waits; latchkey rotate tries at once and prints the answer"},
	PolicyWider:      {kind: Tell, text: "a policy grants more than the config says"},
	PolicyLeft:       {kind: Tell, text: "a policy that latchkey granted is not in the config any more"},
	PolicyForeign:    {kind: Tell, text: "a policy that latchkey did not grant is not in the config"},
	KeysForeign:      {kind: Tell, text: "the service ID has keys that latchkey did not make"},
	GroupForeign:     {kind: Tell, text: "the service ID is a member of an access group that the config does not name"},
	TextChanged:      {kind: Tell, text: "the description of the service ID is not that of the config"},
	ProfileReady:     {kind: Tell, text: "the trusted profile has its links and policies, and no consumer has assumed it within the quiet time, so no key ends; that a consumer can log in with it and do its job is not proven yet: change the consumer's settings (latchkey keyless says how), and run latchkey prove where the consumer runs"},
	ProfileAssumed:   {kind: Tell, text: "a consumer has assumed the trusted profile, so its token and its link are proven; what it may do is proven only by latchkey prove where it runs; the key ends once none was used or made within the quiet time"},
	ProfileUsed:      {kind: Tell, text: "a consumer assumed the trusted profile within the quiet time, so it stays; let the consumer use the key"},
	ProfileForeign:   {kind: Tell, text: "a trusted profile with the configured name exists and IAM does not show that latchkey made it, so it is granted nothing; rename it, or use another name"},
	ProfileUnread:    {kind: Tell, text: "the trusted profile could not be read, so nothing about it was changed"},
	InProgress:       {kind: Wait, lets: Visible, text: "another replica may be working on this credential; the next run does what remains"},
	TooYoung:         {kind: Wait, lets: Quiet, text: "the newest key is less than 10 minutes old, so the next one waits until it is older"},
	KeysFull:         {kind: Wait, lets: Quiet, text: "the maximum number of keys is live; superseded keys expire soon"},
	NotVisible:       {kind: Wait, lets: Unblocked, text: "a store names a key that IAM does not return yet"},
	StoreUnreachable: {kind: Wait, lets: Quiet, text: "a store did not answer, so no key is ended, and none is created unless the store is optional"},
	StoreNotActive:   {kind: Wait, lets: Quiet, text: "the project of a store is not active yet"},
	ConsumerUnknown:  {kind: Wait, lets: Quiet, text: "a consumer could not be read or does not exist, so older keys are not ended"},
	ConsumerStarting: {kind: Wait, lets: Quiet, text: "a consumer does not run with the published key yet, so older keys are not ended"},
	ProofUnclear:     {kind: Wait, lets: Quiet, text: "the last new keys could not be proven or cleared for publication: IAM or the prover gave no clear answer, or the key did not work within a minute"},
	Deprovisioning:   {kind: Wait, lets: Quiet, text: "the credential is deprovisioned: its keys are disabled, and deleted after the wait (latchkey deprovision --undo brings them back until then)"},
	Unobserved:       {kind: Wait, lets: Quiet, text: "IAM could not be read, so nothing is known now, and nothing was changed"},
	Paused:           {kind: Block, lets: Nothing, text: "paused in the config", fix: "set paused to false to continue"},
	ClockSkew:        {kind: Block, lets: Unpaused, text: "the local clock and IAM's clock differ by more than 5 minutes", fix: "set this machine's clock"},
	NameTaken:        {kind: Block, lets: Trusted, text: "a service ID with this name exists without this credential's marker", fix: "rename it, or use another name in the config; if latchkey made it, put the marker back into its description"},
	NameCollision:    {kind: Block, lets: Trusted, text: "another credential uses the same service ID name or store entry", fix: "give each its own in the config, or end the other one"},
	IdentityLocked:   {kind: Block, lets: Trusted, text: "the service ID is locked", fix: "unlock it (ibmcloud iam service-id-unlock)"},
	IdentityGone:     {kind: Block, lets: Trusted, text: "a store names a key whose service ID is deleted, and latchkey does not recreate it", fix: "remove the entry from the store to start over, or deprovision the credential"},
	ForgedMarker:     {kind: Block, lets: Trusted, text: "it carries latchkey's marker, but IAM shows another creator, or none, so it is left alone", fix: "delete it if it is a forgery; if an earlier login of latchkey made it, list that login in identity.formerly, or claim it (latchkey claim ID)"},
	NewerVersion:     {kind: Block, lets: Unpaused, text: "a newer version of latchkey manages the service ID or one of its keys, so this one makes and ends no key", fix: "run the newer version"},
	IdentityShared:   {kind: Block, lets: Trusted, text: "the service ID has keys that latchkey did not make, so it is granted nothing", fix: "delete those keys, or set serviceID.id in the config"},
	IdentityTwice:    {kind: Block, lets: Trusted, text: "a store names a key of another service ID of latchkey's than the one with the configured name", fix: "delete the one that is not needed, or correct serviceID.name"},
	KeyDisabled:      {kind: Block, lets: Trusted, text: "the published key is disabled, and onDisabled is block", fix: "enable it, delete it to get a new one, or set onDisabled to replace"},
	KeyLocked:        {kind: Block, lets: Quiet, text: "a key that is to change or end is locked", fix: "unlock it (ibmcloud iam service-api-key-unlock)"},
	KeyCap:           {kind: Block, lets: Quiet, text: "the service ID has too many keys: 15 of IAM's 20, or as many live ones as latchkey makes, and none of them ends by itself", fix: "delete unused keys"},
	PolicyDenied:     {kind: Block, lets: Trusted, text: "IAM denied the policy", fix: "give latchkey's identity Administrator on the service, and the role to be granted"},
	PolicyWeaker:     {kind: Block, lets: Trusted, text: "IAM granted less than the config asks for", fix: "give latchkey's identity the role to be granted"},
	PolicyRefused:    {kind: Block, lets: Trusted, text: "IAM rejected the policy", fix: "correct its service, role or instance in the config"},
	IdentityDenied:   {kind: Block, lets: Trusted, text: "IAM denied access to service IDs or keys", fix: "grant latchkey's identity the role that is missing on IAM Identity (latchkey doctor prints the command)"},
	StoreDenied:      {kind: Block, lets: Trusted, text: "the store denied access to its entry, or to a consumer that is to restart", fix: "give latchkey's identity the role that the store needs"},
	StoreRefused:     {kind: Block, lets: Trusted, text: "the store rejected the entry", fix: "correct what the store's message names"},
	StoreSilent:      {kind: Block, lets: Quiet, text: "a required store does not answer, and the published key expires within 14 days or has ended", fix: "restore the store, or set required to false"},
	ConsumerSilent:   {kind: Block, lets: Quiet, text: "a consumer cannot be read or does not exist, and it may have a key that ends soon or has ended", fix: "give latchkey's identity access to it, create it, or correct its name"},
	StoreQuota:       {kind: Block, lets: Trusted, text: "the store is full", fix: "make room in it, or raise its quota"},
	EntryUnmarked:    {kind: Block, lets: Trusted, text: "the store's entry holds a value without a key ID", fix: "remove it, or set overwrite to true"},
	EntryForeign:     {kind: Block, lets: Trusted, text: "the store's entry belongs to another installation of latchkey", fix: "use another entry, or remove this one"},
	EntryAltered:     {kind: Block, lets: Trusted, text: "the store's value belongs to another service ID than the key that the entry names, so it is not copied", fix: "remove the entry to get a new key"},
	EntryRewritten:   {kind: Block, lets: Quiet, text: "something else changed a store's entry, and as many keys are live as latchkey makes", fix: "find what else writes the entry, and stop it: the next key comes when an older one ends"},
	ValueRefused:     {kind: Block, lets: Quiet, text: "IAM rejected the value of the new key", fix: "correct what IAM's message names"},
	ProofDenied:      {kind: Block, lets: Quiet, text: "the new key failed its proof", fix: "correct what the message names, often a policy that is missing"},
	Storm:            {kind: Block, lets: Quiet, text: "a caller, a credential or all of them together forced as many rotations as an hour allows", fix: "find the sender. The demand is recorded and met within the hour"},
	KeyForeign:       {kind: Block, lets: Trusted, text: "the key does not belong to this credential, so latchkey does not change it", fix: "revoke it where it was created"},
	IdentityAbsent:   {kind: Block, lets: Trusted, text: "the service ID in the config does not exist", fix: "create it, or correct serviceID.id"},
	GroupDenied:      {kind: Block, lets: Trusted, text: "IAM denied the access group membership", fix: "give latchkey's identity Editor on IAM Access Groups, or correct the group's name"},
	OwnLogin:         {kind: Block, lets: Trusted, text: "latchkey is logged in as this service ID, so it changes none of its keys", fix: "let latchkey log in with a trusted profile or as another service ID, or use --force with latchkey rotate, revoke or adopt"},
	ConsumerFailed:   {kind: Block, lets: Quiet, text: "a consumer does not start with the published key, and an older one that it runs with is not ended before it expires", fix: "repair the consumer"},
	ExpansionFailed:  {kind: Block, lets: Trusted, text: "the config entry makes no valid credential of this project or these parameters", fix: "rename the project, exclude it by where, or correct the expression"},
	InUse:            {kind: Block, lets: Quiet, text: "a key or the trusted profile was used within the quiet time, so the credential is not deprovisioned", fix: "stop what uses it and demand it again, or use --force"},
	KeyUnwanted:      {kind: Block, lets: Quiet, text: "the credential has no key, and the config asks for none", fix: "remove mode: keyless and keep: false to get one"},
	EndRefused:       {kind: Block, lets: Quiet, text: "the credential can't be deprovisioned", fix: "set keep to false, or delete keys that others made, and demand it again"},
	EntryRemoved:     {kind: Block, lets: Quiet, text: "every store's entry was removed, and keep is false, so none is made again", fix: "deprovision the credential (latchkey deprovision), or set keep to true"},
	AdoptionFailed:   {kind: Block, lets: Trusted, text: "no store holds the value of the key to adopt", fix: "put it there, or remove adopt"},
}

// Drift reports whether a note with this reason is about what a service ID has beyond
// the config. It concerns no key.
func (r Reason) Drift() bool {
	switch r {
	case PolicyWider, PolicyLeft, PolicyForeign, KeysForeign, GroupForeign, TextChanged:
		return true
	}
	return false
}

// Keyless reports whether a note with this reason is about a trusted profile. It concerns
// no key.
func (r Reason) Keyless() bool {
	switch r {
	case ProfileReady, ProfileAssumed, ProfileUsed, ProfileForeign, ProfileUnread:
		return true
	}
	return false
}

// Kind returns what the reason asks of its reader.
func (r Reason) Kind() Kind { return reasons[r].kind }

// Lets returns how far a plan may go while the reason holds it back.
func (r Reason) Lets() Level { return reasons[r].lets }

// Fix returns the action that resolves a block, or nothing.
func (r Reason) Fix() string { return reasons[r].fix }

// Text explains the reason, without the fix.
func (r Reason) Text() string { return reasons[r].text }

// Sentence explains the reason in one sentence, with the fix if there is one.
func (r Reason) Sentence() string {
	if fix := r.Fix(); fix != "" {
		return r.Text() + ": " + fix
	}
	return r.Text()
}

// Demand reports whether an event asked for what has this reason, now or earlier. Other
// new keys are needed.
func (r Reason) Demand() bool { return r == Demanded || r == Remembered }
