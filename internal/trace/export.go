package trace

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The limits of what waits to be sent.
const (
	mostWaiting = 4096
	mostInOne   = 512
	every       = 2 * time.Second
	sendTimeout = 5 * time.Second
)

// Tracer sends spans to a collector. A nil Tracer records nothing.
type Tracer struct {
	url     string
	headers map[string]string
	service string
	version string
	http    *http.Client
	log     *slog.Logger

	mu      sync.Mutex
	waiting []*Span
	lost    int
	sending bool // a goroutine sends what waits
	idle    chan struct{}
}

// errProtocol: the variable asks for a protocol that is not spoken.
var errProtocol = errors.New("it is http/json here: set OTEL_EXPORTER_OTLP_PROTOCOL=http/json, and the collector's HTTP port (4318)")

// New returns a Tracer for the collector that OpenTelemetry's variables name, or nil if
// they name none.
func New(env func(string) string, version string, client *http.Client, log *slog.Logger) (*Tracer, error) {
	endpoint := env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if base := env("OTEL_EXPORTER_OTLP_ENDPOINT"); endpoint == "" && base != "" {
		endpoint = strings.TrimSuffix(base, "/") + "/v1/traces"
	}
	if endpoint == "" || strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") || env("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil //nolint:nilnil // a nil tracer records nothing
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("reading OTEL_EXPORTER_OTLP_ENDPOINT %q: not a URL of a collector", endpoint)
	}
	protocol := env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = env("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	if protocol != "" && protocol != "http/json" {
		return nil, fmt.Errorf("reading OTEL_EXPORTER_OTLP_PROTOCOL %q: %w", protocol, errProtocol)
	}
	t := &Tracer{url: endpoint, headers: map[string]string{}, service: env("OTEL_SERVICE_NAME"), version: version, http: client, log: log}
	if t.service == "" {
		t.service = "latchkey"
	}
	for pair := range strings.SplitSeq(env("OTEL_EXPORTER_OTLP_HEADERS"), ",") {
		name, value, is := strings.Cut(strings.TrimSpace(pair), "=")
		if value, err := url.PathUnescape(value); is && err == nil {
			t.headers[name] = value
		}
	}
	return t, nil
}

// send queues a span. It never waits: what the collector does not take is dropped and
// counted.
func (t *Tracer) send(s *Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) >= mostWaiting {
		t.lost++
		return
	}
	t.waiting = append(t.waiting, s)
	if !t.sending {
		t.sending, t.idle = true, make(chan struct{})
		go t.run()
	}
}

// run sends what waits, and ends when nothing does.
func (t *Tracer) run() {
	timer := time.NewTimer(every)
	<-timer.C // spans of one event go together
	for {
		t.mu.Lock()
		some := t.waiting[:min(len(t.waiting), mostInOne)]
		t.waiting = t.waiting[len(some):]
		if len(some) == 0 {
			t.sending = false
			close(t.idle)
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		if err := t.post(some); err != nil {
			t.mu.Lock()
			t.lost += len(some)
			lost := t.lost
			t.mu.Unlock()
			t.log.Warn("sending spans", "error", err.Error(), "dropped", lost)
		}
	}
}

// Flush waits until every span is sent or dropped, or ctx ends.
func (t *Tracer) Flush(ctx context.Context) {
	if t == nil {
		return
	}
	t.mu.Lock()
	idle, sending := t.idle, t.sending
	t.mu.Unlock()
	if !sending {
		return
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

func (t *Tracer) post(spans []*Span) error {
	body, err := json.Marshal(t.request(spans))
	if err != nil {
		return fmt.Errorf("encoding spans: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body)) //nolint:gosec // a variable of the operator's names the collector
	if err != nil {
		return fmt.Errorf("sending to the collector: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range t.headers {
		req.Header.Set(name, value)
	}
	resp, err := t.http.Do(req) //nolint:gosec // the same
	if err != nil {
		return errors.New("sending to the collector: no answer") // the error has the URL, which may have a token
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	if resp.StatusCode >= 300 {
		return fmt.Errorf("sending to the collector: status %d", resp.StatusCode)
	}
	return nil
}

// The messages of OTLP, in its JSON form.
type (
	request struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	resource struct {
		Attributes []keyValue `json:"attributes"`
	}
	scopeSpans struct {
		Scope scope  `json:"scope"`
		Spans []span `json:"spans"`
	}
	scope struct {
		Name string `json:"name"`
	}
	span struct {
		TraceID    string     `json:"traceId"`
		SpanID     string     `json:"spanId"`
		ParentID   string     `json:"parentSpanId,omitempty"`
		Name       string     `json:"name"`
		Kind       Kind       `json:"kind"`
		Start      string     `json:"startTimeUnixNano"`
		End        string     `json:"endTimeUnixNano"`
		Attributes []keyValue `json:"attributes,omitempty"`
		Status     *status    `json:"status,omitempty"`
	}
	status struct {
		Code int `json:"code"`
	}
	keyValue struct {
		Key   string `json:"key"`
		Value value  `json:"value"`
	}
	value struct {
		Text   *string `json:"stringValue,omitempty"`
		Number string  `json:"intValue,omitempty"`
	}
)

const statusError = 2

func text(key, v string) keyValue { return keyValue{key, value{Text: &v}} }

func (t *Tracer) request(spans []*Span) request {
	out := make([]span, len(spans))
	for i, s := range spans {
		s.mu.Lock()
		o := span{
			TraceID: s.TraceID(), SpanID: hex.EncodeToString(s.id.span[:]), Name: s.name, Kind: s.kind,
			Start: strconv.FormatInt(s.begun.UnixNano(), 10), End: strconv.FormatInt(s.ended.UnixNano(), 10),
		}
		if s.parent != [8]byte{} {
			o.ParentID = hex.EncodeToString(s.parent[:])
		}
		for _, a := range s.attributes {
			if a.isNumber {
				o.Attributes = append(o.Attributes, keyValue{a.name, value{Number: strconv.FormatInt(a.number, 10)}})
			} else {
				o.Attributes = append(o.Attributes, text(a.name, a.text))
			}
		}
		if s.failed {
			o.Status = &status{statusError}
		}
		s.mu.Unlock()
		out[i] = o
	}
	return request{[]resourceSpans{{
		Resource:   resource{[]keyValue{text("service.name", t.service), text("service.version", t.version)}},
		ScopeSpans: []scopeSpans{{Scope: scope{"latchkey"}, Spans: out}},
	}}}
}
