package metrics

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// family is a metric with one series for each combination of its labels' values. It
// writes the text format of Prometheus, version 0.0.4. The client library of
// Prometheus would add a megabyte to the program; a test checks the text with it.
type family struct {
	name, help string
	kind       string    // counter, gauge or histogram
	bounds     []float64 // upper bounds of a histogram's buckets
	labels     []string

	mu     sync.Mutex
	series map[string]*series // by the values of the labels
}

type series struct {
	values  []string // of the labels
	value   float64  // the sum of a histogram
	count   uint64   // of a histogram
	buckets []uint64 // of a histogram, each without the smaller ones
}

func counter(name, help string, labels ...string) *family {
	return &family{name: prefix + name, help: help, kind: "counter", labels: labels}
}

func gauge(name, help string, labels ...string) *family {
	return &family{name: prefix + name, help: help, kind: "gauge", labels: labels}
}

func histogram(name, help string, bounds []float64, labels ...string) *family {
	return &family{name: prefix + name, help: help, kind: "histogram", bounds: bounds, labels: labels}
}

// change changes the series with these values.
func (f *family) change(values []string, do func(*series)) {
	key := strings.Join(values, "\x00")
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.series[key]
	if s == nil {
		s = &series{values: values, buckets: make([]uint64, len(f.bounds))}
		if f.series == nil {
			f.series = map[string]*series{}
		}
		f.series[key] = s
	}
	do(s)
}

// add adds to a counter.
func (f *family) add(n float64, values ...string) {
	f.change(values, func(s *series) { s.value += n })
}

// set sets a gauge.
func (f *family) set(n float64, values ...string) {
	f.change(values, func(s *series) { s.value = n })
}

// observe counts a value in a histogram.
func (f *family) observe(v float64, values ...string) {
	f.change(values, func(s *series) {
		s.value += v
		s.count++
		if i := slices.IndexFunc(f.bounds, func(b float64) bool { return v <= b }); i >= 0 {
			s.buckets[i]++
		}
	})
}

// each visits the series in the order of their labels' values.
func (f *family) each(visit func(*series)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(f.series)) {
		visit(f.series[key])
	}
}

// write writes the family, if it has a series.
func (f *family) write(b *bytes.Buffer) {
	header := "# HELP " + f.name + " " + f.help + "\n# TYPE " + f.name + " " + f.kind + "\n"
	f.each(func(s *series) {
		b.WriteString(header)
		header = ""
		labels := f.labelText(s)
		if f.kind != "histogram" {
			f.writeLine(b, "", labels, s.value)
			return
		}
		sum := uint64(0)
		for i, n := range s.buckets {
			sum += n
			f.writeLine(b, "_bucket", append(slices.Clip(labels), `le="`+number(f.bounds[i])+`"`), float64(sum))
		}
		f.writeLine(b, "_bucket", append(slices.Clip(labels), `le="+Inf"`), float64(s.count))
		f.writeLine(b, "_sum", labels, s.value)
		f.writeLine(b, "_count", labels, float64(s.count))
	})
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (f *family) labelText(s *series) (texts []string) {
	for i, name := range f.labels {
		texts = append(texts, name+`="`+escape.Replace(strings.ToValidUTF8(s.values[i], "_"))+`"`)
	}
	return texts
}

func (f *family) writeLine(b *bytes.Buffer, suffix string, labels []string, value float64) {
	b.WriteString(f.name + suffix)
	if len(labels) > 0 {
		b.WriteString("{" + strings.Join(labels, ",") + "}")
	}
	b.WriteString(" " + number(value) + "\n")
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
