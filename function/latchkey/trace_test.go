package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/result"
)

func TestATraceOfAnEventHasEachUpstreamCallAndNoValue(t *testing.T) {
	var mu sync.Mutex
	var got strings.Builder
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&got, r.Body)
	}))
	defer collector.Close()
	s := newStage(t, emulator.Options{})
	s.env = map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL}
	s.serve(examples.Emulator)
	server := httptest.NewServer(s.parts.tracer.Handler(s.service.Handler()))
	defer server.Close()
	s.url = server.URL
	e, credential := s.created("team-b")
	e.Header["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	s.one(e, testToken, result.Published)
	s.parts.closeOutcomes(t.Context(), 10*time.Second)
	mu.Lock()
	defer mu.Unlock()
	spans := got.String()
	_, _ = io.WriteString(s.said, spans) // for the canary test
	for _, part := range []string{
		`"traceId":"4bf92f3577b34da6a3ce929d0e0e4736"`, `"name":"POST /"`, `"name":"reconcile"`, `"name":"POST /v1/apikeys"`, `"name":"PUT /v1/apikeys/*"`,
		`"stringValue":"` + credential + `"`, `"name":"POST /v2/projects/*/secrets"`,
	} {
		if !strings.Contains(spans, part) {
			t.Errorf("no %s in %s", part, spans)
		}
	}
	if n := strings.Count(spans, `"traceId"`); n != strings.Count(spans, "4bf92f3577b34da6a3ce929d0e0e4736") {
		t.Errorf("%d spans, some of another trace", n)
	}
	if !strings.Contains(s.said.String(), `"trace":"4bf92f3577b34da6a3ce929d0e0e4736"`) {
		t.Error("the log has no ID of the trace")
	}
}

func TestAJobSendsSpansAndMetricsToACollector(t *testing.T) {
	var mu sync.Mutex
	got := map[string]string{}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		got[r.URL.Path] += string(body)
	}))
	defer collector.Close()
	s := newStage(t, emulator.Options{})
	code, out := s.job(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL})
	mu.Lock()
	defer mu.Unlock()
	for path, part := range map[string]string{
		"/v1/traces":  `"name":"POST /v1/apikeys"`,
		"/v1/metrics": `"name":"latchkey_credentials"`,
	} {
		_, _ = io.WriteString(s.said, got[path]) // for the canary test
		if !strings.Contains(got[path], part) {
			t.Errorf("exit %d: no %s in %q: %s", code, part, got[path], out)
		}
	}
	if traces := got["/v1/traces"]; !strings.Contains(traces, `"name":"job"`) || !strings.Contains(traces, `"name":"reconcile"`) {
		t.Errorf("the trace is %s", traces)
	}
}
