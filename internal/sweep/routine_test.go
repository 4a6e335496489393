package sweep

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// aged replaces the key of a credential whenever it may.
type aged struct {
	mu       sync.Mutex
	replaced map[string]int
}

func (a *aged) Reconcile(_ context.Context, c port.Credential, req reconcile.Request) (result.Outcome, error) {
	may := req.Routine == nil || req.Routine()
	if again := req.Routine == nil || req.Routine(); may && again { // each round of a run asks
		a.mu.Lock()
		defer a.mu.Unlock()
		a.replaced[c.Name]++
	}
	return result.Outcome{Credential: c.Name}, nil
}

func TestAnIntervalOfSweepsBeginsWithSoManyOldKeys(t *testing.T) {
	const day = 24 * time.Hour
	all := named(many(100)...)
	for i := range all {
		all[i].Rules.After = 60 * day
	}
	demand := reconcile.Request{Trigger: protocol.Trigger{NewerThan: time.Unix(1, 0)}}
	for name, tc := range map[string]struct {
		every  time.Duration
		sweeps []time.Duration // after the first
		req    reconcile.Request
		want   int
	}{
		"one sweep begins with 32":                 {every: time.Hour, want: 32},
		"another one in the interval with no more": {every: time.Hour, sweeps: []time.Duration{30 * time.Minute}, want: 32},
		"the next interval with as many":           {every: time.Hour, sweeps: []time.Duration{time.Hour}, want: 64},
		"four intervals with all":                  {every: time.Hour, sweeps: []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour}, want: 100},
		"a demand is for all":                      {every: time.Hour, req: demand, want: 100},
		"without an interval nothing is left":      {want: 100},
		"a long interval begins with its share":    {every: 48 * time.Hour, want: 34},
	} {
		t.Run(name, func(t *testing.T) {
			a := &aged{replaced: map[string]int{}}
			now := time.Unix(1e9, 0)
			s := New(Config{Reconciler: a, Now: func() time.Time { return now }, Every: tc.every})
			for _, at := range append([]time.Duration{0}, tc.sweeps...) {
				now = time.Unix(1e9, 0).Add(at)
				var left []port.Credential
				for _, c := range all {
					if a.replaced[c.Name] == 0 {
						left = append(left, c)
					}
				}
				s.Sweep(t.Context(), left, tc.req)
			}
			if len(a.replaced) != tc.want {
				t.Errorf("%d keys were replaced, want %d", len(a.replaced), tc.want)
			}
			for name, n := range a.replaced {
				if n > 1 {
					t.Errorf("%s was replaced %d times", name, n)
				}
			}
		})
	}
}
