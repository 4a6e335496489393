package vaulttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Namespace is an alias of Fake's root namespace.
const Namespace = "team/east"

// ThirdPartyToken is the token that Fake's logins "jwt" and "kubernetes" accept for
// the role "latchkey". Such a login yields a root token.
const ThirdPartyToken = "third-party-token-9c2e"

// Fake starts a vault in this process and stops it at the end of the test. It
// supports versions with check-and-set, deletion and custom metadata, policies
// by exact path, tokens, AppRole, and logins by tokens of third parties.
func Fake(t testing.TB) *Server {
	t.Helper()
	f := &fake{
		secrets: map[string]*stored{}, policies: map[string]Policy{}, roles: map[string]*role{},
		tokens: map[string]*token{"root-token": {policies: []string{"root"}}},
	}
	server := httptest.NewServer(f)
	forward := &http.Transport{}
	t.Cleanup(func() {
		forward.CloseIdleConnections()
		server.Close()
	})
	return &Server{URL: server.URL, Mount: "secret", token: "root-token", forward: forward}
}

type fake struct {
	mu       sync.Mutex // guards what follows
	secrets  map[string]*stored
	policies map[string]Policy
	tokens   map[string]*token
	roles    map[string]*role
	made     int
}

// stored is a secret.
type stored struct {
	versions []*written
	custom   map[string]any
}

type written struct {
	data    map[string]any
	deleted time.Time
}

type token struct {
	policies []string
	login    string
	life     int
	end      time.Time
}

type role struct {
	policies []string
	life     int
	uses     int
	secrets  map[string]int // remaining uses; below 0 is without limit
}

type request struct {
	method, path string
	body         map[string]any
	token        *token
}

type reply struct {
	status int
	data   any
	auth   map[string]any
	errors []string
}

func failed(status int, errors ...string) reply { return reply{status: status, errors: errors} }

// ServeHTTP answers one call.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := request{method: r.Method, path: strings.TrimPrefix(r.URL.Path, "/v1/"), token: f.tokens[r.Header.Get("X-Vault-Token")]}
	decode := json.NewDecoder(io.LimitReader(r.Body, 32<<20))
	decode.UseNumber()
	var a reply
	if err := decode.Decode(&q.body); err != nil && !errors.Is(err, io.EOF) {
		a = failed(400, "failed to parse JSON input")
	} else if ns := r.Header.Get("X-Vault-Namespace"); ns != "" && strings.Trim(ns, "/") != Namespace {
		a = failed(404, "namespace not found")
	} else {
		a = f.answer(q)
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case a.status == 0 && a.data == nil && a.auth == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	case a.status == 0:
		a.status = http.StatusOK
	}
	w.WriteHeader(a.status)
	answer := map[string]any{"data": a.data, "auth": a.auth}
	if a.status >= 400 && a.data == nil {
		answer = map[string]any{"errors": append([]string{}, a.errors...)}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *fake) answer(q request) reply {
	if mount, ok := strings.CutSuffix(strings.TrimPrefix(q.path, "auth/"), "/login"); ok {
		return f.login(mount, q.body)
	}
	if q.token == nil || !q.token.end.IsZero() && !time.Now().Before(q.token.end) {
		return failed(403, "permission denied")
	}
	root := slices.Contains(q.token.policies, "root")
	switch q.path { // the default policy
	case "auth/token/lookup-self":
		return reply{data: map[string]any{"ttl": q.token.life}}
	case "auth/token/renew-self":
		q.token.end = time.Now().Add(time.Duration(q.token.life) * time.Second)
		return reply{auth: map[string]any{"client_token": "", "renewable": true, "lease_duration": q.token.life}}
	case "sys/capabilities-self":
		return f.capabilities(q)
	case "sys/internal/ui/mounts/secret", "sys/internal/ui/mounts/old":
		number := map[bool]string{true: "2", false: "1"}[strings.HasSuffix(q.path, "secret")]
		return reply{data: map[string]any{"type": "kv", "options": map[string]any{"version": number}}}
	}
	if path, ok := strings.CutPrefix(q.path, "secret/"); ok {
		return f.secret(q, path)
	}
	switch {
	case !root:
		return failed(403, "1 error occurred:\n\t* permission denied\n\n")
	case strings.HasPrefix(q.path, "old/"):
		return failed(404)
	case strings.HasPrefix(q.path, "sys/") || strings.HasPrefix(q.path, "auth/"):
		return f.administer(q)
	}
	return failed(404, fmt.Sprintf("no handler for route %q. route entry not found.", q.path))
}

