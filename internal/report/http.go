package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/secret"
)

// HTTPConfig is a sink that takes CloudEvents.
type HTTPConfig struct {
	URL string
	// Bearer is the token to show; nil shows none.
	Bearer secret.Value
	// HTTP carries every call. It must not follow redirects: they would be given
	// the token.
	HTTP *http.Client
}

// HTTPSink sends CloudEvents in the binary mode of
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md.
type HTTPSink struct {
	cfg  HTTPConfig
	name string
}

var _ Sink = (*HTTPSink)(nil)

// NewHTTP builds a sink. Nothing is called yet.
func NewHTTP(cfg HTTPConfig) *HTTPSink {
	name := "http"
	if u, err := url.Parse(cfg.URL); err == nil {
		name = u.Scheme + "://" + u.Host + u.EscapedPath() // a query may hold a token
	}
	return &HTTPSink{cfg: cfg, name: name}
}

// Name is the URL without its query.
func (s *HTTPSink) Name() string { return s.name }

// Send posts one event.
func (s *HTTPSink) Send(ctx context.Context, e Event) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.URL, bytes.NewReader(e.Data))
	if err != nil {
		return fmt.Errorf("sending to %s: the URL can't be used", s.name)
	}
	for name, value := range map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": e.ID, "Ce-Source": e.Source, "Ce-Type": e.Type, "Ce-Subject": e.Subject,
		"Ce-Time": e.Time.Format(time.RFC3339),
	} {
		req.Header.Set(name, Escape(value))
	}
	req.Header.Set("Content-Type", "application/json")
	if !s.cfg.Bearer.Empty() {
		req.Header.Set("Authorization", "Bearer "+s.cfg.Bearer.Expose())
	}
	return post(s.cfg.HTTP, req, s.name, false)
}

// Escape writes an attribute as the HTTP binding has it in a header: spaces,
// quotes, percent signs and what is not printable ASCII are percent-encoded.
func Escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '"' || c == '%' || c > '~' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// post sends a request and sorts the answer. Nothing of the answer's body is
// told: what others wrote does not belong into our logs. relogin says that a
// 401 may be over with our next token.
func post(client *http.Client, req *http.Request, name string, relogin bool) error {
	resp, err := client.Do(req)
	if err != nil {
		var sent *url.Error // it quotes the whole URL
		if errors.As(err, &sent) {
			err = sent.Err
		}
		return fmt.Errorf("sending to %s: %w: %w", name, ErrAgain, err)
	}
	const enough = 64 << 10 // a connection is used again only if its answer was read
	_, _ = io.CopyN(io.Discard, resp.Body, enough)
	_ = resp.Body.Close()
	switch status := resp.StatusCode; {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500,
		status == http.StatusUnauthorized && relogin:
		return fmt.Errorf("sending to %s: %w", name, &pause{
			after: retryAfter(resp.Header, time.Now()), err: fmt.Errorf("%w: status %d", ErrAgain, status),
		})
	default:
		return fmt.Errorf("sending to %s: it refused the event with status %d", name, status)
	}
}

// retryAfter reads the header, in seconds or as a date; 0 when there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
