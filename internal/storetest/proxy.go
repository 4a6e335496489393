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

// Proxy forwards the calls of a store to a server over HTTP and makes calls fail.
// It serves TLS with a self-signed certificate.
type Proxy struct {
	// URL is the address for the store.
	URL string
	// Certificate is the proxy's certificate in PEM.
	Certificate []byte
	// Writes selects the calls that Unclear affects. Nil is every call except GET
	// and HEAD.
	Writes func(*http.Request) bool

	target  string
	forward http.RoundTripper

	mu      sync.Mutex // guards what follows
	lose    func(http.ResponseWriter, answer)
	trouble func(http.ResponseWriter, *http.Request)
	calls   []string
}

// NewProxy starts a proxy in front of the server at target and stops it at the
// end of the test. It sends calls through forward.
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

// Insecure returns a transport for a server on loopback with a self-signed
// certificate.
func Insecure() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // a test's own server on loopback
}

// Unclear returns the ways to lose the answer to the next write.
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
		"a server answers 503 with Retry-After": func(w http.ResponseWriter, _ answer) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "busy", http.StatusServiceUnavailable)
		},
	}
	set := map[string]func(*testing.T){}
	for name, way := range ways {
		set[name] = func(*testing.T) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.lose = way
		}
	}
	return set
}

// Down makes every call fail at once until up is called.
func (p *Proxy) Down() (up func()) {
	p.set(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
	})
	return func() { p.set(nil) }
}

// Hang makes every call wait until its context ends.
func (p *Proxy) Hang() {
	p.set(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

func (p *Proxy) set(trouble func(http.ResponseWriter, *http.Request)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = trouble
}

// Calls returns the calls since the last call of Calls, as "GET /path".
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

// ServeHTTP forwards a call or makes it fail.
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
	body, err := io.ReadAll(r.Body) // only then does the server notice a client that disconnects
	if err != nil {
		http.Error(w, "reading the body failed", http.StatusBadRequest)
		return
	}
	if trouble != nil {
		trouble(w, r)
		return
	}
	a, err := p.pass(r, body)
	switch {
	case err != nil:
		http.Error(w, "calling the server failed", http.StatusBadGateway)
	case lose != nil:
		lose(w, a)
	default:
		maps.Copy(w.Header(), a.header)
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body)
	}
}

// answer is the server's answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (p *Proxy) pass(r *http.Request, body []byte) (answer, error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, p.target+r.URL.RequestURI(), bytes.NewReader(body)) //nolint:gosec // forwarding is its purpose
	if err != nil {
		return answer{}, err
	}
	out.Header = r.Header.Clone()
	out.Header.Del("Accept-Encoding") // the transport sets it and decodes the answer
	resp, err := p.forward.RoundTrip(out)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, got}, err
}
