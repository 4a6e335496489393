package fence

import (
	"context"
	"net/http"
	"slices"
)

// WithCheck returns a context that MayWrite asks check about. A run calls
// it for the context of its steps.
func WithCheck(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, windowKey{}, check)
}

// Writes returns a transport that does not send a request that writes once
// the request's run is too old to write. The run checks before each step, but
// an adapter may read before it writes, and the process may be suspended
// between the two. Reads are sent at any age. A nil next is
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
	if !slices.Contains(reads, r.Method) {
		if err := MayWrite(r.Context()); err != nil {
			if r.Body != nil {
				_ = r.Body.Close() // nothing was sent
			}
			return nil, err
		}
	}
	return g.next.RoundTrip(r)
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
