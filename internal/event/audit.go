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

// Audit events come from Activity Tracker Event Routing through a Kafka topic. A
// Code Engine subscription delivers each record as a CloudEvent in binary mode
// without a Content-Type, and its type does not name the action. A route selects
// by region and not by action, so every audit event of a region arrives, including
// those caused by latchkey.
//
// https://cloud.ibm.com/docs/atracker?topic=atracker-event
// https://cloud.ibm.com/docs/codeengine?topic=codeengine-subscription-kafka

// record holds the fields of an audit event that identify a project. The eventTime,
// which is not RFC 3339, is not used: latchkey reads the current state.
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

// latchkey handles the actions <noun>.<verb>. The noun is a Code Engine project, under
// its own name or the resource controller's, or a project of IBM Cloud
// Projects. An event of one project may arrive under both names.
var (
	auditNouns = map[string]string{ // noun to the service in the target's CRN
		"codeengine.project":  "codeengine",
		"codeengine.instance": "codeengine",
		"project.project":     "project",
	}
	auditVerbs = []string{"create", "restore", "delete"}
)

// maxProjects is how many projects of one body are checked individually. For more
// of them, one check of everything costs less.
const maxProjects = 100

// audit reads the audit events of one Kafka record. The documentation implies that
// a record holds one event but does not state it, so arrays and newline-delimited
// JSON are accepted too.
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
			continue // not an audit event: the topic may carry others
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
				continue // caused by latchkey itself
			}
		}
		of, project, fault := resource(rec.Target.ID)
		if of != service || fault || !guid().MatchString(project) {
			return nil, malformed("data%s.target.id %s is not the CRN of a project", at(i, len(records)), quote(rec.Target.ID))
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

// acted returns the service whose project has changed. An asynchronous action
// sends two events, the first with the outcome pending.
func (r record) acted() (service string, acted bool) {
	cut := strings.LastIndexByte(r.Action, '.')
	if cut < 0 || r.Outcome != "success" || !slices.Contains(auditVerbs, r.Action[cut+1:]) {
		return "", false
	}
	service = auditNouns[r.Action[:cut]]
	return service, service != ""
}

// split splits a record into objects. It may contain an object, an array of
// objects, or a sequence of both.
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

// auditMayAsk scans for an action that latchkey handles. It also returns true for
// a \u escape, which could spell one.
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

// Passing reports whether a request is a valid audit event that requests nothing. It
// only reads the header and scans the body, so that a flood of audit events is
// cheap. It returns false for every unusual form; Decode and Interpret then
// decide.
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
			if strings.EqualFold(key, "Content-Type") || strings.EqualFold(key, "Content-Encoding") || strings.EqualFold(key[:3], "ce-") {
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

// plainValue reports whether a header value needs no decoding.
func plainValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '%' || c == '"' {
			return false
		}
	}
	return s != ""
}

// plainReference reports whether s is an absolute path with an optional fragment, as
// Knative's sources are.
func plainReference(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !lowerOrDigit(c|0x20) && !lowerOrDigit(c) && c != '/' && c != '-' && c != '_' && c != '.' && c != '#' {
			return false
		}
	}
	return len(s) > 1 && s[0] == '/' && lowerOrDigit(s[1]|0x20) && strings.Count(s, "#") <= 1
}

// plainExtension reports whether name is an extension in the spelling of net/http.
// Another spelling could repeat an attribute. The remaining attributes of the
// specification are left to Decode.
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

// FromKafka reports whether the header is that of a record from a Kafka
// subscription.
func FromKafka(h http.Header) bool {
	kind := h["Ce-Type"]
	return len(kind) == 1 && kind[0] == typeKafka
}
