package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// family is a group of routes that write errors in the same form.
type family int

const (
	familyToken family = iota
	familyIdentity
	familyPolicy
	familyGroup
	familyCodeEngine
	familyLogs
	familySecrets
	familyNotifications
	familyUnknown
)

// call is one request, read whole.
type call struct {
	request *http.Request
	family  family
	parts   map[string]string // values of the pattern's {names}
	query   url.Values
	body    []byte
	tooLong bool
	actor   cloud.Actor // who the access token stands for, if anybody
}

// answer is what a handler makes of a call.
type answer struct {
	status int
	etag   string
	body   any    // written as JSON; nil = no body
	raw    string // written as it is, if body is nil
	id     string // of the thing that was made, for the event log
}

type route struct {
	method  string
	pattern string
	family  family
	handle  func(*Server, *call) (answer, error)
}

var routes = []route{
	{"POST", "/identity/token", familyToken, (*Server).token},

	{"GET", "/v1/serviceids", familyIdentity, (*Server).listServiceIDs},
	{"POST", "/v1/serviceids", familyIdentity, (*Server).createServiceID},
	{"GET", "/v1/serviceids/{id}", familyIdentity, (*Server).getServiceID},
	{"PUT", "/v1/serviceids/{id}", familyIdentity, (*Server).updateServiceID},
	{"DELETE", "/v1/serviceids/{id}", familyIdentity, (*Server).deleteServiceID},
	{"POST", "/v1/serviceids/{id}/lock", familyIdentity, (*Server).lockServiceID},
	{"DELETE", "/v1/serviceids/{id}/lock", familyIdentity, (*Server).lockServiceID},
	{"GET", "/v1/accounts/{account}/limits/identity", familyIdentity, (*Server).limits},
	{"POST", "/v1/accounts/{account}/limits/identity", familyIdentity, (*Server).bulkLimits},

	{"POST", "/v1/activity/accounts/{account}/report", familyIdentity, (*Server).createReport},
	{"GET", "/v1/activity/accounts/{account}/report/{reference}", familyIdentity, (*Server).getReport},

	{"GET", "/v1/serviceid_groups", familyIdentity, (*Server).listIDGroups},
	{"POST", "/v1/serviceid_groups", familyIdentity, (*Server).createIDGroup},
	{"GET", "/v1/serviceid_groups/{id}", familyIdentity, (*Server).getIDGroup},
	{"PUT", "/v1/serviceid_groups/{id}", familyIdentity, (*Server).updateIDGroup},
	{"DELETE", "/v1/serviceid_groups/{id}", familyIdentity, (*Server).deleteIDGroup},

	{"GET", "/v1/apikeys", familyIdentity, (*Server).listKeys},
	{"POST", "/v1/apikeys", familyIdentity, (*Server).createKey},
	{"GET", "/v1/apikeys/details", familyIdentity, (*Server).keyDetails},
	{"GET", "/v1/apikeys/{id}", familyIdentity, (*Server).getKey},
	{"PUT", "/v1/apikeys/{id}", familyIdentity, (*Server).updateKey},
	{"DELETE", "/v1/apikeys/{id}", familyIdentity, (*Server).deleteKey},
	{"POST", "/v1/apikeys/{id}/lock", familyIdentity, (*Server).lockKey},
	{"DELETE", "/v1/apikeys/{id}/lock", familyIdentity, (*Server).lockKey},
	{"POST", "/v1/apikeys/{id}/disable", familyIdentity, (*Server).disableKey},
	{"DELETE", "/v1/apikeys/{id}/disable", familyIdentity, (*Server).disableKey},

	{"GET", "/v2/policies", familyPolicy, (*Server).listPolicies},
	{"POST", "/v2/policies", familyPolicy, (*Server).createPolicy},
	{"GET", "/v2/policies/{id}", familyPolicy, (*Server).getPolicy},
	{"PUT", "/v2/policies/{id}", familyPolicy, (*Server).replacePolicy},
	{"DELETE", "/v2/policies/{id}", familyPolicy, (*Server).deletePolicy},
	{"GET", "/v1/policies", familyPolicy, (*Server).listPolicies},
	{"POST", "/v1/policies", familyPolicy, (*Server).createV1Policy},
	{"GET", "/v1/policies/{id}", familyPolicy, (*Server).getV1Policy},
	{"PUT", "/v1/policies/{id}", familyPolicy, (*Server).replaceV1Policy},
	{"PATCH", "/v1/policies/{id}", familyPolicy, (*Server).patchV1Policy},
	{"DELETE", "/v1/policies/{id}", familyPolicy, (*Server).deletePolicy},

	{"GET", "/v2/groups", familyGroup, (*Server).listGroups},
	{"POST", "/v2/groups", familyGroup, (*Server).createGroup},
	{"GET", "/v2/groups/{group}", familyGroup, (*Server).getGroup},
	{"PATCH", "/v2/groups/{group}", familyGroup, (*Server).updateGroup},
	{"DELETE", "/v2/groups/{group}", familyGroup, (*Server).deleteGroup},
	{"GET", "/v2/groups/{group}/members", familyGroup, (*Server).listMembers},
	{"PUT", "/v2/groups/{group}/members", familyGroup, (*Server).addMembers},
	{"POST", "/v2/groups/{group}/members/delete", familyGroup, (*Server).removeMembers},
	{"PUT", "/v2/groups/_allgroups/members/{member}", familyGroup, (*Server).joinGroups},
	{"DELETE", "/v2/groups/_allgroups/members/{member}", familyGroup, (*Server).leaveGroups},
	{"HEAD", "/v2/groups/{group}/members/{member}", familyGroup, (*Server).isMember},
	{"DELETE", "/v2/groups/{group}/members/{member}", familyGroup, (*Server).removeMember},

	{"GET", "/v2/roles", familyPolicy, (*Server).listRoles},

	{"GET", "/v2/projects", familyCodeEngine, (*Server).listProjects},
	{"POST", "/v2/projects", familyCodeEngine, (*Server).createProject},
	{"GET", "/v2/projects/{project}", familyCodeEngine, (*Server).getProject},
	{"DELETE", "/v2/projects/{project}", familyCodeEngine, (*Server).deleteProject},
	{"GET", "/v2/projects/{project}/status_details", familyCodeEngine, (*Server).projectStatus},
	{"GET", "/v2/projects/{project}/secrets", familyCodeEngine, (*Server).listSecrets},
	{"POST", "/v2/projects/{project}/secrets", familyCodeEngine, (*Server).createSecret},
	{"GET", "/v2/projects/{project}/secrets/{name}", familyCodeEngine, (*Server).getSecret},
	{"PUT", "/v2/projects/{project}/secrets/{name}", familyCodeEngine, (*Server).replaceSecret},
	{"DELETE", "/v2/projects/{project}/secrets/{name}", familyCodeEngine, (*Server).deleteSecret},
	{"GET", "/v2/projects/{project}/apps", familyCodeEngine, (*Server).listApps},
	{"POST", "/v2/projects/{project}/apps", familyCodeEngine, (*Server).createApp},
	{"GET", "/v2/projects/{project}/apps/{name}", familyCodeEngine, (*Server).getApp},
	{"PATCH", "/v2/projects/{project}/apps/{name}", familyCodeEngine, (*Server).updateApp},
	{"DELETE", "/v2/projects/{project}/apps/{name}", familyCodeEngine, (*Server).deleteApp},
	{"GET", "/v2/projects/{project}/apps/{name}/revisions", familyCodeEngine, (*Server).listRevisions},
	{"GET", "/v2/projects/{project}/apps/{name}/revisions/{revision}", familyCodeEngine, (*Server).getRevision},

	{"POST", "/logs/v1/singles", familyLogs, (*Server).singles},
}

