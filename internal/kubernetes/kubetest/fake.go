package kubetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/storetest"
)

// Fake starts an API server in this process and stops it at the end of the test.
// It stores objects of any kind and supports resourceVersion, generation, merge
// patches, dry runs, the status subresource, roles of a namespace, immutable
// Secrets, and the size and quota of Secrets. It has no admission, watches or
// controllers.
func Fake(t testing.TB) *Cluster {
	t.Helper()
	f := &fake{objects: map[string]map[string]any{}}
	server := httptest.NewTLSServer(f)
	forward := storetest.Insecure()
	t.Cleanup(func() {
		forward.CloseIdleConnections()
		server.Close()
	})
	return &Cluster{URL: server.URL, forward: forward}
}

type fake struct {
	mu      sync.Mutex
	version int                       // guarded by mu
	objects map[string]map[string]any // by path; guarded by mu
}

// call is a request, taken apart.
type call struct {
	group, namespace, resource, name, sub string
	verb                                  string
	dry                                   bool
	label                                 string // that a listed object has
	body                                  map[string]any
}

func (c call) collection() string {
	return strings.Join([]string{c.group, c.namespace, c.resource}, "/") + "/"
}

func (c call) key() string { return c.collection() + c.name }

// refused is an error answer.
type refused struct {
	code            int
	reason, message string
}

func refuse(code int, reason, format string, args ...any) *refused {
	return &refused{code, reason, fmt.Sprintf(format, args...)}
}

func parse(r *http.Request) (call, *refused) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	c := call{dry: r.URL.Query().Get("dryRun") == "All", label: r.URL.Query().Get("labelSelector")}
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		c.group, parts = parts[1], parts[3:]
	default:
		return c, refuse(404, "NotFound", "the server could not find the requested resource")
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		c.namespace, parts = parts[1], parts[2:]
	}
	parts = append(parts, "", "")
	c.resource, c.name, c.sub = parts[0], parts[1], parts[2]
	c.verb = map[string]string{"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[r.Method]
	if c.verb == "get" && c.name == "" {
		c.verb = "list"
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 3<<20))
	if err == nil && len(body) > 0 && c.verb != "get" {
		err = json.Unmarshal(body, &c.body)
	}
	if err != nil {
		return c, refuse(400, "BadRequest", "the body is not valid JSON")
	}
	if c.verb == "create" && c.name == "" {
		meta, _ := c.body["metadata"].(map[string]any)
		c.name, _ = meta["name"].(string)
	}
	return c, nil
}

// ServeHTTP answers one call.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, no := parse(r)
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	f.mu.Lock()
	defer f.mu.Unlock()
	var answer any
	code := http.StatusOK
	switch {
	case no != nil:
	case token != adminToken && token != userToken:
		no = refuse(401, "Unauthorized", "Unauthorized")
	case c.resource == "selfsubjectaccessreviews":
		answer, code = f.review(c), http.StatusCreated
	case token == userToken && !f.granted(c):
		no = refuse(403, "Forbidden", `%s %q is forbidden: User %q cannot %s resource %q in API group %q in the namespace %q`,
			c.resource, c.name, user, c.verb, c.resource, c.group, c.namespace)
	default:
		answer, no = f.do(c)
		if c.verb == "create" {
			code = http.StatusCreated
		}
	}
	if no != nil {
		code = no.code
		answer = map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": no.reason, "message": no.message, "code": no.code,
			"details": map[string]any{"name": c.name, "group": c.group, "kind": c.resource}}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *fake) review(c call) map[string]any {
	spec, _ := c.body["spec"].(map[string]any)
	asked, _ := spec["resourceAttributes"].(map[string]any)
	word := func(k string) string { s, _ := asked[k].(string); return s }
	allowed := f.granted(call{group: word("group"), namespace: word("namespace"), resource: word("resource"), verb: word("verb")})
	return map[string]any{"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": map[string]any{"allowed": allowed}}
}

// granted reports whether the role that Grant creates allows the call.
func (f *fake) granted(c call) bool {
	role := f.objects["rbac.authorization.k8s.io/"+c.namespace+"/roles/latchkey"]
	rules, _ := role["rules"].([]any)
	return slices.ContainsFunc(rules, func(r any) bool {
		rule, _ := r.(map[string]any)
		has := func(field, word string) bool {
			words, _ := rule[field].([]any)
			return slices.Contains(words, any(word))
		}
		return has("apiGroups", c.group) && has("resources", c.resource) && has("verbs", c.verb)
	})
}

func (f *fake) do(c call) (any, *refused) {
	now, exists := f.objects[c.key()]
	missing := refuse(404, "NotFound", "%s %q not found", c.resource, c.name)
	switch c.verb {
	case "list":
		return f.list(c), nil
	case "create":
		return f.create(c, exists)
	}
	if !exists {
		return nil, missing
	}
	switch c.verb {
	case "delete":
		if meta, _ := now["metadata"].(map[string]any); meta["finalizers"] != nil {
			return f.keep(c, merge(now, map[string]any{"metadata": map[string]any{"deletionTimestamp": "2026-11-24T10:00:00Z"}}).(map[string]any)), nil
		}
		f.version++
		delete(f.objects, c.key())
		return map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"}, nil
	case "update":
		return f.change(c, now, c.body)
	case "patch":
		return f.change(c, now, merge(now, c.body).(map[string]any))
	}
	return now, nil
}

