package vault_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/storetest"
	"github.com/latchkey-io/latchkey/internal/vault"
	"github.com/latchkey-io/latchkey/internal/vault/vaulttest"
)

const (
	canary = "canary-7f3e9d-hunter2-kT5uW9xQ2mZ7rB4nC8vL1p"
	entry  = "IAM_API_KEY"
)

// The same scenarios run against Vault's own core with the build tag real.
func TestStore(t *testing.T)  { storeScenarios(t, vaulttest.Fake(t)) }
func TestLogins(t *testing.T) { loginScenarios(t, vaulttest.Fake(t)) }

// corner is a path of its own, as one test has it.
type corner struct {
	*vaulttest.Server
	t      *testing.T
	proxy  *storetest.Proxy
	path   string
	token  string
	policy string
	form   *format.Form // of stores that are made later
}

var paths atomic.Int32

func newCorner(t *testing.T, s *vaulttest.Server) *corner {
	t.Helper()
	c := &corner{Server: s, t: t, proxy: s.Proxy(t), path: fmt.Sprintf("team/%d/logs-agent", paths.Add(1))}
	c.token, c.policy = s.Token(t, s.Full(c.path))
	return c
}

// http trusts the proxy.
func (c *corner) http() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.proxy.Certificate)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	c.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func always(v string) vault.Source {
	return func(context.Context) (secret.Value, error) { return secret.New(v), nil }
}

// store is one of a new client: another process.
func (c *corner) store(change ...func(*vault.Config, *vault.StoreConfig)) *vault.Store {
	cfg := vault.Config{Address: c.proxy.URL, HTTP: c.http(), Auth: vault.Auth{Token: always(c.token)}}
	place := vault.StoreConfig{Mount: c.Mount, Path: c.path, Entry: entry, Form: c.form, Owner: "prod"}
	for _, f := range change {
		f(&cfg, &place)
	}
	return vault.New(cfg).Store(place)
}

func (c *corner) data(t *testing.T) map[string]any {
	t.Helper()
	_, answer := c.Try(t, rootOf(c.Server, t), "GET", c.Mount+"/data/"+c.path, nil)
	outer, _ := answer["data"].(map[string]any)
	data, _ := outer["data"].(map[string]any)
	return data
}

// rootOf is a token that may read every path that a test reads.
func rootOf(s *vaulttest.Server, t *testing.T) string {
	t.Helper()
	token, _ := s.Do(t, "POST", "auth/token/create", map[string]any{"policies": []string{"root"}})["client_token"].(string)
	return token
}

// edit changes the secret as a person would.
func (c *corner) edit(t *testing.T, change map[string]any) {
	t.Helper()
	data := map[string]any{}
	maps.Copy(data, c.data(t))
	maps.Copy(data, change)
	c.Do(t, "POST", c.Mount+"/data/"+c.path, map[string]any{"data": data})
}

func (c *corner) notes(t *testing.T) map[string]any {
	t.Helper()
	custom, _ := c.Do(t, "GET", c.Mount+"/metadata/"+c.path, nil)["custom_metadata"].(map[string]any)
	return custom
}

