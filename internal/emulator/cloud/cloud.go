// Package cloud is the state machine behind the emulator: one IBM Cloud
// account with its service IDs and their groups, API keys, users, trusted
// profiles, access policies and groups, Code Engine projects, and instances of
// Secrets Manager and Cloud Logs.
//
// It is pure: no HTTP, no goroutine, no clock and no randomness of its own.
// The caller hands in the clock and the seed of all generated IDs and values,
// so that two clouds with the same seed, the same clock and the same calls
// hold the same state. Every operation is one method with typed arguments; it
// takes the identity that acts and refuses what that identity's policies do
// not allow, as the service would. The HTTP emulator is a thin layer above it,
// and a simulation may call the methods directly.
//
// What is a guess about IBM Cloud and not a documented fact is a field of
// [Switches], with the guess as its default. What people do behind the back of
// a program (disable a key, edit a secret, take a policy away) is in hands.go:
// those methods ask no policy.
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

// Settings are the knobs that may be turned while the cloud runs. The zero
// value is a cloud without delays, except that a new Code Engine project is
// active at once.
type Settings struct {
	// KeyLag is how long /identity/token does not know a new key yet, and how
	// long it still accepts a deleted one.
	KeyLag time.Duration
	// ListLag is how long lists, gets and lookups by value hide a new key, and
	// lists hide a new service ID. Lists show what was deleted for as long.
	ListLag time.Duration
	// PolicyLag is how long a new policy is neither visible nor effective, a
	// changed one has the effect that it had before, and a deleted one is still
	// listed and effective.
	PolicyLag time.Duration
	// ActivityLag is how long the activity of keys and service IDs does not show
	// an authentication.
	ActivityLag time.Duration
	// ReportDelay is how long an activity report is being made.
	ReportDelay time.Duration
	// ProjectDelay is how long a new Code Engine project is preparing.
	ProjectDelay time.Duration
	// RejectLogs makes log ingestion answer 200 and reject every entry.
	RejectLogs bool
}

// Options configure a Cloud.
type Options struct {
	// Now is the clock; it is called under the cloud's lock and must not call
	// back into the cloud.
	Now func() time.Time
	// Seed determines every generated ID and value.
	Seed [32]byte
	// Settings are the initial knobs.
	Settings Settings
	// SeedCredentials is how many service IDs there are, as if the minter had
	// made them for credentials seed-1, seed-2, …: each with a key, and with a
	// policy to send logs.
	SeedCredentials int
	// OnProject hears of projects that come and go, after the seed; nil means
	// nobody does. Like Now it is called under the cloud's lock.
	OnProject func(ProjectChange)
	// OnSecret hears what Secrets Manager tells Event Notifications; like
	// OnProject.
	OnSecret func(SecretEvent)
	// Switches replace the documented guesses; nil means [DefaultSwitches].
	Switches *Switches
}

// Actor is the identity that performs an operation. The zero Actor is nobody
// and is refused with 401.
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
	signing  []byte // key of the HS256 signature of access tokens

	notifyProject func(ProjectChange)

	minter Minter
	seeded int // credentials: each a service ID, a key and a policy

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

	lastAuthn map[string]time.Time // of users and profiles
	report    *report              // the latest

	goneServiceIDs deletions[*serviceID]
	goneKeys       deletions[*apiKey]

	profiles map[string]*Profile
	crTokens map[string]bool

	policies          map[string]*policy
	policySequence    sequence[*policy]
	policiesBySubject map[string][]*policy
	gonePolicies      deletions[*policy]
	trash             []*policy               // deleted, by sequence number
	pastPolicies      map[string][]pastPolicy // by subject

	groups         map[string]*group
	groupOrder     []*group
	groupsByMember map[string][]*group

	projects     map[string]*project
	projectOrder []*project

	instances map[string]LogsInstance
	lines     []LogLine

	secretsInstances map[string]*secretsInstance // instances of Secrets Manager
	nextTick         time.Time                   // when time next changes something in them; zero = never
	notifySecret     func(SecretEvent)

	notifications []Notification
}

// New makes a cloud that holds the seed: the minter with its policies, three
// Code Engine projects, two applications and one Cloud Logs instance.
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
		lastAuthn:         map[string]time.Time{},
		profiles:          map[string]*Profile{},
		crTokens:          map[string]bool{},
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
	}
	if opts.Switches != nil {
		c.switches = *opts.Switches
	}
	c.signing = c.random(32)
	c.seed(opts.SeedCredentials)
	c.notifyProject, c.notifySecret = opts.OnProject, opts.OnSecret
	return c
}

// Settings returns the knobs as they are.
func (c *Cloud) Settings() Settings {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings
}

// Set replaces the knobs.
func (c *Cloud) Set(s Settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settings = s
}

// Switches returns the guesses in force.
func (c *Cloud) Switches() Switches {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.switches
}

// SetSwitches replaces the guesses.
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

// keyValue has the shape of the values that IAM generates: 44 characters of
// the base64url alphabet.
func (c *Cloud) keyValue() string {
	return base64.RawURLEncoding.EncodeToString(c.random(33))
}

// nextTag is the entity tag that follows the given one in IAM's manner: a
// revision counter and something that is no counter.
func (c *Cloud) nextTag(tag string) string {
	revision := 0
	if head, _, ok := strings.Cut(tag, "-"); ok {
		_, _ = fmt.Sscanf(head, "%d", &revision)
	}
	return fmt.Sprintf("%d-%s", revision+1, hex.EncodeToString(c.random(16)))
}
