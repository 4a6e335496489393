package emulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// site is an emulator with one of everything and the IDs that complete the
// patterns of the routes.
type site struct {
	*Server
	t        *testing.T
	owner    string // tokens
	stranger string
	client   *http.Client
	made     map[string]string // by collection
}

const sender = `"crn:v1:bluemix:public:logs::::serviceRole:Sender"`

// body has the fields that a route requires and one that IBM does not know.
type body map[string]string

func (b body) without(field string) string {
	parts := []string{`"unheard_of":{"deep":[1]}`}
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if name != field {
			parts = append(parts, fmt.Sprintf("%q:%s", name, b[name]))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// required returns the required fields of each route, by method and pattern.
func (s *site) required() map[string]body {
	account := `"` + cloud.AccountID + `"`
	subject := `{"attributes":[{"key":"iam_id","operator":"stringEquals","value":"` + s.made["iam"] + `"}]}`
	resource := func(instance string) string {
		return `{"attributes":[{"key":"accountId","operator":"stringEquals","value":` + account + `},{"key":"serviceName","operator":"stringEquals","value":"logs"},{"key":"serviceInstance","operator":"stringEquals","value":"` + instance + `"}]}`
	}
	v1 := func(s string) string {
		s = strings.ReplaceAll(strings.ReplaceAll(s, `"key"`, `"name"`), "Instances", "")
		return "[" + s + "]"
	}
	roles := `[{"role_id":` + sender + `}]`
	env := `"icr.io/codeengine/helloworld"`
	policy := `{"type":"authorization","control":{"grant":{"roles":[{"role_id":"crn:v1:bluemix:public:iam::::serviceRole:Reader"}]}},` +
		`"subject":{"attributes":[{"key":"serviceName","operator":"stringEquals","value":"compliance"}]},` +
		`"resource":{"attributes":[{"key":"serviceName","operator":"stringEquals","value":"kms"}]}}`
	actions := `["logs.data-ingress.send"]`
	target := `{"type":"Account","id":"` + cloud.ChildAccountID + `"}`
	templates := func(kind string) string {
		return `[{"id":"` + cmp.Or(s.made["/v1/"+kind+"_templates unassigned"], s.made["/v1/"+kind+"_templates"]) + `","version":"1"}]`
	}
	out := map[string]body{
		"POST /v2/roles":                                   {"account_id": account, "name": `"Another"`, "display_name": `"r"`, "service_name": `"logs"`, "actions": actions},
		"PUT /v2/roles/{id}":                               {"display_name": `"r"`, "actions": actions},
		"POST /v1/policy_templates":                        {"account_id": account, "name": `"another"`, "policy": policy},
		"POST /v1/policy_templates/{id}/versions":          {"policy": policy},
		"PUT /v1/policy_templates/{id}/versions/{version}": {"policy": policy},
		"POST /v1/action_control_templates":                {"account_id": account, "name": `"another"`},
		"POST /v1/role_templates":                          {"account_id": account, "name": `"another"`},
		"POST /v1/policy_assignments":                      {"target": target, "templates": templates("policy")},
		"PATCH /v1/policy_assignments/{id}":                {"template_version": `"1"`},
		"POST /v1/action_control_assignments":              {"target": target, "templates": templates("action_control")},
		"PATCH /v1/action_control_assignments/{id}":        {"template_version": `"1"`},
		"POST /v1/role_assignments":                        {"target": target, "templates": templates("role")},
		"PATCH /v1/role_assignments/{id}":                  {"template_version": `"1"`},
		"POST /v1/serviceids":                              {"account_id": account, "name": `"s"`},
		"POST /v1/apikeys":                                 {"iam_id": `"` + s.made["iam"] + `"`, "name": `"k"`},
		"POST /v1/serviceid_groups":                        {"account_id": account, "name": `"another"`},
		"PUT /v1/serviceid_groups/{id}":                    {"name": `"renamed"`},
		"POST /v2/policies":                                {"type": `"access"`, "control": `{"grant":{"roles":` + roles + `}}`, "subject": subject, "resource": resource("a")},
		"PUT /v2/policies/{id}":                            {"type": `"access"`, "control": `{"grant":{"roles":` + roles + `}}`, "subject": subject, "resource": resource("b")},
		"POST /v1/policies":                                {"type": `"access"`, "roles": roles, "subjects": v1(subject), "resources": v1(resource("c"))},
		"PUT /v1/policies/{id}":                            {"type": `"access"`, "roles": roles, "subjects": v1(subject), "resources": v1(resource("d"))},
		"PATCH /v1/policies/{id}":                          {"state": `"active"`},
		"POST /v2/groups":                                  {"name": `"another"`},
		"POST /v2/projects":                                {"name": `"another"`},
		"POST /v2/projects/{project}/secrets":              {"name": `"another"`, "format": `"generic"`},
		"PUT /v2/projects/{project}/secrets/{name}":        {"format": `"generic"`},
		"POST /v2/projects/{project}/apps":                 {"name": `"another"`, "image_reference": env},
		"POST /v2/projects/{project}/config_maps":          {"name": `"another"`},
		"POST /v2/projects/{project}/jobs":                 {"name": `"another"`, "image_reference": env},
		"POST /v2/projects/{project}/functions":            {"name": `"another"`, "code_reference": `"data:text/plain;base64,eA=="`, "runtime": `"nodejs-24"`},
	}
	maps.Copy(out, s.requiredOfIdentity())
	return out
}

func newSite(t *testing.T) *site {
	t.Helper()
	server, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	s := &site{Server: server, t: t, client: &http.Client{Transport: transport}, made: map[string]string{}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	token := func(iamID string) string {
		got, err := server.Cloud().TokenFor(iamID)
		if err != nil {
			t.Fatal(err)
		}
		return got.AccessToken
	}
	s.owner = token(cloud.OwnerIAMID)
	sid, key := server.Cloud().AddIdentity("stranger")
	s.stranger = token(sid.IAMID)
	subject := server.Cloud().AddServiceID(cloud.NewServiceID{Name: "subject"})
	s.made["iam"] = subject.IAMID
	s.made["/v1/serviceids"] = subject.ID
	s.made["/v1/apikeys"] = server.Cloud().AddAPIKey(cloud.NewAPIKey{IAMID: subject.IAMID, Name: "k"}).ID
	_ = key
	s.made["project"] = server.Ready().Projects[0].ID
	create := func(path, body string) string {
		status, out := s.call(s.owner, "POST", path, body)
		if status/100 != 2 {
			t.Fatalf("POST %s: %d %v", path, status, out)
		}
		id, _ := out["id"].(string)
		return id
	}
	required := s.required()
	for pattern, path := range map[string]string{
		"/v1/serviceid_groups": "/v1/serviceid_groups", "/v2/policies": "/v2/policies", "/v1/policies": "/v1/policies",
		"/v2/groups": "/v2/groups?account_id=" + cloud.AccountID,
	} {
		s.made[pattern] = create(path, required["POST "+pattern].without(""))
	}
	s.makeProfile(create)
	status, out := s.call(s.owner, "PUT", "/v2/groups/"+s.made["/v2/groups"]+"/members", `{"members":[{"iam_id":"`+subject.IAMID+`","type":"service"}]}`)
	if status != http.StatusMultiStatus {
		t.Fatalf("%d %v", status, out)
	}
	s.made["/v2/roles"] = create("/v2/roles", strings.Replace(required["POST /v2/roles"].without(""), "Another", "One", 1))
	for kind, content := range map[string]string{
		"policy":         `"policy":` + required["POST /v1/policy_templates"]["policy"],
		"action_control": `"action_control":{"service_name":"logs","actions":["logs.data-ingress.send"]}`,
		"role":           `"role":{"name":"Sends","display_name":"sends","service_name":"logs","actions":["logs.data-ingress.send"]}`,
	} {
		// Version 1 is assigned, version 2 a draft, and "unassigned" is a template
		// to assign.
		list, assignments := "/v1/"+kind+"_templates", "/v1/"+kind+"_assignments"
		text := `{"account_id":"` + cloud.AccountID + `","name":"one","committed":true,` + content + `}`
		s.made[list] = create(list, text)
		create(list+"/"+s.made[list]+"/versions", strings.Replace(text, "true", "false", 1))
		create(assignments+"?version=1.0", s.required()["POST "+assignments].without(""))
		s.made[assignments] = s.State(false).Assignments[len(s.State(false).Assignments)-1].ID
		s.made[list+" unassigned"] = create(list, strings.Replace(text, `"Sends"`, `"Sends2"`, 1))
	}
	s.makeIdentityTemplates(create)
	s.made["version"] = "2"
	for _, kind := range []string{"secrets", "apps", "config_maps", "jobs", "functions"} {
		create("/v2/projects/"+s.made["project"]+"/"+kind, strings.Replace(required["POST /v2/projects/{project}/"+kind].without(""), "another", "one", 1))
	}
	create("/v2/projects/"+s.made["project"]+"/job_runs", `{"name":"one","job_name":"one"}`)
	create("/v1/activity/accounts/"+cloud.AccountID+"/report", "")
	return s
}

func (s *site) call(token, method, path, body string) (int, map[string]any) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("If-Match", "*")
	answer, err := s.client.Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var out map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out); err != nil {
			s.t.Errorf("%s %s: %d %q", method, path, answer.StatusCode, text)
		}
	}
	return answer.StatusCode, out
}

