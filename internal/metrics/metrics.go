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
	"bytes"
	"cmp"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

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

	runs     *family // by result
	outcomes *family // by type
	steps    *family // by action and result
	calls    *family // by service and result
	answers  *family // by service and code
	events   *family // by source and code
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
	return &Metrics{
		cfg: cfg, started: time.Now(),
		runs:     histogram("reconcile_duration_seconds", "How long runs over one credential took, by result.", runBounds, "result"),
		outcomes: counter("outcomes_total", "Runs by the type of their outcome, such as rotated or revoked.", "type"),
		steps:    counter("steps_total", "Steps by action, such as mint, prove or publish, and result.", "action", "result"),
		calls:    histogram("upstream_request_duration_seconds", "How long requests to IBM Cloud, clusters and vaults took, by service and result.", callBounds, "service", "result"),
		answers:  counter("upstream_requests_total", "Requests to IBM Cloud, clusters and vaults, by service and status code. The code is none if there was no answer.", "service", "code"),
		events:   counter("events_total", "Events and webhook deliveries, by source and the status code of the answer.", "source", "code"),
	}
}

// ServeHTTP answers with the metrics.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	for _, f := range append(m.all(), m.process()...) {
		f.write(&b)
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

// all returns latchkey's metrics, with the credentials as they are now.
func (m *Metrics) all() []*family {
	return append(m.state(), m.runs, m.outcomes, m.steps, m.calls, m.answers, m.events)
}

// Ran counts a run over one credential, and keeps its outcome.
func (m *Metrics) Ran(o result.Outcome, took time.Duration) {
	ended := o.Result
	if o.Condition == condition.Unknown {
		ended = result.Failed
	}
	m.runs.observe(took.Seconds(), string(ended))
	m.outcomes.add(1, outcome.Type(o)[len(outcome.TypePrefix):])
	for _, s := range o.Steps {
		result := "ok"
		if s.Error != "" {
			result = "failed"
		}
		m.steps.add(1, string(s.Action), result)
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
	m.calls.observe(took.Seconds(), service, result)
	m.answers.add(1, service, code)
}

// Answered counts an event or a webhook delivery. The source is that of the path.
func (m *Metrics) Answered(source string, status int) {
	m.events.add(1, source, strconv.Itoa(status))
}

// process returns numbers of the Go program, by the names that Prometheus gives them.
func (m *Metrics) process() []*family {
	start, routines, heap := gauge("", "Start time of the process in seconds since 1970."), gauge("", "Number of goroutines."), gauge("", "Bytes of heap in use.")
	start.name, routines.name, heap.name = "process_start_time_seconds", "go_goroutines", "go_memstats_heap_inuse_bytes"
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	start.set(seconds(m.started))
	routines.set(float64(runtime.NumGoroutine()))
	heap.set(float64(memory.HeapInuse))
	return []*family{start, routines, heap}
}

const day = 24 * 60 * 60

// The buckets of keys, in seconds.
var (
	remainingBounds = []float64{0, 1 * day, 7 * day, 14 * day, 30 * day, 60 * day, 90 * day}
	ageBounds       = []float64{1 * day, 7 * day, 30 * day, 60 * day, 90 * day, 180 * day, 365 * day}
)

// state returns what is read at the time of a scrape: the process and its credentials.
func (m *Metrics) state() []*family {
	build := gauge("build_info", "The build, as labels.", "version", "commit")
	config := gauge("config_info", "The config, as labels.", "owner", "hash")
	every := gauge("sweep_interval_seconds", "The interval of sweeps in the config.")
	last := gauge("last_sweep_timestamp_seconds", "When the last sweep ended that looked at every credential.")
	sinks := counter("outcome_events_total", "Outcome events by sink and result: sent or dropped.", "sink", "result")
	build.set(1, m.cfg.Version, m.cfg.Commit)
	config.set(1, m.cfg.Owner, m.cfg.ConfigHash)
	every.set(m.cfg.SweepEvery.Seconds())
	if at := m.cfg.Latest.LastSweep(); !at.IsZero() {
		last.set(seconds(at))
	}
	if m.cfg.Sinks != nil {
		sent, dropped := m.cfg.Sinks()
		for sink, n := range sent {
			sinks.add(float64(n), sink, "sent")
		}
		for sink, n := range dropped {
			sinks.add(float64(n), sink, "dropped")
		}
	}
	return append([]*family{build, config, every, last, sinks}, m.credentials()...)
}

// credentials returns what the credentials are like now.
func (m *Metrics) credentials() []*family {
	counts := gauge("credentials", "Credentials by condition.", "condition")
	notOK := gauge("credential_condition", "1 for each credential that is not ok.", "credential", "condition", "reason")
	expiry := gauge("key_expiry_timestamp_seconds", "When the published key of a credential expires.", "credential")
	created := gauge("key_created_timestamp_seconds", "When the published key of a credential was created.", "credential")
	remaining := histogram("key_remaining_seconds", "How long published keys still work.", remainingBounds)
	age := histogram("key_age_seconds", "How old published keys are.", ageBounds)
	now := m.cfg.Now()
	all := m.cfg.Latest.At(now)
	for _, c := range condition.Worst { // a query finds 0, too
		counts.set(0, string(c))
	}
	for _, o := range all {
		counts.add(1, string(o.Condition))
		if o.Key == "" {
			continue
		}
		age.observe(now.Sub(o.KeyCreated).Seconds())
		if !o.KeyExpires.IsZero() {
			remaining.observe(o.KeyExpires.Sub(now).Seconds())
		}
	}
	for _, o := range worst(all, byCondition, func(o latest.Outcome) bool { return o.Condition != condition.OK }) {
		notOK.set(1, o.Credential, string(o.Condition), string(o.Reason))
	}
	for _, o := range worst(all, byExpiry, func(o latest.Outcome) bool { return o.Key != "" }) {
		if !o.KeyExpires.IsZero() {
			expiry.set(seconds(o.KeyExpires), o.Credential)
		}
		created.set(seconds(o.KeyCreated), o.Credential)
	}
	return []*family{counts, notOK, expiry, created, remaining, age}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// worst returns the outcomes that have series of their own. If there are too many
// credentials, these are the first by the order.
func worst(all []latest.Outcome, order func(a, b latest.Outcome) int, of func(latest.Outcome) bool) (some []latest.Outcome) {
	for _, o := range all {
		if of(o) {
			some = append(some, o)
		}
	}
	if len(all) <= MostNamed {
		return some
	}
	slices.SortStableFunc(some, order)
	return some[:min(len(some), Worst)]
}

// byCondition orders credentials by condition, and by expiry within one.
func byCondition(a, b latest.Outcome) int {
	return cmp.Or(slices.Index(condition.Worst, a.Condition)-slices.Index(condition.Worst, b.Condition), byExpiry(a, b))
}

// byExpiry orders credentials by the expiry of their keys. Keys without one come
// last.
func byExpiry(a, b latest.Outcome) int {
	x, y := a.KeyExpires, b.KeyExpires
	if x.IsZero() || y.IsZero() {
		return y.Compare(x)
	}
	return x.Compare(y)
}
