package pace

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// tries is how often a call is sent that is refused each time.
const tries = 4

// tokenPath is the end of the path of IAM's token requests. They change nothing.
const tokenPath = "/identity/token"

// Transport returns a transport that sends each call in its turn. It repeats a
// read that is refused, and no write: a 429 does not prove that nothing was
// done. fault makes the error of a call that is not sent.
func (p *Pacer) Transport(next http.RoundTripper, fault func(text string) error) http.RoundTripper {
	return &transport{pacer: p, next: next, fault: fault}
}

type transport struct {
	pacer *Pacer
	next  http.RoundTripper
	fault func(string) error
}

// reads are the methods that change nothing. LIST is Vault's.
var reads = []string{"", http.MethodGet, http.MethodHead, http.MethodOptions, "LIST"}

// RoundTrip satisfies http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	name, class, repeatable := req.URL.Host, Look, true
	switch {
	case strings.HasSuffix(req.URL.Path, tokenPath):
		class = token
		if err := keepBody(req); err != nil {
			return nil, err
		}
	case !slices.Contains(reads, req.Method):
		class, repeatable = Demand, false
	}
	until := time.Now().Add(patience)
	for try := 1; ; try++ {
		h, sentAt, err := t.pacer.enter(req.Context(), name, class, until)
		if err != nil {
			if req.Body != nil {
				_ = req.Body.Close() // nothing was sent
			}
			if cause := req.Context().Err(); cause != nil {
				return nil, cause
			}
			return nil, t.fault(err.Error())
		}
		if n, _ := req.Context().Value(countKey{}).(*atomic.Int64); n != nil {
			n.Add(1)
		}
		resp, err := t.next.RoundTrip(req)
		now := time.Now()
		v, after := judge(resp, err, now)
		t.pacer.leave(req.Context(), h, sentAt, v, after)
		if v != refused || !repeatable || try == tries || now.Add(after).After(until) {
			return resp, err
		}
		again := req
		if req.GetBody != nil {
			again = req.Clone(req.Context())
			if again.Body, err = req.GetBody(); err != nil {
				return resp, nil //nolint:nilerr // the caller gets the 429
			}
		}
		const enough = 64 << 10 // a connection is reused only if its answer was read
		_, _ = io.CopyN(io.Discard, resp.Body, enough)
		_ = resp.Body.Close()
		req = again
	}
}

// keepBody lets a request be sent again. A token request is a short form.
func keepBody(req *http.Request) error {
	if req.Body == nil || req.GetBody != nil {
		return nil
	}
	form, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return err
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(form)), nil }
	req.Body, err = req.GetBody()
	return err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach next.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
