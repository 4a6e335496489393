package pace_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/internal/pace"
)

// server answers each call after the latency. It refuses calls above its limit.
type server struct {
	latency time.Duration
	limit   *rate.Limiter // nil refuses none
	after   string        // Retry-After of a refusal
	fault   func(n int, req *http.Request) int

	mu                       sync.Mutex
	calls, refused, now, top int
	first, last              time.Time
	order                    []string
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	at := time.Now()
	s.mu.Lock()
	s.calls++
	n := s.calls
	s.now++
	s.top = max(s.top, s.now)
	if s.first.IsZero() {
		s.first = at
	}
	s.last = at
	s.order = append(s.order, req.URL.Path)
	status := http.StatusOK
	if s.limit != nil && !s.limit.AllowN(at, 1) {
		s.refused++
		status = http.StatusTooManyRequests
	}
	s.mu.Unlock()
	time.Sleep(s.latency) // virtual
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	if s.fault != nil {
		if other := s.fault(n, req); other != 0 {
			status = other
		}
	}
	h := http.Header{}
	if status == http.StatusTooManyRequests && s.after != "" {
		h.Set("Retry-After", s.after)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader(nil)), Request: req}, nil
}

func get(ctx context.Context, rt http.RoundTripper, path string) (int, error) {
	return send(ctx, rt, http.MethodGet, path)
}

func send(ctx context.Context, rt http.RoundTripper, method, path string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://iam.example"+path, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

// sweep runs n looks. Each makes four reads side by side and then, if it writes,
// six calls one after the other. It returns how many runs had an error.
func sweep(t *testing.T, p *pace.Pacer, rt http.RoundTripper, n int, writes func(i int) bool) (failed int) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		run, err := p.Begin(t.Context(), pace.Look)
		if err != nil {
			t.Fatal(err)
		}
		ctx := run.With(t.Context())
		all.Go(func() {
			defer run.End()
			ok := true
			check := func(status int, err error) {
				mu.Lock()
				defer mu.Unlock()
				ok = ok && err == nil && status == http.StatusOK
			}
			var reads sync.WaitGroup
			for range 4 {
				reads.Go(func() { check(get(ctx, rt, "/"+strconv.Itoa(i))) })
			}
			reads.Wait()
			if writes(i) {
				for range 6 {
					check(send(ctx, rt, http.MethodPost, "/"+strconv.Itoa(i)))
				}
			}
			if !ok {
				mu.Lock()
				failed++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return failed
}

func TestASweepUsesTheRateThatTheHostAllows(t *testing.T) {
	never, always, some := func(int) bool { return false }, func(int) bool { return true }, func(i int) bool { return i%100 == 0 }
	for sentence, row := range map[string]struct {
		limit  float64
		burst  int
		runs   int
		writes func(int) bool
		used   float64 // of what the limit allows in the time
		most   float64 // refused, of all calls
		failed int     // runs
	}{
		"50 a second, 2,000 runs of which some write":   {50, 50, 2000, some, 0.95, 0.001, 1},
		"10 a second, 40 runs that write":               {10, 10, 40, always, 0.9, 0.04, 5},
		"20 a second, 100 runs that write":              {20, 20, 100, always, 0.9, 0.015, 8},
		"10 a second, 1,000 runs that write":            {10, 10, 1000, always, 0.95, 0.003, 15},
		"100 a second in small bursts, 2,000 reads":     {100, 10, 2000, never, 0.6, 0.002, 0},
		"1,000 a second, more than one run can ask for": {1000, 1000, 2000, never, 0.65, 0.02, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{latency: 40 * time.Millisecond, limit: rate.NewLimiter(rate.Limit(row.limit), row.burst), after: "1"}
				p := pace.New(nil)
				failed := sweep(t, p, p.Transport(s, errors.New), row.runs, row.writes)
				took := s.last.Sub(s.first).Seconds()
				used := float64(s.calls-s.refused) / (row.limit*took + float64(row.burst))
				refused := float64(s.refused) / float64(s.calls)
				t.Logf("%d calls in %.1f s, used %.3f, refused %d (%.4f), runs failed %d, at once %d", s.calls, took, used, s.refused, refused, failed, s.top)
				if used < row.used {
					t.Errorf("used %.3f of the rate, want %.3f", used, row.used)
				}
				if refused > row.most {
					t.Errorf("%.4f of the calls were refused, want at most %.4f", refused, row.most)
				}
				if failed > row.failed {
					t.Errorf("%d runs failed, want at most %d", failed, row.failed)
				}
			})
		})
	}
}

func TestAHostWithoutLimitIsNotSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{latency: 40 * time.Millisecond}
		p := pace.New(nil)
		start := time.Now()
		if failed := sweep(t, p, p.Transport(s, errors.New), 1000, func(int) bool { return false }); failed > 0 {
			t.Errorf("%d runs failed", failed)
		}
		// They are four at once at first, and 32 later.
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("1,000 looks took %s", took)
		}
		if s.calls != 4000 {
			t.Errorf("%d calls", s.calls)
		}
	})
}

func TestDemandsAreNotHeldBackAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{latency: 40 * time.Millisecond}
		p := pace.New(nil)
		rt := p.Transport(s, errors.New)
		start := time.Now()
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				run, err := p.Begin(t.Context(), pace.Demand)
				if err != nil {
					t.Error(err)
				}
				defer run.End()
				ctx := run.With(t.Context())
				var reads sync.WaitGroup
				for range 4 {
					reads.Go(func() { _, _ = get(ctx, rt, "/") })
				}
				reads.Wait()
			})
		}
		all.Wait()
		if took := time.Since(start); took != 40*time.Millisecond {
			t.Errorf("32 demands at once took %s, and one takes 40ms", took)
		}
	})
}

func TestWhatARefusalDoes(t *testing.T) {
	refuse := func(times, status int) func(int, *http.Request) int {
		return func(n int, _ *http.Request) int {
			if n <= times {
				return status
			}
			return 0
		}
	}
	for sentence, row := range map[string]struct {
		method string
		path   string
		fault  func(int, *http.Request) int
		after  string
		status int
		calls  int
		took   time.Duration
	}{
		"a read is sent again when the host says":             {"GET", "/", refuse(2, 429), "3", 200, 3, 6 * time.Second},
		"without Retry-After soon, and then later":            {"GET", "/", refuse(2, 429), "", 200, 3, 600 * time.Millisecond},
		"a 503 without Retry-After is no refusal":             {"GET", "/", refuse(1, 503), "", 503, 1, 0},
		"a token request is sent again":                       {"POST", "/identity/token", refuse(1, 429), "1", 200, 2, time.Second},
		"a write is not: it may have been done":               {"POST", "/v1/apikeys", refuse(1, 429), "1", 429, 1, 0},
		"a read is sent four times at most":                   {"GET", "/", refuse(9, 429), "1", 429, 4, 3 * time.Second},
		"a wait beyond the patience of a call is not waited":  {"GET", "/", refuse(9, 429), "600", 429, 1, 0},
		"a date is a time to wait until":                      {"GET", "/", refuse(1, 429), "Sat, 01 Jan 2000 00:00:05 GMT", 200, 2, 5 * time.Second},
		"a text that is neither is none":                      {"GET", "/", refuse(1, 429), "soon", 200, 2, 200 * time.Millisecond},
		"a write that waits for its turn is sent only once":   {"PUT", "/", refuse(0, 429), "", 200, 1, 0},
		"a refused deletion is not repeated, nor is a change": {"DELETE", "/", refuse(1, 429), "1", 429, 1, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{fault: row.fault, after: row.after}
				start := time.Now()
				status, err := send(t.Context(), pace.New(nil).Transport(s, errors.New), row.method, row.path)
				if err != nil || status != row.status || s.calls != row.calls || time.Since(start) != row.took {
					t.Errorf("status %d, error %v, %d calls in %s; want %d, %d calls in %s", status, err, s.calls, time.Since(start), row.status, row.calls, row.took)
				}
			})
		})
	}
}

func TestAHostThatAsksForALongPauseGetsNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{after: "600", fault: func(n int, _ *http.Request) int {
			if n == 1 {
				return 429
			}
			return 0
		}}
		rt := pace.New(nil).Transport(s, errors.New)
		_, _ = get(t.Context(), rt, "/")
		start := time.Now()
		if _, err := get(t.Context(), rt, "/"); err == nil || err.Error() != "iam.example asks for no calls for another 2m0s" || time.Since(start) != 0 {
			t.Errorf("error %v after %s", err, time.Since(start))
		}
		time.Sleep(2 * time.Minute) // the longest that one answer closes a host
		if status, err := get(t.Context(), rt, "/"); status != 200 || err != nil {
			t.Errorf("afterwards: status %d, error %v", status, err)
		}
	})
}

func TestTheOrderOfWaitingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The first call is refused, so the others wait for a second.
		s := &server{after: "1", fault: func(n int, _ *http.Request) int {
			if n == 1 {
				return 429
			}
			return 0
		}}
		p := pace.New(nil)
		rt := p.Transport(s, errors.New)
		older, younger := p.With(t.Context(), pace.Look), p.With(t.Context(), pace.Look)
		demand, leak := p.With(t.Context(), pace.Demand), p.With(t.Context(), pace.Leak)
		_, _ = send(t.Context(), rt, "POST", "/first")
		var all sync.WaitGroup
		wait := func(ctx context.Context, method, path string) {
			all.Go(func() { _, _ = send(ctx, rt, method, path) })
			synctest.Wait()
		}
		wait(younger, "GET", "/younger")
		wait(older, "GET", "/older")
		wait(demand, "GET", "/demand")
		wait(leak, "GET", "/leak")
		wait(younger, "POST", "/identity/token")
		wait(p.With(t.Context(), pace.Look), "GET", "/last")
		all.Wait()
		if want := []string{"/first", "/identity/token", "/leak", "/demand", "/older", "/younger", "/last"}; !slices.Equal(s.order, want) {
			t.Errorf("sent in the order %v, want %v", s.order, want)
		}
	})
}

func TestARunThatWritesOvertakesLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{after: "1", fault: func(n int, _ *http.Request) int {
			if n == 2 {
				return 429
			}
			return 0
		}}
		p := pace.New(nil)
		rt := p.Transport(s, errors.New)
		older, writer := p.With(t.Context(), pace.Look), p.With(t.Context(), pace.Look)
		_, _ = send(writer, rt, "POST", "/minted")
		_, _ = send(writer, rt, "POST", "/refused")
		var all sync.WaitGroup
		all.Go(func() { _, _ = get(older, rt, "/older") })
		synctest.Wait()
		all.Go(func() { _, _ = get(writer, rt, "/writer") })
		all.Wait()
		if want := []string{"/minted", "/refused", "/writer", "/older"}; !slices.Equal(s.order, want) {
			t.Errorf("sent in the order %v, want %v", s.order, want)
		}
	})
}

func TestARunBeginsWhenNoCallWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{after: "5", fault: func(n int, _ *http.Request) int {
			if n == 1 {
				return 429
			}
			return 0
		}}
		p := pace.New(nil)
		rt := p.Transport(s, errors.New)
		_, _ = send(t.Context(), rt, "POST", "/refused")
		go func() { _, _ = get(p.With(t.Context(), pace.Look), rt, "/waits") }()
		synctest.Wait()
		var mu sync.Mutex
		var order []pace.Class
		start := time.Now()
		for _, class := range []pace.Class{pace.Look, pace.Demand, pace.Look} {
			go func() {
				run, err := p.Begin(t.Context(), class)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, class)
				mu.Unlock()
				if class == pace.Look && time.Since(start) < 5*time.Second {
					t.Errorf("a look began after %s", time.Since(start))
				}
				run.End()
			}()
			synctest.Wait()
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if want := []pace.Class{pace.Demand, pace.Look, pace.Look}; !slices.Equal(order, want) {
			t.Errorf("began in the order %v, want %v", order, want)
		}
	})
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{after: "10", fault: func(n int, _ *http.Request) int {
			if n == 1 {
				return 429
			}
			return 0
		}}
		p := pace.New(nil)
		rt := p.Transport(s, errors.New)
		_, _ = send(t.Context(), rt, "POST", "/refused")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := get(ctx, rt, "/"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if s.calls != 1 {
			t.Errorf("%d calls were sent", s.calls)
		}
	})
}

func TestAHostThatFailsGetsFewCallsAtOnce(t *testing.T) {
	for sentence, s := range map[string]*server{
		"a status of 500": {latency: 40 * time.Millisecond, fault: func(int, *http.Request) int { return 500 }},
		"answers that became slow": {fault: func(n int, _ *http.Request) int {
			if n > 100 {
				time.Sleep(3 * time.Second) // virtual
			}
			return 0
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt := pace.New(nil).Transport(s, errors.New)
				for range 100 {
					_, _ = get(t.Context(), rt, "/")
				}
				var all sync.WaitGroup
				for range 100 {
					all.Go(func() { _, _ = get(t.Context(), rt, "/") })
				}
				all.Wait()
				s.mu.Lock()
				s.top = 0
				s.mu.Unlock()
				for range 30 {
					all.Go(func() { _, _ = get(t.Context(), rt, "/") })
				}
				all.Wait()
				if s.top > 16 {
					t.Errorf("%d calls at once", s.top)
				}
			})
		})
	}
}
