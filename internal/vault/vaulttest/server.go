// Package vaulttest provides vaults for tests of the Vault store. Fake is a vault
// in this process with the behavior that the tests need. With the build tag
// real, Real starts Vault's own core. Both pass the same tests, which keeps the
// fake faithful.
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

// Server is a vault with a key value engine of version 2, another of version 1 at
// the mount "old", and logins by AppRole.
type Server struct {
	URL   string
	Mount string // of the engine of version 2

	token   string
	forward http.RoundTripper
	made    atomic.Int32
}

// Proxy starts a proxy in front of the vault. It counts only writes to data.
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
	_ = numbers.Decode(&answer) // the body may be empty
	return resp.StatusCode, answer
}

// Do calls the vault with the root token and fails the test unless the call
// succeeds. It returns the data of the answer.
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

// Policy maps paths to capabilities.
type Policy map[string][]string

// Full returns the policy that a store at the path uses.
func (s *Server) Full(path string) Policy {
	return Policy{
		s.Mount + "/data/" + path:     {"create", "read", "update"},
		s.Mount + "/metadata/" + path: {"patch"},
	}
}

// Blind returns the policy of a store at the path that may not read values.
func (s *Server) Blind(path string) Policy {
	return Policy{
		s.Mount + "/data/" + path:     {"create", "update", "patch"},
		s.Mount + "/metadata/" + path: {"read", "patch"},
	}
}

// Allow sets the policy with the given name.
func (s *Server) Allow(t testing.TB, name string, p Policy) {
	t.Helper()
	paths := map[string]any{}
	for path, capabilities := range p {
		paths[path] = map[string]any{"capabilities": capabilities}
	}
	text, err := json.Marshal(map[string]any{"path": paths}) // JSON is valid HCL
	if err != nil {
		t.Fatal(err)
	}
	s.Do(t, "PUT", "sys/policies/acl/"+name, map[string]any{"policy": string(text)})
}

// Token creates a token with its own policy and returns both.
func (s *Server) Token(t testing.TB, p Policy) (token, policy string) {
	t.Helper()
	policy = fmt.Sprint("policy-", s.made.Add(1))
	s.Allow(t, policy, p)
	token, _ = s.Do(t, "POST", "auth/token/create", map[string]any{"policies": []string{policy}})["client_token"].(string)
	return token, policy
}

// AppRole creates a role with a policy. Its tokens expire after life, and each of
// its secret IDs works the given number of times (0: without limit). AppRole
// returns the role's ID and a function that creates a secret ID.
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

// Revoke revokes all tokens of a kind of login.
func (s *Server) Revoke(t testing.TB, login string) {
	t.Helper()
	s.Do(t, "PUT", "sys/leases/revoke-force/auth/"+login, nil)
}

// Entry returns the key ID and the value of a secret's entry.
func (s *Server) Entry(t testing.TB, path, entry string) (key, value string) {
	t.Helper()
	_, answer := s.Try(t, s.token, http.MethodGet, s.Mount+"/data/"+path, nil)
	outer, _ := answer["data"].(map[string]any)
	data, _ := outer["data"].(map[string]any)
	key, _ = data[entry+"_ID"].(string)
	value, _ = data[entry].(string)
	return key, value
}
