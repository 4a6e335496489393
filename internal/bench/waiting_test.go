//go:build bench

package bench

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/sweep"
)

// waitingRows are in virtual time: they count calls that wait for each other. The
// reference is that many latencies.
func waitingRows() []row {
	return []row{
		{"warm rotation, until the store has the key / 5 latencies", func(t *testing.T) (float64, string) {
			return againstPublication(t, 5, func(t *testing.T, _ *world, p process) { demand(t, p.sweeper, p.all[:1]) })
		}, 1.05, false},
		{"warm rotation, until the answer / 7 latencies", func(t *testing.T) (float64, string) {
			return against(t, 7, 1, func(t *testing.T, _ *world, p process) { demand(t, p.sweeper, p.all[:1]) })
		}, 1.05, false},
		{"cold rotation, until the store has the key / 7 latencies", func(t *testing.T) (float64, string) { // 5, the login, the service ID
			return againstPublication(t, 7, func(t *testing.T, w *world, _ process) {
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
		{"sweep of 2,000 in files, nothing due / its 60 pages", func(t *testing.T) (float64, string) {
			took, _ := nothingDue(t)
			return took / 60, fmt.Sprintf("%.2f (%.4g latencies / 60)", took/60, took)
		}, 1.3, false},
		{"sweep of 2,000 in files, nothing due, calls", func(t *testing.T) (float64, string) {
			_, calls := nothingDue(t)
			return calls, fmt.Sprintf("%.0f calls", calls)
		}, 100, false},
		{"sweep of 2,000 in Secrets Manager, nothing due, calls", func(t *testing.T) (calls float64, words string) {
			measure(t, inSecretsManager, 2000, func(t *testing.T, w *world, p process) {
				before := w.answered.Load()
				p.sweeper.Sweep(t.Context(), p.all, reconcile.Request{})
				calls = float64(w.answered.Load() - before)
			})
			return calls, fmt.Sprintf("%.0f calls", calls)
		}, 102, false},
		{"lists of 100,000 in 50 groups / pages, 50 at once", func(t *testing.T) (float64, string) {
			r := grouped(t)
			return r.took / r.pages, fmt.Sprintf("%.2f (%.4g latencies / %.4g, %d calls)", r.took/r.pages, r.took, r.pages, r.calls)
		}, 1.15, false},
		{"lists of 100,000 in 50 groups: memory, MiB", func(t *testing.T) (float64, string) {
			r := grouped(t)
			return r.mib, fmt.Sprintf("%.1f MiB, %.0f bytes for each service ID with a key", r.mib, r.mib*(1<<20)/r.all)
		}, 19.1, false}, // 200 bytes each
	}
}

func demand(t *testing.T, s *sweep.Sweeper, all []port.Credential) {
	t.Helper()
	for _, out := range s.Sweep(t.Context(), all, reconcile.Request{Trigger: protocol.Trigger{NewerThan: time.Now()}}).Outcomes {
		if out.Result != result.Published {
			t.Errorf("%s: %s %s %s", out.Credential, out.Result, out.Reason, out.Error)
		}
	}
}

// against provisions n credentials in Code Engine and then measures do in
// latencies. The process has looked at them since, as it does in each sweep.
func against(t *testing.T, latencies float64, n int, do func(*testing.T, *world, process)) (float64, string) {
	t.Helper()
	var calls int64
	took, _ := measure(t, inCodeEngine, n, func(t *testing.T, w *world, p process) {
		before := w.answered.Load()
		do(t, w, p)
		calls = w.answered.Load() - before
	})
	return took / latencies, fmt.Sprintf("%.2f (%.4g latencies / %.4g, %d calls)", took/latencies, took, latencies, calls)
}

// againstPublication is against for one credential, until its store has the new key.
func againstPublication(t *testing.T, latencies float64, do func(*testing.T, *world, process)) (float64, string) {
	t.Helper()
	_, took := measure(t, inCodeEngine, 1, do)
	return took / latencies, fmt.Sprintf("%.2f (%.4g latencies / %.4g)", took/latencies, took, latencies)
}

// measure returns how long do took, and how long until a store took a key, in latencies.
func measure(t *testing.T, store kind, n int, do func(*testing.T, *world, process)) (all, published float64) {
	t.Helper()
	w := newWorld(t)
	w.store = store
	synctest.Test(t, func(t *testing.T) {
		p := w.start(t, n, 0)
		p.sweeper.Sweep(t.Context(), p.all, reconcile.Request{})
		time.Sleep(11 * time.Minute) // the youngest key that a demand replaces is 10 minutes old
		p.sweeper.Sweep(t.Context(), p.all, reconcile.Request{})
		start := time.Now()
		do(t, w, p)
		all = float64(time.Since(start)) / float64(latency)
		published = float64(time.Unix(0, w.published.Load()).Sub(start)) / float64(latency)
	})
	return all, published
}

var swept struct{ took, calls float64 }

// nothingDue measures a sweep of 2,000 credentials once, in latencies and calls.
// Its lists have 60 pages of 100: service IDs, keys and policies.
func nothingDue(t *testing.T) (took, calls float64) {
	t.Helper()
	if swept.calls == 0 {
		swept.took, _ = measure(t, inFile, 2000, func(t *testing.T, w *world, p process) {
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

// listedGroups is what grouped measured: latencies, those of the pages that wait for each
// other, calls, and the memory of the process's parts that hold the lists.
type listedGroups struct {
	took, pages, mib, all float64
	calls                 int64
}

var ofGroups listedGroups

// grouped reads the lists of given service IDs once, each with a key. The process has seen one
// of each group, and knows how much the host bears.
func grouped(t *testing.T) listedGroups {
	t.Helper()
	if ofGroups.calls > 0 {
		return ofGroups
	}
	const groups, perGroup = 50, 2000
	w := newWorld(t)
	c := w.cloud.Cloud()
	var all []port.Credential
	for g := range groups {
		group, err := c.CreateServiceIDGroup(cloud.Owner(), cloud.AccountID, fmt.Sprintf("g%d", g), "")
		if err != nil {
			t.Fatal(err)
		}
		for i := range perGroup {
			id := c.AddServiceID(cloud.NewServiceID{AccountID: cloud.AccountID, Name: fmt.Sprintf("s%d", i), GroupID: group.ID})
			c.AddAPIKey(cloud.NewAPIKey{IAMID: id.IAMID, AccountID: cloud.AccountID, Name: "k"})
			all = append(all, port.Credential{Name: id.ID, Given: id.ID})
		}
	}
	var took time.Duration
	var calls int64
	var with, without uint64
	synctest.Test(t, func(t *testing.T) {
		p := w.start(t, 0, 0)
		var seen errgroup.Group
		for i := range 12 * groups {
			seen.Go(func() error {
				_, err := p.iam.Lookup(t.Context(), "iam-"+all[i%groups*perGroup].Given)
				return err
			})
		}
		if err := seen.Wait(); err != nil {
			t.Error(err)
		}
		start, sent := time.Now(), w.answered.Load()
		if err := p.lists.Read(t.Context(), all); err != nil {
			t.Error(err)
		}
		took, calls = time.Since(start), w.answered.Load()-sent
		with = heap()
		p = process{}
		without = heap()
	})
	ofGroups = listedGroups{
		took: float64(took) / float64(latency), pages: 2. * groups * perGroup / 100 / groups, mib: float64(with-without) / (1 << 20), all: groups * perGroup, calls: calls,
	}
	return ofGroups
}

// heap returns the bytes in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // the first one leaves what pools hold
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
