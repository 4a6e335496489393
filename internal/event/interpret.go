package event

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
)

// Verb is the action that an event requests.
type Verb string

// The verbs. Look needs no permission, because it only does what is due anyway.
const (
	Look      Verb = "look"      // check credentials
	Provision Verb = "provision" // create a credential
	Rotate    Verb = "rotate"    // replace its key by a newer one
	Revoke    Verb = "revoke"    // revoke a leaked key
	// Deprovision brings a credential to its end.
	Deprovision Verb = "deprovision"
)

// Request is one action that an event requests.
type Request struct {
	Verb        Verb
	Credentials []string          // config entries or credentials; empty: see Project and Secret, or all
	With        map[string]string // parameters of a provision
	Project     string            // ID of a project: its credentials
	Secret      string            // name of the secret that is about to expire
	SecretID    string            // ID of that secret in Secrets Manager; "": unknown
	Undated     bool              // of a look at a secret: the notice has no date that a key could serve
	KeyID       string            // key to revoke
	Contain     bool              // disable the key before revoking it
	Undo, Force bool              // of a deprovision: bring the credential back; end keys in use
	Trigger     protocol.Trigger  // the demand
	Sender      string            // one of the senders below, for people to read
	Cause       string            // type, source and ID, for key descriptions and logs
}

// NeedsAuth reports whether the caller must be authenticated and permitted the
// verb.
func (r Request) NeedsAuth() bool { return r.Verb != Look }

// Values of Request.Sender.
const (
	SenderOwn            = "latchkey's own type" // an event of a dev.latchkey type
	SenderTimer          = "timer"               // a tick of the platform's timer
	SenderSecretsManager = "Secrets Manager"     // a notification about a secret
	SenderLifecycle      = "resource lifecycle"  // a notification about a project
	SenderAudit          = "audit"               // an audit event about a project
)

// Types that identify the sender.
const (
	typePrefix  = "dev.latchkey."
	TypeTick    = "dev.knative.sources.ping"
	typeKafka   = "dev.knative.kafka.event"
	typeSecrets = "com.ibm.cloud.secrets-manager."
)

// Reader interprets events.
type Reader struct {
	// Now returns the current time. It is called only for a demand. Its time defaults
	// to now, and must not be in the future.
	Now func() time.Time
	// Self returns latchkey's own IAM ID, or "" if it is not yet known; nil means
	// never known. It is called only for an audit event that would otherwise trigger
	// a check.
	Self func() string
}

// Interpret returns what an event requests. The error wraps ErrMalformed or
// ErrNotForUs.
func (r Reader) Interpret(e Event) ([]Request, error) {
	requests, err := r.ask(e)
	if err != nil {
		return nil, err
	}
	cause := Cause(e)
	for i := range requests {
		requests[i].Cause = cause
	}
	return requests, nil
}

func (r Reader) ask(e Event) ([]Request, error) {
	one := func(q Request, err error) ([]Request, error) { return []Request{q}, err }
	switch kind := e.Type(); {
	case Own(kind):
		return one(r.own(e))
	case kind == TypeTick:
		// The data of the subscription does not matter.
		return one(Request{Verb: Look, Sender: SenderTimer}, nil)
	case kind == typeKafka:
		return r.audit(e)
	case strings.HasPrefix(kind, typeSecrets):
		return r.secrets(e)
	}
	// The type of a lifecycle event is not documented, so its data identifies it. The
	// scan avoids parsing other events.
	if bytes.Contains(e.Data(), []byte(lifecyclePrefix)) {
		return one(lifecycle(e))
	}
	return nil, notForUs("type", e.Type())
}

// Own reports whether an event type has latchkey's prefix, in capital letters too: it is
// one of latchkey's own, one of an outcome, or a mistake.
func Own(kind string) bool {
	return len(kind) >= len(typePrefix) && strings.EqualFold(kind[:len(typePrefix)], typePrefix)
}

func notForUs(what, value string) error {
	return fmt.Errorf("%s %s: %w", what, quote(value), ErrNotForUs)
}

// WithoutSecrets returns a reference without the parts that can be a credential: its
// user and query.
func WithoutSecrets(reference string) string {
	u, err := url.Parse(reference)
	if err != nil || u.User == nil && u.RawQuery == "" {
		return reference
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// Cause returns an event's type, source and ID as printable text of at most 200 bytes,
// for the descriptions of keys. Brackets are replaced, since they delimit
// a marker. Parts of a source that can be a credential are omitted.
func Cause(e Event) string {
	const most = 200
	source := WithoutSecrets(e.Source())
	s := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '[' || r == ']' {
			return '_'
		}
		return r
	}, e.Type()+" "+source+" "+e.ID())
	if len(s) > most {
		s = s[:most]
	}
	return strings.TrimSpace(s)
}
