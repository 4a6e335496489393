package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
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
	Project     string            // Code Engine project ID: the instances for it
	Secret      string            // name of the secret that is about to expire
	KeyID       string            // the key to revoke
	Contain     bool              // disable it first
	Trigger     rotation.Trigger  // what is demanded
	Cause       string            // type, source and ID, for key descriptions and logs
}

// NeedsAuth reports whether the caller must be known and allowed the verb.
func (r Request) NeedsAuth() bool { return r.Verb != Look }

// Types of our own and of the platform's timer.
const (
	typePrefix    = "dev.latchkey."
	typeProvision = typePrefix + "provision"
	typeRotate    = typePrefix + "rotate"
	typeRevoke    = typePrefix + "revoke"
	typeSweep     = typePrefix + "sweep"
	typeTick      = "dev.knative.sources.ping"
	typeSecrets   = "com.ibm.cloud.secrets-manager."
)

// Interpret says what an event asks for. The clock bounds demands for the
// future; it is read only when there is one.
func Interpret(e Event, clock func() time.Time) ([]Request, error) {
	cause := causeOf(e)
	one := func(r Request, err error) ([]Request, error) {
		if err != nil {
			return nil, err
		}
		r.Cause = cause
		return []Request{r}, nil
	}
	kind, _, _ := strings.Cut(e.Type(), ":") // <event type>:<sub-type>
	switch {
	case kind == typeProvision:
		return one(provision(e))
	case kind == typeRotate:
		return one(rotate(e, clock))
	case kind == typeRevoke:
		return one(revoke(e))
	case kind == typeSweep:
		return one(sweep(e))
	case kind == typeTick:
		return one(Request{Verb: Look}, nil)
	case strings.HasPrefix(kind, typePrefix):
		return nil, fmt.Errorf("type %s: %w", quote(e.Type()), ErrNotForUs)
	case kind == typeSecrets+"secret_about_to_expire" || kind == typeSecrets+"secret_expired":
		return expiring(e, clock(), cause)
	}
	// The type of the lifecycle source is not documented: its data tells.
	if bytes.Contains(e.Data(), []byte(`"resource-controller.`)) {
		return one(lifecycle(e))
	}
	return nil, fmt.Errorf("type %s: %w", quote(e.Type()), ErrNotForUs)
}

// causeOf is printable and bounded: it stands in the descriptions of keys. A
// bracket would make it look like a marker.
func causeOf(e Event) string {
	const most = 200
	s := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '[' || r == ']' {
			return '_'
		}
		return r
	}, e.Type()+" "+e.Source()+" "+e.ID())
	if len(s) > most {
		s = s[:most]
	}
	return strings.TrimSpace(s)
}

