package emulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// KindAudit selects the records of Activity Tracker Event Routing, delivered as
// by a Code Engine subscription to the Kafka topic. Every call that changes IAM
// or Code Engine makes one, and so do every login with a key or compute resource
// token and every call to Secrets Manager, reads included. Fields:
// https://cloud.ibm.com/docs/atracker?topic=atracker-event. Actions:
// https://cloud.ibm.com/docs/atracker?topic=atracker-at_events_iam and
// https://cloud.ibm.com/docs/codeengine?topic=codeengine-at_events and
// https://cloud.ibm.com/docs/secrets-manager?topic=secrets-manager-at-events. Headers:
// https://cloud.ibm.com/docs/atracker?topic=atracker-es_headers. Guessed: the
// actions of a login with a compute resource token, of service ID groups, custom
// roles, role and action control templates and functions; the CRNs of resources
// in a project or an instance of Secrets Manager; the actions on tasks; the
// spelling of the headers' attributes.
const KindAudit = "audit"

const (
	auditSource = "/apis/v1/namespaces/emulator/kafkasources/audit-events#audit"
	auditRegion = "eu-de" // where the records are collected
	auditTime   = "2006-01-02T15:04:05.00-0700"
)

// auditRecord has the fields that IBM documents.
type auditRecord struct {
	Action          string         `json:"action"`
	Outcome         string         `json:"outcome"`
	EventTime       string         `json:"eventTime"`
	CorrelationID   string         `json:"correlationId"`
	DataEvent       bool           `json:"dataEvent"`
	Severity        string         `json:"severity"`
	Message         string         `json:"message"`
	LogSourceCRN    string         `json:"logSourceCRN"`
	SaveServiceCopy bool           `json:"saveServiceCopy"`
	Observer        map[string]any `json:"observer"`
	Reason          map[string]any `json:"reason"`
	Initiator       map[string]any `json:"initiator"`
	Target          map[string]any `json:"target"`
	RequestData     map[string]any `json:"requestData"`
	ResponseData    map[string]any `json:"responseData"`
}

// startAudit describes the target before the call, since a deleted resource has
// no name afterwards, and returns the function that makes the record. Without a
// subscriber both do nothing.
func (s *Server) startAudit(rt route, c *call) (writeAudit func(answer, error)) {
	d, ok := auditActions[rt.method+" "+rt.pattern]
	if !ok || !s.hub.hasSubscriber(KindAudit) {
		return func(answer, error) {}
	}
	before := s.cloud.Resource(c.path(d.target))
	return func(a answer, err error) {
		if c.actor.IAMID == "" || rt.family == familyToken && err != nil {
			return // the account is unknown: "Failed log in actions do not generate an event"
		}
		s.writeAudit(d, c, before, a, err)
	}
}

func (s *Server) writeAudit(d auditAction, c *call, target cloud.Resource, a answer, err error) {
	now, named := s.Now(), c.named()
	action, request := d.action, map[string]any{}
	source := "crn:v1:bluemix:public:" + strings.SplitN(action, ".", 2)[0] + ":global:a/" + cloud.AccountID + ":::"
	switch {
	case c.family == familyToken:
		target = s.cloud.Resource(c.actor.IAMID)
	case c.family == familySecrets:
		instance := s.cloud.Resource(s.secretsInstance(c))
		source = instance.CRN
		if d.target == "" {
			target = s.secretsTarget(c, instance, a.id)
		}
	case c.path("project") != "":
		project := s.cloud.Resource(c.path("project"))
		source = project.CRN
		if d.target == "" {
			target = within(project, action, c)
		}
	case d.target == "":
		target = s.cloud.Resource(a.id)
	}
	if action == "codeengine.project.create" {
		source = target.CRN
	}
	target.Name = cmp.Or(target.Name, named.Name)
	if strings.Contains(action, "*") {
		of := "serviceid"
		if target.OfUser || d.target == "" && c.family == familyIdentity && strings.HasPrefix(named.IAMID, "IBMid-") {
			of = "user"
		}
		action = strings.Replace(action, "*", of, 1)
		switch form, _ := url.ParseQuery(string(c.body)); {
		case c.family != familyToken:
		case form.Get("grant_type") == grantPrefix+"assume":
			action = "iam-identity.trustedprofile-apikey.login"
		case form.Get("grant_type") == grantPrefix+"cr-token":
			action = "iam-identity.computeresource-token.login"
		}
	}
	if d.lock != "" {
		request["lock"] = d.lock == "true"
		request["prev_instance_name"], request["instance_name"] = target.Name, cmp.Or(named.Name, target.Name)
	}
	r := s.auditOf(now, action, target, source, a.status)
	r.Initiator = s.initiator(c)
	r.RequestData = request
	if err != nil {
		r.Reason["reasonForFailure"] = err.Error()
	}
	if e := (*cloud.Error)(nil); errors.As(err, &e) && e.Locked {
		// https://cloud.ibm.com/docs/atracker?topic=atracker-at_events_iam#an_fail_locked
		r.Severity, request["lock"] = "critical", true
	}
	if a.status == http.StatusForbidden {
		r.Initiator["name"] = "" // IBM leaves it out of an attempt without authorization
	}
	s.record(now, r)
	if action == "codeengine.project.create" || action == "codeengine.project.delete" {
		// The resource controller also records a project as an instance.
		r.Action = strings.Replace(action, "project", "instance", 1)
		r.Message = strings.Replace(r.Message, "project", "instance", 1)
		r.Target["typeURI"] = "codeengine/instance"
		s.record(now, r)
	}
}

