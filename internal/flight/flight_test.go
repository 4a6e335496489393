package flight

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneRunAtATimePerCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Flights[string]
		var running, most, runs atomic.Int32
		work := func() (string, error) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second) // virtual
			running.Add(-1)
			runs.Add(1)
			return "", nil
		}
		var g sync.WaitGroup
		for i := range 10 {
			g.Go(func() { _, _ = f.Do(t.Context(), "a", string(rune('0'+i)), work) })
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
		var f Flights[string]
		var runs atomic.Int32
		work := func() (string, error) {
			time.Sleep(time.Second) // virtual
			return string(rune('a' + runs.Add(1))), nil
		}
		var g sync.WaitGroup
		got := make([]string, 20)
		for i := range got {
			g.Go(func() { got[i], _ = f.Do(t.Context(), "a", "look", work) })
			synctest.Wait()
		}
		g.Wait()
		// The first runs alone: its observation may be older than what the
		// others tell of. They share the second.
		if runs.Load() != 2 {
			t.Errorf("%d runs, want 2", runs.Load())
		}
		for i, o := range got[1:] {
			if o != got[1] || o == got[0] {
				t.Errorf("call %d got %q", i+1, o)
			}
		}
	})
}

func TestCredentialsDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Flights[string]
		start := time.Now()
		var g sync.WaitGroup
		for _, name := range []string{"a", "b", "c"} {
			g.Go(func() {
				_, _ = f.Do(t.Context(), name, "", func() (string, error) {
					time.Sleep(time.Second) // virtual
					return "", nil
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
		var f Flights[string]
		work := func() (string, error) {
			time.Sleep(time.Minute) // virtual
			return "k", nil
		}
		var g sync.WaitGroup
		g.Go(func() { _, _ = f.Do(t.Context(), "a", "1", work) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.Do(ctx, "a", "2", work); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		if out, err := f.Do(t.Context(), "a", "3", work); err != nil || out != "k" {
			t.Errorf("the next caller got %+v, %v", out, err)
		}
		g.Wait()
	})
}
