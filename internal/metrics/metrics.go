// Package metrics counts what latchkey does, in the form of Prometheus.
//
// An application is scraped: ServeHTTP answers /metrics. Jobs and functions are not, so
// they log the same numbers as one line: see Summary.
//
// The values of labels are bounded. A label names a credential only if there are at
// most MostNamed of them, or if it is one of the Worst. No label and no number
// comes from a key's value.
package metrics

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/latest"
	"github.com/latchkey-io/latchkey/internal/outcome"
	"github.com/latchkey-io/latchkey/internal/result"
)

// MostNamed is the largest number of credentials that each have series of their own.
// Above it, only the Worst have: those that are worst by condition, and those whose
// keys expire first.
const (
	MostNamed = 2000
	Worst     = 100
)

// prefix begins the name of every metric of latchkey.
const prefix = "latchkey_"

// Config describes the process.
type Config struct {
	Version, Commit string
	// Owner is the installation, and ConfigHash a hash of its config.
	Owner, ConfigHash string
	SweepEvery        time.Duration
	// Latest has the credentials' last outcomes.
	Latest *latest.Outcomes
	// Now returns the time that keys expire by. If nil, it is time.Now.
	Now func() time.Time
	// Sinks returns how many outcome events each sink took and lost, by its name. If
	// nil, there are no sinks.
	Sinks func() (sent, dropped map[string]int)
}

// Metrics are the numbers of one process. It is safe for concurrent use.
type Metrics struct {
	cfg     Config
	started time.Time
	own     *prometheus.Registry // latchkey's metrics
	named   *prometheus.Registry // those of single credentials
	labels  map[string][]string  // of each metric of latchkey, by its name

	runs     *prometheus.HistogramVec // by result
	outcomes *prometheus.CounterVec   // by type
	steps    *prometheus.CounterVec   // by action and result
	calls    *prometheus.HistogramVec // by service and result
	answers  *prometheus.CounterVec   // by service and code
	events   *prometheus.CounterVec   // by source and code
	active   atomic.Bool
	logged   summary
}

// The buckets of durations, in seconds.
var (
	runBounds  = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900}
	callBounds = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
)

// New returns the numbers of a process that has done nothing.
func New(cfg Config) *Metrics {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m := &Metrics{cfg: cfg, started: time.Now(), own: prometheus.NewRegistry(), named: prometheus.NewRegistry(), labels: map[string][]string{}}
	m.runs = m.histogram("reconcile_duration_seconds", "How long runs over one credential took, by result.", runBounds, "result")
	m.outcomes = m.counter("outcomes_total", "Runs by the type of their outcome, such as rotated or revoked.", "type")
	m.steps = m.counter("steps_total", "Steps by action, such as mint, prove or publish, and result.", "action", "result")
	m.calls = m.histogram("upstream_request_duration_seconds", "How long requests to IBM Cloud, clusters and vaults took, by service and result.", callBounds, "service", "result")
	m.answers = m.counter("upstream_requests_total", "Requests to IBM Cloud, clusters and vaults, by service and status code. The code is none if there was no answer.", "service", "code")
	m.events = m.counter("events_total", "Events and webhook deliveries, by source and the status code of the answer.", "source", "code")
	m.own.MustRegister(m.runs, m.outcomes, m.steps, m.calls, m.answers, m.events, newState(m))
	m.named.MustRegister(newNamed(m))
	return m
}

// process has the metrics of the process and of Go. It is built when they are first read:
// the start of the program does not wait for it.
var process = sync.OnceValue(func() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
})

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	m.labels[prefix+name] = labels
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
}

func (m *Metrics) histogram(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
	m.labels[prefix+name] = labels
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: bounds}, labels)
}

// all gathers latchkey's metrics, with the credentials as they are now, and those of the
// process.
func (m *Metrics) all() prometheus.Gatherers { return prometheus.Gatherers{m.own, m.named, process()} }

// ServeHTTP answers with the metrics.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	promhttp.HandlerFor(m.all(), promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
}

// Ran counts a run over one credential, and keeps its outcome.
func (m *Metrics) Ran(o result.Outcome, took time.Duration) {
	ended := o.Result
	if o.Condition == condition.Unknown {
		ended = result.Failed
	}
	m.runs.WithLabelValues(string(ended)).Observe(took.Seconds())
	m.outcomes.WithLabelValues(outcome.Type(o)[len(outcome.TypePrefix):]).Inc()
	for _, s := range o.Steps {
		result := "ok"
		if s.Error != "" {
			result = "failed"
		}
		m.steps.WithLabelValues(string(s.Action), result).Inc()
	}
	m.cfg.Latest.Keep(o, m.cfg.Now())
	m.active.Store(true)
}

// Swept keeps what a sweep over all credentials found.
func (m *Metrics) Swept(swept result.Sweep) {
	m.cfg.Latest.Swept(swept, m.cfg.Now())
	m.active.Store(true)
}

// Called counts a request to an upstream. A status of 0 is no answer.
func (m *Metrics) Called(service string, status int, took time.Duration) {
	code, result := "none", "failed"
	if status != 0 {
		code = strconv.Itoa(status)
	}
	switch {
	case status == http.StatusTooManyRequests:
		result = "limited"
	case status >= 200 && status < 400:
		result = "ok"
	case status >= 400 && status < 500:
		result = "refused"
	}
	m.calls.WithLabelValues(service, result).Observe(took.Seconds())
	m.answers.WithLabelValues(service, code).Inc()
}

// Answered counts an event or a webhook delivery. The source is that of the path.
func (m *Metrics) Answered(source string, status int) {
	m.events.WithLabelValues(source, strconv.Itoa(status)).Inc()
}