// path completes a pattern with existing IDs.
func (s *site) path(pattern string) string {
	collection, _, _ := strings.Cut(pattern, "/{id}")
	fill := map[string]string{
		"{id}": s.made[collection], "{account}": cloud.AccountID, "{reference}": "latest", "{group}": s.made["/v2/groups"],
		"{version}": s.made["version"], "{member}": s.made["iam"], "{project}": s.made["project"], "{name}": "one", "{revision}": "one-00001",
		"{profile}": s.made["profile"], "{rule}": s.made["rule"], "{link}": s.made["link"],
		"{iam}": "iam-" + s.made["profile"], "{service}": "console", "{preference}": "landing_page", "{type}": "user", "{identifier}": cloud.OwnerIAMID,
	}
	for name, value := range fill {
		pattern = strings.ReplaceAll(pattern, name, value)
	}
	if strings.HasPrefix(pattern, "/v1/serviceid") || pattern == "/v1/profiles" || strings.HasPrefix(pattern, "/v2/policies") || strings.HasPrefix(pattern, "/v1/policies") ||
		pattern == "/v2/groups" || strings.Contains(pattern, "_allgroups") {
		pattern += "?account_id=" + cloud.AccountID
	} else if strings.HasSuffix(pattern, "_templates") || strings.Contains(pattern, "_assignments") {
		pattern += "?version=1.0&account_id=" + cloud.AccountID
	}
	return pattern
}

