package emulator

import (
	"net/url"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// Control is one operation of the control API, below /emulator/.
type Control struct {
	Method, Path string
	// Body is an example of the body, or empty.
	Body string
	// Meaning continues a sentence that starts with the operation.
	Meaning string

	serve func(*Server, controlRequest) (any, error)
}

// controlRequest is a request to the control API.
type controlRequest struct {
	id    string // of groups/{id}
	query url.Values
	body  []byte
}

// Controls returns the operations of the control API. docs/emulator.md has a curl
// line for each.
func Controls() []Control { return controls }

var controls = []Control{
	{"GET", "state", "", "returns the whole state; ?values=true adds key values and secret data", func(s *Server, r controlRequest) (any, error) {
		return s.State(r.query.Get("values") == "true"), nil
	}},
	{"GET", "clock", "", "returns the time", func(s *Server, _ controlRequest) (any, error) { return map[string]time.Time{"now": s.Now()}, nil }},
	{"POST", "clock", `{"advance":"1920h"} or {"set":"2027-01-01T00:00:00Z"}`, "moves the clock", bodyOnly((*Server).setClock)},
	{"GET", "settings", "", "returns lags, delays, rate limits and switches", func(s *Server, _ controlRequest) (any, error) { return s.Settings(), nil }},
	{"POST", "settings", `{"keyLag":"5s","switches":{"lockedStatus":423}}`, "changes the settings in the body", bodyOnly((*Server).changeSettings)},
	{"GET", "faults", "", "returns the faults with the number of calls that each has matched", func(s *Server, _ controlRequest) (any, error) { return s.activeFaults(), nil }},
	{"POST", "faults", `{"path":"/v1/apikeys","kind":"status","status":503}`, "adds one fault, or a list", bodyOnly((*Server).addFaults)},
	{"DELETE", "faults", "", "removes all faults; held calls continue", func(s *Server, _ controlRequest) (any, error) {
		s.ClearFaults()
		return s.activeFaults(), nil
	}},
	{"POST", "leak", `{"id":"ApiKey-…"} or {"apikey":"…"}`, "lets IBM's scanner find a key", bodyOnly((*Server).leak)},
	{"GET", "mails", "", "returns the scanner's mails", func(s *Server, _ controlRequest) (any, error) { return s.cloud.Mails(), nil }},
	{"POST", "apps", `{"project":"team-a","app":"web","play":"fail"}`, "makes an app's next revision fail, wait, lag or lose its place", bodyOnly((*Server).playApp)},
	{"POST", "projects", `{"id":"…","name":"suite","region":"eu-de","example":true}`, "adds a Code Engine project with a chosen ID, and the content of IBM's examples", bodyOnly((*Server).giveProject)},
	{"POST", "identities", `{"kind":"serviceid","name":"helper","policies":[…]}`, "adds a user, a service ID or an access group", bodyOnly((*Server).addActor)},
	{"POST", "revoke", `{"from":"latchkey","service":"logs"}`, "takes a role or a policy from an identity or group", bodyOnly((*Server).revoke)},
	{"GET", "account", "", "returns the account settings", func(s *Server, _ controlRequest) (any, error) { return s.cloud.Account(), nil }},
	{"POST", "account", `{"restrict_create_service_id":"RESTRICTED"}`, "changes the account settings", bodyOnly((*Server).changeAccount)},
	{"GET", "groups", "", "returns the access groups with their members", func(s *Server, _ controlRequest) (any, error) { return s.cloud.State(false).Groups, nil }},
	{"POST", "groups", `{"name":"minters","createdBy":"…","members":[…],"grants":[…]}`, "adds an access group", bodyOnly((*Server).addGroup)},
	{"POST", "groups/{id}", `{"add":[…],"remove":[…],"createdBy":"…","grants":[…]}`, "changes an access group", (*Server).changeGroup},
	{"DELETE", "groups/{id}", "", "deletes an access group with its policies", func(s *Server, r controlRequest) (any, error) {
		if err := s.cloud.RemoveGroup(r.id); err != nil {
			return nil, err
		}
		return s.cloud.State(false).Groups, nil
	}},
	{"GET", "events", "", "returns every change with its actor, except tokens and logs", func(s *Server, _ controlRequest) (any, error) {
		return append([]Event{}, s.Events()...), nil
	}},
	{"DELETE", "events", "", "forgets the changes", func(s *Server, _ controlRequest) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = nil
		return []Event{}, nil
	}},
	{"GET", "counters", "", "returns the attempts per route, faults included", func(s *Server, _ controlRequest) (any, error) { return s.Counters(), nil }},
	{"DELETE", "counters", "", "sets the counters to zero", func(s *Server, _ controlRequest) (any, error) {
		s.ResetCounters()
		return s.Counters(), nil
	}},
	{"GET", "logs", "", "returns the accepted log entries", func(s *Server, _ controlRequest) (any, error) { return append([]cloud.LogLine{}, s.Lines()...), nil }},
	{"GET", "notifications", "", "returns the events that were sent to Event Notifications", func(s *Server, _ controlRequest) (any, error) {
		return append([]cloud.Notification{}, s.cloud.Notifications()...), nil
	}},
	{"POST", "subscriptions", `{"url":"http://127.0.0.1:8080/","kind":"audit"}`, "sends events to a URL", bodyOnly((*Server).addSubscription)},
	{"GET", "subscriptions", "", "returns the subscriptions with the number of deliveries", func(s *Server, _ controlRequest) (any, error) { return s.Subscriptions(), nil }},
	{"DELETE", "subscriptions", "", "ends all subscriptions", func(s *Server, _ controlRequest) (any, error) {
		s.Unsubscribe()
		return s.Subscriptions(), nil
	}},
	{"POST", "cr-tokens", `{"resource":{"cr_type":"CE","crn":"crn:…"}}, {"token":"…"} or {}`, "issues a compute resource token for a resource, or makes one valid; {} issues one of a resource that it does not describe", bodyOnly((*Server).addCRToken)},
}

// bodyOnly serves an operation that reads only its body.
func bodyOnly(serve func(*Server, []byte) (any, error)) func(*Server, controlRequest) (any, error) {
	return func(s *Server, r controlRequest) (any, error) { return serve(s, r.body) }
}

func (s *Server) addFaults(body []byte) (any, error) {
	faults, err := ParseFaults(body)
	if err != nil {
		return nil, err
	}
	for _, f := range faults {
		s.Inject(f)
	}
	return s.activeFaults(), nil
}

func (s *Server) addSubscription(body []byte) (any, error) {
	var n Subscription
	if err := strictJSON(body, &n); err != nil {
		return nil, err
	}
	return s.Subscribe(n)
}
