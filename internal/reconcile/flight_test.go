package reconcile

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/result"
)

func TestOneRunAtATimePerCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		var running, most, runs atomic.Int32
		work := func() (result.Outcome, error) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second) // virtual
			running.Add(-1)
			runs.Add(1)
			return result.Outcome{}, nil
		}
		var g sync.WaitGroup
		for i := range 10 {
			g.Go(func() { _, _ = f.do(t.Context(), "a", string(rune('0'+i)), work) })
		}
		g.Wait()
		if most.Load() != 1 || runs.Load() != 10 {
			t.Errorf("%d at once, %d runs; want 1 and 10", most.Load(), runs.Load())
		}
		if len(f.names) != 0 {
			t.Errorf("%d lanes are left", len(f.names))
		}
	})
}

func TestCallsThatWaitWithTheSameDemandShareOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		var runs atomic.Int32
		work := func() (result.Outcome, error) {
			time.Sleep(time.Second) // virtual
			return result.Outcome{Key: string(rune('a' + runs.Add(1)))}, nil
		}
		var g sync.WaitGroup
		got := make([]result.Outcome, 20)
		for i := range got {
			g.Go(func() { got[i], _ = f.do(t.Context(), "a", "look", work) })
			synctest.Wait()
		}
		g.Wait()
		// The first runs alone: its observation may be older than what the
		// others tell of. They share the second.
		if runs.Load() != 2 {
			t.Errorf("%d runs, want 2", runs.Load())
		}
		for i, o := range got[1:] {
			if o.Key != got[1].Key || o.Key == got[0].Key {
				t.Errorf("call %d got %q", i+1, o.Key)
			}
		}
	})
}

func TestCredentialsDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		start := time.Now()
		var g sync.WaitGroup
		for _, name := range []string{"a", "b", "c"} {
			g.Go(func() {
				_, _ = f.do(t.Context(), name, "", func() (result.Outcome, error) {
					time.Sleep(time.Second) // virtual
					return result.Outcome{}, nil
				})
			})
		}
		g.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("three credentials took %s", took)
		}
	})
}

func TestACallerThatGivesUpDoesNotStopTheLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		work := func() (result.Outcome, error) {
			time.Sleep(time.Minute) // virtual
			return result.Outcome{Key: "k"}, nil
		}
		var g sync.WaitGroup
		g.Go(func() { _, _ = f.do(t.Context(), "a", "1", work) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.do(ctx, "a", "2", work); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		if out, err := f.do(t.Context(), "a", "3", work); err != nil || out.Key != "k" {
			t.Errorf("the next caller got %+v, %v", out, err)
		}
		g.Wait()
	})
}
