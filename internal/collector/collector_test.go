package collector

import (
	"net/http"
	"testing"
)

func TestVariablesThatNameNoCollector(t *testing.T) {
	for name, tc := range map[string]struct {
		env   map[string]string
		off   bool
		fails bool
	}{
		"no variable":             {nil, true, false},
		"disabled":                {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, true, false},
		"another exporter":        {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, true, false},
		"no exporter of metrics":  {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_METRICS_EXPORTER": "none"}, false, false},
		"no URL":                  {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4318"}, true, true},
		"a protocol of gRPC":      {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, true, true},
		"an endpoint for traces":  {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/in"}, false, false},
		"an endpoint for metrics": {map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/in"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := New(func(name string) string { return tc.env[name] }, Traces, "v1", http.DefaultClient)
			if (err != nil) != tc.fails || (c == nil) != tc.off {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
}
