// Package collector sends spans and metrics to a collector of OpenTelemetry. It speaks OTLP
// over HTTP in JSON, which every collector takes beside protobuf: OpenTelemetry's own SDK
// would add megabytes to the program.
package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Signal is what is sent, as it stands in the names of OpenTelemetry's variables.
type Signal string

// The signals.
const (
	Traces  Signal = "TRACES"
	Metrics Signal = "METRICS"
)

// Collector sends one signal.
type Collector struct {
	url      string
	headers  map[string]string
	resource Resource
	http     *http.Client
}

// errProtocol: the variable asks for a protocol that is not spoken.
var errProtocol = errors.New("it is http/json here: set OTEL_EXPORTER_OTLP_PROTOCOL=http/json, and the collector's HTTP port (4318)")

// New returns the collector that OpenTelemetry's variables name for a signal, or nil if
// they name none.
func New(env func(string) string, signal Signal, version string, client *http.Client) (*Collector, error) {
	own := "OTEL_EXPORTER_OTLP_" + string(signal)
	endpoint := env(own + "_ENDPOINT")
	if base := env("OTEL_EXPORTER_OTLP_ENDPOINT"); endpoint == "" && base != "" {
		endpoint = strings.TrimSuffix(base, "/") + "/v1/" + strings.ToLower(string(signal))
	}
	if endpoint == "" || strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") || env("OTEL_"+string(signal)+"_EXPORTER") == "none" {
		return nil, nil //nolint:nilnil // nothing is sent
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("reading OTEL_EXPORTER_OTLP_ENDPOINT %q: not a URL of a collector", endpoint)
	}
	protocol := env(own + "_PROTOCOL")
	if protocol == "" {
		protocol = env("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	if protocol != "" && protocol != "http/json" {
		return nil, fmt.Errorf("reading OTEL_EXPORTER_OTLP_PROTOCOL %q: %w", protocol, errProtocol)
	}
	service := env("OTEL_SERVICE_NAME")
	if service == "" {
		service = "latchkey"
	}
	c := &Collector{
		url: endpoint, headers: map[string]string{}, http: client,
		resource: Resource{[]KeyValue{Text("service.name", service), Text("service.version", version)}},
	}
	for pair := range strings.SplitSeq(env("OTEL_EXPORTER_OTLP_HEADERS"), ",") {
		name, value, is := strings.Cut(strings.TrimSpace(pair), "=")
		if value, err := url.PathUnescape(value); is && err == nil {
			c.headers[name] = value
		}
	}
	return c, nil
}

// Resource describes this process.
func (c *Collector) Resource() Resource { return c.resource }

// Post sends one request of OTLP. Its errors do not quote the URL, which may have a token.
func (c *Collector) Post(ctx context.Context, request any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encoding for the collector: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("sending to the collector: the URL is invalid")
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return errors.New("sending to the collector: no answer")
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	if resp.StatusCode >= 300 {
		return fmt.Errorf("sending to the collector: status %d", resp.StatusCode)
	}
	return nil
}

// Messages of OTLP that the signals share, in its JSON form.
type (
	// Resource is who sends.
	Resource struct {
		Attributes []KeyValue `json:"attributes"`
	}
	// Scope is the part of the program that sends.
	Scope struct {
		Name string `json:"name"`
	}
	// KeyValue is an attribute.
	KeyValue struct {
		Key   string `json:"key"`
		Value Value  `json:"value"`
	}
	// Value is a text or a whole number.
	Value struct {
		Text   *string `json:"stringValue,omitempty"`
		Number string  `json:"intValue,omitempty"`
	}
)

// Latchkey is the scope of everything that is sent.
var Latchkey = Scope{"latchkey"}

// Text returns an attribute with a text.
func Text(key, v string) KeyValue { return KeyValue{key, Value{Text: &v}} }

// Number returns an attribute with a number.
func Number(key string, n int64) KeyValue {
	return KeyValue{key, Value{Number: strconv.FormatInt(n, 10)}}
}