// strict returns the routes of IAM, Code Engine and Cloud Logs, which a site can
// complete.
func strict() []route {
	families := []*family{familyIdentity, familyPolicy, familyGroup, familyCodeEngine, familyLogs, familyToken}
	return slices.DeleteFunc(slices.Clone(routes), func(r route) bool { return !slices.Contains(families, r.family) })
}

// refusal checks the format of an error.
func refusal(t *testing.T, what string, status int, out map[string]any) {
	t.Helper()
	if _, isToken := out["errorCode"]; isToken {
		if out["errorMessage"] == "" || out["errorCode"] == "" || out["context"] == nil {
			t.Errorf("%s: %v", what, out)
		}
		return
	}
	list, _ := out["errors"].([]any)
	if len(list) == 0 || out["trace"] == "" || out["status_code"] != float64(status) {
		t.Errorf("%s: %d %v", what, status, out)
		return
	}
	for _, e := range list {
		if x := e.(map[string]any); x["code"] == "" || x["message"] == "" {
			t.Errorf("%s: %v", what, out)
		}
	}
}

func TestEveryRouteRejectsAMissingToken(t *testing.T) {
	s := newSite(t)
	for _, r := range strict() {
		if r.family == familyToken {
			continue
		}
		what := r.method + " " + r.pattern
		status, out := s.call("", r.method, s.path(r.pattern), "{}")
		if status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", what, status)
		} else if r.method != http.MethodHead {
			refusal(t, what, status, out)
		}
	}
}

