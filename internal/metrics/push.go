package metrics

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/collector"
)

// Push sends the metrics to a collector, if there is one. Counters and histograms count
// from the start of the process.
func (m *Metrics) Push(ctx context.Context, to *collector.Collector) error {
	if to == nil {
		return nil
	}
	return to.Post(ctx, m.push(to.Resource(), time.Now()))
}

// The messages of OTLP, in its JSON form.
type (
	pushed struct {
		ResourceMetrics []resourceMetrics `json:"resourceMetrics"`
	}
	resourceMetrics struct {
		Resource     collector.Resource `json:"resource"`
		ScopeMetrics []scopeMetrics     `json:"scopeMetrics"`
	}
	scopeMetrics struct {
		Scope   collector.Scope `json:"scope"`
		Metrics []metric        `json:"metrics"`
	}
	metric struct {
		Name        string  `json:"name"`
		Description string  `json:"description"`
		Gauge       *points `json:"gauge,omitempty"`
		Sum         *points `json:"sum,omitempty"`
		Histogram   *points `json:"histogram,omitempty"`
	}
	points struct {
		DataPoints  []point `json:"dataPoints"`
		Temporality int     `json:"aggregationTemporality,omitempty"`
		Monotonic   bool    `json:"isMonotonic,omitempty"`
	}
	point struct {
		Attributes []collector.KeyValue `json:"attributes,omitempty"`
		Start      string               `json:"startTimeUnixNano"`
		Time       string               `json:"timeUnixNano"`
		Value      *float64             `json:"asDouble,omitempty"`

		// Of a histogram.
		Count   string    `json:"count,omitempty"`
		Sum     *float64  `json:"sum,omitempty"`
		Buckets []string  `json:"bucketCounts,omitempty"`
		Bounds  []float64 `json:"explicitBounds,omitempty"`
	}
)

// cumulative is OTLP's number for values that count from the start.
const cumulative = 2

func (m *Metrics) push(from collector.Resource, now time.Time) pushed {
	var all []metric
	for _, f := range append(m.all(), m.process()...) {
		p := points{}
		f.each(func(s *series) {
			o := f.point(s)
			o.Start, o.Time = nanoseconds(m.started), nanoseconds(now)
			p.DataPoints = append(p.DataPoints, o)
		})
		if len(p.DataPoints) == 0 {
			continue
		}
		out := metric{Name: f.name, Description: f.help}
		switch f.kind {
		case "gauge":
			out.Gauge = &p
		case "counter":
			p.Temporality, p.Monotonic = cumulative, true
			out.Sum = &p
		default:
			p.Temporality = cumulative
			out.Histogram = &p
		}
		all = append(all, out)
	}
	return pushed{[]resourceMetrics{{from, []scopeMetrics{{collector.Latchkey, all}}}}}
}

// point returns a series without its times.
func (f *family) point(s *series) (o point) {
	for i, name := range f.labels {
		o.Attributes = append(o.Attributes, collector.Text(name, strings.ToValidUTF8(s.values[i], "_")))
	}
	value := s.value
	if f.kind != "histogram" {
		o.Value = &value
		return o
	}
	o.Sum, o.Count, o.Bounds = &value, strconv.FormatUint(s.count, 10), f.bounds
	above := s.count
	for _, n := range append(slices.Clone(s.buckets), 0) {
		o.Buckets = append(o.Buckets, strconv.FormatUint(n, 10))
		above -= n
	}
	o.Buckets[len(s.buckets)] = strconv.FormatUint(above, 10)
	return o
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
