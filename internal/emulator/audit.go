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
// roles and templates and of functions; the CRNs of resources in a project or an instance of Secrets
// Manager; the actions on tasks; the spelling of the headers' attributes.
const KindAudit = "audit"

const (
	auditSource = "/apis/v1/namespaces/emulator/kafkasources/audit-events#audit"
	auditRegion = "eu-de" // where the records are collected
	auditTime   = "2006-01-02T15:04:05.00-0700"
)

// auditAction is the part of an audit record that depends on the route.
type auditAction struct {
	action string // "*" stands for the kind of the key's owner
	target string // name of the path value with the target's ID; "" for a created resource
	lock   string // requestData.lock, or "" if absent
}

var auditActions = map[string]auditAction{
	"POST /v1/serviceids":                              {action: "iam-identity.account-serviceid.create"},
	"PUT /v1/serviceids/{id}":                          {action: "iam-identity.account-serviceid.update", target: "id", lock: "false"},
	"DELETE /v1/serviceids/{id}":                       {action: "iam-identity.account-serviceid.delete", target: "id"},
	"POST /v1/serviceids/{id}/lock":                    {action: "iam-identity.account-serviceid.update", target: "id", lock: "true"},
	"DELETE /v1/serviceids/{id}/lock":                  {action: "iam-identity.account-serviceid.update", target: "id", lock: "false"},
	"POST /v1/serviceid_groups":                        {action: "iam-identity.serviceid-group.create"},
	"PUT /v1/serviceid_groups/{id}":                    {action: "iam-identity.serviceid-group.update", target: "id"},
	"DELETE /v1/serviceid_groups/{id}":                 {action: "iam-identity.serviceid-group.delete", target: "id"},
	"PUT /v1/accounts/{account}/settings/identity":     {action: "iam-identity.account-settings.update"},
	"POST /v1/apikeys":                                 {action: "iam-identity.*-apikey.create"},
	"PUT /v1/apikeys/{id}":                             {action: "iam-identity.*-apikey.update", target: "id", lock: "false"},
	"DELETE /v1/apikeys/{id}":                          {action: "iam-identity.*-apikey.delete", target: "id"},
	"POST /v1/apikeys/{id}/lock":                       {action: "iam-identity.*-apikey.update", target: "id", lock: "true"},
	"DELETE /v1/apikeys/{id}/lock":                     {action: "iam-identity.*-apikey.update", target: "id", lock: "false"},
	"POST /v1/apikeys/{id}/disable":                    {action: "iam-identity.*-apikey.update", target: "id"},
	"DELETE /v1/apikeys/{id}/disable":                  {action: "iam-identity.*-apikey.update", target: "id"},
	"POST /identity/token":                             {action: "iam-identity.*-apikey.login"},
	"POST /v2/policies":                                {action: "iam-am.policy.create"},
	"PUT /v2/policies/{id}":                            {action: "iam-am.policy.update", target: "id"},
	"DELETE /v2/policies/{id}":                         {action: "iam-am.policy.delete", target: "id"},
	"POST /v1/policies":                                {action: "iam-am.policy.create"},
	"PUT /v1/policies/{id}":                            {action: "iam-am.policy.update", target: "id"},
	"PATCH /v1/policies/{id}":                          {action: "iam-am.policy.update", target: "id"},
	"DELETE /v1/policies/{id}":                         {action: "iam-am.policy.delete", target: "id"},
	"POST /v2/groups":                                  {action: "iam-groups.group.create"},
	"PATCH /v2/groups/{group}":                         {action: "iam-groups.group.update", target: "group"},
	"DELETE /v2/groups/{group}":                        {action: "iam-groups.group.delete", target: "group"},
	"PUT /v2/groups/{group}/members":                   {action: "iam-groups.member.add", target: "group"},
	"POST /v2/groups/{group}/members/delete":           {action: "iam-groups.member.delete", target: "group"},
	"PUT /v2/groups/_allgroups/members/{member}":       {action: "iam-groups.member.add", target: "member"},
	"DELETE /v2/groups/_allgroups/members/{member}":    {action: "iam-groups.member.delete", target: "member"},
	"DELETE /v2/groups/{group}/members/{member}":       {action: "iam-groups.member.delete", target: "group"},
	"POST /v2/projects":                                {action: "codeengine.project.create"},
	"DELETE /v2/projects/{project}":                    {action: "codeengine.project.delete", target: "project"},
	"POST /v2/projects/{project}/secrets":              {action: "codeengine.secret.create"},
	"PUT /v2/projects/{project}/secrets/{name}":        {action: "codeengine.secret.update"},
	"DELETE /v2/projects/{project}/secrets/{name}":     {action: "codeengine.secret.delete"},
	"POST /v2/projects/{project}/apps":                 {action: "codeengine.application.create"},
	"PATCH /v2/projects/{project}/apps/{name}":         {action: "codeengine.application.update"},
	"DELETE /v2/projects/{project}/apps/{name}":        {action: "codeengine.application.delete"},
	"POST /v2/projects/{project}/config_maps":          {action: "codeengine.configmap.create"},
	"PUT /v2/projects/{project}/config_maps/{name}":    {action: "codeengine.configmap.update"},
	"DELETE /v2/projects/{project}/config_maps/{name}": {action: "codeengine.configmap.delete"},
	"POST /v2/projects/{project}/jobs":                 {action: "codeengine.job.create"},
	"PATCH /v2/projects/{project}/jobs/{name}":         {action: "codeengine.job.update"},
	"DELETE /v2/projects/{project}/jobs/{name}":        {action: "codeengine.job.delete"},
	"POST /v2/projects/{project}/job_runs":             {action: "codeengine.jobrun.create"},
	"DELETE /v2/projects/{project}/job_runs/{name}":    {action: "codeengine.jobrun.delete"},
	"POST /v2/projects/{project}/functions":            {action: "codeengine.function.create"},
	"PATCH /v2/projects/{project}/functions/{name}":    {action: "codeengine.function.update"},
	"DELETE /v2/projects/{project}/functions/{name}":   {action: "codeengine.function.delete"},

	// No action of custom roles, templates and settings is documented.
	"POST /v2/roles":        {action: "iam-am.role.create"},
	"PUT /v2/roles/{id}":    {action: "iam-am.role.update", target: "id"},
	"DELETE /v2/roles/{id}": {action: "iam-am.role.delete", target: "id"},
	"PATCH /v1/accounts/{account}/settings/access_management":          {action: "iam-am.account-settings.update"},
	"POST /v1/policy_templates":                                        {action: "iam-am.policy-template.create"},
	"DELETE /v1/policy_templates/{id}":                                 {action: "iam-am.policy-template.delete", target: "id"},
	"POST /v1/policy_templates/{id}/versions":                          {action: "iam-am.policy-template.update", target: "id"},
	"PUT /v1/policy_templates/{id}/versions/{version}":                 {action: "iam-am.policy-template.update", target: "id"},
	"DELETE /v1/policy_templates/{id}/versions/{version}":              {action: "iam-am.policy-template.update", target: "id"},
	"POST /v1/policy_templates/{id}/versions/{version}/commit":         {action: "iam-am.policy-template.update", target: "id"},
	"POST /v1/policy_assignments":                                      {action: "iam-am.policy-assignment.create"},
	"PATCH /v1/policy_assignments/{id}":                                {action: "iam-am.policy-assignment.update", target: "id"},
	"DELETE /v1/policy_assignments/{id}":                               {action: "iam-am.policy-assignment.delete", target: "id"},
	"POST /v1/action_control_templates":                                {action: "iam-am.action-control-template.create"},
	"DELETE /v1/action_control_templates/{id}":                         {action: "iam-am.action-control-template.delete", target: "id"},
	"POST /v1/action_control_templates/{id}/versions":                  {action: "iam-am.action-control-template.update", target: "id"},
	"PUT /v1/action_control_templates/{id}/versions/{version}":         {action: "iam-am.action-control-template.update", target: "id"},
	"DELETE /v1/action_control_templates/{id}/versions/{version}":      {action: "iam-am.action-control-template.update", target: "id"},
	"POST /v1/action_control_templates/{id}/versions/{version}/commit": {action: "iam-am.action-control-template.update", target: "id"},
	"POST /v1/action_control_assignments":                              {action: "iam-am.action-control-assignment.create"},
	"PATCH /v1/action_control_assignments/{id}":                        {action: "iam-am.action-control-assignment.update", target: "id"},
	"DELETE /v1/action_control_assignments/{id}":                       {action: "iam-am.action-control-assignment.delete", target: "id"},
	"POST /v1/role_templates":                                          {action: "iam-am.role-template.create"},
	"DELETE /v1/role_templates/{id}":                                   {action: "iam-am.role-template.delete", target: "id"},
	"POST /v1/role_templates/{id}/versions":                            {action: "iam-am.role-template.update", target: "id"},
	"PUT /v1/role_templates/{id}/versions/{version}":                   {action: "iam-am.role-template.update", target: "id"},
	"DELETE /v1/role_templates/{id}/versions/{version}":                {action: "iam-am.role-template.update", target: "id"},
	"POST /v1/role_templates/{id}/versions/{version}/commit":           {action: "iam-am.role-template.update", target: "id"},
	"POST /v1/role_assignments":                                        {action: "iam-am.role-assignment.create"},
	"PATCH /v1/role_assignments/{id}":                                  {action: "iam-am.role-assignment.update", target: "id"},
	"DELETE /v1/role_assignments/{id}":                                 {action: "iam-am.role-assignment.delete", target: "id"},

	// No action of revisions is documented.
	"DELETE /v2/projects/{project}/apps/{name}/revisions/{revision}":       {action: "codeengine.application.update"},
	"GET /api/v2/secret_groups":                                            {action: "secrets-manager.secret-groups.list"},
	"POST /api/v2/secret_groups":                                           {action: "secrets-manager.secret-group.create"},
	"GET /api/v2/secret_groups/{group}":                                    {action: "secrets-manager.secret-group.read", target: "group"},
	"PATCH /api/v2/secret_groups/{group}":                                  {action: "secrets-manager.secret-group.update", target: "group"},
	"DELETE /api/v2/secret_groups/{group}":                                 {action: "secrets-manager.secret-group.delete", target: "group"},
	"GET /api/v2/secret_groups/{group}/secret_types/{type}/secrets/{name}": {action: "secrets-manager.secret.read"},
	"GET /api/v2/secrets":                                                  {action: "secrets-manager.secrets.list"},
	"POST /api/v2/secrets":                                                 {action: "secrets-manager.secret.create"},
	"GET /api/v2/secrets/{secret}":                                         {action: "secrets-manager.secret.read", target: "secret"},
	"DELETE /api/v2/secrets/{secret}":                                      {action: "secrets-manager.secret.delete", target: "secret"},
	"GET /api/v2/secrets/{secret}/metadata":                                {action: "secrets-manager.secret-metadata.read", target: "secret"},
	"PATCH /api/v2/secrets/{secret}/metadata":                              {action: "secrets-manager.secret-metadata.update", target: "secret"},
	"POST /api/v2/secrets/{secret}/actions":                                {action: "secrets-manager.secret-action.create", target: "secret"},
	"GET /api/v2/secrets/{secret}/versions":                                {action: "secrets-manager.secret-versions.list", target: "secret"},
	"POST /api/v2/secrets/{secret}/versions":                               {action: "secrets-manager.secret-version.create", target: "secret"},
	"GET /api/v2/secrets/{secret}/versions/{version}":                      {action: "secrets-manager.secret-version.read", target: "secret"},
	"DELETE /api/v2/secrets/{secret}/versions/{version}/secret_data":       {action: "secrets-manager.secret-version-data.delete", target: "secret"},
	"GET /api/v2/secrets/{secret}/versions/{version}/metadata":             {action: "secrets-manager.secret-version-metadata.read", target: "secret"},
	"PATCH /api/v2/secrets/{secret}/versions/{version}/metadata":           {action: "secrets-manager.secret-version-metadata.update", target: "secret"},
	"POST /api/v2/secrets/{secret}/versions/{version}/actions":             {action: "secrets-manager.secret-version-action.create", target: "secret"},
	"GET /api/v2/secrets_locks":                                            {action: "secrets-manager.secrets-locks.list"},
	"GET /api/v2/secrets/{secret}/locks":                                   {action: "secrets-manager.secret-locks.list", target: "secret"},
	"POST /api/v2/secrets/{secret}/locks_bulk":                             {action: "secrets-manager.secret-locks.create", target: "secret"},
	"DELETE /api/v2/secrets/{secret}/locks_bulk":                           {action: "secrets-manager.secret-locks.delete", target: "secret"},
	"GET /api/v2/secrets/{secret}/versions/{version}/locks":                {action: "secrets-manager.secret-version-locks.list", target: "secret"},
	"POST /api/v2/secrets/{secret}/versions/{version}/locks_bulk":          {action: "secrets-manager.secret-version-locks.create", target: "secret"},
	"DELETE /api/v2/secrets/{secret}/versions/{version}/locks_bulk":        {action: "secrets-manager.secret-version-locks.delete", target: "secret"},
	"GET /api/v2/secrets/{secret}/tasks":                                   {action: "secrets-manager.secret-tasks.list", target: "secret"},
	"GET /api/v2/secrets/{secret}/tasks/{task}":                            {action: "secrets-manager.secret-task.read", target: "secret"},
	"PUT /api/v2/secrets/{secret}/tasks/{task}":                            {action: "secrets-manager.secret-task.update", target: "secret"},
	"DELETE /api/v2/secrets/{secret}/tasks/{task}":                         {action: "secrets-manager.secret-task.delete", target: "secret"},
	"GET /api/v2/configurations":                                           {action: "secrets-manager.configurations.list"},
	"POST /api/v2/configurations":                                          {action: "secrets-manager.configuration.create"},
	"GET /api/v2/configurations/{name}":                                    {action: "secrets-manager.configuration.read"},
	"PATCH /api/v2/configurations/{name}":                                  {action: "secrets-manager.configuration.update"},
	"DELETE /api/v2/configurations/{name}":                                 {action: "secrets-manager.configuration.delete"},
	"POST /api/v2/configurations/{name}/actions":                           {action: "secrets-manager.configuration-action.create"},
	"GET /api/v2/notifications/registration":                               {action: "secrets-manager.notifications-registration.read"},
	"POST /api/v2/notifications/registration":                              {action: "secrets-manager.notifications-registration.create"},
	"DELETE /api/v2/notifications/registration":                            {action: "secrets-manager.notifications-registration.delete"},
	"GET /api/v2/notifications/registration/test":                          {action: "secrets-manager.notifications-registration.test"},
}

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
	"iam-identity": "IAM Identity Service", "iam-am": "IAM Access Management", "iam-groups": "IAM Access Groups", "codeengine": "Code Engine", "secrets-manager": "Secrets Manager",
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
