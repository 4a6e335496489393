// Package config turns the text of a latchkey.yaml into the credentials that
// latchkey keeps, and refuses a text that can't be meant.
//
// # Model
//
// The text describes entries; an entry yields credentials:
//
//	latchkey.yaml ── Load ──▶ Config ── Entries ──▶ Entry ── Expand(Input) ──▶ Credential
//	                  │                                                           │
//	                  └─▶ Faults: every one at once,                              └─▶ error: names the entry,
//	                      with line, column and path                                  the field and the value
//
// An entry is of one of three kinds, told apart by what it says:
//
//	kind      says                              yields                         its expressions see
//	static    neither of the two below          one credential                 nothing
//	forEach   forEach: codeengine.projects      one per Code Engine project    project
//	with      reads with.NAME somewhere         one per set of parameters      with
//
// A rule makes an event that latchkey does not know by itself ask for something:
// Rule.Apply turns it into a demand. Its expressions see event and data.
//
// What a static or a forEach entry yields follows from the config and from
// what is there. The instances of a with entry are asked for by provision
// events and remembered in markers; Credential.With is what a marker must
// carry so that Expand gives the same credential again.
//
// # Expressions
//
// `${…}` inside a value, and `where` and `when` as a whole, are CEL. They are compiled
// and type-checked by Load, and each evaluation has a bounded cost. The value
// that results is checked by the same rule as a literal in its place: what
// comes from a project's name or from an event is never trusted to be
// well-formed. What is granted stands there for all to read: a policy's service
// and roles take no expression, nor do names of entries, durations and what is
// outside of credentials. `$${` stands for a plain `${`.
//
// # Secrets
//
// No secret stands in a config. Where one is needed, the config names an
// environment variable or a file. A value that looks misplaced there is never
// repeated in a fault.
//
// This package reads neither files nor the environment.
package config

import (
	"errors"
	"path"
	"slices"
	"strings"
	"time"
)

// Endpoints of IBM Cloud that a config can ask for.
const (
	Public  = "public"
	Private = "private"
)

// CodeEngineProjects is the only collection that forEach knows today.
const CodeEngineProjects = "codeengine.projects"

// Config is a config without faults, its defaults filled in.
type Config struct {
	Owner      string        // stands in every marker: two installations never touch each other's things
	Identity   Identity      // how latchkey itself logs in
	Account    string        // "": taken from our own token
	Regions    []string      // where Code Engine projects are looked for
	Endpoints  string        // Public or Private
	SweepEvery time.Duration // how often the timer asks for a sweep
	Paused     bool          // observe and report, change nothing
	Events     Events
	Rules      []*Rule   // in the order of the text
	Hooks      []*Hook   // in the order of the text, names unique
	Outcomes   []Outcome // sinks, in the order of the text
	Provider   *Provider // nil: the job makes no credentials for Secrets Manager
	Entries    []*Entry  // in the order of the text, names unique
}

// Identity is latchkey's own.
type Identity struct {
	Profile string // name or ID of a trusted profile; "": an API key from the environment
}

// Events says who may ask for what.
type Events struct {
	Auth  Auth
	Allow []Allow
	// Origins are the senders, by DNS name, whose question whether they may
	// send is answered with yes; "*" is all of them. It authenticates nobody.
	Origins []string
}

// Auth names the place of the bearer token that senders must show. Both fields
// empty: nobody is authenticated, and events can only make latchkey look.
type Auth struct {
	BearerEnv, BearerFile string
}

// Allow permits authenticated senders some verbs on some credentials.
type Allow struct {
	Verbs       []string // provision, rotate, revoke
	Credentials []string // patterns: *, logs-sender, logs-sender/*
}

