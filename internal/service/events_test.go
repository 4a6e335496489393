package service

import (
	"bytes"
	"net/http"
	"testing"

	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/event/sample"
)

// oneBurst limits unknown callers to one burst, whatever the machine's pace.
func oneBurst(c *Config) { c.Looks = rate.NewLimiter(0, LooksBurst) }

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
