package service

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/pace"

	"context"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// costly is a Sweeper whose look at anything makes so many calls.
type costly struct {
	*world
	transport http.RoundTripper
	calls     int

	mu    sync.Mutex
	looks int
}

func (c *costly) Sweep(ctx context.Context, credentials []port.Credential, ask reconcile.Request) result.Sweep {
	c.mu.Lock()
	c.looks++
	c.mu.Unlock()
	for range c.calls {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://iam.example.com/", nil)
		if err != nil {
			panic(err)
		}
		if resp, err := c.transport.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
		}
	}
	return c.world.Sweep(ctx, credentials, ask)
}

func (c *costly) looked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.looks
}

type answers struct{}

func (answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func newCostly(t *testing.T, calls int, ends bool) (*Service, *costly) {
	pacer := pace.New(nil)
	c := &costly{world: newWorld(), transport: pacer.Transport(answers{}, nil), calls: calls}
	return c.service(t, func(cfg *Config) { cfg.Sweeper, cfg.Pace, cfg.Ends = c, pacer, ends }), c
}

func TestStrangersAreLimitedByTheCallsThatTheyCause(t *testing.T) {
	look := sample.Binary("dev.latchkey.sweep", "/t", now, map[string]any{"credentials": []string{"other"}})
	for name, tt := range map[string]struct {
		calls, looks int
	}{
		"a cheap look costs what it pays before it begins": {1, CallsBurst / CallsPerLook},
		"an expensive one costs what it made":              {100, 3},
		"one that costs more than a burst leaves a debt":   {1000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c := newCostly(t, tt.calls, false)
				for range 2 * CallsBurst {
					post(s, "/", look)
				}
				if n := c.looked(); n != tt.looks {
					t.Errorf("%d looks, want %d", n, tt.looks)
				}
				if a := post(s, "/", look, withToken(testToken)...); a.Code != http.StatusOK {
					t.Errorf("a known caller is answered %d", a.Code)
				}
				time.Sleep(time.Duration(tt.calls*tt.looks/CallsPerSecond+1) * time.Second) // virtual
				if a := post(s, "/", look); a.Code != http.StatusOK {
					t.Errorf("a stranger is answered %d after the debt is paid", a.Code)
				}
			})
		})
	}
}

func TestTicksOfStrangersWaitForTheirDebtAndNoKnownOneDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newCostly(t, 2*tickCallsBurst, false)
		tick := func(header ...string) int { return post(s, "/", sample.Tick(now), header...).Code }
		if code := tick(); code != http.StatusOK {
			t.Fatalf("the first tick is answered %d", code)
		}
		for range 50 {
			if code := tick(); code != http.StatusAccepted {
				t.Fatalf("a tick in debt is answered %d", code)
			}
		}
		if n := c.looked(); n != 1 {
			t.Errorf("%d looks at once", n)
		}
		if code := tick(withToken(testToken)...); code != http.StatusOK || c.looked() != 2 {
			t.Errorf("a known caller's tick is answered %d after %d looks", code, c.looked())
		}
		time.Sleep(2 * time.Minute) // virtual
		synctest.Wait()
		if n := c.looked(); n != 3 {
			t.Errorf("%d looks after the debt is paid, want 3: all ticks share one", n)
		}
	})
}

func TestATickInDebtIsForTheSenderToRepeatWhereTheProcessMayEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newCostly(t, 2*tickCallsBurst, true)
		post(s, "/", sample.Tick(now))
		a := post(s, "/", sample.Tick(now))
		if a.Code != http.StatusServiceUnavailable || a.Header().Get("Retry-After") == "" || c.looked() != 1 {
			t.Errorf("answered %d, Retry-After %q, after %d looks", a.Code, a.Header().Get("Retry-After"), c.looked())
		}
	})
}
