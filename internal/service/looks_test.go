package service

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/result"
)

func TestOneLookAtAllRunsAndOneWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l looksAtAll
		var looks, running, most atomic.Int32
		var shared atomic.Int32
		look := func() result.Sweep {
			n := looks.Add(1)
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second) // virtual
			running.Add(-1)
			return result.Sweep{Outcomes: make([]result.Outcome, n)}
		}
		var all sync.WaitGroup
		for range 60 {
			all.Go(func() {
				if swept, was := l.do(look); was {
					shared.Add(1)
					if len(swept.Outcomes) != 2 {
						t.Errorf("shared look %d", len(swept.Outcomes))
					}
				}
			})
		}
		all.Wait()
		if looks.Load() != 2 || most.Load() != 1 || shared.Load() != 58 {
			t.Errorf("%d looks, %d at once, %d shared; want 2, 1 and 58", looks.Load(), most.Load(), shared.Load())
		}
		if l.running != nil || l.waiting != nil {
			t.Error("a look is left")
		}
		// What arrives while a look runs gets one that began later.
		first := make(chan result.Sweep, 1)
		go func() { swept, _ := l.do(look); first <- swept }()
		synctest.Wait()
		if swept, _ := l.do(look); len(swept.Outcomes) != 4 || len((<-first).Outcomes) != 3 {
			t.Error("a look that runs was shared")
		}
	})
}

// classes records the class of each listing of the credentials.
type classes struct {
	*world
	mu  sync.Mutex
	got []pace.Class
}

func (c *classes) Credentials(ctx context.Context, scope catalog.Scope) ([]port.Credential, error) {
	c.mu.Lock()
	c.got = append(c.got, pace.ClassOf(ctx))
	c.mu.Unlock()
	return c.world.Credentials(ctx, scope)
}

func TestTheCallsOfADemandAreUrgent(t *testing.T) {
	w := newWorld()
	c := &classes{world: w}
	s := w.service(t, func(cfg *Config) { cfg.Catalog, cfg.Pace = c, pace.New(nil) })
	if a := post(s, "/", sample.Rotate("logs-sender/a", now), withToken(testToken)...); a.Code != http.StatusOK {
		t.Fatalf("status %d: %s", a.Code, a.Body)
	}
	if a := post(s, "/", sample.Tick(now)); a.Code != http.StatusOK {
		t.Fatalf("status %d: %s", a.Code, a.Body)
	}
	if len(c.got) != 2 || c.got[0] != pace.Demand || c.got[1] != pace.Look {
		t.Errorf("classes %v", c.got)
	}
}

func TestAServiceSweepsWhenNoTimerDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := w.service(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.SweepWhenIdle(ctx, time.Hour); close(ended) }()
		sweeps := func() int {
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.asks["other"])
		}
		for i := range 3 { // a timer that ticks every half hour
			time.Sleep(30 * time.Minute)
			post(s, "/", sample.Tick(now))
			if n := sweeps(); n != i+1 {
				t.Fatalf("%d sweeps after tick %d", n, i+1)
			}
		}
		time.Sleep(59 * time.Minute)
		if n := sweeps(); n != 3 {
			t.Errorf("%d sweeps before the hour is over", n)
		}
		time.Sleep(2 * time.Minute)
		if n := sweeps(); n != 4 {
			t.Errorf("%d sweeps an hour after the last tick, want 4", n)
		}
		time.Sleep(3 * time.Hour)
		if n := sweeps(); n != 7 {
			t.Errorf("%d sweeps three hours later, want 7", n)
		}
		cancel()
		<-ended
	})
}
