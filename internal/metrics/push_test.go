package metrics

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/collector"
	"github.com/latchkey-io/latchkey/internal/latest"
)

func TestACollectorGetsTheMetrics(t *testing.T) {
	var got pushed
	var path string
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		text, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL + "/"}
	to, err := collector.New(func(name string) string { return env[name] }, collector.Metrics, "v1", server.Client())
	if err != nil {
		t.Fatal(err)
	}
	m := New(Config{Version: "v1", Latest: &latest.Outcomes{}})
	m.Answered("events", 204)
	m.Answered("events", 204)
	m.Called("iam", 200, 20*time.Millisecond)
	m.Called("iam", 200, 70*time.Second)
	if err := m.Push(t.Context(), to); err != nil || path != "/v1/metrics" {
		t.Fatalf("%v, to %s", err, path)
	}
	named := func(name string) metric {
		for _, x := range got.ResourceMetrics[0].ScopeMetrics[0].Metrics {
			if x.Name == name {
				return x
			}
		}
		t.Fatalf("no %s", name)
		return metric{}
	}
	sum := named("latchkey_events_total").Sum
	if p := sum.DataPoints[0]; *p.Value != 2 || !sum.Monotonic || sum.Temporality != cumulative || p.Attributes[0].Key != "code" || *p.Attributes[0].Value.Text != "204" {
		t.Errorf("the counter is %+v", sum)
	}
	h := named("latchkey_upstream_request_duration_seconds").Histogram.DataPoints[0]
	if n := len(callBounds); h.Count != "2" || len(h.Buckets) != n+1 || h.Buckets[1] != "1" || h.Buckets[n] != "1" || h.Buckets[0] != "0" {
		t.Errorf("the histogram is %+v", h)
	}
	if g := named("latchkey_build_info").Gauge; *g.DataPoints[0].Value != 1 {
		t.Errorf("the gauge is %+v", g)
	}
	status = http.StatusForbidden
	if err := m.Push(t.Context(), to); err == nil {
		t.Error("no error, and the collector refused")
	}
	if err := m.Push(t.Context(), nil); err != nil {
		t.Errorf("without a collector: %v", err)
	}
}
