package upstream

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A process that is stopped while an answer is under way reads it when it is woken. That
// answer shows the emulator's clock as it was before.
func TestAnAnswerFromBeforeAStopDoesNotSetTheEmulatedClock(t *testing.T) {
	for _, tc := range []struct {
		name  string
		stood time.Duration
		want  time.Duration
	}{
		{"an answer shows the clock", 0, time.Hour},
		{"an answer that was read late does not", time.Second, time.Hour + 20*time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				offset := time.Hour
				c := &Clock{endpoint: "http://127.0.0.1", http: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
					now := time.Now().Add(offset).Format(time.RFC3339Nano)
					return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(fmt.Sprintf(`{"now":%q}`, now)))}, nil
				})}}
				c.Ask()
				call := c.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
					h := http.Header{"Emulator-Offset": {offset.String()}}
					if <-time.After(tc.stood); tc.stood > 0 { // in virtual time
						offset += 20 * time.Minute
					}
					return &http.Response{Header: h, Body: http.NoBody}, nil
				}))
				resp, err := call.RoundTrip(&http.Request{})
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if got := time.Until(c.Now()); got != tc.want {
					t.Errorf("the emulator's clock is %s ahead, want %s", got, tc.want)
				}
			})
		})
	}
}
