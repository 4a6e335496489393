package metrics

import (
	"context"
	"fmt"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/latchkey-io/latchkey/internal/collector"
)

// Push sends the metrics to a collector, if there is one. Counters and histograms count
// from the start of the process.
func (m *Metrics) Push(ctx context.Context, to *collector.Collector) error {
	if to == nil {
		return nil
	}
	families, err := m.all().Gather()
	if err != nil {
		return fmt.Errorf("gathering metrics: %w", err)
	}
	return to.Post(ctx, m.push(to.Resource(), families, time.Now()))
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

func (m *Metrics) push(from collector.Resource, families []*dto.MetricFamily, now time.Time) pushed {
	var all []metric
	for _, f := range families {
		p := points{}
		for _, series := range f.GetMetric() {
			o := pointOf(series)
			o.Start, o.Time = nanoseconds(m.started), nanoseconds(now)
			p.DataPoints = append(p.DataPoints, o)
		}
		out := metric{Name: f.GetName(), Description: f.GetHelp()}
		switch f.GetType() {
		case dto.MetricType_GAUGE:
			out.Gauge = &p
		case dto.MetricType_COUNTER:
			p.Temporality, p.Monotonic = cumulative, true
			out.Sum = &p
		case dto.MetricType_HISTOGRAM:
			p.Temporality = cumulative
			out.Histogram = &p
		default:
			continue // Go's summary of its garbage collections
		}
		all = append(all, out)
	}
	return pushed{[]resourceMetrics{{from, []scopeMetrics{{collector.Latchkey, all}}}}}
}

// pointOf returns a series without its times.
func pointOf(s *dto.Metric) (o point) {
	for _, l := range s.GetLabel() {
		o.Attributes = append(o.Attributes, collector.Text(l.GetName(), l.GetValue()))
	}
	h := s.GetHistogram()
	if h == nil {
		value := s.GetGauge().GetValue() + s.GetCounter().GetValue() // one of them is nil
		o.Value = &value
		return o
	}
	sum, below := h.GetSampleSum(), uint64(0)
	o.Sum, o.Count = &sum, strconv.FormatUint(h.GetSampleCount(), 10)
	for _, b := range h.GetBucket() {
		o.Bounds = append(o.Bounds, b.GetUpperBound())
		o.Buckets = append(o.Buckets, strconv.FormatUint(b.GetCumulativeCount()-below, 10))
		below = b.GetCumulativeCount()
	}
	o.Buckets = append(o.Buckets, strconv.FormatUint(h.GetSampleCount()-below, 10))
	return o
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
