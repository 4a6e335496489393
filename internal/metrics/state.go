package metrics

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/latest"
)

const day = 24 * 60 * 60

// The buckets of keys, in seconds.
var (
	remainingBounds = []float64{0, 1 * day, 7 * day, 14 * day, 30 * day, 60 * day, 90 * day}
	ageBounds       = []float64{1 * day, 7 * day, 30 * day, 60 * day, 90 * day, 180 * day, 365 * day}
)

// state collects what is read at the time of a scrape: the build, the config, the last
// sweep, the sinks and the credentials.
type state struct {
	cfg  Config
	desc []*prometheus.Desc

	build, config, every, last, sinks *prometheus.Desc
	counts, remaining, age            *prometheus.Desc
}

// named collects the series of single credentials. A summary has none.
type named struct {
	cfg  Config
	desc []*prometheus.Desc

	notOK, expiry, created *prometheus.Desc
}

var _, _ prometheus.Collector = (*state)(nil), (*named)(nil)

// describing returns a function that adds a metric to those of a collector.
func describing(m *Metrics, to *[]*prometheus.Desc) func(name, help string, labels ...string) *prometheus.Desc {
	return func(name, help string, labels ...string) *prometheus.Desc {
		m.labels[prefix+name] = labels
		d := prometheus.NewDesc(prefix+name, help, labels, nil)
		*to = append(*to, d)
		return d
	}
}

func newState(m *Metrics) *state {
	s := &state{cfg: m.cfg}
	desc := describing(m, &s.desc)
	s.build = desc("build_info", "The build, as labels.", "version", "commit")
	s.config = desc("config_info", "The config, as labels.", "owner", "hash")
	s.every = desc("sweep_interval_seconds", "The interval of sweeps in the config.")
	s.last = desc("last_sweep_timestamp_seconds", "When the last sweep ended that looked at every credential.")
	s.sinks = desc("outcome_events_total", "Outcome events by sink and result: sent or dropped.", "sink", "result")
	s.counts = desc("credentials", "Credentials by condition.", "condition")
	s.remaining = desc("key_remaining_seconds", "How long published keys still work.")
	s.age = desc("key_age_seconds", "How old published keys are.")
	return s
}

func newNamed(m *Metrics) *named {
	n := &named{cfg: m.cfg}
	desc := describing(m, &n.desc)
	n.notOK = desc("credential_condition", "1 for each credential that is not ok.", "credential", "condition", "reason")
	n.expiry = desc("key_expiry_timestamp_seconds", "When the published key of a credential expires.", "credential")
	n.created = desc("key_created_timestamp_seconds", "When the published key of a credential was created.", "credential")
	return n
}

// Describe satisfies prometheus.Collector.
func (s *state) Describe(to chan<- *prometheus.Desc) {
	for _, d := range s.desc {
		to <- d
	}
}

// Describe satisfies prometheus.Collector.
func (n *named) Describe(to chan<- *prometheus.Desc) {
	for _, d := range n.desc {
		to <- d
	}
}

// Collect satisfies prometheus.Collector.
func (s *state) Collect(to chan<- prometheus.Metric) {
	c := collecting{to}
	c.gauge(s.build, 1, s.cfg.Version, s.cfg.Commit)
	c.gauge(s.config, 1, s.cfg.Owner, s.cfg.ConfigHash)
	c.gauge(s.every, s.cfg.SweepEvery.Seconds())
	if at := s.cfg.Latest.LastSweep(); !at.IsZero() {
		c.gauge(s.last, seconds(at))
	}
	if s.cfg.Sinks != nil {
		sent, dropped := s.cfg.Sinks()
		for sink, n := range sent {
			c.counter(s.sinks, n, sink, "sent")
		}
		for sink, n := range dropped {
			c.counter(s.sinks, n, sink, "dropped")
		}
	}
	s.credentials(c)
}

// credentials collects what the credentials are like now.
func (s *state) credentials(c collecting) {
	now := s.cfg.Now()
	counts := map[condition.Condition]int{}
	var remaining, age []float64
	s.cfg.Latest.Each(now, func(o latest.Outcome) {
		counts[o.Condition]++
		if o.Key == "" {
			return
		}
		age = append(age, now.Sub(o.KeyCreated).Seconds())
		if !o.KeyExpires.IsZero() {
			remaining = append(remaining, o.KeyExpires.Sub(now).Seconds())
		}
	})
	for _, is := range condition.Worst { // a query finds 0, too
		c.gauge(s.counts, float64(counts[is]), string(is))
	}
	c.histogram(s.remaining, remainingBounds, remaining)
	c.histogram(s.age, ageBounds, age)
}

// Collect satisfies prometheus.Collector.
func (n *named) Collect(to chan<- prometheus.Metric) {
	c, all := collecting{to}, n.cfg.Latest.At(n.cfg.Now())
	for _, o := range worst(all, byCondition, func(o latest.Outcome) bool { return o.Condition != condition.OK }) {
		c.gauge(n.notOK, 1, o.Credential, string(o.Condition), string(o.Reason))
	}
	for _, o := range worst(all, byExpiry, func(o latest.Outcome) bool { return o.Key != "" }) {
		if !o.KeyExpires.IsZero() {
			c.gauge(n.expiry, seconds(o.KeyExpires), o.Credential)
		}
		c.gauge(n.created, seconds(o.KeyCreated), o.Credential)
	}
}

// collecting sends metrics whose values are known. A label that is not UTF-8 would end
// the scrape, so its other bytes are replaced.
type collecting struct{ to chan<- prometheus.Metric }

func (c collecting) gauge(d *prometheus.Desc, value float64, labels ...string) {
	c.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, valid(labels)...)
}

func (c collecting) counter(d *prometheus.Desc, n int, labels ...string) {
	c.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), valid(labels)...)
}

// histogram sends how the values are distributed, if there are some.
func (c collecting) histogram(d *prometheus.Desc, bounds, values []float64) {
	if len(values) == 0 {
		return
	}
	sum, buckets := 0.0, map[float64]uint64{}
	for _, b := range bounds {
		buckets[b] = 0
	}
	for _, v := range values {
		sum += v
		for _, b := range bounds {
			if v <= b {
				buckets[b]++
			}
		}
	}
	c.to <- prometheus.MustNewConstHistogram(d, uint64(len(values)), sum, buckets)
}

func valid(labels []string) []string {
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "_")
	}
	return labels
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
