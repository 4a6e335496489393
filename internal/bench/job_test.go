//go:build bench

package bench

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// jobRows are in virtual time, like waitingRows.
func jobRows() []row {
	return []row{
		{"job: task until delivered / a job that proves nothing", func(t *testing.T) (float64, string) {
			ours, theirs := delivered(t, (*world).job), delivered(t, (*world).bareJob)
			return ours / theirs, fmt.Sprintf("%.2f (%.4g latencies / %.4g)", ours/theirs, ours, theirs)
		}, 1, false},
		{"job array of 8, 2,000 credentials: largest / mean", func(t *testing.T) (float64, string) {
			w := newWorld(t)
			w.store = inFile
			p, largest := w.start(t, 2000, 0), 0
			for i := range shares {
				largest = max(largest, len(share(t, p.all, i)))
			}
			return ratio(float64(largest), 2000./shares, "credentials")
		}, 1.1, false},
		{"job array of 8, 240 due: calls / those of one job", arrayCalls, 1.1, false},
	}
}

const shares = 8

// share returns the credentials of one index of a job array.
func share(t *testing.T, all []port.Credential, index int) []port.Credential {
	t.Helper()
	cfg := catalog.Config{Marked: func(context.Context) ([]port.ServiceID, error) { return nil, nil }}
	for _, c := range all {
		cfg.Entries = append(cfg.Entries, catalog.Entry{
			Name: c.Name, Rules: func(string) protocol.Rules { return c.Rules }, Expand: func(catalog.Input) (port.Credential, error) { return c, nil },
		})
	}
	found, err := catalog.New(cfg).Credentials(t.Context(), catalog.Scope{Share: catalog.Share{Index: index, Size: shares}})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// arrayCalls rotates all keys with one job, and again with an array.
func arrayCalls(t *testing.T) (float64, string) {
	const n = 240
	w := newWorld(t)
	var one, many float64
	synctest.Test(t, func(t *testing.T) {
		w.store = inFile
		p := w.start(t, n, 0)
		sweep := func(p process, of []port.Credential) float64 {
			before := w.answered.Load()
			for _, out := range p.sweeper.Sweep(t.Context(), of, reconcile.Request{}).Outcomes {
				if out.Result != result.Published {
					t.Errorf("%s: %s %s", out.Credential, out.Result, out.Message)
				}
			}
			return float64(w.answered.Load() - before)
		}
		sweep(p, p.all)
		time.Sleep(66 * day)
		sweep(p, p.all) // from now on each rotation also deletes a key
		time.Sleep(66 * day)
		one = sweep(w.again(t, p), p.all)
		time.Sleep(66 * day)
		for i := range shares {
			many += sweep(w.again(t, p), share(t, p.all, i))
		}
	})
	return ratio(many, one, "calls")
}

// again is a new process with the credentials of an earlier one.
func (w *world) again(t *testing.T, earlier process) process {
	p := w.start(t, 0, 0)
	p.all = earlier.all
	return p
}