func (f *fake) has(t *token, path string) (capabilities []string) {
	for _, name := range t.policies {
		if name == "root" {
			return []string{"root"}
		}
		capabilities = append(capabilities, f.policies[name][path]...)
	}
	if len(capabilities) == 0 {
		return []string{"deny"}
	}
	return capabilities
}

func (f *fake) capabilities(q request) reply {
	all := map[string]any{}
	paths, _ := q.body["paths"].([]any)
	for _, p := range paths {
		all[fmt.Sprint(p)] = f.has(q.token, fmt.Sprint(p))
	}
	return reply{data: all}
}

func (f *fake) administer(q request) reply {
	list := func(field string) (words []string) {
		items, _ := q.body[field].([]any)
		for _, item := range items {
			words = append(words, fmt.Sprint(item))
		}
		return words
	}
	if name, ok := strings.CutPrefix(q.path, "sys/policies/acl/"); ok {
		var text struct {
			Path map[string]struct{ Capabilities []string }
		}
		if err := json.Unmarshal([]byte(fmt.Sprint(q.body["policy"])), &text); err != nil {
			return failed(400, "failed to parse policy")
		}
		p := Policy{}
		for path, rule := range text.Path {
			p[path] = rule.Capabilities
		}
		f.policies[name] = p
		return reply{}
	}
	if login, ok := strings.CutPrefix(q.path, "sys/leases/revoke-force/auth/"); ok {
		maps.DeleteFunc(f.tokens, func(_ string, t *token) bool { return t.login == strings.Trim(login, "/") })
		return reply{}
	}
	if q.path == "auth/token/create" {
		return f.issue(&token{policies: list("policies"), login: "token"})
	}
	name, what, _ := strings.Cut(strings.TrimPrefix(q.path, "auth/approle/role/"), "/")
	switch {
	case !strings.HasPrefix(q.path, "auth/approle/role/"):
		return failed(404, "unsupported path")
	case what == "role-id":
		return reply{data: map[string]any{"role_id": "id-of-" + name}}
	case what == "secret-id":
		f.made++
		id := fmt.Sprintf("secret-id-%d-of-%s", f.made, name)
		f.roles[name].secrets[id] = f.roles[name].uses
		return reply{data: map[string]any{"secret_id": id}}
	}
	life, _ := strconv.Atoi(strings.TrimSuffix(fmt.Sprint(q.body["token_ttl"]), "s"))
	uses, _ := strconv.Atoi(fmt.Sprint(q.body["secret_id_num_uses"]))
	if uses == 0 {
		uses = -1
	}
	f.roles[name] = &role{policies: list("token_policies"), life: life, uses: uses, secrets: map[string]int{}}
	return reply{}
}

func (f *fake) issue(t *token) reply {
	f.made++
	value := fmt.Sprint("hvs.token-", f.made)
	if t.life > 0 {
		t.end = time.Now().Add(time.Duration(t.life) * time.Second)
	}
	f.tokens[value] = t
	return reply{auth: map[string]any{"client_token": value, "renewable": t.life > 0, "lease_duration": t.life}}
}

