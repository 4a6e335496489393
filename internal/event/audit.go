package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// Audit events of Activity Tracker Event Routing, as a Kafka subscription of
// Code Engine delivers the records of their topic: a CloudEvent in binary mode
// without a Content-Type, whose type says nothing about the action. A route
// selects by place and not by action, so every audit event of a region comes
// by, those of our own work among them.
//
// https://cloud.ibm.com/docs/atracker?topic=atracker-event
// https://cloud.ibm.com/docs/codeengine?topic=codeengine-subscription-kafka

// record is what of an audit event says where to look. Its eventTime, which is
// not RFC 3339, does not count: what is there now does.
type record struct {
	Action    string `json:"action"`
	Outcome   string `json:"outcome"`
	Initiator struct {
		ID string `json:"id"`
	} `json:"initiator"`
	Target struct {
		ID string `json:"id"`
	} `json:"target"`
}

// What is acted on: <noun>.<verb>, where the noun is a Code Engine project, by
// its own name and by that of the resource controller, or a project of IBM
// Cloud Projects. The event of one project may come under both names.
var (
	auditNouns = map[string]string{ // to the service in the target's CRN
		"codeengine.project":  "codeengine",
		"codeengine.instance": "codeengine",
		"project.project":     "project",
	}
	auditVerbs = []string{"create", "restore", "delete"}
)

// maxProjects is how many projects of one body are looked at one by one. For
// more, a look at everything costs less.
const maxProjects = 100

// audit reads one record, or several: whether a record holds one event is
// implied by the documentation and never said, so an array and newline-delimited
// JSON are taken too.
func (r Reader) audit(e Event) ([]Request, error) {
	if !auditMayAsk(e.Data()) {
		return nil, notForUs("type", e.Type())
	}
	records, err := split(e.Data())
	if err != nil {
		return nil, malformed("data: %w", err)
	}
	var projects []string
	self, last := "", ""
	for i, raw := range records {
		var rec record
		if json.Unmarshal(raw, &rec) != nil {
			continue // no audit event: the topic may carry others
		}
		last = rec.Action
		service, acted := rec.acted()
		if !acted {
			continue
		}
		if rec.Initiator.ID != "" {
			if self == "" && r.Self != nil {
				self = r.Self()
			}
			if rec.Initiator.ID == self {
				continue // our own work must not call us
			}
		}
		of, project, fault := resource(rec.Target.ID)
		if of != service || fault || !guid.MatchString(project) {
			return nil, malformed("data%s.target.id %s is no CRN of a project", at(i, len(records)), quote(rec.Target.ID))
		}
		if !slices.Contains(projects, project) {
			projects = append(projects, project)
		}
	}
	switch {
	case len(projects) == 0:
		return nil, notForUs("action", last)
	case len(projects) > maxProjects:
		return []Request{{Verb: Look, Sender: SenderAudit}}, nil
	}
	requests := make([]Request, len(projects))
	for i, project := range projects {
		requests[i] = Request{Verb: Look, Project: project, Sender: SenderAudit}
	}
	return requests, nil
}

func at(i, n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf("[%d]", i)
}

// acted names the service whose project the event is about. Asynchronous
// actions send two events, of which the first is pending.
func (r record) acted() (service string, acted bool) {
	cut := strings.LastIndexByte(r.Action, '.')
	if cut < 0 || r.Outcome != "success" || !slices.Contains(auditVerbs, r.Action[cut+1:]) {
		return "", false
	}
	service = auditNouns[r.Action[:cut]]
	return service, service != ""
}

// split takes a record apart: an object, an array of them, or several of both
// one after the other.
func split(body []byte) ([]json.RawMessage, error) {
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	var records []json.RawMessage
	d := json.NewDecoder(bytes.NewReader(body))
	for {
		var value json.RawMessage
		switch err := d.Decode(&value); {
		case errors.Is(err, io.EOF):
			return records, nil
		case err != nil:
			return nil, errors.New("it is not JSON")
		}
		if value[0] != '[' {
			records = append(records, value)
			continue
		}
		var list []json.RawMessage
		if err := json.Unmarshal(value, &list); err != nil {
			return nil, errors.New("it is not JSON")
		}
		records = append(records, list...)
	}
}

// auditMayAsk tells by a scan what cannot hold an action that is acted on. A
// \u could spell one in another way.
func auditMayAsk(body []byte) bool {
	for _, noun := range []string{".project.", ".instance."} {
		for rest := body; ; {
			i := bytes.Index(rest, []byte(noun))
			if i < 0 {
				break
			}
			rest = rest[i+len(noun):]
			for _, verb := range auditVerbs {
				if bytes.HasPrefix(rest, []byte(verb)) {
					return true
				}
			}
		}
	}
	return bytes.Contains(body, []byte(`\u`))
}

// Passing reports whether a request is an audit event that asks nothing, as
// told by its header and a scan of its body. It is for the flood of them, and
// sure of what it says: in whatever has an unusual form it leaves the word to
// Decode and Interpret, so false says nothing.
func Passing(h http.Header, body []byte) bool {
	const required = 4
	found := 0
	for key, values := range h {
		if len(key) < 3 || (key[0] != 'C' && key[0] != 'c') {
			continue
		}
		if key == "Content-Type" {
			if len(values) != 1 || values[0] != "application/json" {
				return false
			}
			continue
		}
		if key[:3] != "Ce-" {
			if strings.EqualFold(key, "Content-Type") || strings.EqualFold(key[:3], "ce-") {
				return false
			}
			continue
		}
		if len(values) != 1 || !plainValue(values[0]) {
			return false
		}
		switch value := values[0]; key[3:] {
		case "Specversion":
			if value != "1.0" {
				return false
			}
			found++
		case "Type":
			if value != typeKafka {
				return false
			}
			found++
		case "Id":
			found++
		case "Source":
			if !plainReference(value) {
				return false
			}
			found++
		case "Time":
			if _, err := parseTime(value); err != nil {
				return false
			}
		case "Subject":
		default:
			if !plainExtension(key[3:]) {
				return false
			}
		}
	}
	return found == required && len(body) <= MaxBody && !auditMayAsk(body)
}

// plainValue is a header value that stands for itself.
func plainValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '%' || c == '"' {
			return false
		}
	}
	return s != ""
}

// plainReference is an absolute path, with a fragment perhaps: what a source of
// Knative looks like.
func plainReference(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !lowerOrDigit(c|0x20) && !lowerOrDigit(c) && c != '/' && c != '-' && c != '_' && c != '.' && c != '#' {
			return false
		}
	}
	return len(s) > 1 && s[0] == '/' && lowerOrDigit(s[1]|0x20) && strings.Count(s, "#") <= 1
}

// plainExtension is the name of an extension in the spelling of net/http: in
// another it could be an attribute that is there twice. The rest of what the
// specification names is left to Decode.
func plainExtension(name string) bool {
	if name == "" || (name[0] < 'A' || name[0] > 'Z') && !isDigit(name[0]) {
		return false
	}
	for i := 1; i < len(name); i++ {
		if !lowerOrDigit(name[i]) {
			return false
		}
	}
	return name != "Data" && name != "Datacontenttype" && name != "Dataschema"
}

func lowerOrDigit(c byte) bool { return 'a' <= c && c <= 'z' || isDigit(c) }

// FromKafka reports whether the header says that a Kafka subscription delivers
// a record, which may be one of a flood.
func FromKafka(h http.Header) bool {
	kind := h["Ce-Type"]
	return len(kind) == 1 && kind[0] == typeKafka
}
