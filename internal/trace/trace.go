// Package trace records spans in the terms of OpenTelemetry, and sends them to a collector.
//
// It is off unless a variable of OpenTelemetry names a collector, and costs nothing then:
// a nil Tracer and a nil Span do nothing.
//
// A trace begins with an event and ends with the last upstream call for it. A span has
// methods, hosts, patterns of paths, statuses and names of credentials: no value, no
// query and no description.
package trace

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind is the kind of a span, in OTLP's numbers.
type Kind int

// The kinds.
const (
	Internal Kind = 1
	Server   Kind = 2
	Client   Kind = 3
)

// spanContext identifies a span across processes.
type spanContext struct {
	trace [16]byte
	span  [8]byte
}

// Span is one operation. A nil Span records nothing.
type Span struct {
	tracer *Tracer
	id     spanContext
	parent [8]byte
	name   string
	kind   Kind
	begun  time.Time

	mu         sync.Mutex
	attributes []attribute
	failed     bool
	ended      time.Time
}

type attribute struct {
	name, text string
	number     int64
	isNumber   bool
}

type contextKey struct{}

// From returns the span of a context, or nil.
func From(ctx context.Context) *Span {
	s, _ := ctx.Value(contextKey{}).(*Span)
	return s
}

// With returns a context with the span. A nil span returns the context.
func With(ctx context.Context, s *Span) context.Context {
	if s == nil {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, s)
}

// Begin begins a trace, below a caller's traceparent if that is one. If the caller asks for
// no spans, or the Tracer is nil, the span is nil.
func (t *Tracer) Begin(ctx context.Context, name string, kind Kind, traceparent string) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	parent, sampled, _ := parse(traceparent)
	if !sampled {
		return ctx, nil
	}
	s := t.span(parent, name, kind)
	return With(ctx, s), s
}

// Start begins a span below that of the context. Without one it returns nil: only Begin
// and Handler begin traces.
func Start(ctx context.Context, name string, kind Kind) (context.Context, *Span) {
	parent := From(ctx)
	if parent == nil {
		return ctx, nil
	}
	s := parent.tracer.span(parent.id, name, kind)
	return With(ctx, s), s
}

// span makes a span below another one. A zero parent begins a trace.
func (t *Tracer) span(parent spanContext, name string, kind Kind) *Span {
	s := &Span{tracer: t, id: parent, parent: parent.span, name: name, kind: kind, begun: time.Now()}
	if s.id.trace == [16]byte{} {
		_, _ = rand.Read(s.id.trace[:]) // it never fails
	}
	_, _ = rand.Read(s.id.span[:])
	return s
}

// Text adds an attribute. No value of a key may be in it.
func (s *Span) Text(name, text string) {
	if s == nil || text == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attributes = append(s.attributes, attribute{name: name, text: text})
}

// Number adds an attribute.
func (s *Span) Number(name string, n int) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attributes = append(s.attributes, attribute{name: name, number: int64(n), isNumber: true})
}

// Fail marks the operation as failed. The reason is not kept, since an error may quote
// what a trace must not have.
func (s *Span) Fail() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
}

// End ends the span and hands it over to be sent.
func (s *Span) End() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.ended = time.Now()
	s.mu.Unlock()
	s.tracer.send(s)
}

// TraceID is the ID of the trace, for logs. It is empty for a nil span.
func (s *Span) TraceID() string {
	if s == nil {
		return ""
	}
	return hex.EncodeToString(s.id.trace[:])
}

// header is the header of W3C Trace Context.
const header = "Traceparent"

// String returns the traceparent of the span.
func (s *Span) String() string {
	return "00-" + s.TraceID() + "-" + hex.EncodeToString(s.id.span[:]) + "-01"
}

// parse reads a traceparent. sampled is false if the caller asks for no spans.
func parse(text string) (parent spanContext, sampled, ok bool) {
	parts := strings.Split(text, "-")
	if len(parts) < 4 || len(parts[0]) != 2 || parts[0] == "ff" || parts[0] == "00" && len(parts) != 4 || len(parts[3]) != 2 {
		return parent, true, false
	}
	n, err := hex.Decode(parent.trace[:], pad(parts[1], 32))
	m, err2 := hex.Decode(parent.span[:], pad(parts[2], 16))
	flags, err3 := strconv.ParseUint(parts[3], 16, 8)
	if err != nil || err2 != nil || err3 != nil || n != 16 || m != 8 || parent.trace == [16]byte{} || parent.span == [8]byte{} {
		return spanContext{}, true, false
	}
	return parent, flags&1 == 1, true
}

// pad returns the bytes of a field that has the length, else bytes that are no hex.
func pad(field string, length int) []byte {
	if len(field) != length {
		return []byte("--")
	}
	return []byte(field)
}

// Handler returns a handler that begins a trace with each request, below the caller's
// traceparent if there is one. A nil Tracer returns next.
func (t *Tracer) Handler(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead { // probes, scrapes and pages
			next.ServeHTTP(w, r)
			return
		}
		ctx, s := t.Begin(r.Context(), r.Method+" "+route(r.URL.Path), Server, r.Header.Get(header))
		if s == nil {
			next.ServeHTTP(w, r)
			return
		}
		s.Text("http.request.method", r.Method)
		answer := NewStatusWriter(w)
		next.ServeHTTP(answer, r.WithContext(ctx))
		s.Number("http.response.status_code", answer.Status)
		if answer.Status >= 500 {
			s.Fail()
		}
		s.End()
	})
}

// StatusWriter remembers the status of an answer.
type StatusWriter struct {
	http.ResponseWriter
	Status int
}

// NewStatusWriter returns a StatusWriter for an answer that is not written yet.
func NewStatusWriter(w http.ResponseWriter) *StatusWriter {
	return &StatusWriter{ResponseWriter: w, Status: http.StatusOK}
}

// WriteHeader satisfies http.ResponseWriter.
func (w *StatusWriter) WriteHeader(status int) {
	w.Status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *StatusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Transport returns a transport that records each request below the span of its context,
// and tells the server its traceparent. Without a span it does nothing.
func Transport(next http.RoundTripper) http.RoundTripper { return transport{next} }

type transport struct{ next http.RoundTripper }

// RoundTrip satisfies http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, s := Start(req.Context(), req.Method, Client)
	if s == nil {
		return t.next.RoundTrip(req)
	}
	defer s.End()
	s.name += " " + route(req.URL.Path)
	s.Text("http.request.method", req.Method)
	s.Text("server.address", req.URL.Hostname())
	req = req.Clone(ctx)
	req.Header.Set(header, s.String())
	resp, err := t.next.RoundTrip(req)
	switch {
	case err != nil:
		s.Fail()
	default:
		s.Number("http.response.status_code", resp.StatusCode)
		if resp.StatusCode >= 400 && resp.StatusCode != http.StatusNotFound {
			s.Fail()
		}
	}
	return resp, err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach next.
func (t transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// route is a path with * in place of what names one thing, so that spans of one call have
// one name.
func route(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.ContainsAny(p, "0123456789") && (len(p) != 2 || p[0] != 'v') || len(p) > 24 {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}
