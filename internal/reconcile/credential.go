package reconcile

import (
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// Credential is one wanted service ID with everything that belongs to it: an
// expanded config entry, with its adapters built.
type Credential struct {
	// Name is the entry's name, or entry/instance.
	Name, Entry string
	// With are the parameters that the marker keeps.
	With map[string]string
	// ServiceIDName and Description are the person's words; the marker is
	// added to the description.
	ServiceIDName, Description string
	Policies                   []Policy
	// Groups are the access groups, by ID or name, that the service ID is made
	// a member of.
	Groups []string
	// Given is the ID of a service ID that belongs to somebody else: only our
	// keys on it are ours to change. ServiceIDName is then not used.
	Given string
	// Former are names that the credential had before the config renamed it.
	Former []string
	// OnLeak is IAM's action_when_leaked for every key.
	OnLeak   string
	Rules    rotation.Rules
	Stores   []Store
	Optional map[string]bool // stores by name whose trouble holds nothing back
	// ReadBack are the stores, by name, that are read after a publication and
	// compared with it.
	ReadBack  map[string]bool
	Consumers []Consumers
	// Provers run with the key's own token; the token itself is always proven.
	Provers []Prover
	Paused  bool
	// Overwrite lets the next key replace a value that has no key ID.
	Overwrite bool
	// AdoptKey is an existing key to be taken over where a store holds its
	// value.
	AdoptKey string
	// Collides is set when another credential wants the same service ID name,
	// or the same place in a store.
	Collides bool
	// Gone: what the credential was for is gone for good, and its keys end.
	Gone bool
	// Unconfigured: no config entry yields it any more, so nothing is done. The
	// service ID is only named.
	Unconfigured *ServiceID
}

// names are all that the credential has had: keys are marked with them.
func (c Credential) names() []string { return append([]string{c.Name}, c.Former...) }

// Ask is why somebody looks at a credential.
type Ask struct {
	Trigger rotation.Trigger
	// Cause goes into the description of a key minted for it: event type,
	// source and ID.
	Cause string
	// Kept, if set, is called with the credential's name as soon as the demand
	// outlives this process, which may be long before the run ends. A call that
	// shares another's run does not get one.
	Kept func(credential string)
	// Late, if set, is closed when the caller is about to be answered although
	// the work goes on: a demand that nothing remembers is then written down.
	Late <-chan struct{}
}

// Result is how a run ended, in one word.
type Result string

// The results.
const (
	ResultUnchanged  Result = "unchanged"    // nothing to do
	ResultChanged    Result = "changed"      // repaired or cleaned up; the published key is the same
	ResultPublished  Result = "published"    // a new key is in the stores
	ResultInProgress Result = "in-progress"  // held back for now; the next look goes on
	ResultBlocked    Result = "blocked"      // a person has to act
	ResultOrphaned   Result = "unconfigured" // marked as ours, but no config entry yields it any more
	ResultFailed     Result = "failed"       // a step failed; the next look tries again
)

// StoreOutcome is what a store holds after the run.
type StoreOutcome struct {
	Name  string          `json:"name"`
	Key   string          `json:"key,omitempty"`
	Fault rotation.Reason `json:"fault,omitempty"`
	// Error is the store's own error: it could not be read or written, or a
	// consumer of it could not be restarted.
	Error string `json:"error,omitempty"`
}

// Leaked is what has become of a key whose revocation was asked for.
type Leaked string

// The fates of a leaked key.
const (
	LeakedEnded     Leaked = "ended"     // it authenticates no more
	LeakedAlive     Leaked = "alive"     // not yet: it is written down, and the next look goes on
	LeakedGone      Leaked = "gone"      // IAM has no such key
	LeakedElsewhere Leaked = "elsewhere" // it is a key of another credential
	LeakedForeign   Leaked = "foreign"   // it is nobody's that latchkey knows
)

// NoteOutcome is something that people should know, with its sentence.
type NoteOutcome struct {
	rotation.Note
	Message string `json:"message"`
}

// StepOutcome is one step and how it went.
type StepOutcome struct {
	rotation.Step
	Error string `json:"error,omitempty"`
}

// Outcome is what a run found and did: the one form for answers, logs and
// commands. It never holds a value.
type Outcome struct {
	Credential string          `json:"credential"`
	Result     Result          `json:"result"`
	Reason     rotation.Reason `json:"reason,omitempty"`
	Message    string          `json:"message,omitempty"`
	ServiceID  string          `json:"serviceID,omitempty"`
	Key        string          `json:"key,omitempty"`
	KeyCreated time.Time       `json:"keyCreated,omitzero"`
	KeyExpires time.Time       `json:"keyExpires,omitzero"`
	Replaced   string          `json:"replaced,omitempty"`
	// ReplacedEnds is when the replaced key stops working.
	ReplacedEnds time.Time      `json:"replacedEnds,omitzero"`
	Stores       []StoreOutcome `json:"stores,omitempty"`
	Steps        []StepOutcome  `json:"steps,omitempty"`
	Next         time.Time      `json:"next,omitzero"`
	// Kept says that what was asked outlives this process: it is done, or
	// written down where the next look finds it.
	Kept bool `json:"-"`
	// Leaked says what has become of the key whose revocation was asked for.
	Leaked Leaked `json:"leakedKey,omitempty"`
	// Notes are what people should know although nothing failed.
	Notes []NoteOutcome `json:"notes,omitempty"`
	Error string        `json:"error,omitempty"`
}

// Missing returns the wanted policies that no granted one fulfils, by label.
func Missing(wanted, granted []Policy) (labels []string) { return missing(wanted, granted) }

// missing returns the wanted policies that no granted one fulfils, by label. A
// granted policy may be wider than the wanted one: somebody else's, since ours
// never is.
func missing(wanted, granted []Policy) (labels []string) {
	for _, w := range wanted {
		if !fulfilled(w, granted) {
			labels = append(labels, w.Label())
		}
	}
	return labels
}

func fulfilled(w Policy, granted []Policy) bool {
	for _, role := range w.Roles {
		if !slices.ContainsFunc(granted, func(g Policy) bool { return g.covers(w) && g.has(role) }) {
			return false
		}
	}
	return true
}

func (p Policy) covers(w Policy) bool {
	return p.Service == w.Service && (p.Instance == "" || p.Instance == w.Instance) &&
		(p.ResourceGroup == "" || p.ResourceGroup == w.ResourceGroup)
}

// has compares roles without spaces and case: a display name "Secrets Reader"
// is "SecretsReader" in a role's CRN.
func (p Policy) has(role string) bool {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }
	return slices.ContainsFunc(p.Roles, func(r string) bool { return plain(r) == plain(role) })
}

// Label names a policy to people: "Sender on logs (instance 7a1c…)".
func (p Policy) Label() string {
	label := strings.Join(p.Roles, "+") + " on " + p.Service
	if p.Instance != "" {
		label += " (instance " + p.Instance + ")"
	}
	if p.ResourceGroup != "" {
		label += " (resource group " + p.ResourceGroup + ")"
	}
	return label
}
