package outcome

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

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// HTTPConfig configures an HTTPSink.
type HTTPConfig struct {
	URL string
	// Bearer is the token sent with each event. If empty, none is sent.
	Bearer secret.Value
	// HTTP carries every request. It must not follow redirects: the token would
	// go with them.
	HTTP *http.Client
}

// HTTPSink posts CloudEvents in the binary mode of
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md.
type HTTPSink struct {
	cfg  HTTPConfig
	name string
}

var _ Sink = (*HTTPSink)(nil)

// NewHTTP returns a sink. It sends nothing yet.
func NewHTTP(cfg HTTPConfig) *HTTPSink {
	name := "http"
	if u, err := url.Parse(cfg.URL); err == nil {
		name = u.Scheme + "://" + u.Host + u.EscapedPath() // the query may hold a token
	}
	return &HTTPSink{cfg: cfg, name: name}
}

// Name returns the URL without its query.
func (s *HTTPSink) Name() string { return s.name }

// Deliver posts one event.
func (s *HTTPSink) Deliver(ctx context.Context, e Event) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.URL, bytes.NewReader(e.Data))
	if err != nil {
		return fmt.Errorf("sending to %s: the URL is invalid", s.name)
	}
	for name, value := range map[string]string{
		"Specversion": "1.0", "Id": e.ID, "Source": e.Source, "Type": e.Type, "Subject": e.Subject, "Time": e.Time.UTC().Format(time.RFC3339Nano),
	} {
		if value != "" {
			req.Header.Set("Ce-"+name, event.EncodeHeader(value))
		}
	}
	req.Header.Set("Content-Type", "application/json")
	if !s.cfg.Bearer.Empty() {
		req.Header.Set("Authorization", "Bearer "+s.cfg.Bearer.Expose())
	}
	return post(s.cfg.HTTP, req, s.name, false)
}

// post sends a request and classifies the answer. Its errors never quote the
// answer's body. With relogin, a 401 may be cured by the next token.
func post(client *http.Client, req *http.Request, name string, relogin bool) error {
	resp, err := client.Do(req)
	if err != nil {
		var sent *url.Error // its text holds the whole URL
		if errors.As(err, &sent) {
			err = sent.Err
		}
		return fmt.Errorf("sending to %s: %w: %w", name, ErrAgain, err)
	}
	const enough = 64 << 10 // a connection is reused only if its answer was read
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
		return fmt.Errorf("sending to %s: the sink rejected the event with status %d", name, status)
	}
}

// retryAfter parses the Retry-After header, in seconds or as a date. Without
// one it returns 0.
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
