package service

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// A project is active some time after its event. Its credential is published then,
// without another event: the sender of this one gets 2xx and does not repeat it.
func TestAProjectThatIsNotActiveYetIsLookedAtAgain(t *testing.T) {
	const project = "39726e08-8c64-4447-8b0f-0e7471516c32"
	for name, tc := range map[string]struct {
		ends   bool
		active time.Duration // after the event

		status int
		after  time.Duration // of the answer
		// published is when the key is published at the latest; zero if never.
		published time.Duration
	}{
		"a process that lasts answers 202 and looks again": {active: 20 * time.Second, status: 202, published: 30 * time.Second},
		"it gives up after a quarter of an hour":           {active: time.Hour, status: 202},
		"one that ends looks again before it answers":      {ends: true, active: 2 * time.Second, status: 200, after: 8 * time.Second, published: 8 * time.Second},
		"one that ends asks for the event again in time":   {ends: true, active: time.Hour, status: 503, after: 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.credentials = w.credentials[:1]
				began := time.Now()
				var published atomic.Int64
				w.outcome = func(c port.Credential, _ reconcile.Request) result.Outcome {
					if time.Since(began) < tc.active {
						return result.Outcome{Credential: c.Name, Result: result.InProgress, Reason: reason.StoreNotActive}
					}
					published.CompareAndSwap(0, int64(time.Since(began)))
					return result.Outcome{Credential: c.Name, Result: result.Published}
				}
				s := w.service(t, func(c *Config) { c.Ends = tc.ends })
				created := sample.ProjectCreated("account", project, "team-new", now)
				a := post(s, "/", created, withToken(testToken)...)
				if took := time.Since(began); a.Code != tc.status || took > tc.after {
					t.Errorf("answered %d after %s, want %d within %s", a.Code, took, tc.status, tc.after)
				}
				if (a.Code == 503) != (a.Header().Get("Retry-After") != "") {
					t.Errorf("Retry-After is %q", a.Header().Get("Retry-After"))
				}
				if a := post(s, "/", created, withToken(testToken)...); tc.status == 202 && a.Code != 202 {
					t.Errorf("a second event is answered %d", a.Code)
				}
				time.Sleep(20 * time.Minute)
				synctest.Wait()
				if at := time.Duration(published.Load()); (at == 0) != (tc.published == 0) || at > tc.published {
					t.Errorf("published after %s, want at most %s", at, tc.published)
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				if n := len(w.asks["logs-sender/a"]); n > 130 {
					t.Errorf("%d looks: two events looked twice", n)
				}
			})
		})
	}
}
