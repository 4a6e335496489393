package service

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/event/sample"
)

// looksBurst is how many looks at named credentials a burst allows.
const looksBurst = CallsBurst / CallsPerLook

// oneBurst limits unknown callers to one burst, whatever the machine's pace.
func oneBurst(c *Config) { c.Calls = rate.NewLimiter(0, CallsBurst) }

func TestTheWorstStatusOfABatchIsOneThatIsRepeated(t *testing.T) {
	items := make([]event.Item, 3)
	got := together(items, []Answer{{Status: http.StatusServiceUnavailable, retry: 30}, {Status: http.StatusForbidden}, {Status: http.StatusTooManyRequests, retry: 1}})
	if got.Status != http.StatusServiceUnavailable || got.retry != 30 || len(got.parts) != 3 {
		t.Errorf("%+v", got)
	}
}

func TestABatchDoesNotGetUnknownCallersPastTheirLimit(t *testing.T) {
	s := newWorld().service(t, oneBurst)
	var list []map[string]any
	for range event.MaxBatch {
		list = append(list, map[string]any{"specversion": "1.0", "id": "1", "source": "/t", "type": "dev.knative.sources.ping"})
	}
	batch := sample.Event{Header: map[string]string{"Content-Type": "application/cloudevents-batch+json"}, Body: sample.Encode(list)}
	if a := post(s, "/", batch); a.Code != http.StatusTooManyRequests || a.Header().Get("Retry-After") == "" {
		t.Errorf("answered %d", a.Code)
	}
	if a := post(s, "/", batch, withToken(testToken)...); a.Code != http.StatusOK {
		t.Errorf("a known caller is answered %d", a.Code)
	}
}

// FuzzReadAll: whatever body comes with whatever length, it is read whole or
// refused.
func FuzzReadAll(f *testing.F) {
	f.Add([]byte("abc"), int64(3))
	f.Add([]byte("abc"), int64(-1))
	f.Add([]byte("abc"), int64(5))
	f.Fuzz(func(t *testing.T, body []byte, length int64) {
		if length >= 0 && length < int64(len(body)) {
			return // net/http reads no more than was announced
		}
		got, err := readAll(bytes.NewReader(body), length)
		if err == nil && !bytes.Equal(got, body) {
			t.Fatalf("%q became %q", body, got)
		}
		if err == nil && length > int64(len(body)) && length <= event.MaxBody {
			t.Fatalf("%d bytes were announced, and %d taken", length, len(body))
		}
	})
}

// FuzzExplain: an explanation is one line, and an event that can't be decoded is
// rejected.
func FuzzExplain(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"dev.latchkey.provision","data":{"credential":"a/b","with":{"x":"y"}}}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"dev.latchkey.rotate","time":"2026-11-24T10:00:00Z","data":{"credential":"a"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		header := http.Header{"Content-Type": {"application/cloudevents+json"}}
		_, err := event.Decode(header, body)
		said := (&Explainer{}).Explain(header, body)
		if len(said) != 1 || said[0].Text == "" || strings.ContainsAny(said[0].Text, "\n\r") {
			t.Fatalf("said %+v", said)
		}
		if err != nil && !errors.Is(err, event.ErrNotForUs) && !said[0].Rejected {
			t.Fatalf("said %+v of what is no event: %v", said, err)
		}
	})
}
