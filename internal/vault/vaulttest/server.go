// Package vaulttest gives the tests of the Vault store a vault to talk to: Fake
// is one in this process that does what those tests look at; with the build tag
// real, Real starts Vault's own core. Both pass the same tests, which is what
// keeps the fake faithful.
package vaulttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/storetest"
)

// Server is a vault with a key value engine, version 2, mounted at Mount, one
// of version 1 at "old", and logins by AppRole.
type Server struct {
	URL   string
	Mount string

	token   string
	forward http.RoundTripper
	made    atomic.Int32
}

// Proxy starts one in front of the vault. A write to it is one to data.
func (s *Server) Proxy(t testing.TB) *storetest.Proxy {
	p := storetest.NewProxy(t, s.URL, s.forward)
	p.Writes = func(r *http.Request) bool {
		return r.Method != http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/"+s.Mount+"/data/")
	}
	return p
}

// Try calls the vault with a token and returns the status and the answer.
func (s *Server) Try(t testing.TB, token, method, path string, body any) (int, map[string]any) {
	t.Helper()
	sent, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, s.URL+"/v1/"+path, bytes.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", token)
	req.Header.Set("X-Vault-Request", "true")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := s.forward.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	var answer map[string]any
	numbers := json.NewDecoder(bytes.NewReader(got))
	numbers.UseNumber()
	_ = numbers.Decode(&answer) // there may be none
	return resp.StatusCode, answer
}

// Do calls the vault as who may do everything, and must succeed. It returns the
// data of the answer.
func (s *Server) Do(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	status, answer := s.Try(t, s.token, method, path, body)
	if status >= 300 {
		t.Fatalf("%s %s: status %d, %v", method, path, status, answer["errors"])
	}
	data, _ := answer["data"].(map[string]any)
	if auth, ok := answer["auth"].(map[string]any); ok {
		return auth
	}
	return data
}

// Policy is what a token may do: capabilities by path.
type Policy map[string][]string

// Full is what a store at a path uses.
func (s *Server) Full(path string) Policy {
	return Policy{
		s.Mount + "/data/" + path:     {"create", "read", "update"},
		s.Mount + "/metadata/" + path: {"patch"},
	}
}

// Blind is what a store at a path uses that may not read values.
func (s *Server) Blind(path string) Policy {
	return Policy{
		s.Mount + "/data/" + path:     {"create", "update", "patch"},
		s.Mount + "/metadata/" + path: {"read", "patch"},
	}
}

// Allow sets a policy, from now on.
func (s *Server) Allow(t testing.TB, name string, p Policy) {
	t.Helper()
	paths := map[string]any{}
	for path, capabilities := range p {
		paths[path] = map[string]any{"capabilities": capabilities}
	}
	text, err := json.Marshal(map[string]any{"path": paths}) // which is HCL, too
	if err != nil {
		t.Fatal(err)
	}
	s.Do(t, "PUT", "sys/policies/acl/"+name, map[string]any{"policy": string(text)})
}

// Token makes a token with a policy of its own, and returns both.
func (s *Server) Token(t testing.TB, p Policy) (token, policy string) {
	t.Helper()
	policy = fmt.Sprint("policy-", s.made.Add(1))
	s.Allow(t, policy, p)
	token, _ = s.Do(t, "POST", "auth/token/create", map[string]any{"policies": []string{policy}})["client_token"].(string)
	return token, policy
}

// AppRole makes a role with a policy, whose tokens live for a while and whose
// secret IDs work so many times (0: always). It returns its ID and what makes
// another secret ID.
func (s *Server) AppRole(t testing.TB, p Policy, life time.Duration, uses int) (roleID string, secretID func() string) {
	t.Helper()
	name := fmt.Sprint("role-", s.made.Add(1))
	s.Allow(t, name, p)
	role := "auth/approle/role/" + name
	s.Do(t, "POST", role, map[string]any{
		"token_policies": []string{name}, "token_ttl": fmt.Sprintf("%.0fs", life.Seconds()), "secret_id_num_uses": uses,
	})
	roleID, _ = s.Do(t, "GET", role+"/role-id", nil)["role_id"].(string)
	return roleID, func() string {
		id, _ := s.Do(t, "POST", role+"/secret-id", map[string]any{})["secret_id"].(string)
		return id
	}
}

// Revoke ends all tokens that logins of a kind gave out.
func (s *Server) Revoke(t testing.TB, login string) {
	t.Helper()
	s.Do(t, "PUT", "sys/leases/revoke-force/auth/"+login, nil)
}

// Entry returns the key that a secret's entry names, and its value.
func (s *Server) Entry(t testing.TB, path, entry string) (key, value string) {
	t.Helper()
	_, answer := s.Try(t, s.token, http.MethodGet, s.Mount+"/data/"+path, nil)
	outer, _ := answer["data"].(map[string]any)
	data, _ := outer["data"].(map[string]any)
	key, _ = data[entry+"_ID"].(string)
	value, _ = data[entry].(string)
	return key, value
}
