package storetest

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Proxy stands between a store and a server over HTTP, real or not, and spoils
// calls. It speaks TLS with a certificate of its own.
type Proxy struct {
	// URL is where the store finds the server.
	URL string
	// Certificate is what the store has to trust, in PEM.
	Certificate []byte
	// Writes picks the calls that Lose is about. Nil is every one that is
	// neither GET nor HEAD.
	Writes func(*http.Request) bool

	target  string
	forward http.RoundTripper

	mu      sync.Mutex // guards what follows
	lose    func(http.ResponseWriter, answer)
	trouble func(http.ResponseWriter, *http.Request)
	calls   []string
}

// NewProxy starts one in front of the server at target, which is reached
// through forward. It ends with the test.
func NewProxy(t testing.TB, target string, forward http.RoundTripper) *Proxy {
	t.Helper()
	p := &Proxy{target: strings.TrimSuffix(target, "/"), forward: forward}
	server := httptest.NewTLSServer(p)
	t.Cleanup(func() {
		p.set(nil)
		server.CloseClientConnections()
		server.Close()
	})
	p.URL = server.URL
	p.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return p
}

// Insecure reaches a server on loopback whose certificate is its own.
func Insecure() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // a test's own server on loopback
}

// Unclear are the ways to lose the answer to the next write.
func (p *Proxy) Unclear() map[string]func(*testing.T) {
	ways := map[string]func(http.ResponseWriter, answer){
		"the connection drops": func(http.ResponseWriter, answer) { panic(http.ErrAbortHandler) },
		"the answer is cut off": func(w http.ResponseWriter, a answer) {
			maps.Copy(w.Header(), a.header)
			w.Header().Set("Content-Length", "100000")
			w.WriteHeader(a.status)
			_, _ = w.Write(a.body[:len(a.body)/2])
			panic(http.ErrAbortHandler)
		},
		"a gateway answers 504": func(w http.ResponseWriter, _ answer) {
			http.Error(w, "upstream timed out", http.StatusGatewayTimeout)
		},
		"try again in a second, it says": func(w http.ResponseWriter, _ answer) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "busy", http.StatusServiceUnavailable)
		},
	}
	hands := map[string]func(*testing.T){}
	for name, way := range ways {
		hands[name] = func(*testing.T) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.lose = way
		}
	}
	return hands
}

// Down makes every call fail at once until up is called.
func (p *Proxy) Down() (up func()) {
	p.set(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
	})
	return func() { p.set(nil) }
}

// Hang makes every call wait until its caller gives up.
func (p *Proxy) Hang() {
	p.set(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

func (p *Proxy) set(trouble func(http.ResponseWriter, *http.Request)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = trouble
}

// Calls are the calls since the last Calls, as "GET /path".
func (p *Proxy) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := p.calls
	p.calls = nil
	return calls
}

func (p *Proxy) isWrite(r *http.Request) bool {
	if p.Writes != nil {
		return p.Writes(r)
	}
	return r.Method != http.MethodGet && r.Method != http.MethodHead
}

// ServeHTTP passes a call on, or does what it was told instead.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	trouble, lose := p.trouble, p.lose
	if lose != nil && p.isWrite(r) {
		p.lose = nil
	} else {
		lose = nil
	}
	p.calls = append(p.calls, r.Method+" "+r.URL.Path)
	p.mu.Unlock()
	body, err := io.ReadAll(r.Body) // a server sees that its client is gone only after this
	if err != nil {
		http.Error(w, "the body can't be read", http.StatusBadRequest)
		return
	}
	if trouble != nil {
		trouble(w, r)
		return
	}
	a, err := p.pass(r, body)
	switch {
	case err != nil:
		http.Error(w, "the server can't be reached", http.StatusBadGateway)
	case lose != nil:
		lose(w, a)
	default:
		maps.Copy(w.Header(), a.header)
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body)
	}
}

// answer is what the server said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (p *Proxy) pass(r *http.Request, body []byte) (answer, error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, p.target+r.URL.RequestURI(), bytes.NewReader(body)) //nolint:gosec // passing calls on is its purpose
	if err != nil {
		return answer{}, err
	}
	out.Header = r.Header.Clone()
	out.Header.Del("Accept-Encoding") // the transport's own, which it undoes
	resp, err := p.forward.RoundTrip(out)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, got}, err
}