func (f *fake) login(mount string, body map[string]any) reply {
	switch mount {
	case "approle":
		r := f.roles[strings.TrimPrefix(fmt.Sprint(body["role_id"]), "id-of-")]
		if r == nil || r.secrets[fmt.Sprint(body["secret_id"])] == 0 {
			return failed(400, "invalid role or secret ID")
		}
		r.secrets[fmt.Sprint(body["secret_id"])]--
		return f.issue(&token{policies: r.policies, login: mount, life: r.life})
	case "jwt", "kubernetes":
		if body["role"] != "latchkey" || body["jwt"] != ThirdPartyToken {
			return failed(400, "error validating token: "+fmt.Sprint(body["jwt"])) // a real vault does not quote the token; the client must not either
		}
		return f.issue(&token{policies: []string{"root"}, login: mount, life: 3600})
	}
	return failed(403, "permission denied")
}

// secret answers a call to the engine of version 2.
func (f *fake) secret(q request, path string) reply {
	kind, name, _ := strings.Cut(path, "/")
	have, exists := f.secrets[name], f.secrets[name] != nil
	verb := map[string]string{"GET": "read", "PUT": "update", "POST": "update", "PATCH": "patch", "DELETE": "delete"}[q.method]
	if verb == "update" && !exists {
		verb = "create"
	}
	if caps := f.has(q.token, q.path); !slices.Contains(caps, verb) && !slices.Contains(caps, "root") {
		return failed(403, "1 error occurred:\n\t* permission denied\n\n")
	}
	if !exists {
		have = &stored{}
	}
	switch kind + " " + verb {
	case "data read":
		if len(have.versions) == 0 {
			return failed(404)
		}
		last := have.last()
		data := map[string]any{"data": last.data, "metadata": have.about(len(have.versions))}
		if !last.deleted.IsZero() {
			data["data"] = nil
			return reply{status: 404, data: data}
		}
		return reply{data: data}
	case "data create", "data update", "data patch":
		return f.put(q, name, have, verb == "patch")
	case "data delete":
		if exists {
			have.last().deleted = time.Now()
		}
		return reply{}
	case "metadata read":
		if !exists {
			return failed(404)
		}
		versions := map[string]any{}
		for i := range have.versions {
			versions[strconv.Itoa(i+1)] = have.about(i + 1)
		}
		return reply{data: map[string]any{"current_version": len(have.versions), "versions": versions, "custom_metadata": have.custom}}
	case "metadata patch":
		if !exists {
			return failed(404)
		}
		custom, _ := q.body["custom_metadata"].(map[string]any)
		have.custom = merge(have.custom, custom)
		return reply{}
	case "metadata delete":
		delete(f.secrets, name)
		return reply{}
	}
	return failed(405, "unsupported operation")
}

func (k *stored) last() *written { return k.versions[len(k.versions)-1] }

func (k *stored) about(number int) map[string]any {
	v := k.versions[number-1]
	text := ""
	if !v.deleted.IsZero() {
		text = v.deleted.UTC().Format(time.RFC3339Nano)
	}
	return map[string]any{"version": number, "deletion_time": text, "destroyed": false, "custom_metadata": k.custom}
}

func (f *fake) put(q request, name string, have *stored, patch bool) reply {
	options, _ := q.body["options"].(map[string]any)
	data, _ := q.body["data"].(map[string]any)
	if patch && len(have.versions) == 0 {
		return failed(404)
	}
	if cas, given := options["cas"]; given && fmt.Sprint(cas) != strconv.Itoa(len(have.versions)) {
		return failed(400, "check-and-set parameter did not match the current version")
	}
	if patch {
		if last := have.last(); !last.deleted.IsZero() {
			return reply{status: 404, data: have.about(len(have.versions))}
		}
		data = merge(have.last().data, data)
	}
	have.versions = append(have.versions, &written{data: data})
	f.secrets[name] = have
	return reply{data: have.about(len(have.versions))}
}

// merge applies a merge patch of one level.
func merge(to, patch map[string]any) map[string]any {
	merged := map[string]any{}
	maps.Copy(merged, to)
	maps.Copy(merged, patch)
	maps.DeleteFunc(merged, func(_ string, v any) bool { return v == nil })
	return merged
}
