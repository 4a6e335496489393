package trace

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/collector"
)

// played is a collector played by a test.
type played struct {
	*httptest.Server
	mu     sync.Mutex
	spans  []span
	header http.Header
	status int
}

func newCollector(t *testing.T) *played {
	t.Helper()
	c := &played{status: http.StatusOK}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var in request
		if err := json.Unmarshal(body, &in); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.header = r.Header
		for _, rs := range in.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
		w.WriteHeader(c.status)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *played) tracer(t *testing.T, more map[string]string) *Tracer {
	t.Helper()
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}
	for name, value := range more {
		env[name] = value
	}
	to, err := collector.New(func(name string) string { return env[name] }, collector.Traces, "v1", c.Client())
	if err != nil {
		t.Fatal(err)
	}
	return New(to, slog.New(slog.DiscardHandler))
}

// named returns the span whose name it is.
func (c *played) named(t *testing.T, name string) span {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.spans, func(s span) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no span %q in %+v", name, c.spans)
	}
	return c.spans[i]
}

const caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestATraceReachesFromTheCallerToTheUpstream(t *testing.T) {
	var seen string
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Get("Traceparent")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer upstream.Close()
	c := newCollector(t)
	tr := c.tracer(t, map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "x-token=a%20b"})
	client := &http.Client{Transport: Transport(upstream.Client().Transport)}
	h := tr.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, run := Start(r.Context(), "reconcile", Internal)
		run.Text("latchkey.credential", "logs-sender/a")
		// The work goes on behind the answer, in a context of its own.
		later := With(context.WithoutCancel(ctx), run)
		req, err := http.NewRequestWithContext(later, http.MethodGet, upstream.URL+"/v1/apikeys/ApiKey-1234?secret=canary", http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
		}
		run.End()
		w.WriteHeader(http.StatusAccepted)
	}))
	r := httptest.NewRequest(http.MethodPost, "/hooks/github", nil)
	r.Header.Set("Traceparent", caller)
	h.ServeHTTP(httptest.NewRecorder(), r)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tr.Flush(ctx)

	server, run, call := c.named(t, "POST /hooks/github"), c.named(t, "reconcile"), c.named(t, "GET /v1/apikeys/*")
	for _, s := range []span{server, run, call} {
		if s.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" {
			t.Errorf("%s is of the trace %s", s.Name, s.TraceID)
		}
	}
	if server.ParentID != "00f067aa0ba902b7" || run.ParentID != server.SpanID || call.ParentID != run.SpanID {
		t.Errorf("parents: %s, %s, %s", server.ParentID, run.ParentID, call.ParentID)
	}
	if want := "00-" + call.TraceID + "-" + call.SpanID + "-01"; seen != want {
		t.Errorf("the upstream got %q, want %q", seen, want)
	}
	if call.Status == nil || call.Status.Code != statusError || server.Status != nil || server.Kind != Server || call.Kind != Client {
		t.Errorf("server %+v, call %+v", server, call)
	}
	text, err := json.Marshal(c.spans)
	if err != nil || strings.Contains(string(text), "canary") || strings.Contains(string(text), "1234") {
		t.Errorf("%v: %s", err, text)
	}
	if c.header.Get("X-Token") != "a b" || c.header.Get("Content-Type") != "application/json" {
		t.Errorf("the collector got %v", c.header)
	}
}

func TestWhatBeginsNoTrace(t *testing.T) {
	c := newCollector(t)
	for name, tc := range map[string]struct {
		method, traceparent string
		traced              bool
	}{
		"a request without a traceparent begins one": {"POST", "", true},
		"a malformed traceparent is ignored":         {"POST", "00-zz-00f067aa0ba902b7-01", true},
		"a caller that samples nothing":              {"POST", strings.TrimSuffix(caller, "1") + "0", false},
		"a probe":                                    {"GET", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(tc.method, "/", nil)
			r.Header.Set("Traceparent", tc.traceparent)
			traced := false
			c.tracer(t, nil).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { traced = From(r.Context()) != nil })).ServeHTTP(httptest.NewRecorder(), r)
			if traced != tc.traced {
				t.Errorf("traced: %t", traced)
			}
		})
	}
}

func TestATraceThatIsBegunByHandContinuesTheCallers(t *testing.T) {
	c := newCollector(t)
	tr := c.tracer(t, nil)
	ctx, s := tr.Begin(t.Context(), "job", Internal, caller)
	if s.TraceID() != "4bf92f3577b34da6a3ce929d0e0e4736" || From(ctx) != s {
		t.Errorf("it is of the trace %s", s.TraceID())
	}
	if _, s := tr.Begin(t.Context(), "job", Internal, ""); s.TraceID() == "" {
		t.Error("without a caller there is no trace")
	}
	if _, s := tr.Begin(t.Context(), "job", Internal, strings.TrimSuffix(caller, "1")+"0"); s != nil {
		t.Error("the caller asks for no spans")
	}
	var none *Tracer
	if _, s := none.Begin(t.Context(), "job", Internal, caller); s != nil {
		t.Error("without a collector there is a span")
	}
}

func TestACollectorThatRefusesCostsNothing(t *testing.T) {
	c := newCollector(t)
	c.status = http.StatusServiceUnavailable
	tr := c.tracer(t, nil)
	for range mostWaiting + 10 {
		tr.span(spanContext{}, "x", Internal).End()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tr.Flush(ctx)
	if tr.mu.Lock(); tr.lost != mostWaiting+10 {
		t.Errorf("%d lost", tr.lost)
	}
	tr.mu.Unlock()
}

// Without a collector, nothing is allocated on a call's way.
func TestTracingThatIsOffIsFree(t *testing.T) {
	var none *Tracer
	ctx := t.Context()
	rt := Transport(answers{}).(transport)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		below, s := Start(ctx, "reconcile", Internal)
		s.Text("latchkey.credential", "a")
		s.Number("n", 1)
		s.Fail()
		s.End()
		_ = With(below, s)
		if resp, err := rt.RoundTrip(req); resp != nil || err != nil {
			t.Error("an answer")
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
	h := http.NewServeMux()
	if none.Handler(h) != http.Handler(h) {
		t.Error("a handler is wrapped")
	}
	none.Flush(ctx)
}

type answers struct{}

func (answers) RoundTrip(*http.Request) (*http.Response, error) { return nil, nil } //nolint:nilnil // nothing reads it
