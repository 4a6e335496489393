package event

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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
	// lifecyclePrefix begins the event_type in the data of a lifecycle event.
	lifecyclePrefix = "resource-controller."
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
	switch kind := e.Type(); {
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
		// Our own outcomes are among them: acting on one would go round for ever.
		return nil, fmt.Errorf("type %s: %w", quote(kind), ErrNotForUs)
	case strings.HasPrefix(kind, typeSecrets):
		short, _, _ := strings.Cut(strings.TrimPrefix(kind, typeSecrets), ":") // <event type>:<sub-type>
		if short != "secret_about_to_expire" && short != "secret_expired" {
			return nil, fmt.Errorf("type %s: %w", quote(kind), ErrNotForUs)
		}
		return expiring(e, clock, cause)
	}
	// The type of the lifecycle source is not documented: its data tells. What
	// cannot be one is told by a scan, without parsing anything.
	if bytes.Contains(e.Data(), []byte(lifecyclePrefix)) {
		return one(lifecycle(e))
	}
	return nil, fmt.Errorf("type %s: %w", quote(e.Type()), ErrNotForUs)
}

// causeOf is printable and bounded: it stands in the descriptions of keys. A
// bracket would make it look like a marker, and what of a source can be a
// credential is left out.
func causeOf(e Event) string {
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

// read decodes the data of one of our own types into the fields that it may
// have; null is unset. Names are exact, unlike encoding/json's, and one that is
// not among them is a fault: a misspelt demand must not be a smaller one.
func read(e Event, into map[string]any) error {
	if len(e.Data()) == 0 {
		return malformed("%s has no data", e.Type())
	}
	fields, err := object(e.Data())
	if err != nil {
		return malformed("data: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		target, known := into[name]
		if !known {
			return malformed("data has the unknown field %s", quote(name))
		}
		if isNull(fields[name]) {
			continue
		}
		if json.Unmarshal(fields[name], target) != nil {
			return malformed("data.%s is not %s", name, wanted(target))
		}
	}
	return nil
}

// wanted says to people what belongs into a field.
func wanted(target any) string {
	switch target.(type) {
	case *bool:
		return "true or false"
	case *[]string:
		return "a list of strings"
	case *map[string]*string:
		return "an object of strings"
	}
	return "a string"
}

// checkName checks a name that is looked up later: here only that it can be
// told and logged.
func checkName(field, credential string) error {
	const most = 300
	switch {
	case credential == "":
		return malformed("data.%s is missing", field)
	case len(credential) > most || strings.ContainsFunc(credential, func(r rune) bool { return r == utf8.RuneError || !unicode.IsGraphic(r) }):
		return malformed("data.%s %s is no name", field, quote(credential))
	}
	return nil
}

// keyID bounds what may stand in the path of a call to IAM.
var keyID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

func provision(e Event) (Request, error) {
	var credential string
	var with map[string]*string
	err := read(e, map[string]any{"credential": &credential, "with": &with})
	if err == nil {
		err = checkName("credential", credential)
	}
	if err != nil {
		return Request{}, err
	}
	r := Request{Verb: Provision, Credentials: []string{credential}}
	for _, key := range slices.Sorted(maps.Keys(with)) {
		if with[key] == nil {
			return Request{}, malformed("data.with: %s is null", quote(key))
		}
		if r.With == nil {
			r.With = map[string]string{}
		}
		r.With[key] = *with[key]
	}
	return r, nil
}

// ahead is how far a sender's clock may be before ours. A demand for a key
// newer than the far future could never be met.
const ahead = 5 * time.Minute

func rotate(e Event, clock func() time.Time) (Request, error) {
	var credential, newerThan, notKey string
	err := read(e, map[string]any{"credential": &credential, "newerThan": &newerThan, "notKey": &notKey})
	if err == nil {
		err = checkName("credential", credential)
	}
	if err != nil {
		return Request{}, err
	}
	t := rotation.Trigger{NewerThan: e.Time(), NotKey: notKey}
	switch {
	case newerThan != "":
		if t.NewerThan, err = parseTime(newerThan); err != nil {
			return Request{}, malformed("data.newerThan %s: %w", quote(newerThan), err)
		}
	case notKey != "":
		t.NewerThan = time.Time{} // another key is all that is asked
	}
	if notKey != "" && !keyID.MatchString(notKey) {
		return Request{}, malformed("data.notKey %s is no ID of a key", quote(notKey))
	}
	if t.NewerThan.IsZero() && t.NotKey == "" {
		return Request{}, malformed("time is missing, and data has neither newerThan nor notKey: nothing says when the new key is new enough")
	}
	if t.NewerThan.After(clock().Add(ahead)) {
		return Request{}, malformed("newerThan %s is in the future", t.NewerThan.Format(time.RFC3339))
	}
	return Request{Verb: Rotate, Credentials: []string{credential}, Trigger: t}, nil
}

func revoke(e Event) (Request, error) {
	var credential, key string
	var contain bool
	err := read(e, map[string]any{"credential": &credential, "keyID": &key, "containment": &contain})
	if err == nil {
		err = checkName("credential", credential)
	}
	switch {
	case err != nil:
		return Request{}, err
	case key == "":
		return Request{}, malformed("data.keyID is missing")
	case !keyID.MatchString(key):
		return Request{}, malformed("data.keyID %s is no ID of a key", quote(key))
	}
	return Request{Verb: Revoke, Credentials: []string{credential}, KeyID: key, Contain: contain}, nil
}

func sweep(e Event) (Request, error) {
	var credentials []string
	if len(e.Data()) > 0 {
		if err := read(e, map[string]any{"credentials": &credentials}); err != nil {
			return Request{}, err
		}
	}
	for i, credential := range credentials {
		if err := checkName(fmt.Sprintf("credentials[%d]", i), credential); err != nil {
			return Request{}, err
		}
	}
	return Request{Verb: Look, Credentials: credentials}, nil
}

// maxSecrets is how many secrets one notification covers.
const maxSecrets = 100

// expiring is Secrets Manager's notification. None of its URLs is ever used.
// It is taken whole or not at all: one of which a part was done would be
// answered as done, and is not sent again.
func expiring(e Event, clock func() time.Time, cause string) ([]Request, error) {
	fields, err := object(e.Data())
	if err != nil {
		return nil, malformed("data: %w", err)
	}
	var secrets []json.RawMessage
	if fields["secrets"] != nil && json.Unmarshal(fields["secrets"], &secrets) != nil {
		return nil, malformed("data.secrets is not a list")
	}
	if n := len(secrets); n == 0 || n > maxSecrets {
		return nil, malformed("data.secrets has %d secrets; a notification covers 1 to %d", n, maxSecrets)
	}
	latest := clock().Add(ahead)
	requests := make([]Request, 0, len(secrets))
	for i, raw := range secrets {
		var s struct {
			Name string `json:"secret_name"`
			Time string `json:"event_time"`
		}
		if json.Unmarshal(raw, &s) != nil {
			return nil, malformed("data.secrets[%d]: secret_name and event_time have to be strings", i)
		}
		if err := checkName(fmt.Sprintf("secrets[%d].secret_name", i), s.Name); err != nil {
			return nil, err
		}
		at := e.Time()
		if at.IsZero() {
			// Only then does the time of the entry count, and have to be one.
			if at, err = parseTime(s.Time); err != nil {
				return nil, malformed("time is missing, and data.secrets[%d].event_time %s: %w", i, quote(s.Time), err)
			}
		}
		if at.After(latest) {
			return nil, malformed("data.secrets[%d]: the time %s is in the future", i, at.Format(time.RFC3339))
		}
		requests = append(requests, Request{Verb: Rotate, Secret: s.Name, Trigger: rotation.Trigger{NewerThan: at}, Cause: cause})
	}
	return requests, nil
}

var guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// lifecycle is the event of a resource that came to be. Only where to look is
// taken from it: the project is looked up, not believed. What is no lifecycle
// event of a project is not for us, however it is written: the whole account's
// events come by here.
func lifecycle(e Event) (Request, error) {
	var data struct {
		EventType string `json:"event_type"`
	}
	if json.Unmarshal(e.Data(), &data) != nil || !strings.HasPrefix(data.EventType, lifecyclePrefix) {
		return Request{}, fmt.Errorf("type %s: %w", quote(e.Type()), ErrNotForUs)
	}
	if kind := strings.TrimPrefix(data.EventType, lifecyclePrefix); kind != "instance.create" && kind != "instance.restore" {
		return Request{}, fmt.Errorf("event_type %s: %w", quote(data.EventType), ErrNotForUs)
	}
	var rest struct {
		Context struct {
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
		return Request{}, malformed("data: %w", err)
	}
	if json.Unmarshal(e.Data(), &rest) != nil {
		return Request{}, malformed("data: context or event_properties is not of the shape of a lifecycle event")
	}
	state := rest.Properties.LastOperation.State
	if state == "" && rest.Context.Activity.Outcome == "success" {
		state = "succeeded"
	}
	// crn:v1:<cloud>:<public>:<service>:<region>:<scope>:<instance>::
	parts := strings.Split(rest.Properties.CRN, ":")
	if len(parts) < 10 || parts[0] != "crn" {
		return Request{}, malformed("data.event_properties.crn %s is no CRN", quote(rest.Properties.CRN))
	}
	if parts[4] != "codeengine" || state != "succeeded" {
		return Request{}, fmt.Errorf("service %s, operation %s: %w", quote(parts[4]), quote(state), ErrNotForUs)
	}
	project := cmp.Or(parts[7], rest.Properties.GUID)
	if len(parts) != 10 || !guid.MatchString(project) || (rest.Properties.GUID != "" && rest.Properties.GUID != project) {
		return Request{}, malformed("data.event_properties: crn names project %s, guid %s", quote(parts[7]), quote(rest.Properties.GUID))
	}
	return Request{Verb: Look, Project: project}, nil
}