func (c *corner) place() storetest.Location {
	neighbours := 0
	return storetest.Location{
		Store: c.store(), Other: c.store(),
		Neighbour: func(t *testing.T) func(*testing.T) {
			neighbours++
			name := fmt.Sprint("neighbour-", neighbours)
			nested := map[string]any{"s": "<&>", "list": []any{"a", "b"}}
			c.edit(t, map[string]any{name: nested})
			c.Do(t, "PATCH", c.Mount+"/metadata/"+c.path, map[string]any{"custom_metadata": map[string]any{name: "kept"}})
			return func(t *testing.T) {
				t.Helper()
				if got := c.data(t)[name]; fmt.Sprint(got) != fmt.Sprint(nested) {
					t.Errorf("%s is now %v", name, got)
				}
				if got := c.notes(t)[name]; got != "kept" {
					t.Errorf("the custom metadata %s is now %v", name, got)
				}
			}
		},
		Handwrite: func(t *testing.T, value string) { c.edit(t, map[string]any{entry: value}) },
		Remove:    func(t *testing.T) { c.Do(t, "DELETE", c.Mount+"/data/"+c.path, nil) },
		Unclear:   c.proxy.Unclear(),
		Down:      func(*testing.T) func() { return c.proxy.Down() },
		Hang:      func(*testing.T) { c.proxy.Hang() },
		Deny: func(t *testing.T) func() {
			c.Allow(t, c.policy, vaulttest.Policy{c.Mount + "/data/" + c.path: {"read"}})
			return func() { c.Allow(t, c.policy, c.Full(c.path)) }
		},
		Permission: []string{"capability", "on " + c.Mount + "/data/" + c.path},
		Longest:    500 << 10,
		Misnamed: map[string]port.Store{
			"the path leads upwards":       c.store(func(_ *vault.Config, p *vault.StoreConfig) { p.Path = "team/../other" }),
			"the path ends in a slash":     c.store(func(_ *vault.Config, p *vault.StoreConfig) { p.Path = "team/" }),
			"the mount is empty":           c.store(func(_ *vault.Config, p *vault.StoreConfig) { p.Mount = "" }),
			"the entry has a space":        c.store(func(_ *vault.Config, p *vault.StoreConfig) { p.Entry = "IAM API KEY" }),
			"the entry is too long a name": c.store(func(_ *vault.Config, p *vault.StoreConfig) { p.Entry = strings.Repeat("A", 121) }),
			"the address is none":          c.store(func(c *vault.Config, _ *vault.StoreConfig) { c.Address = ":" }),
			"there is no way to log in":    c.store(func(c *vault.Config, _ *vault.StoreConfig) { c.Auth = vault.Auth{} }),
			"the token can't be found":     c.store(func(c *vault.Config, _ *vault.StoreConfig) { c.Auth = vault.Auth{Token: nowhere} }),
			"the secret ID can't be found": c.store(func(c *vault.Config, _ *vault.StoreConfig) {
				c.Auth = vault.Auth{AppRole: &vault.AppRole{SecretID: nowhere}}
			}),
			"the mount is not of version 2": c.store(func(cfg *vault.Config, p *vault.StoreConfig) {
				p.Mount, cfg.Auth.Token = "old", always(rootOf(c.Server, c.t))
			}),
			"the mount does not exist": c.store(func(cfg *vault.Config, p *vault.StoreConfig) {
				p.Mount, cfg.Auth.Token = "none", always(rootOf(c.Server, c.t))
			}),
		},
		WriteOnly: func(t *testing.T) port.Store {
			token, _ := c.Token(t, c.Blind(c.path))
			return c.store(func(cfg *vault.Config, _ *vault.StoreConfig) { cfg.Auth.Token = always(token) })
		},
	}
}

func nowhere(context.Context) (secret.Value, error) { return nil, errors.New("VAULT_LOGIN is not set") }

func made(n int) port.Entry {
	return port.Entry{
		KeyID: fmt.Sprint("ApiKey-", n), Value: secret.New(fmt.Sprint(canary, n)), IAMID: "iam-ServiceId-1",
		Created: time.Date(2026, time.November, 24, 10, n, 0, 0, time.UTC),
	}
}

// storeScenarios are what a store does in a vault.
func storeScenarios(t *testing.T, s *vaulttest.Server) {
	t.Run("it keeps the contract", func(t *testing.T) {
		storetest.Run(t, storetest.Harness{New: func(t *testing.T) storetest.Location { return newCorner(t, s).place() }})
	})
	t.Run("it keeps the contract with several entries in formats of their own", func(t *testing.T) {
		storetest.Run(t, storetest.Harness{New: func(t *testing.T) storetest.Location {
			c := newCorner(t, s)
			c.form = storetest.Form(true)
			return c.place()
		}})
	})
	for sentence, scenario := range map[string]func(*testing.T, *corner){
		"an entry has companions in the data and custom metadata":         companions,
		"numbers in other entries are unchanged":                          digits,
		"reading without the right to create names it":                    noCreate,
		"reading without any right names both fixes":                      noRead,
		"a store that reads data publishes without custom metadata":       noNote,
		"a store that may not read data needs custom metadata":            blindWithoutNote,
		"a store that may not read data ignores another writer's version": blindAfterOthers,
		"a secret deleted with its history is absent":                     forgotten,
	} {
		t.Run(sentence, func(t *testing.T) { scenario(t, newCorner(t, s)) })
	}
}

