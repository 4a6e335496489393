package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
