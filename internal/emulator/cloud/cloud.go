// Package cloud is the state machine behind the emulator: one IBM Cloud account
// with service IDs and their groups, API keys, users, trusted profiles, access
// policies and groups, Code Engine projects, and instances of Secrets Manager
// and Cloud Logs.
//
// The package is pure: it has no HTTP, goroutines, clock or randomness of its
// own. The caller supplies the clock and the seed of all generated IDs and
// values. Two clouds with the same seed, clock and calls hold the same state.
// Every operation is one method with typed arguments. It takes the acting
// identity and rejects what the identity's policies do not allow, as the
// service does. The HTTP emulator is a thin layer above it, and a simulation
// may call the methods directly.
//
// Every guess about IBM Cloud that is not a documented fact is a field of
// [Switches], with the guess as its default. The methods in console.go change
// the account without checking policies, as an administrator may while a
// program runs.
package cloud

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Settings may change while the cloud runs. The zero value is a cloud without
// delays.
type Settings struct {
	// KeyLag is how long /identity/token rejects a new key and still accepts a
	// deleted one.
	KeyLag time.Duration
	// ListLag is how long lists, gets and lookups by value hide a new key, and
	// lists hide a new service ID. Lists show deleted ones for as long.
	ListLag time.Duration
	// PolicyLag is how long a new policy is neither visible nor effective, a
	// changed policy keeps its old effect, and a deleted policy stays listed
	// and effective.
	PolicyLag time.Duration
	// ActivityLag is how long the activity of keys and service IDs hides an
	// authentication.
	ActivityLag time.Duration
	// ReportDelay is how long it takes to make an activity report.
	ReportDelay time.Duration
	// ProjectDelay is how long it takes to create a Code Engine project.
	ProjectDelay time.Duration
	// RejectLogs makes log ingestion answer 200 but reject every entry.
	RejectLogs bool
}

// Options configure a Cloud.
type Options struct {
	// Now is the clock. It is called with the cloud locked and must not call
	// the cloud.
	Now func() time.Time
	// Seed determines every generated ID and value.
	Seed [32]byte
	// Settings are the initial settings.
	Settings Settings
	// SeedCredentials is the number of service IDs to seed, as if the minter
	// had created them for credentials seed-1, seed-2, …. Each has a key and a
	// policy to send logs.
	SeedCredentials int
	// OnProject is called when a project is created, restored or deleted after
	// the seed, with the cloud locked; nil disables it.
	OnProject func(ProjectChange)
	// OnSecret is called with the events that Secrets Manager sends to Event
	// Notifications, with the cloud locked; nil disables it.
	OnSecret func(SecretEvent)
	// AdminKey seeds an API key of the account's owner.
	AdminKey bool
	// BlankTokens leaves the text of access tokens empty, which takes a millisecond
	// to sign. No token is valid then.
	BlankTokens bool
	// Switches replace the documented guesses; nil means [DefaultSwitches].
	Switches *Switches
}

// Actor is the identity that performs an operation. The zero Actor gets a 401.
type Actor struct {
	// IAMID names a user (IBMid-…), a service ID (iam-ServiceId-…) or a trusted
	// profile (iam-Profile-…).
	IAMID string
}