// read decodes the data of one of our own types: an unknown field is a fault.
func read(e Event, into any) error {
	data := e.Data()
	if len(data) == 0 {
		return malformed("%s has no data", e.Type())
	}
	if err := checkJSON(data); err != nil {
		return malformed("data: %v", err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return malformed("data: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func named(credential string) ([]string, error) {
	if credential == "" {
		return nil, malformed("data.credential is missing")
	}
	return []string{credential}, nil
}

func provision(e Event) (Request, error) {
	var data struct {
		Credential string            `json:"credential"`
		With       map[string]string `json:"with"`
	}
	if err := read(e, &data); err != nil {
		return Request{}, err
	}
	names, err := named(data.Credential)
	return Request{Verb: Provision, Credentials: names, With: data.With}, err
}

// ahead is how far a sender's clock may be before ours. A demand for a key
// newer than the far future could never be met.
const ahead = 5 * time.Minute

func rotate(e Event, clock func() time.Time) (Request, error) {
	var data struct {
		Credential string `json:"credential"`
		NewerThan  string `json:"newerThan"`
		NotKey     string `json:"notKey"`
	}
	if err := read(e, &data); err != nil {
		return Request{}, err
	}
	names, err := named(data.Credential)
	if err != nil {
		return Request{}, err
	}
	t := rotation.Trigger{NewerThan: e.Time(), NotKey: data.NotKey}
	if data.NewerThan != "" {
		if t.NewerThan, err = time.Parse(time.RFC3339, data.NewerThan); err != nil {
			return Request{}, malformed("data.newerThan %s is not an RFC 3339 time", quote(data.NewerThan))
		}
	} else if data.NotKey != "" {
		t.NewerThan = time.Time{} // another key is all that is asked
	}
	if t.NewerThan.IsZero() && t.NotKey == "" {
		return Request{}, malformed("time is missing, and data has neither newerThan nor notKey: nothing says when the new key is new enough")
	}
	if t.NewerThan.After(clock().Add(ahead)) {
		return Request{}, malformed("newerThan %s is in the future", t.NewerThan.Format(time.RFC3339))
	}
	return Request{Verb: Rotate, Credentials: names, Trigger: t}, nil
}

func revoke(e Event) (Request, error) {
	var data struct {
		Credential  string `json:"credential"`
		KeyID       string `json:"keyID"`
		Containment bool   `json:"containment"`
	}
	if err := read(e, &data); err != nil {
		return Request{}, err
	}
	names, err := named(data.Credential)
	if err == nil && data.KeyID == "" {
		err = malformed("data.keyID is missing")
	}
	return Request{Verb: Revoke, Credentials: names, KeyID: data.KeyID, Contain: data.Containment}, err
}

func sweep(e Event) (Request, error) {
	var data struct {
		Credentials []string `json:"credentials"`
	}
	if len(e.Data()) > 0 {
		if err := read(e, &data); err != nil {
			return Request{}, err
		}
	}
	return Request{Verb: Look, Credentials: data.Credentials}, nil
}

// maxSecrets is how many secrets one notification covers.
const maxSecrets = 100

// expiring is Secrets Manager's notification. None of its URLs is ever used.
func expiring(e Event, now time.Time, cause string) ([]Request, error) {
	var data struct {
		Secrets []struct {
			Name string    `json:"secret_name"`
			Time time.Time `json:"event_time"`
		} `json:"secrets"`
	}
	if err := checkJSON(e.Data()); err != nil {
		return nil, malformed("data: %v", err)
	}
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		return nil, malformed("data: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if n := len(data.Secrets); n == 0 || n > maxSecrets {
		return nil, malformed("data.secrets has %d secrets; a notification covers 1 to %d", n, maxSecrets)
	}
	requests := make([]Request, 0, len(data.Secrets))
	for i, s := range data.Secrets {
		if s.Name == "" {
			return nil, malformed("data.secrets[%d].secret_name is missing", i)
		}
		at := e.Time()
		if at.IsZero() {
			at = s.Time
		}
		if at.IsZero() || at.After(now.Add(ahead)) {
			return nil, malformed("data.secrets[%d].event_time and time: neither says when this happened, or it is in the future", i)
		}
		requests = append(requests, Request{Verb: Rotate, Secret: s.Name, Trigger: rotation.Trigger{NewerThan: at}, Cause: cause})
	}
	return requests, nil
}

var guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// lifecycle is the event of a resource that came to be. Only where to look is
// taken from it: the project is looked up, not believed.
func lifecycle(e Event) (Request, error) {
	var data struct {
		EventType string `json:"event_type"`
		Context   struct {
			Activity struct {
				Outcome string `json:"outcome"`
			} `json:"activity"`
		} `json:"context"`
		Properties struct {
			CRN           string `json:"crn"`
			GUID          string `json:"guid"`
			LastOperation struct {
				State string `json:"state"`
			} `json:"last_operation"`
		} `json:"event_properties"`
	}
	if err := checkJSON(e.Data()); err != nil {
		return Request{}, malformed("data: %v", err)
	}
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		return Request{}, malformed("data: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if data.EventType != "resource-controller.instance.create" && data.EventType != "resource-controller.instance.restore" {
		return Request{}, fmt.Errorf("event_type %s: %w", quote(data.EventType), ErrNotForUs)
	}
	state := data.Properties.LastOperation.State
	if state == "" && data.Context.Activity.Outcome == "success" {
		state = "succeeded"
	}
	// crn:v1:<cloud>:<public>:<service>:<region>:<scope>:<instance>::
	parts := strings.Split(data.Properties.CRN, ":")
	if len(parts) != 10 || parts[0] != "crn" {
		return Request{}, malformed("data.event_properties.crn %s is no CRN", quote(data.Properties.CRN))
	}
	if parts[4] != "codeengine" || state != "succeeded" {
		return Request{}, fmt.Errorf("service %s, operation %s: %w", quote(parts[4]), quote(state), ErrNotForUs)
	}
	project := parts[7]
	if !guid.MatchString(project) || (data.Properties.GUID != "" && data.Properties.GUID != project) {
		return Request{}, malformed("data.event_properties: crn names project %s, guid %s", quote(project), quote(data.Properties.GUID))
	}
	return Request{Verb: Look, Project: project}, nil
}