// secretsTarget describes the target of a call to Secrets Manager that names no
// secret or group: a created one, one found by its name, a configuration, or
// the instance.
func (s *Server) secretsTarget(c *call, instance cloud.Resource, created string) cloud.Resource {
	if name := cmp.Or(c.path("name"), c.named().Name); name != "" {
		if r := s.cloud.Resource(created); created != "" && r.Region != "" {
			return r
		}
		instance.Name = name
	}
	return instance
}

// within describes the target of a call on a resource in a project.
func within(project cloud.Resource, action string, c *call) cloud.Resource {
	name := cmp.Or(c.path("name"), c.named().Name)
	kind := strings.Split(action, ".")[1]
	return cloud.Resource{Name: name, CRN: strings.TrimSuffix(project.CRN, ":") + kind + ":" + name, ResourceGroupID: project.ResourceGroupID}
}

// namedFields are the only fields of a body that a record may hold: bodies
// contain keys and secrets.
type namedFields struct {
	Name  string `json:"name"`
	IAMID string `json:"iam_id"`
}

func (c *call) named() (in namedFields) {
	_ = json.Unmarshal(c.body, &in) // the fields are optional
	return in
}

var auditServices = map[string]string{
	"iam-identity": "IAM Identity Service", "iam-am": "IAM Access Management", "iam-access-management": "IAM Access Management", "iam-groups": "IAM Access Groups", "codeengine": "Code Engine", "secrets-manager": "Secrets Manager",
}

func (s *Server) auditOf(now time.Time, action string, target cloud.Resource, source string, status int) auditRecord {
	part := strings.Split(action, ".")
	r := auditRecord{
		Action: action, Outcome: "success", EventTime: now.UTC().Format(auditTime), CorrelationID: eventID(),
		Severity: severity(part[2], status), LogSourceCRN: source, SaveServiceCopy: true,
		Message:  strings.TrimSpace(fmt.Sprintf("%s: %s %s %s", auditServices[part[0]], part[2], part[1], target.Name)),
		Observer: map[string]any{"name": "ActivityTracker"},
		Reason:   map[string]any{"reasonCode": status, "reasonType": http.StatusText(status)},
		Target: map[string]any{"id": target.CRN, "name": target.Name, "typeURI": part[0] + "/" + part[1],
			"host": map[string]any{"address": strings.TrimPrefix(s.url, "http://")}},
		RequestData: map[string]any{}, ResponseData: map[string]any{},
	}
	if status >= 400 {
		r.Outcome = "failure"
		r.Message += " -failure"
	}
	if target.ResourceGroupID != "" {
		r.Target["resourceGroupId"] = "crn:v1:bluemix:public:resource-controller::a/" + cloud.AccountID + "::resource-group:" + target.ResourceGroupID
	}
	return r
}

// severity returns the documented severity of an action and status.
func severity(verb string, status int) string {
	switch {
	case status == 401 || status == 403 || status == 503 || status == 507:
		return "critical"
	case status >= 400:
		return "warning"
	case verb == "delete":
		return "critical"
	case verb == "update":
		return "warning"
	}
	return "normal"
}

func (s *Server) initiator(c *call) map[string]any {
	kind := "serviceid" // also of a profile: no other kind is documented
	l := s.cloud.Resource(c.actor.IAMID)
	if l.OfUser {
		kind = "user"
	}
	credential := "token"
	switch {
	case strings.HasPrefix(c.actor.IAMID, "iam-Profile-"):
		credential = "compute-resource"
	case c.family == familyToken && l.OfUser:
		credential = "apikey"
	case c.family == familyToken:
		credential = "apikey-serviceid"
	}
	address, _, _ := net.SplitHostPort(c.request.RemoteAddr)
	family := "IPv4"
	if ip, err := netip.ParseAddr(address); err == nil && ip.Is6() {
		family = "IPv6"
	}
	return map[string]any{
		"id": c.actor.IAMID, "name": cmp.Or(l.Name, c.actor.IAMID), "typeURI": "service/security/account/" + kind,
		"credential": map[string]any{"type": credential},
		"host":       map[string]any{"address": address, "addressType": family, "agent": c.request.UserAgent()},
	}
}

// projectByHand records a change that was made in the console.
func (s *Server) projectByHand(change cloud.ProjectChange) {
	p := change.Project
	target := cloud.Resource{Name: p.Name, CRN: p.CRN, ResourceGroupID: p.ResourceGroupID}
	actions := []string{"codeengine.project." + change.Action, "codeengine.instance." + change.Action}
	if change.Action == cloud.ProjectRestored {
		actions = actions[1:]
	}
	for _, action := range actions {
		r := s.auditOf(change.At, action, target, p.CRN, http.StatusAccepted)
		r.Initiator = map[string]any{"id": change.Actor, "name": change.Actor, "typeURI": "service/security/account/user",
			"credential": map[string]any{"type": "token"}, "host": map[string]any{"address": "127.0.0.1", "addressType": "IPv4", "agent": "console"}}
		s.record(change.At, r)
	}
}

// record publishes a record as Knative's Kafka source does, without a content
// type.
func (s *Server) record(now time.Time, r auditRecord) {
	data, err := json.Marshal(r)
	if err != nil {
		panic("encoding an audit record: " + err.Error()) // plain data
	}
	location := "global"
	if part := strings.Split(r.LogSourceCRN, ":"); len(part) > 5 && part[5] != "" {
		location = part[5]
	}
	offset := s.auditOffset.Add(1)
	s.hub.publish(message{
		of: KindAudit, id: fmt.Sprintf("partition:0/offset:%d", offset), subject: fmt.Sprintf("partition:0#%d", offset),
		kind: "dev.knative.kafka.event", source: auditSource, time: now, data: data, untyped: true,
		extensions: map[string]string{
			"kafkaheadertype": "audit", "kafkaheaderaccount": cloud.AccountID, "kafkaheaderregion": auditRegion, "kafkaheaderlocation": location,
		},
	})
}