// notEmulated takes what no route takes.
var notEmulated = route{pattern: "*", family: familyUnknown, handle: func(*Server, *call) (answer, error) {
	return answer{}, &cloud.Error{Status: 501, Code: "not_emulated", Message: "The emulator does not know this operation."}
}}

// find returns the route of a request. A trailing slash makes no difference:
// the SDK sends one with service IDs.
func find(method, escapedPath string) (route, map[string]string) {
	path := strings.TrimRight(escapedPath, "/")
	segments := strings.Split(path, "/")
	for _, r := range routes {
		if r.method != method {
			continue
		}
		if parts, ok := matchPattern(r.pattern, segments); ok {
			return r, parts
		}
	}
	return notEmulated, nil
}

func matchPattern(pattern string, segments []string) (map[string]string, bool) {
	wanted := strings.Split(pattern, "/")
	if len(wanted) != len(segments) {
		return nil, false
	}
	parts := map[string]string{}
	for i, w := range wanted {
		if !strings.HasPrefix(w, "{") {
			if w != segments[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil || value == "" {
			return nil, false
		}
		parts[strings.Trim(w, "{}")] = value
	}
	return parts, true
}

// longestBody bounds what is read; Cloud Logs has a lower bound of its own.
const longestBody = 8 << 20

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	defer s.calls.Done()
	w.Header().Set("Date", s.Now().UTC().Format(http.TimeFormat))
	if rest, ok := strings.CutPrefix(r.URL.Path, "/emulator/"); ok {
		s.control(w, r, rest)
		return
	}
	rt, parts := find(r.Method, r.URL.EscapedPath())
	s.count(r.Method, rt.pattern)
	c := &call{request: r, family: rt.family, parts: parts, query: r.URL.Query()}
	body, err := io.ReadAll(io.LimitReader(r.Body, longestBody+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the client went away while it sent
	}
	c.tooLong = len(body) > longestBody
	c.body = body
	if !s.wait(r, s.pause()) {
		panic(http.ErrAbortHandler)
	}
	if after := s.throttle(); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(after))
		s.write(w, s.faultAnswer(c, http.StatusTooManyRequests))
		return
	}
	fault := s.strike(r.Method, rt.pattern, r.URL.Path)
	if fault == nil {
		s.write(w, s.perform(rt, c, ""))
		return
	}
	s.play(w, rt, c, fault)
}

