package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Bounds of a call. A secret's value may have 1 MiB, which its encoding can
// double. A page of a list holds up to 1,000 objects without values.
const (
	callTimeout = 30 * time.Second // once it is sent
	turnTimeout = 20 * time.Second // until then
	maxList     = 10 << 20
	maxAnswer   = 4 << 20
)

// NewTransport returns the transport that carries the calls to every upstream.
// trust, if not nil, has the certificate authorities of one server.
func NewTransport(trust *tls.Config) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 128 // the defaults of 100 and 2 would close what a sweep opens
	t.ResponseHeaderTimeout = callTimeout
	t.MaxResponseHeaderBytes = 256 << 10
	t.OnProxyConnectResponse = func(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
		if answer.StatusCode != http.StatusOK {
			return Bent("the proxy %s answered with status %d %s", proxy.Host, answer.StatusCode, http.StatusText(answer.StatusCode))
		}
		return nil
	}
	if trust != nil {
		t.TLSClientConfig = trust
	}
	return t
}

// BentError reports an answer that is none: it is too long, incomplete, encoded,
// or not in the server's own words. Its text quotes nothing of the answer.
type BentError struct {
	text  string
	cause error
}

// Error satisfies error.
func (e *BentError) Error() string { return e.text }

// Unwrap returns the cause, which may be nil.
func (e *BentError) Unwrap() error { return e.cause }

// Bent returns a BentError.
func Bent(format string, args ...any) error { return &BentError{text: fmt.Sprintf(format, args...)} }

// Unsent returns the error of a call that was not sent, for package pace.
func Unsent(why string) error { return Bent("not sent: %s", why) }

// untrusted names what is wrong with a certificate.
func untrusted(host string, err error) error {
	var certificate *tls.CertificateVerificationError
	if !errors.As(err, &certificate) {
		return err
	}
	why := "it is not valid"
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &authority):
		why = "its certificate authority is unknown; a proxy on the way may have issued it"
	case errors.As(err, &name):
		why = "it is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		why = "it has expired, or the clock is wrong"
	}
	return &BentError{text: fmt.Sprintf("the certificate of %s is not trusted (x509): %s", host, why), cause: err}
}

// Bound returns a transport that reads each answer completely, within bounds of
// size and time. The size counts after decompression. The transport removes
// Location from a redirect, so that no client follows it, and Retry-After, so that no
// caller waits for it again: package pace has done so.
// A nil next is a new transport.
func Bound(next http.RoundTripper) http.RoundTripper { return bound{next: orNew(next)} }

// BoundWithRedirects is Bound, but keeps Location. The caller decides what to
// follow.
func BoundWithRedirects(next http.RoundTripper) http.RoundTripper {
	return bound{next: orNew(next), redirects: true}
}

func orNew(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		return NewTransport(nil)
	}
	return next
}

type bound struct {
	next      http.RoundTripper
	redirects bool
}

// RoundTrip satisfies http.RoundTripper.
func (b bound) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), turnTimeout+callTimeout)
	defer cancel()
	resp, err := b.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, untrusted(req.URL.Host, overdue(ctx, req, err))
	}
	resp.Request = req
	body, err := whole(req, resp)
	if err != nil {
		return nil, overdue(ctx, req, err)
	}
	resp.Body, resp.ContentLength = newAnswerBody(body), int64(len(body))
	resp.Header.Del("Retry-After")
	if !b.redirects && resp.StatusCode >= 300 && resp.StatusCode < 400 {
		resp.Header.Del("Location")
	}
	return resp, nil
}

// overdue names the bound of time if it was the cause.
func overdue(ctx context.Context, req *http.Request, err error) error {
	if req.Context().Err() == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("waiting %s for %s: %w", turnTimeout+callTimeout, req.URL.Host, context.DeadlineExceeded)
	}
	return err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach next.
func (b bound) CloseIdleConnections() { closeIdle(b.next) }

func closeIdle(next http.RoundTripper) {
	if c, ok := next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// answerBody is a body that was read as a whole, so that another transport need not copy it.
type answerBody struct {
	*bytes.Reader
	all []byte
}

func newAnswerBody(all []byte) *answerBody { return &answerBody{bytes.NewReader(all), all} }

// Close satisfies io.Closer.
func (*answerBody) Close() error { return nil }

// whole reads the body of an answer and closes it. Without a body nothing is encoded,
// whatever the header says: net/http leaves it there then.
func whole(req *http.Request, resp *http.Response) ([]byte, error) {
	body, err := read(req, resp)
	if coding := resp.Header.Get("Content-Encoding"); len(body) > 0 && coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, Bent("the answer with status %d is encoded in a way that was not requested", resp.StatusCode)
	}
	return body, err
}

func read(req *http.Request, resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	limit := int64(maxAnswer)
	if req.Method == http.MethodGet || req.Method == "LIST" {
		limit = maxList
	}
	if read, ok := resp.Body.(*answerBody); ok && read.Len() == len(read.all) && int64(len(read.all)) <= limit {
		return read.all, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(body)) > limit {
		return nil, Bent("the answer with status %d is longer than %d bytes", resp.StatusCode, limit)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return nil, &BentError{text: fmt.Sprintf("status %d, but the answer can't be read: it breaks off", resp.StatusCode), cause: err}
	}
	return body, err
}

// NoRedirect is for http.Client.CheckRedirect. A redirect would send a key or a
// token to another server.
func NoRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// RedirectWithin returns a CheckRedirect that follows to https only, to the same
// name as before or to one of the hosts, and only with the same method. Every
// other redirect is the answer of the call.
func RedirectWithin(hosts func() []string) func(*http.Request, []*http.Request) error {
	const most = 3
	return func(to *http.Request, via []*http.Request) error {
		first := via[0]
		if to.URL.Scheme != "https" || to.URL.User != nil || to.Method != first.Method || len(via) > most || !named(to.URL, first.URL, hosts) {
			return http.ErrUseLastResponse
		}
		return nil
	}
}

func named(to, from *url.URL, hosts func() []string) bool {
	if strings.EqualFold(to.Hostname(), from.Hostname()) {
		return true
	}
	return hosts != nil && slices.ContainsFunc(hosts(), func(host string) bool { return strings.EqualFold(to.Hostname(), host) })
}
