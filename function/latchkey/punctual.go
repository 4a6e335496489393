package main

import (
	"net/http"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// punctual sends no request that changes something once its run is too old to
// write. Between a step's own look at the clock and the request an adapter may
// read what it needs, and the machine may stand still in that.
type punctual struct{ *http.Transport }

// RoundTrip sends the request, or says that it is too late.
func (t punctual) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if err := reconcile.MayWrite(r.Context()); err != nil {
			if r.Body != nil {
				_ = r.Body.Close() // nothing was sent
			}
			return nil, err
		}
	}
	return t.Transport.RoundTrip(r)
}
