// Package config loads latchkey.yaml and expands its entries to the credentials
// that latchkey manages. It rejects a file that contradicts itself.
//
// # Model
//
// A config has entries; each entry yields credentials:
//
//	latchkey.yaml ── Load ──▶ Config ── Entries ──▶ Entry ── Expand(Input) ──▶ Credential
//	                  │                                                           │
//	                  └─▶ Faults: all at once,                                    └─▶ error: names the entry,
//	                      with line, column and path                                  the field and the value
//
// The fields of an entry determine its kind:
//
//	kind      fields                        yields                         its expressions read
//	static    neither of the two below      one credential                 nothing
//	forEach   forEach: codeengine.projects  one per Code Engine project    project
//	with      reads with.NAME somewhere     one per set of parameters      with
//
// A Rule maps an event of an unknown type to a request: see Rule.Apply. Its
// expressions read event and data. A Hook maps a webhook's body to an event: see
// Hook.Map. Its expressions read body and headers.
//
// The credentials of static and forEach entries follow from the config and the
// projects that exist. The credentials of a with entry are requested by provision
// events and recorded in markers: a marker carries Credential.With, so that Expand
// returns the same credential again.
//
// # Expressions
//
// `${…}` inside a value, and `where` and `when` as a whole, are CEL. Load compiles
// and type-checks them, and each evaluation has a bounded cost. The result
// passes the same check as a literal in that field: a project's name and an event's
// data are not trusted to be well-formed. Grants are always literal: a policy's
// service and roles take no expression, nor do names of entries, durations and
// fields outside of credentials. `$${` stands for a plain `${`.
//
// # Secrets
//
// A config contains no secrets. Where one is needed, the config names an
// environment variable or a file. A fault never repeats a value that may be
// a misplaced secret.
//
// This package reads neither files nor the environment.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Values of Config.Endpoints.
const (
	Public  = "public"  // IBM Cloud's public endpoints
	Private = "private" // its private endpoints, reachable from inside IBM Cloud
)

// CodeEngineProjects is the only collection that forEach supports.
const CodeEngineProjects = "codeengine.projects"

// Config is a config without faults, with defaults filled in.
type Config struct {
	Hash       string        // the first 12 hex digits of the text's SHA-256
	Owner      string        // written into every marker; two installations with different owners never touch each other's keys
	Identity   Identity      // how latchkey itself logs in
	Account    string        // account ID; "": the account of latchkey's own token
	Regions    []string      // regions that are searched for Code Engine projects; default none
	Endpoints  string        // Public (default) or Private
	SweepEvery time.Duration // interval of the timer's sweeps, from 1m to 12h; default 1h
	// ForcedPerHour is how many rotations callers may demand in an hour, together; from
	// 10 to 10,000, default 60
	ForcedPerHour int
	Paused        bool            // observe without changing anything; default false
	Events        Events          // authentication and permissions of events
	Jobs          Jobs            // permissions of jobs that an event started
	Rules         []*Rule         // in file order
	Hooks         []*Hook         // in file order, with unique names
	Outcomes      []Outcome       // sinks in file order
	Provider      *Provider       // nil: the job creates no credentials for Secrets Manager
	Entries       []*Entry        // in file order, with unique names
	Secrets       []secret.Source // what the config takes from variables and files, in file order
	Kubeconfigs   []Kubeconfig
}

// Identity is the identity that latchkey logs in as.
type Identity struct {
	Profile string // name or ID of a trusted profile; "": an API key from the environment
	// Formerly are the IAM IDs that latchkey logged in as before. What they made
	// counts as its own.
	Formerly []string
}

// Allow permits authenticated senders some verbs on some credentials.
type Allow struct {
	Verbs       []string // provision, rotate, revoke, deprovision
	Credentials []string // patterns such as *, logs-sender or logs-sender/*
}