// Permits reports whether a permits verb on the credential called instance,
// which the entry called entry yields. A pattern that matches the entry covers
// all its instances; a pattern with a slash picks among the instances.
func (a Allow) Permits(verb, entry, instance string) bool {
	if !slices.Contains(a.Verbs, verb) {
		return false
	}
	return slices.ContainsFunc(a.Credentials, func(pattern string) bool {
		return matches(pattern, entry) || matches(pattern, instance)
	})
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// Rotation says when a key is replaced and how the old one ends.
type Rotation struct {
	After   time.Duration // age at which a key is due
	Expire  time.Duration // age at which IAM ends a key by itself
	Overlap time.Duration // how long a superseded key still works
	OnLeak  string        // what IAM does with a key that is found in public: none, disable or delete
}

// Policy is one IAM access policy of the service ID.
type Policy struct {
	Service       string
	Roles         []string
	Instance      string // "": all instances
	ResourceGroup string // "": all resource groups
}

// Prove says which proofs a key has to pass before anybody is given it, beside
// the one that is always asked for: IAM exchanges it for a token.
type Prove struct {
	Logs *LogsProof // nil: not asked for
}

// LogsProof is one log line that a Cloud Logs instance accepts.
type LogsProof struct {
	Instance, Region string
}

// Store is one place that consumers read the key from: exactly one of
// CodeEngine, SecretsManager, File, Kubernetes and Vault is set.
type Store struct {
	CodeEngine     *CodeEngineStore
	SecretsManager *SecretsManagerStore
	File           *FileStore
	Kubernetes     *KubernetesStore
	Vault          *VaultStore
	Restart        Restart
	Required       bool // false: others go ahead without it
	ReadBack       bool // what was published is read and compared
}

// CodeEngineStore is an entry of a Code Engine secret. Beside Entry latchkey
// writes the companions Entry+"_ID" and Entry+"_LATCHKEY".
type CodeEngineStore struct {
	Project string // ID or name
	Region  string
	Secret  string
	Entry   string
}

// FileStore is one JSON file. A relative path starts at the directory that
// latchkey was started in.
type FileStore struct {
	Path string
}

// Restart says which consumers are restarted after a publication.
type Restart struct {
	All      bool     // all that read the secret only when they start
	Names    []string // app/NAME; daemonset/NAME, deployment/NAME or statefulset/NAME of a cluster
	Announce bool     // none: somebody else acts on the outcome
}

// Credential is one wanted service ID with its policies, rotation rules,
// proofs and stores: every expression evaluated, every value checked.
type Credential struct {
	// Name is the entry's for a static entry, "logs-sender/<project ID>" for
	// a forEach entry, and for a with entry "logs-sender/a.b": the values of
	// the parameters that it reads, in the order of the parameters' names.
	Name  string
	Entry string
	// With is what a marker carries to know the instance again: the project's ID
	// and region for a forEach entry, the parameters that it reads for a with entry, else nil.
	With map[string]string
	// ServiceID is the ID of a service ID that belongs to somebody else; the
	// next four are then empty.
	ServiceID     string
	ServiceIDName string
	Description   string
	Policies      []Policy
	AccessGroups  []string // by ID or name, instead of policies
	Rotation      Rotation
	Prove         Prove
	Stores        []Store
	Paused        bool     // by its entry or by the whole config
	Overwrite     bool     // replace a store's value that has no key ID of latchkey's
	AdoptKey      string   // ID of a key to adopt where a store holds its value; "": none
	Formerly      []string // names that the credential had
}

// Project is a Code Engine project as expressions see it.
type Project struct {
	ID            string `cel:"id"`
	Name          string `cel:"name"`
	Region        string `cel:"region"`
	ResourceGroup string `cel:"resourceGroup"`
	CRN           string `cel:"crn"`
	Status        string `cel:"status"`
}

// Input is what an instance is expanded from. Which of the two counts follows
// from the entry; the other is ignored.
type Input struct {
	Project *Project
	With    map[string]string
}

// ErrExcluded is what Expand returns when the entry's where is false: the
// instance is not wanted, and nothing is wrong.
var ErrExcluded = errors.New("excluded by where")

// Load reads a config. The file is only a name for faults. If anything is
// wrong the error is Faults, with everything that is wrong.
func Load(file string, data []byte) (*Config, error) {
	d := &decoder{file: file}
	c := &Config{}
	if root := d.parse(data); root.node != nil {
		c = d.config(root)
	}
	if len(d.faults) > 0 {
		return nil, d.faults.inOrder()
	}
	return c, nil
}

// listed puts words into a sentence: a, b or c.
func listed(words []string, and string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " " + and + " " + words[last]
}

// shortened keeps the two ends of a text that is too long for a fault or a log.
func shortened(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most*2/3]) + "…" + string(r[len(r)-most/3:])
}