func companions(t *testing.T, c *corner) {
	s := c.store()
	if err := s.Publish(t.Context(), made(1), "0"); err != nil {
		t.Fatal(err)
	}
	data := c.data(t)
	if len(data) != 3 || data[entry] != canary+"1" || data[entry+"_ID"] != "ApiKey-1" {
		t.Errorf("the data is %v", data)
	}
	want := map[string]any{"owner": "prod", "created": "2026-11-24T10:01:00Z", "iam_id": "iam-ServiceId-1"}
	if got := parsed(t, data[entry+"_LATCHKEY"]); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the note is %v, want %v", got, want)
	}
	want["key_id"], want["version"] = "ApiKey-1", 1
	if got := parsed(t, c.notes(t)["latchkey."+entry]); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the note in the metadata is %v, want %v", got, want)
	}
	if want := "vault/" + strings.TrimPrefix(c.proxy.URL, "https://") + "/secret/" + c.path + "#IAM_API_KEY"; s.Name() != want {
		t.Errorf("the store is called %s, want %s", s.Name(), want)
	}
}

func parsed(t *testing.T, text any) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(fmt.Sprint(text)), &m); err != nil {
		t.Fatalf("%v: %v", text, err)
	}
	return m
}

// A vault itself reads numbers as floats: what has more digits than these is
// lost there already.
func digits(t *testing.T, c *corner) {
	c.edit(t, map[string]any{"n": json.Number("1234567890123456")})
	e, _ := c.store().Read(t.Context())
	if err := c.store().Publish(t.Context(), made(1), e.Revision); err != nil {
		t.Fatal(err)
	}
	if got := c.data(t)["n"]; fmt.Sprint(got) != "1234567890123456" {
		t.Errorf("a neighbour's number is now %v", got)
	}
}

func noCreate(t *testing.T, c *corner) {
	c.Allow(t, c.policy, vaulttest.Policy{c.Mount + "/data/" + c.path: {"read", "update"}})
	_, err := c.store().Read(t.Context())
	says(t, err, port.ErrDenied, "create on secret/data/"+c.path)
	c.edit(t, map[string]any{"neighbour": "x"})
	_, err = c.store().Read(t.Context())
	says(t, err, port.ErrNotFound)
	c.Allow(t, c.policy, vaulttest.Policy{c.Mount + "/data/" + c.path: {"read", "create"}})
	_, err = c.store().Read(t.Context())
	says(t, err, port.ErrDenied, "update on secret/data/"+c.path)
}

func noRead(t *testing.T, c *corner) {
	c.Allow(t, c.policy, vaulttest.Policy{})
	_, err := c.store().Read(t.Context())
	says(t, err, port.ErrDenied, "read on secret/data/"+c.path, "read on secret/metadata/"+c.path)
}

func noNote(t *testing.T, c *corner) {
	c.Allow(t, c.policy, vaulttest.Policy{c.Mount + "/data/" + c.path: {"read", "create", "update"}})
	if err := c.store().Publish(t.Context(), made(1), "0"); err != nil {
		t.Fatal(err)
	}
	if e, err := c.store().Read(t.Context()); err != nil || e.KeyID != "ApiKey-1" {
		t.Errorf("read %v, %v", e, err)
	}
}

func blindWithoutNote(t *testing.T, c *corner) {
	p := c.Blind(c.path)
	p[c.Mount+"/metadata/"+c.path] = []string{"read"}
	c.Allow(t, c.policy, p)
	_, err := c.store().Read(t.Context())
	says(t, err, port.ErrDenied, "patch on secret/metadata/"+c.path)
}

func blindAfterOthers(t *testing.T, c *corner) {
	if err := c.store().Publish(t.Context(), made(1), "0"); err != nil {
		t.Fatal(err)
	}
	c.Allow(t, c.policy, c.Blind(c.path))
	if e, err := c.store().Read(t.Context()); err != nil || e.KeyID != "ApiKey-1" || !e.Value.Empty() {
		t.Fatalf("read key %s, value empty %v: %v", e.KeyID, e.Value.Empty(), err)
	}
	c.edit(t, map[string]any{entry: "by hand"})
	e, err := c.store().Read(t.Context())
	says(t, err, port.ErrNotFound)
	if err := c.store().Publish(t.Context(), made(2), e.Revision); err != nil {
		t.Fatal(err)
	}
	if e, err := c.store().Read(t.Context()); err != nil || e.KeyID != "ApiKey-2" {
		t.Errorf("read %v, %v", e.KeyID, err)
	}
}