// Permits reports whether a permits verb on the named credential of the named entry.
// A pattern that matches the entry covers all its credentials; a pattern with
// a slash selects among them.
func (a Allow) Permits(verb, entry, credential string) bool {
	if !slices.Contains(a.Verbs, verb) {
		return false
	}
	return slices.ContainsFunc(a.Credentials, func(pattern string) bool {
		return matches(pattern, entry) || matches(pattern, credential)
	})
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// Offboarding configures how a credential is deprovisioned.
type Offboarding struct {
	Quiet time.Duration // how long no key may have been used; default 7d
	Wait  time.Duration // how long keys stay disabled before they are deleted; default 1d
}

// Rotation configures when a key is rotated and when the old one is deleted.
type Rotation struct {
	After   time.Duration // age at which a key is rotated; default 60d, at least 1d
	Expire  time.Duration // age at which a key expires in IAM; default 90d, at least 2d
	Overlap time.Duration // how long a superseded key still works; default 1d, at least 1h
	OnLeak  string        // what IAM does with a key that is found in public: none, disable (default) or delete
	// OnDisabled is what latchkey does if another identity disables the published
	// key: replace (default) or block.
	OnDisabled string
}

// Prove lists the proofs that a new key passes before it is published. A key always
// has to yield an IAM token.
type Prove struct {
	Logs *LogsProof // nil: no proof
	HTTP []HTTPProof
}

// LogsProof sends one log line, which the Cloud Logs instance must accept.
type LogsProof struct {
	Instance string // GUID
	Region   string // such as eu-de
}

// Store is a location that consumers read the key from. Exactly one of
// CodeEngine, SecretsManager, File, Kubernetes and Vault is set.
type Store struct {
	CodeEngine     *CodeEngineStore
	SecretsManager *SecretsManagerStore
	File           *FileStore
	Kubernetes     *KubernetesStore
	Vault          *VaultStore
	Format         Format
	Restart        Restart
	Required       bool // false: a failure of this store does not stop the others; default true
	ReadBack       bool // read the value after publishing and compare it; default false
}

// CodeEngineStore is an entry of a Code Engine secret. latchkey also writes
// Entry+"_ID" and Entry+"_LATCHKEY".
type CodeEngineStore struct {
	Project string // ID or name
	Region  string // such as eu-de; default with forEach: the project's
	Secret  string // the secret's name
	Entry   string // key in the secret's data
}

// FileStore is one JSON file.
type FileStore struct {
	Path string // a relative path starts at latchkey's working directory
}

// Restart selects the consumers that are restarted after a publication; default
// none.
type Restart struct {
	All      bool     // all consumers that read the secret only when they start
	Names    []string // app/NAME, or in a cluster daemonset/NAME, deployment/NAME or statefulset/NAME
	Announce bool     // none: a receiver of the outcome restarts them
}

// Credential is one service ID with its policies, rotation, proofs and stores.
// Every expression has been evaluated and every value checked.
type Credential struct {
	// Name is "logs-sender" for a static entry of that name and
	// "logs-sender/<project ID>" for a forEach entry. For a with entry it is
	// "logs-sender/a.b": the values of the parameters that it reads, sorted by
	// the parameters' names.
	Name  string
	Entry string // the entry's name
	// With identifies the credential in a marker. It holds the project's ID and
	// region for a forEach entry, the parameters that it reads for a with entry,
	// and is nil otherwise.
	With map[string]string
	// Project is that of a forEach entry.
	Project *Project
	// Kept is set if the config makes the credential again after its end, and NotAgain
	// if nothing is made again that was removed.
	Kept, NotAgain bool
	Ends           time.Time // when it is deprovisioned; zero: never
	// ServiceID is the ID of a service ID that latchkey does not own; the next four
	// fields are then empty.
	ServiceID     string
	ServiceIDName string
	// OwnName is the service ID's name if another credential's has ServiceIDName.
	// If empty, the credential waits for the name.
	OwnName     string
	Description string
	// Owner is the person or team that outcomes are for; "" if the config names none.
	Owner string
	// KeyDescription is the description of each key, without the marker.
	KeyDescription string
	Policies       []access.Policy
	NarrowPolicies bool     // take down what latchkey granted and Policies do not say; default false
	AccessGroups   []string // by ID or name, instead of policies
	// Profile is the trusted profile that replaces the key; nil: none.
	Profile   *TrustedProfile
	Rotation  Rotation
	Prove     Prove
	Stores    []Store
	Paused    bool     // set by the entry or by the config
	Overwrite bool     // replace a store's value that has no key ID of latchkey's
	AdoptKey  string   // ID of a key to adopt where a store holds its value; "": none
	Formerly  []string // earlier names of the credential
}

// Project is a Code Engine project as expressions see it.
type Project struct {
	ID            string `cel:"id"`
	Name          string `cel:"name"`
	Region        string `cel:"region"`        // such as eu-de
	ResourceGroup string `cel:"resourceGroup"` // ID
	CRN           string `cel:"crn"`
	Status        string `cel:"status"` // such as active
}

// Input is the input of Expand. The entry's kind determines which field is
// used.
type Input struct {
	Project *Project          // for a forEach entry
	With    map[string]string // parameters, for a with entry
}

// ErrExcluded is returned by Expand when the entry's where is false. It is not
// a failure.
var ErrExcluded = errors.New("excluded by where")

// Load parses a config. The file name only appears in faults. If the config is
// invalid, the error is of type Faults and contains every fault.
func Load(file string, data []byte) (*Config, error) {
	d := &decoder{file: file}
	c := &Config{}
	if root := d.parse(data); root.node != nil {
		c = d.config(root)
		prune(root.node)
		d.release(c)
	}
	if len(d.faults) > 0 {
		return nil, d.faults.inOrder()
	}
	c.Secrets, c.Kubeconfigs = d.secrets, d.kubeconfigs
	sum := sha256.Sum256(data)
	c.Hash = hex.EncodeToString(sum[:6])
	return c, nil
}

// listed joins words for a sentence: a, b or c.
func listed(words []string, and string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " " + and + " " + words[last]
}

// shortened returns both ends of a text that is too long for a fault or a log.
func shortened(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most*2/3]) + "…" + string(r[len(r)-most/3:])
}

// Has reports whether a permits verb on some credential.
func (a Allow) Has(verb string) bool { return slices.Contains(a.Verbs, verb) }

// PermitsSome reports whether a pattern names single credentials of the entry.
func (a Allow) PermitsSome(verb, entry string) bool {
	return a.Has(verb) && slices.ContainsFunc(a.Credentials, func(pattern string) bool { return strings.HasPrefix(pattern, entry+"/") })
}
