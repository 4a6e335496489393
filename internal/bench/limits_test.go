//go:build bench

package bench

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

const day = 24 * time.Hour

// limitRows are in virtual time, so the time is that of waiting for answers and
// for turns, without that of computing.
func limitRows() []row {
	return []row{
		{"sweep of 2,000 without lists, R = 50/s, 1 % due: use of R", func(t *testing.T) (float64, string) {
			r := onePercent(t)
			return r.used, fmt.Sprintf("%.3f, %d of %d due done", r.used, r.done, r.due)
		}, 0.95, true},
		{"sweep of 2,000 without lists, R = 50/s, 1 % due: refused", func(t *testing.T) (float64, string) {
			r := onePercent(t)
			return r.refused, fmt.Sprintf("%.5f of the calls", r.refused)
		}, 0.001, false},
		{"1,000 due at once, R = 10/s: use of R", func(t *testing.T) (float64, string) {
			r := underLimit(t, 1000, 1000, 10)
			return r.used, fmt.Sprintf("%.3f, %d of %d due done in one sweep", r.used, r.done, r.due)
		}, 0.9, true},
		{"N = 100, R = 20/s, rotated by day 90", hundred, 100, true},
		{"N = 40, R = 10/s, alive from day 53 to 120", forty, 40, true},
	}
}

// keys returns the published key of each credential.
func keys(r result.Sweep) map[string]string {
	all := map[string]string{}
	for _, out := range r.Outcomes {
		all[out.Credential] = out.Key
	}
	return all
}

var measured *limited

// onePercent measures a sweep once.
func onePercent(t *testing.T) limited {
	t.Helper()
	if measured == nil {
		r := underLimit(t, 2000, 20, 50)
		measured = &r
	}
	return *measured
}

type limited struct {
	used, refused float64
	done, due     int
}

// underLimit sweeps n credentials at a rate, some of which are due.
func underLimit(t *testing.T, n, due, perSecond int) (r limited) {
	t.Helper()
	w := newWorld(t)
	w.alone = true // the rate is the limit only if each credential is looked at
	synctest.Test(t, func(t *testing.T) {
		p := w.start(t, n, 0)
		before := keys(p.sweeper.Sweep(t.Context(), p.all[:due], reconcile.Request{}))
		time.Sleep(8 * day)
		maps.Copy(before, keys(p.sweeper.Sweep(t.Context(), p.all[due:], reconcile.Request{})))
		time.Sleep(52*day + 12*time.Hour) // the first are 60.5 days old, and the others 52.5
		w.limit(perSecond)
		p = w.start(t, n, 0)
		calls, refused, start := w.answered.Load(), w.refused.Load(), time.Now()
		for _, out := range p.sweeper.Sweep(t.Context(), p.all, reconcile.Request{}).Outcomes {
			if before[out.Credential] != out.Key {
				r.done++
			}
		}
		calls, refused = w.answered.Load()-calls, w.refused.Load()-refused
		// The host has saved up one second's calls at first.
		r.used = float64(calls-refused) / (float64(perSecond) * (time.Since(start).Seconds() + 1))
		r.refused, r.due = float64(refused)/float64(calls), due
		t.Logf("%d calls, %d refused, in %s", calls, refused, time.Since(start))
		w.limit(0)
	})
	return r
}

// forty lets each sweep be a process of its own, such as a job.
func forty(t *testing.T) (float64, string) {
	const n = 40
	w := newWorld(t)
	fewest, sweeps := n, 0
	synctest.Test(t, func(t *testing.T) {
		p := w.start(t, n, 0)
		p.sweeper.Sweep(t.Context(), p.all, reconcile.Request{})
		start := time.Now()
		time.Sleep(53 * day)
		w.limit(10)
		expires := map[string]time.Time{}
		for ; time.Since(start) < 120*day; sweeps++ {
			p := w.start(t, n, 6*time.Hour)
			for _, out := range p.sweeper.Sweep(t.Context(), p.all, reconcile.Request{}).Outcomes {
				if out.Key != "" {
					expires[out.Credential] = out.KeyExpires
				}
			}
			alive := 0
			for _, at := range expires {
				if time.Now().Before(at) {
					alive++
				}
			}
			fewest = min(fewest, alive)
			time.Sleep(6 * time.Hour)
		}
		w.limit(0)
		fewest = min(fewest, w.start(t, n, 0).alive(t))
	})
	return float64(fewest), fmt.Sprintf("%d of %d in each of %d sweeps", fewest, n, sweeps)
}

func hundred(t *testing.T) (float64, string) {
	const n = 100
	w := newWorld(t)
	rotated := map[string]bool{}
	sweeps := 0
	synctest.Test(t, func(t *testing.T) {
		p := w.start(t, n, 0)
		before := keys(p.sweeper.Sweep(t.Context(), p.all, reconcile.Request{}))
		start := time.Now()
		time.Sleep(60 * day)
		w.limit(20)
		for ; time.Since(start) < 90*day && len(rotated) < n; sweeps++ {
			p := w.start(t, n, 6*time.Hour)
			for _, out := range p.sweeper.Sweep(t.Context(), p.all, reconcile.Request{}).Outcomes {
				if out.Key != "" && before[out.Credential] != out.Key {
					rotated[out.Credential] = true
				}
			}
			time.Sleep(6 * time.Hour)
		}
		w.limit(0)
	})
	return float64(len(rotated)), fmt.Sprintf("%d of %d after %d sweeps", len(rotated), n, sweeps)
}

func (w *world) limit(perSecond int) {
	s := w.cloud.Settings()
	s.RateLimit, s.RateBurst = perSecond, perSecond
	w.cloud.Set(s)
}

// alive returns how many stores hold a value that gives a token.
func (p process) alive(t *testing.T) (n int) {
	t.Helper()
	for _, c := range p.all {
		e, err := c.Stores[0].Read(t.Context())
		if err != nil {
			t.Errorf("reading %s: %v", c.Name, err)
			continue
		}
		switch _, err := p.iam.Exchange(t.Context(), e.Value); {
		case err == nil:
			n++
		case !errors.Is(err, port.ErrNotYet):
			t.Errorf("exchanging %s: %v", c.Name, err)
		}
	}
	return n
}