// unauthenticated is the code of a 401; families that are not here look at the
// token themselves.
var unauthenticated = map[family]string{
	familyIdentity: "invalid_access_token", familyPolicy: "invalid_token", familyGroup: "invalid_token", familyCodeEngine: "unauthorized",
}

// perform runs the handler and notes what it changed.
func (s *Server) perform(rt route, c *call, fault string) answer {
	var a answer
	var err error
	switch {
	case c.tooLong:
		err = &cloud.Error{Status: 413, Code: "payload_too_large", Message: "The request is too large."}
	default:
		var nobody error
		c.actor, nobody = s.cloud.Authenticate(bearer(c.request))
		if code, needed := unauthenticated[rt.family]; needed && nobody != nil {
			err = &cloud.Error{Status: 401, Code: code, Message: "Provided access token is missing, invalid or expired."}
		} else {
			testify := s.witness(rt, c)
			a, err = rt.handle(s, c)
			defer func() { testify(a, err) }()
		}
	}
	if err != nil {
		a = s.refuse(c, err)
	}
	s.note(rt, c, a, fault)
	return a
}

func (s *Server) pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latency
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

func (s *Server) write(w http.ResponseWriter, a answer) {
	body := encode(w.Header(), a)
	if len(body) > 0 || a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // a client that is gone gets nothing
}

func encode(h http.Header, a answer) []byte {
	if a.etag != "" {
		h.Set("Etag", a.etag)
	}
	h.Set("Cache-Control", "no-cache, no-store")
	if a.body == nil && a.raw == "" {
		return nil
	}
	h.Set("Content-Type", "application/json")
	if a.body == nil {
		return []byte(a.raw)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(a.body); err != nil {
		panic("encoding an answer: " + err.Error()) // answers are plain data
	}
	return b.Bytes()
}

// wait sleeps for the duration and reports whether the call is still wanted.
func (s *Server) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
	case <-s.closed:
	}
	return false
}

// json reads the body; IBM's services ignore fields that they do not know.
func (c *call) json(v any) error {
	bad := &cloud.Error{Status: 400, Code: badBody[c.family], Message: "The request body is not valid JSON."}
	kind, _, err := mime.ParseMediaType(c.request.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && kind != "application/merge-patch+json" {
		bad.Message = "The content type must be application/json."
		return bad
	}
	if err := json.Unmarshal(c.body, v); err != nil {
		var field *json.UnmarshalTypeError
		if errors.As(err, &field) {
			bad.Message = "The field " + field.Field + " has the wrong type."
		}
		return bad
	}
	return nil
}

var badBody = map[family]string{
	familyIdentity: "validation_error", familyPolicy: "invalid_body", familyGroup: "invalid_body", familyCodeEngine: "bad_request", familyLogs: "bad_request",
}

// number reads a query parameter; 0 means that it is not there.
func (c *call) number(name string) (int, error) {
	v := c.query.Get(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n <= 0 {
		return 0, &cloud.Error{Status: 400, Code: badBody[c.family], Message: name + " must be a positive number."}
	}
	return n, nil
}

func (c *call) flag(name string) bool { return c.query.Get(name) == "true" }

func (c *call) header(name string) string { return c.request.Header.Get(name) }

// origin is the URL under which the client reached the service.
func (c *call) origin() string { return "http://" + c.request.Host }
