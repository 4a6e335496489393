package vault_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/vault"
)

// pair is a standby that redirects every call with a 307, as Vault's standbys do.
type pair struct {
	standby *httptest.Server
	http    *http.Client
	to      string // the address of the active node

	mu   sync.Mutex
	seen int
}

func (p *pair) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen++
	http.Redirect(w, r, p.to+r.URL.RequestURI(), http.StatusTemporaryRedirect)
}

// newPair starts a standby in front of the corner's proxy, which is the active
// node. Their names are standby.example.com and active.example.com.
func newPair(t *testing.T, c *corner, to string) *pair {
	t.Helper()
	p := &pair{to: to}
	p.standby = httptest.NewTLSServer(p)
	t.Cleanup(p.standby.Close)
	active, err := url.Parse(c.proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]string{"standby.example.com:443": p.standby.Listener.Addr().String(), "active.example.com:443": active.Host, "active.example.com:80": active.Host}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.proxy.Certificate)
	roots.AddCert(p.standby.Certificate())
	carrier := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, at[address])
		},
	}
	t.Cleanup(carrier.CloseIdleConnections)
	p.http = &http.Client{Transport: carrier}
	return p
}

// redirected publishes by the standby's address. The active node of the config is
// the only host that a login, a token and a key may be sent on to.
func redirected(t *testing.T, c *corner) {
	for name, tc := range map[string]struct {
		to       string
		hosts    []string
		followed bool
	}{
		"to https of a host of the config":      {"https://active.example.com", []string{"active.example.com"}, true},
		"to https of a host outside the config": {"https://active.example.com", nil, false},
		"to plain http of a host of the config": {"http://active.example.com", []string{"active.example.com"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, c, tc.to)
			role, secretID := c.AppRole(t, c.Full(c.path), time.Hour, 0)
			s := c.store(func(cfg *vault.Config, _ *vault.StoreConfig) {
				cfg.Address, cfg.HTTP, cfg.Hosts = "https://standby.example.com", p.http, func() []string { return tc.hosts }
				cfg.Auth = vault.Auth{AppRole: &vault.AppRole{RoleID: role, SecretID: always(secretID())}}
			})
			c.proxy.Calls()
			e, err := s.Read(t.Context())
			if !tc.followed {
				if err == nil || errors.Is(err, port.ErrNotFound) {
					t.Errorf("reading: %v", err)
				}
				if err := s.Publish(t.Context(), made(1), ""); err == nil {
					t.Error("the key was published")
				}
				if got := c.proxy.Calls(); len(got) > 0 || p.seen == 0 {
					t.Errorf("the other host got %v", got)
				}
				return
			}
			if !errors.Is(err, port.ErrNotFound) {
				t.Fatalf("reading: %v", err)
			}
			if err := s.Publish(t.Context(), made(1), e.Revision); err != nil {
				t.Fatal(err)
			}
			got, err := s.Read(t.Context())
			if err != nil || got.KeyID != made(1).KeyID || !got.Value.Equal(made(1).Value) {
				t.Errorf("read %s, %v", got.KeyID, err)
			}
			if got := c.proxy.Calls(); len(got) != p.seen {
				t.Errorf("%d calls to the standby, %v to the active node", p.seen, got)
			}
		})
	}
}