func forgotten(t *testing.T, c *corner) {
	if err := c.store().Publish(t.Context(), made(1), "0"); err != nil {
		t.Fatal(err)
	}
	e, err := c.store().Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Do(t, "DELETE", c.Mount+"/metadata/"+c.path, nil)
	says(t, c.store().Publish(t.Context(), made(2), e.Revision), port.ErrConflict)
	e, err = c.store().Read(t.Context())
	says(t, err, port.ErrNotFound)
	if err := c.store().Publish(t.Context(), made(2), e.Revision); err != nil {
		t.Fatal(err)
	}
}

// says fails unless the error is of the sort, has the words, and quotes no
// secret.
func says(t *testing.T, err, sort error, words ...string) {
	t.Helper()
	if !errors.Is(err, sort) {
		t.Fatalf("error %v: want one that is %q", err, sort)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	for _, quoted := range []string{canary, "hvs.", vaulttest.ThirdPartyToken, "secret-id-"} {
		if strings.Contains(fmt.Sprintf("%+v %#v", err, err), quoted) {
			t.Errorf("error %q quotes a secret", err)
		}
	}
}

func TestTheEnvironmentOfVaultsOwnToolsIsNotTaken(t *testing.T) {
	c := newCorner(t, vaulttest.Fake(t))
	t.Setenv("VAULT_TOKEN", "foreign")
	t.Setenv("VAULT_NAMESPACE", "elsewhere")
	t.Setenv("VAULT_ADDR", "https://192.0.2.1:8200")
	t.Setenv("VAULT_MAX_RETRIES", "5")
	t.Setenv("VAULT_CLIENT_TIMEOUT", "soon")
	t.Setenv("VAULT_CACERT", "/nonexistent/ca.pem")
	t.Setenv("VAULT_AGENT_ADDR", "http://127.0.0.1:9")
	t.Setenv("VAULT_PROXY_ADDR", "http://127.0.0.1:9")
	t.Setenv("VAULT_WRAP_TTL", "60s")
	if err := c.store().Publish(t.Context(), made(1), "0"); err != nil {
		t.Fatal(err)
	}
	c.proxy.Calls()
	c.proxy.Down()
	_, err := c.store().Read(t.Context())
	says(t, err, port.ErrUnavailable)
	if calls := c.proxy.Calls(); len(calls) != 2 || calls[0] == calls[1] { // the token's lifetime, the secret
		t.Errorf("a call that failed was repeated: %v", calls)
	}
}

func TestANamespaceIsSentAndNamed(t *testing.T) {
	c := newCorner(t, vaulttest.Fake(t))
	in := func(namespace string) *vault.Store {
		return c.store(func(cfg *vault.Config, _ *vault.StoreConfig) { cfg.Namespace = namespace })
	}
	s := in(vaulttest.Namespace)
	if _, err := s.Read(t.Context()); !errors.Is(err, port.ErrNotFound) {
		t.Error(err)
	}
	if !strings.Contains(s.Name(), "/team/east/secret/") {
		t.Errorf("the store is called %s", s.Name())
	}
	_, err := in("unknown").Read(t.Context())
	says(t, err, port.ErrRefused, "namespace not found")
}

// loginScenarios are the ways in that both vaults have.
func loginScenarios(t *testing.T, s *vaulttest.Server) {
	for sentence, scenario := range map[string]func(*testing.T, *corner){
		"a replaced token is read from its source":                      newToken,
		"AppRole logs in once for many calls":                           appRole,
		"an expired token is replaced once":                             relogin,
		"a secret ID for one use is enough while the token is renewed":  oneUse,
		"a denial by policy causes no second login":                     refusedByPolicy,
		"a standby's redirect is followed to https hosts of the config": redirected,
	} {
		t.Run(sentence, func(t *testing.T) { scenario(t, newCorner(t, s)) })
	}
}

func newToken(t *testing.T, c *corner) {
	kept := "hvs.not-valid"
	s := c.store(func(cfg *vault.Config, _ *vault.StoreConfig) {
		cfg.Auth.Token = func(context.Context) (secret.Value, error) { return secret.New(kept), nil }
	})
	_, err := s.Read(t.Context())
	says(t, err, port.ErrDenied, "rejected the token")
	kept = c.token
	_, err = s.Read(t.Context())
	says(t, err, port.ErrNotFound)
}

// logins counts the calls that logged in.
func (c *corner) logins() (n int) {
	for _, call := range c.proxy.Calls() {
		if strings.HasSuffix(call, "/login") {
			n++
		}
	}
	return n
}

func (c *corner) byRole(life time.Duration, uses int, now func() time.Time) *vault.Store {
	roleID, secretID := c.AppRole(c.t, c.Full(c.path), life, uses)
	shown := secretID()
	return c.store(func(cfg *vault.Config, _ *vault.StoreConfig) {
		cfg.Now = now
		cfg.Auth = vault.Auth{AppRole: &vault.AppRole{RoleID: roleID, SecretID: always(shown)}}
	})
}

func appRole(t *testing.T, c *corner) {
	s := c.byRole(time.Hour, 0, nil)
	for i := range 3 {
		e, err := s.Read(t.Context())
		if err != nil && !errors.Is(err, port.ErrNotFound) {
			t.Fatal(err)
		}
		if err := s.Publish(t.Context(), made(i), e.Revision); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.logins(); n != 1 {
		t.Errorf("%d logins", n)
	}
}

func relogin(t *testing.T, c *corner) {
	s := c.byRole(time.Hour, 2, nil)
	if err := s.Publish(t.Context(), made(1), "0"); err != nil {
		t.Fatal(err)
	}
	c.Revoke(t, "approle")
	c.logins()
	if e, err := s.Read(t.Context()); err != nil || e.KeyID != "ApiKey-1" {
		t.Fatalf("read %s, %v", e.KeyID, err)
	}
	if n := c.logins(); n != 1 {
		t.Errorf("%d logins after the token ended", n)
	}
	c.Revoke(t, "approle") // and the secret ID is used up
	_, err := s.Read(t.Context())
	says(t, err, port.ErrDenied, "logging in", "approle")
}

func oneUse(t *testing.T, c *corner) {
	var ahead time.Duration
	s := c.byRole(time.Hour, 1, func() time.Time { return time.Now().Add(ahead) })
	for range 4 {
		if _, err := s.Read(t.Context()); !errors.Is(err, port.ErrNotFound) {
			t.Fatal(err)
		}
		ahead += 40 * time.Minute
	}
	calls := c.proxy.Calls()
	renewals := len(slices.DeleteFunc(calls, func(call string) bool { return !strings.HasSuffix(call, "renew-self") }))
	if renewals != 3 {
		t.Errorf("%d renewals, want 3", renewals)
	}
}

func refusedByPolicy(t *testing.T, c *corner) {
	roleID, secretID := c.AppRole(t, vaulttest.Policy{}, time.Hour, 1)
	shown := secretID()
	s := c.store(func(cfg *vault.Config, _ *vault.StoreConfig) {
		cfg.Auth = vault.Auth{AppRole: &vault.AppRole{RoleID: roleID, SecretID: always(shown)}}
	})
	for range 2 {
		_, err := s.Read(t.Context())
		says(t, err, port.ErrDenied, "read on secret/data/"+c.path)
	}
	if n := c.logins(); n != 1 {
		t.Errorf("%d logins", n)
	}
}

// Vault's core for tests has no login by tokens of third parties: these two
// meet the fake only.
func TestTokensOfThirdPartiesLogIn(t *testing.T) {
	for _, mount := range []string{"jwt", "kubernetes"} {
		t.Run(mount, func(t *testing.T) {
			c := newCorner(t, vaulttest.Fake(t))
			with := func(shown string) *vault.Store {
				return c.store(func(cfg *vault.Config, _ *vault.StoreConfig) {
					cfg.Auth = vault.Auth{JWT: &vault.JWT{Mount: mount, Role: "latchkey", Token: always(shown)}}
				})
			}
			if err := with(vaulttest.ThirdPartyToken).Publish(t.Context(), made(1), "0"); err != nil {
				t.Error(err)
			}
			_, err := with(canary).Read(t.Context())
			says(t, err, port.ErrDenied, "auth/"+mount+"/login")
		})
	}
}

func TestNothingIsReadOrCalledBeforeItIsNeeded(t *testing.T) {
	asked := false
	s := vault.New(vault.Config{Address: "https://vault.example.com", Auth: vault.Auth{Token: func(context.Context) (secret.Value, error) {
		asked = true
		return nil, errors.New("VAULT_LOGIN is not set")
	}}}).Store(vault.StoreConfig{Mount: "secret", Path: "a", Entry: "b"})
	if s.Name() != "vault/vault.example.com/secret/a#b" || !s.Guarded() || asked {
		t.Errorf("store %s, guarded %v, token read %v", s.Name(), s.Guarded(), asked)
	}
	_, err := s.Read(t.Context())
	says(t, err, port.ErrRefused, "VAULT_LOGIN is not set")
}
