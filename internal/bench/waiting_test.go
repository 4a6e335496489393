//go:build bench

package bench

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/sweep"
)

// waitingRows are in virtual time: they count calls that wait for each other. The
// reference is that many latencies.
func waitingRows() []row {
	return []row{
		{"warm rotation / 5 latencies", func(t *testing.T) (float64, string) {
			return against(t, 5, 1, func(t *testing.T, _ *world, p process) {
				demand(t, p.sweeper, p.all[:1])
			})
		}, 1.05, false},
		{"cold rotation / 7 latencies", func(t *testing.T) (float64, string) { // 5, the login, the service ID
			return against(t, 7, 1, func(t *testing.T, w *world, _ process) {
				cold := w.start(t, 1, 0)
				demand(t, cold.sweeper, cold.all)
			})
		}, 1.08, false},
		{"nothing due, one event / 1 latency", func(t *testing.T) (float64, string) {
			return against(t, 1, 1, func(t *testing.T, _ *world, p process) {
				p.sweeper.Sweep(t.Context(), p.all[:1], reconcile.Request{})
			})
		}, 1.08, false},
		{"32 rotations at once / one", thirtyTwo, 1.25, false},
		{"sweep of 2,000, nothing due / its 64 pages", func(t *testing.T) (float64, string) {
			took, _ := nothingDue(t)
			return took / 64, fmt.Sprintf("%.2f (%.4g latencies / 64)", took/64, took)
		}, 1.3, false},
		{"sweep of 2,000, nothing due, calls", func(t *testing.T) (float64, string) {
			_, calls := nothingDue(t)
			return calls, fmt.Sprintf("%.0f calls", calls)
		}, 100, false},
	}
}

func demand(t *testing.T, s *sweep.Sweeper, all []reconcile.Credential) {
	t.Helper()
	for _, out := range s.Sweep(t.Context(), all, reconcile.Request{Trigger: rotation.Trigger{NewerThan: time.Now()}}).Outcomes {
		if out.Result != reconcile.ResultPublished {
			t.Errorf("%s: %s %s %s", out.Credential, out.Result, out.Reason, out.Error)
		}
	}
}

// against provisions n credentials, those of rotations in Code Engine, and then measures do in latencies.
func against(t *testing.T, latencies float64, n int, do func(*testing.T, *world, process)) (float64, string) {
	t.Helper()
	w := newWorld(t)
	w.guarded = n == 1
	var took float64
	synctest.Test(t, func(t *testing.T) {
		p := w.start(t, n, 0)
		p.sweeper.Sweep(t.Context(), p.all, reconcile.Request{})
		time.Sleep(11 * time.Minute) // the youngest key that a demand replaces is 10 minutes old
		start := time.Now()
		do(t, w, p)
		took = float64(time.Since(start)) / float64(latency)
	})
	return took / latencies, fmt.Sprintf("%.2f (%.4g latencies / %.4g)", took/latencies, took, latencies)
}

var swept struct{ took, calls float64 }

// nothingDue measures a sweep of 2,000 credentials once, in latencies and calls.
// Its lists have 64 pages of 100: service IDs, keys, policies and secrets.
func nothingDue(t *testing.T) (took, calls float64) {
	t.Helper()
	if swept.calls == 0 {
		swept.took, _ = against(t, 1, 2000, func(t *testing.T, w *world, p process) {
			before := w.answered.Load()
			p.sweeper.Sweep(t.Context(), p.all, reconcile.Request{})
			swept.calls = float64(w.answered.Load() - before)
		})
	}
	return swept.took, swept.calls
}

// thirtyTwo compares keys that are due by their age.
func thirtyTwo(t *testing.T) (float64, string) {
	w := newWorld(t)
	var one, all time.Duration
	synctest.Test(t, func(t *testing.T) {
		p := w.start(t, 33, 0)
		p.sweeper.Sweep(t.Context(), p.all, reconcile.Request{})
		time.Sleep(53 * day)
		for range 3 {
			p.sweeper.Sweep(t.Context(), p.all, reconcile.Request{}) // so the process knows how much the hosts bear
		}
		time.Sleep(8 * day)
		_, _ = p.iam.Account(t.Context()) // so the login is not a part of the first one
		start := time.Now()
		p.sweeper.Sweep(t.Context(), p.all[:1], reconcile.Request{})
		one = time.Since(start)
		start = time.Now()
		p.sweeper.Sweep(t.Context(), p.all[1:], reconcile.Request{})
		all = time.Since(start)
	})
	return ratio(all.Seconds(), one.Seconds(), "s")
}
