package kubernetes

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
	"github.com/latchkey-io/latchkey/internal/port"
)

// gate is an API server that counts its connections.
type gate struct {
	*httptest.Server

	status atomic.Int32
	slow   chan chan struct{} // receives what a call of a slow Secret waits for

	mu     sync.Mutex
	opened int
	open   map[net.Conn]bool
}

// newGate starts a server that speaks TLS, and HTTP/2, or neither.
func newGate(t *testing.T, secure bool) *gate {
	t.Helper()
	g := &gate{slow: make(chan chan struct{}), open: map[net.Conn]bool{}}
	g.status.Store(http.StatusOK)
	g.Server = httptest.NewUnstartedServer(g)
	g.Config.ConnState = g.count
	g.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(g.Close)
	if g.EnableHTTP2 = secure; secure {
		g.StartTLS()
	} else {
		g.Start()
	}
	return g
}

func (g *gate) count(c net.Conn, now http.ConnState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch now {
	case http.StateNew:
		g.opened++
		g.open[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(g.open, c)
	}
}

func (g *gate) connections() (opened, open int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened, len(g.open)
}

// ServeHTTP answers with a Secret, or with a 401.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := filepath.Base(r.URL.Path)
	if name == "slow" {
		end := make(chan struct{})
		g.slow <- end
		<-end
	}
	w.Header().Set("Content-Type", "application/json")
	if status := int(g.status.Load()); status != http.StatusOK {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":"Unauthorized"}`, status)
		return
	}
	fmt.Fprintf(w, `{"kind":"Secret","metadata":{"name":%q,"namespace":"ns","resourceVersion":"7"},"data":{"K":"dg=="}}`, name)
}

// authority is the server's certificate, in PEM.
func (g *gate) authority() []byte {
	if g.Certificate() == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw})
}

func (g *gate) kubeconfig(token, more string) []byte {
	return fmt.Appendf(nil, `{"current-context":"c","clusters":[{"name":"c","cluster":{"server":%q,"certificate-authority-data":%q%s}}],`+
		`"users":[{"name":"u","user":{"token":%q}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`,
		g.URL, base64.StdEncoding.EncodeToString(g.authority()), more, token)
}

func read(ctx context.Context, c *Client, name string) error {
	_, err := c.Store(StoreConfig{Namespace: "ns", Secret: name, Entry: "K"}).Read(ctx)
	return err
}

// inPod returns a client of the server as a pod has it.
func (g *gate) inPod(t *testing.T) *Client {
	t.Helper()
	at, err := url.Parse(g.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", at.Hostname())
	t.Setenv("KUBERNETES_SERVICE_PORT", at.Port())
	c := New(Config{})
	c.account = t.TempDir()
	for name, text := range map[string][]byte{"token": []byte("t"), "ca.crt": g.authority()} {
		if err := os.WriteFile(filepath.Join(c.account, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestRejectedLoginsOpenNoConnections(t *testing.T) {
	for name, made := range map[string]func(*testing.T) (*gate, *Client){
		"with TLS": func(t *testing.T) (*gate, *Client) {
			g := newGate(t, true)
			return g, New(Config{Kubeconfig: func(context.Context) ([]byte, error) { return g.kubeconfig("t", ""), nil }})
		},
		"without TLS": func(t *testing.T) (*gate, *Client) {
			g := newGate(t, false)
			return g, New(Config{Kubeconfig: func(context.Context) ([]byte, error) { return g.kubeconfig("t", ""), nil }})
		},
		"with a new token each time": func(t *testing.T) (*gate, *Client) {
			g, n := newGate(t, true), new(atomic.Int32)
			return g, New(Config{Kubeconfig: func(context.Context) ([]byte, error) { return g.kubeconfig(fmt.Sprint("t", n.Add(1)), ""), nil }})
		},
		"in a pod": func(t *testing.T) (*gate, *Client) {
			g := newGate(t, true)
			return g, g.inPod(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := made(t)
			g.status.Store(http.StatusUnauthorized)
			for range 5 {
				if err := read(t.Context(), c, "s"); !errors.Is(err, port.ErrDenied) {
					t.Fatal(err)
				}
			}
			if opened, _ := g.connections(); opened != 1 {
				t.Errorf("%d connections for calls one after the other", opened)
			}
			const at, each = 16, 40
			var all sync.WaitGroup
			for range at {
				all.Go(func() {
					for range each {
						if err := read(t.Context(), c, "s"); !errors.Is(err, port.ErrDenied) {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			if opened, _ := g.connections(); opened > 4*at { // a call may get another connection before its own is ready
				t.Errorf("%d connections for %d calls of which %d run at once", opened, at*each, at)
			}
		})
	}
}

func TestAReplacedTransportLeavesNoConnection(t *testing.T) {
	for name, secure := range map[string]bool{"HTTP/2": true, "HTTP/1": false} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, secure)
			more := ""
			c := New(Config{Kubeconfig: func(context.Context) ([]byte, error) { return g.kubeconfig("t", more), nil }})
			before, err := c.resource(t.Context(), "Secret", "secrets", []string{"api", "v1", "namespaces", "ns", "secrets"})
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			go func() { done <- read(t.Context(), c, "slow") }()
			end := <-g.slow
			if err := read(t.Context(), c, "s"); err != nil {
				t.Fatal(err)
			}
			more = `,"disable-compression":true`
			if err := read(t.Context(), c, "s"); err != nil {
				t.Fatal(err)
			}
			close(end)
			if err := <-done; err != nil {
				t.Error(err)
			}
			kubetest.Eventually(t, "the new connection alone is open", func() bool { _, open := g.connections(); return open == 1 })

			if _, err := before.get(t.Context(), "reading late", "s"); err != nil {
				t.Error(err)
			}
			opened, _ := g.connections()
			kubetest.Eventually(t, "the new connection alone is open", func() bool { _, open := g.connections(); return open == 1 })
			if err := read(t.Context(), c, "s"); err != nil {
				t.Error(err)
			}
			if now, _ := g.connections(); now != opened {
				t.Error("the connection that is left is an old one")
			}
		})
	}
}

func TestAFailureOfAnOlderLoginLeavesTheNewerOne(t *testing.T) {
	g := newGate(t, false)
	c := New(Config{Kubeconfig: func(context.Context) ([]byte, error) { return g.kubeconfig("t", ""), nil }})
	open := func() *http.Client {
		api, err := c.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return api.HTTP
	}
	older, err := c.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.forget(older)
	newer := open()
	c.forget(older)
	if newer == older.HTTP || open() != newer {
		t.Error("the newer login was dropped")
	}
}

func TestAnAlertSaysThatTheOtherSideIsNotTrusted(t *testing.T) {
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: expired certificate")}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"an alert":                  {&url.Error{Op: "Get", URL: "https://x", Err: alert}, true},
		"our own alert":             {&net.OpError{Op: "local error", Err: errors.New("tls: no renegotiation")}, true},
		"an alert of a https proxy": {fmt.Errorf("calling: %w", &net.OpError{Op: "proxyconnect", Err: alert}), true},
		"no connection":             {&net.OpError{Op: "dial", Err: errors.New("refused")}, false},
		"no answer":                 {io.ErrUnexpectedEOF, false},
	} {
		if got := untrusted(c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
