package fence

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"

	"github.com/latchkey-io/latchkey/internal/port"
)

// WithCheck returns a context that MayWrite asks check about. A run calls
// it for the context of its steps.
func WithCheck(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, windowKey{}, check)
}

// Writes returns a transport that does not send a request that writes once
// the request's run is too old to write. The run checks before each step, but
// an adapter may read before it writes, and the process may be suspended
// between the two. It sends a write once, where net/http would send it again:
// see port.ErrNotTaken. Reads are sent at any age. A nil next is
// http.DefaultTransport.
func Writes(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return writeFence{next}
}

type windowKey struct{}

type writeFence struct{ next http.RoundTripper }

// reads are the methods that change nothing. LIST is Vault's.
var reads = []string{"", http.MethodGet, http.MethodHead, http.MethodOptions, "LIST"}

// RoundTrip satisfies http.RoundTripper.
func (g writeFence) RoundTrip(r *http.Request) (*http.Response, error) {
	if slices.Contains(reads, r.Method) {
		return g.next.RoundTrip(r)
	}
	if err := MayWrite(r.Context()); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // nothing was sent
		}
		return nil, err
	}
	return once(g.next, r)
}

// once sends a request, and ends it with port.ErrNotTaken when net/http is about to send it again.
// It does that over HTTP/2 with any method, for as long as the context allows.
func once(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	a := &attempt{cancel: cancel}
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: a.connected, WroteHeaders: a.wrote})
	resp, err := next.RoundTrip(r.WithContext(traced))
	if err != nil {
		if errors.Is(context.Cause(ctx), port.ErrNotTaken) {
			err = port.ErrNotTaken
		}
		cancel(nil)
		return nil, err
	}
	resp.Body = &answerBody{resp.Body, cancel}
	return resp, nil
}

// attempt is a request on its way.
type attempt struct {
	cancel context.CancelCauseFunc
	shared atomic.Bool // the connection is one of HTTP/2
	sent   atomic.Bool
}

// connected gets each connection that net/http is about to use. The request may have another
// one as long as nothing was sent, as when the first one has reached its limit of streams.
func (a *attempt) connected(to httptrace.GotConnInfo) {
	a.shared.Store(multiplexed(to.Conn))
	if !a.sent.Load() {
		return
	}
	a.cancel(port.ErrNotTaken)
	if !a.shared.Load() {
		_ = to.Conn.Close() // HTTP/1 writes before it looks at the context
	}
}

// wrote is called with headers that may still be in a buffer. Over HTTP/1, net/http sends a
// write again only if it was still there as a whole.
func (a *attempt) wrote() {
	if a.shared.Load() {
		a.sent.Store(true)
	}
}

func multiplexed(c net.Conn) bool {
	secure, ok := c.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

// answerBody is the body of an answer. The request's context has to last until it is read.
type answerBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

// Close satisfies io.Closer.
func (b *answerBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach next.
func (g writeFence) CloseIdleConnections() {
	if c, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// MayWrite returns an error if the run of the context is too old to write: more
// than a window has passed since it observed. It reads the wall clock, because the
// context's deadline does not advance while a machine is suspended. A context
// without a run allows everything.
func MayWrite(ctx context.Context) error {
	if check, of := ctx.Value(windowKey{}).(func() error); of {
		return check()
	}
	return nil
}
