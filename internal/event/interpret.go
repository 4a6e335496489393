package event

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// Verb is what an event asks for.
type Verb string

// The verbs. Look needs no permission: it changes only what is due anyway.
const (
	Look      Verb = "look"
	Provision Verb = "provision"
	Rotate    Verb = "rotate"
	Revoke    Verb = "revoke"
)

// Request is one thing that an event asks for.
type Request struct {
	Verb        Verb
	Credentials []string          // entries or instances; empty: see Project and Secret, or all
	With        map[string]string // parameters of a provision
	Project     string            // ID of a project: the instances for it
	Secret      string            // name of the secret that is about to expire
	SecretID    string            // its ID in Secrets Manager, where the event has one
	KeyID       string            // the key to revoke
	Contain     bool              // disable it first
	Trigger     rotation.Trigger  // what is demanded
	Sender      string            // who was understood, in words for people
	Cause       string            // type, source and ID, for key descriptions and logs
}

// NeedsAuth reports whether the caller must be known and allowed the verb.
func (r Request) NeedsAuth() bool { return r.Verb != Look }

// The senders that are understood, as Request.Sender names them.
const (
	SenderOwn            = "latchkey's own type"
	SenderTimer          = "timer"
	SenderSecretsManager = "Secrets Manager"
	SenderLifecycle      = "resource lifecycle"
	SenderAudit          = "audit"
)

// Types that say by themselves who the sender is.
const (
	typePrefix  = "dev.latchkey."
	typeTick    = "dev.knative.sources.ping"
	typeKafka   = "dev.knative.kafka.event"
	typeSecrets = "com.ibm.cloud.secrets-manager."
)

// Reader says what events ask for. It holds what an event is measured by.
type Reader struct {
	// Now bounds demands for the future; it is read only when there is one.
	Now func() time.Time
	// Self is the IAM ID that latchkey itself works as, empty while that is not
	// known; nil is never known. It is read only when an audit event would
	// otherwise be acted on.
	Self func() string
}

// Interpret says what an event asks for. The error is ErrMalformed or
// ErrNotForUs; there are no requests then.
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
	case kind == typeTick:
		// Whatever data the subscription was given: a tick is a tick.
		return one(Request{Verb: Look, Sender: SenderTimer}, nil)
	case kind == typeKafka:
		return r.audit(e)
	case strings.HasPrefix(kind, typeSecrets):
		return r.secrets(e)
	}
	// The type of the lifecycle source is not documented: its data tells. What
	// cannot be one is told by a scan, without parsing anything.
	if bytes.Contains(e.Data(), []byte(lifecyclePrefix)) {
		return one(lifecycle(e))
	}
	return nil, notForUs("type", e.Type())
}

// Own reports whether an event type is one of latchkey's own, its outcomes
// included.
func Own(kind string) bool { return strings.HasPrefix(kind, typePrefix) }

func notForUs(what, value string) error {
	return fmt.Errorf("%s %s: %w", what, quote(value), ErrNotForUs)
}

// Cause is an event's type, source and ID, printable and bounded: it stands in
// the descriptions of keys. A bracket would make it look like a marker, and
// what of a source can be a credential is left out.
func Cause(e Event) string {
	const most = 200
	source := e.Source()
	if u, err := url.Parse(source); err == nil && (u.User != nil || u.RawQuery != "") {
		u.User, u.RawQuery = nil, ""
		source = u.String()
	}
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
