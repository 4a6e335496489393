package trace

import (
	"context"
	"encoding/hex"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/collector"
)

// The limits of what waits to be sent.
const (
	mostWaiting = 4096
	mostInOne   = 512
	every       = 2 * time.Second
	sendTimeout = 5 * time.Second
)

// Tracer sends spans to a collector. A nil Tracer records nothing.
type Tracer struct {
	to  *collector.Collector
	log *slog.Logger

	mu      sync.Mutex
	waiting []*Span
	lost    int
	sending bool // a goroutine sends what waits
	idle    chan struct{}
}

// New returns a Tracer for a collector, or nil if there is none.
func New(to *collector.Collector, log *slog.Logger) *Tracer {
	if to == nil {
		return nil
	}
	return &Tracer{to: to, log: log}
}

// send queues a span. It never waits: what the collector does not take is dropped and
// counted.
func (t *Tracer) send(s *Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) >= mostWaiting {
		t.lost++
		return
	}
	t.waiting = append(t.waiting, s)
	if !t.sending {
		t.sending, t.idle = true, make(chan struct{})
		go t.run()
	}
}

// run sends what waits, and ends when nothing does.
func (t *Tracer) run() {
	timer := time.NewTimer(every)
	<-timer.C // spans of one event go together
	for {
		t.mu.Lock()
		some := t.waiting[:min(len(t.waiting), mostInOne)]
		t.waiting = t.waiting[len(some):]
		if len(some) == 0 {
			t.sending = false
			close(t.idle)
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		if err := t.post(some); err != nil {
			t.mu.Lock()
			t.lost += len(some)
			lost := t.lost
			t.mu.Unlock()
			t.log.Warn("sending spans", "error", err.Error(), "dropped", lost)
		}
	}
}

// Flush waits until every span is sent or dropped, or ctx ends.
func (t *Tracer) Flush(ctx context.Context) {
	if t == nil {
		return
	}
	t.mu.Lock()
	idle, sending := t.idle, t.sending
	t.mu.Unlock()
	if !sending {
		return
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

func (t *Tracer) post(spans []*Span) error {
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	return t.to.Post(ctx, t.request(spans))
}

// The messages of OTLP, in its JSON form.
type (
	request struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   collector.Resource `json:"resource"`
		ScopeSpans []scopeSpans       `json:"scopeSpans"`
	}
	scopeSpans struct {
		Scope collector.Scope `json:"scope"`
		Spans []span          `json:"spans"`
	}
	span struct {
		TraceID    string               `json:"traceId"`
		SpanID     string               `json:"spanId"`
		ParentID   string               `json:"parentSpanId,omitempty"`
		Name       string               `json:"name"`
		Kind       Kind                 `json:"kind"`
		Start      string               `json:"startTimeUnixNano"`
		End        string               `json:"endTimeUnixNano"`
		Attributes []collector.KeyValue `json:"attributes,omitempty"`
		Status     *status              `json:"status,omitempty"`
	}
	status struct {
		Code int `json:"code"`
	}
)

const statusError = 2

func (t *Tracer) request(spans []*Span) request {
	out := make([]span, len(spans))
	for i, s := range spans {
		s.mu.Lock()
		o := span{
			TraceID: s.TraceID(), SpanID: hex.EncodeToString(s.id.span[:]), Name: s.name, Kind: s.kind,
			Start: strconv.FormatInt(s.begun.UnixNano(), 10), End: strconv.FormatInt(s.ended.UnixNano(), 10),
		}
		if s.parent != [8]byte{} {
			o.ParentID = hex.EncodeToString(s.parent[:])
		}
		for _, a := range s.attributes {
			if a.isNumber {
				o.Attributes = append(o.Attributes, collector.Number(a.name, a.number))
			} else {
				o.Attributes = append(o.Attributes, collector.Text(a.name, a.text))
			}
		}
		if s.failed {
			o.Status = &status{statusError}
		}
		s.mu.Unlock()
		out[i] = o
	}
	return request{[]resourceSpans{{t.to.Resource(), []scopeSpans{{collector.Latchkey, out}}}}}
}
