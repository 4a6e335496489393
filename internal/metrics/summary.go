package metrics

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/latest"
)

// mostListed bounds the credentials in a summary, since a log line has a limit.
const mostListed = 20

// summary remembers the counters of the last summary.
type summary struct {
	mu   sync.Mutex
	last map[string]float64
}

// Listed is a credential that is not ok.
type Listed struct {
	Credential string    `json:"credential"`
	Condition  string    `json:"condition"`
	Reason     string    `json:"reason,omitempty"`
	KeyExpires time.Time `json:"keyExpires,omitzero"`
}

// Numbers are values by the name of a metric, without latchkey_, and then by the
// values of its labels.
type Numbers map[string]map[string]float64

// Summary returns the numbers of a run of a job or a function for one log line: the
// gauges, and what the counters and histograms gained since the last summary. notOK
// lists the worst credentials. Without a run or a sweep since the last summary,
// numbers is nil, and the counters keep their gains for the next one.
func (m *Metrics) Summary() (numbers Numbers, notOK []Listed) {
	if !m.active.Swap(false) {
		return nil, nil
	}
	m.logged.mu.Lock()
	defer m.logged.mu.Unlock()
	numbers = Numbers{}
	families, _ := m.own.Gather() // without series that contradict each other
	for _, f := range families {
		labels := m.labels[f.GetName()]
		if strings.HasSuffix(f.GetName(), "_info") {
			continue // not a number
		}
		for _, series := range f.GetMetric() {
			m.logged.add(numbers, f, series, values(series, labels))
		}
	}
	var all []latest.Outcome
	m.cfg.Latest.Each(m.cfg.Now(), func(o latest.Outcome) {
		if o.Condition != condition.OK {
			all = append(all, o)
		}
	})
	slices.SortFunc(all, func(a, b latest.Outcome) int {
		return cmp.Or(byCondition(a, b), strings.Compare(a.Credential, b.Credential))
	})
	for _, o := range all[:min(len(all), mostListed)] {
		notOK = append(notOK, Listed{Credential: o.Credential, Condition: string(o.Condition), Reason: string(o.Reason), KeyExpires: o.KeyExpires})
	}
	return numbers, notOK
}

// values returns the values of a series' labels, in the order of their names.
func values(of *dto.Metric, labels []string) string {
	words := make([]string, len(labels))
	for _, l := range of.GetLabel() {
		words[slices.Index(labels, l.GetName())] = l.GetValue()
	}
	return strings.Join(words, " ")
}

// add adds a series. Counters that gained nothing are left out.
func (s *summary) add(to Numbers, f *dto.MetricFamily, of *dto.Metric, labels string) {
	name := strings.TrimPrefix(f.GetName(), prefix)
	put := func(name string, value float64) {
		if to[name] == nil {
			to[name] = map[string]float64{}
		}
		to[name][labels] = value
	}
	gain := func(name string, value float64) {
		if s.last == nil {
			s.last = map[string]float64{}
		}
		gained := value - s.last[name+" "+labels]
		s.last[name+" "+labels] = value
		if gained != 0 {
			put(name, gained)
		}
	}
	count, sum := float64(of.GetHistogram().GetSampleCount()), of.GetHistogram().GetSampleSum()
	switch {
	case f.GetType() == dto.MetricType_GAUGE:
		put(name, of.GetGauge().GetValue())
	case f.GetType() == dto.MetricType_COUNTER:
		gain(name, of.GetCounter().GetValue())
	case strings.HasPrefix(name, "key_"): // of the keys that there are
		put(name+"_count", count)
		put(name+"_sum", sum)
	default:
		gain(name+"_count", count)
		gain(name+"_sum", sum)
	}
}