func TestEveryRouteRejectsAnIdentityWithoutPolicies(t *testing.T) {
	s := newSite(t)
	// Lists of an identity's own keys and policies, the roles, and instances that it may see.
	open := []string{"GET /v1/apikeys", "GET /v2/policies", "GET /v1/policies", "GET /v2/roles", "GET /v2/resource_instances"}
	for _, r := range strict() {
		what := r.method + " " + r.pattern
		if r.family == familyToken || slices.Contains(open, what) {
			continue
		}
		text := s.required()[what].without("")
		if r.pattern == "/logs/v1/singles" {
			text = "[]"
		}
		status, out := s.call(s.stranger, r.method, s.path(r.pattern), text)
		switch {
		case r.pattern == "/v1/apikeys/details":
			if status != http.StatusBadRequest {
				t.Errorf("%s: status %d", what, status)
			}
		case status == http.StatusMultiStatus: // each member by itself
		case status != http.StatusForbidden:
			t.Errorf("%s: status %d, %v", what, status, out)
		case r.method != http.MethodHead:
			refusal(t, what, status, out)
		}
	}
}

func TestEveryRouteRejectsAnInvalidBody(t *testing.T) {
	s := newSite(t)
	bodiless := []string{"POST /v1/serviceids/{id}/lock", "POST /v1/apikeys/{id}/lock", "POST /v1/apikeys/{id}/disable",
		"POST /v1/activity/accounts/{account}/report", "POST /v1/mfa/accounts/{account}/report", "POST /v1/policy_templates/{id}/versions/{version}/commit",
		"POST /v1/action_control_templates/{id}/versions/{version}/commit", "POST /v1/role_templates/{id}/versions/{version}/commit",
		"POST /v1/profile_templates/{id}/versions/{version}/commit", "POST /v1/account_settings_templates/{id}/versions/{version}/commit"}
	for _, r := range strict() {
		what := r.method + " " + r.pattern
		if r.method == http.MethodGet || r.method == http.MethodHead || r.method == http.MethodDelete || slices.Contains(bodiless, what) {
			continue
		}
		for _, text := range []string{"", "{", "[", `"text"`, "7", "{} {}", "\x00"} {
			status, out := s.call(s.owner, r.method, s.path(r.pattern), text)
			if status != http.StatusBadRequest {
				t.Errorf("%s with %q: status %d, %v", what, text, status, out)
				continue
			}
			refusal(t, what, status, out)
		}
		// null is an empty object or a bad request, but never a failure.
		if status, out := s.call(s.owner, r.method, s.path(r.pattern), "null"); status >= 500 {
			t.Errorf("%s with null: %d %v", what, status, out)
		}
	}
}

func TestRequiredAndUnknownFields(t *testing.T) {
	names := slices.Sorted(maps.Keys((&site{made: map[string]string{}}).required()))
	for _, what := range names {
		t.Run(what, func(t *testing.T) {
			s := newSite(t)
			method, pattern, _ := strings.Cut(what, " ")
			for field := range s.required()[what] {
				status, out := s.call(s.owner, method, s.path(pattern), s.required()[what].without(field))
				if status != http.StatusBadRequest {
					t.Errorf("without %s: status %d, %v", field, status, out)
					continue
				}
				refusal(t, what, status, out)
			}
			text := s.required()[what].without("")
			if method == http.MethodPost {
				text = strings.NewReplacer("another", "a-third", "Another", "AThird", `"a"`, `"e"`, `"c"`, `"f"`).Replace(text)
			}
			if status, out := s.call(s.owner, method, s.path(pattern), text); status/100 != 2 {
				t.Errorf("with an unknown field: status %d, %v", status, out)
			}
		})
	}
}

func TestOtherOperationsAreNotEmulated(t *testing.T) {
	s := newSite(t)
	try := func(method, path string) {
		t.Helper()
		status, out := s.call(s.owner, method, path, "")
		if status != http.StatusNotImplemented {
			t.Errorf("%s %s: status %d, %v", method, path, status, out)
			return
		}
		refusal(t, path, status, out)
		if out["errors"].([]any)[0].(map[string]any)["code"] != "not_emulated" {
			t.Errorf("%s %s: %v", method, path, out)
		}
	}
	for _, r := range strict() {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			if _, pattern := s.mux.Handler(httptest.NewRequest(method, s.path(r.pattern), nil)); pattern != "/" {
				continue
			}
			try(method, s.path(r.pattern))
		}
	}
	for _, path := range []string{"/", "/v1", "/v1/serviceids/x/y/z", "/v2/policy_templates", "/v1/authorization", "/v2/service_bindings",
		"/v3/anything", "/v2/projects/p/fleets", "/emulator", "/v1//serviceids"} {
		try("GET", path)
	}
	try("PATCH", "/v2/roles")
}