func (f *fake) list(c call) map[string]any {
	items := []any{}
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		meta, _ := f.objects[key]["metadata"].(map[string]any)
		labels, _ := meta["labels"].(map[string]any)
		if _, labelled := labels[c.label]; strings.HasPrefix(key, c.collection()) && (labelled || c.label == "") {
			items = append(items, f.objects[key])
		}
	}
	return map[string]any{"kind": kind(c.resource) + "List", "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": strconv.Itoa(f.version)}, "items": items}
}

func (f *fake) create(c call, exists bool) (any, *refused) {
	if _, there := f.objects["//namespaces/"+c.namespace]; c.namespace != "" && !there {
		return nil, refuse(404, "NotFound", "namespaces %q not found", c.namespace)
	}
	if exists {
		return nil, refuse(409, "AlreadyExists", "%s %q already exists", c.resource, c.name)
	}
	made := map[string]any{"apiVersion": strings.TrimPrefix(c.group+"/v1", "/"), "kind": kind(c.resource)}
	maps.Copy(made, c.body)
	made["metadata"] = merge(made["metadata"], map[string]any{
		"namespace": c.namespace, "creationTimestamp": time.Now().UTC().Format(time.RFC3339), "generation": 1.0,
	})
	if no := f.validate(c, nil, made); no != nil {
		return nil, no
	}
	if quota := f.objects["/"+c.namespace+"/resourcequotas/few"]; c.resource == "secrets" && quota["status"] != nil {
		return nil, refuse(403, "Forbidden", `secrets %q is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=1, limited: secrets=1`, c.name)
	}
	return f.keep(c, made), nil
}

// change replaces an object's status, or everything except its status.
func (f *fake) change(c call, now, next map[string]any) (any, *refused) {
	next = merge(next, map[string]any{"metadata": map[string]any{}}).(map[string]any) // a copy
	was, _ := now["metadata"].(map[string]any)
	meta, _ := next["metadata"].(map[string]any)
	if version, given := meta["resourceVersion"]; given && version != was["resourceVersion"] {
		return nil, refuse(409, "Conflict", "Operation cannot be fulfilled on %s %q: the object has been modified; please apply your changes to the latest version and try again", c.resource, c.name)
	}
	if c.sub == "status" {
		next = merge(now, map[string]any{"status": next["status"]}).(map[string]any)
	} else if now["status"] != nil {
		next = merge(next, map[string]any{"status": now["status"]}).(map[string]any)
	}
	meta, _ = next["metadata"].(map[string]any)
	for _, servers := range []string{"resourceVersion", "generation", "creationTimestamp", "namespace", "name"} {
		meta[servers] = was[servers]
	}
	if reflect.DeepEqual(now, next) {
		return now, nil // no change, so the version stays
	}
	if no := f.validate(c, now, next); no != nil {
		return nil, no
	}
	if !reflect.DeepEqual(now["spec"], next["spec"]) {
		generation, _ := was["generation"].(float64)
		meta["generation"] = generation + 1
	}
	return f.keep(c, next), nil
}

// kind returns the kind of a resource's objects.
func kind(resource string) string {
	switch resource {
	case "daemonsets":
		return "DaemonSet"
	case "statefulsets":
		return "StatefulSet"
	}
	return strings.ToUpper(resource[:1]) + strings.TrimSuffix(resource[1:], "s")
}

// keep stores an object under a new version, except in a dry run.
func (f *fake) keep(c call, made map[string]any) map[string]any {
	if c.dry {
		return made
	}
	f.version++
	made["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(f.version)
	f.objects[c.key()] = made
	if meta, _ := made["metadata"].(map[string]any); meta["deletionTimestamp"] != nil && meta["finalizers"] == nil {
		delete(f.objects, c.key())
	}
	return made
}

var (
	name      = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	configKey = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)
)

func (f *fake) validate(c call, was, next map[string]any) *refused {
	if !name.MatchString(c.name) {
		return refuse(422, "Invalid", "%s %q is invalid: metadata.name: Invalid value: a lowercase RFC 1123 subdomain must consist of …", c.resource, c.name)
	}
	if c.resource != "secrets" {
		return nil
	}
	if immutable, _ := was["immutable"].(bool); immutable && !reflect.DeepEqual(was["data"], next["data"]) {
		return refuse(422, "Invalid", "Secret %q is invalid: data: Forbidden: field is immutable when `immutable` is set", c.name)
	}
	size := 0
	data, _ := next["data"].(map[string]any)
	for key, coded := range data {
		plain, err := base64.StdEncoding.DecodeString(fmt.Sprint(coded))
		if err != nil {
			return refuse(400, "BadRequest", "illegal base64 data")
		}
		if !configKey.MatchString(key) {
			return refuse(422, "Invalid", "Secret %q is invalid: data[%s]: Invalid value: a valid config key must consist of …", c.name, key)
		}
		size += len(plain)
	}
	if size > 1<<20 {
		return refuse(422, "Invalid", "Secret %q is invalid: data: Too long: may not be more than 1048576 bytes", c.name)
	}
	return nil
}

// merge applies a merge patch (RFC 7396) to a copy.
func merge(to, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged := map[string]any{}
	if was, ok := to.(map[string]any); ok {
		maps.Copy(merged, was)
	}
	for k, v := range changes {
		if v == nil {
			delete(merged, k)
			continue
		}
		merged[k] = merge(merged[k], v)
	}
	return merged
}