// Cloud is one account. All methods are safe for concurrent use.
type Cloud struct {
	mu sync.Mutex // guards everything below

	now      func() time.Time
	rnd      *rand.ChaCha8
	settings Settings
	switches Switches
	keyID    string // names the key that signs access tokens
	blank    bool   // tokens have no text
	account  AccountSettings

	notifyProject func(ProjectChange)

	minter   Minter
	adminKey string // value of the owner's key
	seeded   int    // number of seeded credentials

	serviceIDs        map[string]*serviceID
	serviceIDSequence sequence[*serviceID]
	serviceIDsByName  map[string][]*serviceID

	idGroups     map[string]*ServiceIDGroup
	idGroupOrder []*ServiceIDGroup
	inGroup      map[string]int // service IDs per group

	users map[string]User

	keys        map[string]*apiKey
	keySequence sequence[*apiKey]
	keysByIAM   map[string][]*apiKey
	keyByValue  map[string]*apiKey
	deleted     []deletedKey // oldest first, pruned as their lag passes
	reapAt      time.Time    // when the first expired key is due for deletion, or zero

	logins    map[string]Activity // of users and profiles
	report    *report             // the latest
	mfaReport *MFAReport          // the latest

	goneServiceIDs deletions[*serviceID]
	goneKeys       deletions[*apiKey]

	profiles        map[string]*profile
	profileSequence sequence[*profile]
	crTokens        map[string]bool

	idps          []*IDP                            // oldest first
	loginSettings map[string]map[string]*IDPSetting // by identity provider and account
	alias         string

	policies          map[string]*policy
	policySequence    sequence[*policy]
	policiesBySubject map[string][]*policy
	gonePolicies      deletions[*policy]
	trash             []*policy               // deleted, by sequence number
	pastPolicies      map[string][]pastPolicy // by subject

	enterprise enterprise

	groups         map[string]*group
	groupOrder     []*group
	groupsByMember map[string][]*group

	projects     map[string]*project
	projectOrder []*project

	instances map[string]LogsInstance
	objects   map[string]bool // of Cloud Object Storage, by bucket/name
	lines     []LogLine

	secretsInstances map[string]*secretsInstance // instances of Secrets Manager
	nextTick         time.Time                   // when something in them is next due; zero means never
	notifySecret     func(SecretEvent)

	notifications []Notification
	mails         []Mail // from the scanner for leaked keys, oldest first
}

// New returns a seeded cloud: the minter with its policies, three Code Engine
// projects, two applications, and one instance of Cloud Logs.
func New(opts Options) *Cloud {
	c := &Cloud{
		now:               opts.Now,
		rnd:               rand.NewChaCha8(opts.Seed),
		settings:          opts.Settings,
		switches:          DefaultSwitches(),
		serviceIDs:        map[string]*serviceID{},
		serviceIDsByName:  map[string][]*serviceID{},
		keys:              map[string]*apiKey{},
		keysByIAM:         map[string][]*apiKey{},
		keyByValue:        map[string]*apiKey{},
		logins:            map[string]Activity{},
		profiles:          map[string]*profile{},
		crTokens:          map[string]bool{},
		loginSettings:     map[string]map[string]*IDPSetting{},
		policies:          map[string]*policy{},
		policiesBySubject: map[string][]*policy{},
		pastPolicies:      map[string][]pastPolicy{},
		idGroups:          map[string]*ServiceIDGroup{},
		inGroup:           map[string]int{},
		users:             map[string]User{},
		groups:            map[string]*group{},
		groupsByMember:    map[string][]*group{},
		projects:          map[string]*project{},
		instances:         map[string]LogsInstance{},
		objects:           map[string]bool{},
	}
	if opts.Switches != nil {
		c.switches = *opts.Switches
	}
	unique := c.random(32)
	c.keyID, c.blank = newKeyID(unique), opts.BlankTokens
	c.enterprise.settings = newAccessSettings("1-" + hex.EncodeToString(unique[:16]))
	c.account = newAccountSettings("1-" + hex.EncodeToString(unique[16:]))
	c.seed(opts.SeedCredentials, opts.AdminKey)
	c.notifyProject, c.notifySecret = opts.OnProject, opts.OnSecret
	return c
}

// Settings returns the current settings.
func (c *Cloud) Settings() Settings {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings
}

// Set replaces the settings.
func (c *Cloud) Set(s Settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settings = s
}

// Switches returns the current switches.
func (c *Cloud) Switches() Switches {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.switches
}

// SetSwitches replaces the switches.
func (c *Cloud) SetSwitches(s Switches) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.switches = s
}

func (c *Cloud) random(n int) []byte {
	b := make([]byte, n)
	_, _ = c.rnd.Read(b) // ChaCha8 never fails
	return b
}

func (c *Cloud) uuid() string {
	b := c.random(16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// keyValue returns a value like those that IAM generates: 44 characters of the
// base64url alphabet.
func (c *Cloud) keyValue() string {
	return base64.RawURLEncoding.EncodeToString(c.random(33))
}

// nextTag returns the entity tag after the given one, in IAM's form: a revision
// counter and random text.
func (c *Cloud) nextTag(tag string) string {
	revision := 0
	if head, _, ok := strings.Cut(tag, "-"); ok {
		_, _ = fmt.Sscanf(head, "%d", &revision)
	}
	return fmt.Sprintf("%d-%s", revision+1, hex.EncodeToString(c.random(16)))
}
