package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"sync"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/userfile"
)

// NewTransportTrusting returns a transport that trusts the certificate authorities in
// the file, or those of the system if file is empty.
func NewTransportTrusting(file string) http.RoundTripper {
	if file == "" {
		return NewTransport(nil)
	}
	return &fileTrust{file: file}
}

// fileTrust trusts the certificate authorities in a file. It reads the file
// before each call, since it may be replaced while the process runs. While the
// file can't be read or has no certificate, the last authorities count.
type fileTrust struct {
	file string

	mu        sync.Mutex // guards what follows
	text      []byte
	transport *http.Transport // nil until the file was read
}

// RoundTrip satisfies http.RoundTripper.
func (f *fileTrust) RoundTrip(req *http.Request) (*http.Response, error) {
	transport, err := f.current(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was sent
		}
		return nil, err
	}
	return transport.RoundTrip(req)
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (f *fileTrust) CloseIdleConnections() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.transport != nil {
		f.transport.CloseIdleConnections()
	}
}

func (f *fileTrust) current(ctx context.Context) (*http.Transport, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, err := userfile.Read(ctx, f.file)
	roots := x509.NewCertPool()
	switch {
	case f.transport != nil && (err != nil || bytes.Equal(text, f.text)):
		return f.transport, nil
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("reading caFile: %w: %w", port.ErrUnavailable, err)
	case err != nil:
		return nil, fmt.Errorf("reading caFile: %w: %w", port.ErrRefused, err)
	case roots.AppendCertsFromPEM(text):
	case f.transport != nil:
		return f.transport, nil
	default:
		return nil, fmt.Errorf("reading caFile: %w: %s has no certificate in PEM", port.ErrRefused, f.file)
	}
	old := f.transport
	f.text, f.transport = text, NewTransport(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	if old != nil {
		old.CloseIdleConnections()
	}
	return f.transport, nil
}
