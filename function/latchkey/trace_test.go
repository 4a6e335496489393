package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/result"
)

// collected is what a collector got, by path.
type collected struct {
	*httptest.Server
	mu  sync.Mutex
	got map[string]string
}

func newCollector(t *testing.T) *collected {
	t.Helper()
	c := &collected{got: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got[r.URL.Path] += string(body)
	}))
	t.Cleanup(c.Close)
	return c
}

// at returns what came to a path, and lets the canary test see it.
func (c *collected) at(s *stage, path string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.WriteString(s.said, c.got[path])
	return c.got[path]
}

// caller is the trace that a caller began.
const caller = "4bf92f3577b34da6a3ce929d0e0e4736"

func traceparent() string { return "00-" + caller + "-00f067aa0ba902b7-01" }

// oneTrace returns the trace of all spans, or "" if they are of several.
func oneTrace(spans string) string {
	ids := regexp.MustCompile(`"traceId":"([0-9a-f]{32})"`).FindAllStringSubmatch(spans, -1)
	for _, id := range ids {
		if id[1] != ids[0][1] {
			return ""
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return ids[0][1]
}

func TestATraceOfAnEventHasEachUpstreamCallAndNoValue(t *testing.T) {
	c := newCollector(t)
	s := newStage(t, emulator.Options{})
	s.env = map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}
	s.serve(examples.Emulator)
	server := httptest.NewServer(s.parts.tracer.Handler(s.service.Handler()))
	defer server.Close()
	s.url = server.URL
	e, credential := s.created("team-b")
	e.Header["traceparent"] = traceparent()
	s.one(e, testToken, result.Published)
	s.parts.closeOutcomes(t.Context(), 10*time.Second)
	spans := c.at(s, "/v1/traces")
	for _, part := range []string{
		`"name":"POST /"`, `"name":"reconcile"`, `"name":"POST /v1/apikeys"`, `"name":"PUT /v1/apikeys/*"`,
		`"stringValue":"` + credential + `"`, `"name":"POST /v2/projects/*/secrets"`,
	} {
		if !strings.Contains(spans, part) {
			t.Errorf("no %s in %s", part, spans)
		}
	}
	if of := oneTrace(spans); of != caller {
		t.Errorf("the spans are of the trace %q", of)
	}
	if !strings.Contains(s.said.String(), `"trace":"`+caller+`"`) {
		t.Error("the log has no ID of the trace")
	}
}

func TestAJobSendsOneTraceAndItsMetricsToACollector(t *testing.T) {
	for name, tc := range map[string]struct {
		event bool
		trace string // empty is any
	}{
		"a sweep begins a trace":                   {},
		"an event continues the trace of its send": {event: true, trace: caller},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t)
			s := newStage(t, emulator.Options{})
			env := map[string]string{}
			if tc.event {
				env = map[string]string{"CE_ID": "1", "CE_SOURCE": "/timer", "CE_SPECVERSION": "1.0", "CE_TYPE": "dev.latchkey.sweep", "CE_TRACEPARENT": traceparent()}
			}
			env["OTEL_EXPORTER_OTLP_ENDPOINT"] = c.URL
			code, out := s.job(env)
			spans := c.at(s, "/v1/traces")
			for _, part := range []string{`"name":"job"`, `"name":"reconcile"`, `"name":"POST /v1/apikeys"`} {
				if !strings.Contains(spans, part) {
					t.Errorf("exit %d: no %s in %q: %s", code, part, spans, out)
				}
			}
			if of := oneTrace(spans); of == "" || tc.trace != "" && of != tc.trace {
				t.Errorf("the spans are of the trace %q", of)
			}
			if numbers := c.at(s, "/v1/metrics"); !strings.Contains(numbers, `"name":"latchkey_credentials"`) {
				t.Errorf("the metrics are %q", numbers)
			}
		})
	}
}
