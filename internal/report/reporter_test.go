package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// drain is a sink that a test plays. Without an answer it takes everything.
type drain struct {
	name   string
	answer func(try int, e Event) error
	hold   chan struct{} // if set, Send waits for it, or for its own end

	mu    sync.Mutex
	tried []time.Time
	took  []Event
}

var _ Sink = (*drain)(nil)

func (d *drain) Name() string { return d.name }

func (d *drain) Send(ctx context.Context, e Event) error {
	if d.hold != nil {
		select {
		case <-d.hold:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrAgain, ctx.Err())
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tried = append(d.tried, time.Now())
	if d.answer != nil {
		if err := d.answer(len(d.tried), e); err != nil {
			return err
		}
	}
	d.took = append(d.took, e)
	return nil
}

// kinds are what it took, as "type subject".
func (d *drain) kinds() (kinds []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.took {
		kinds = append(kinds, e.Type[len(TypePrefix):]+" "+e.Subject)
	}
	return kinds
}

func blockedBy(credential string, why rotation.Reason) reconcile.Outcome {
	return reconcile.Outcome{Credential: credential, Result: reconcile.ResultBlocked, Reason: why}
}

func TestOnlyNewsIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &drain{name: "sink"}
		r := New(Config{Owner: "p", Sinks: []Sink{sink}})
		unchanged := reconcile.Outcome{Credential: "a", Result: reconcile.ResultUnchanged}
		steps := []reconcile.StepOutcome{step(rotation.Retire, rotation.Replaced)}
		begun := reconcile.Outcome{Credential: "b", Result: reconcile.ResultFailed, Steps: steps}
		for _, o := range []reconcile.Outcome{
			unchanged,
			{Credential: "b", Result: reconcile.ResultInProgress},
			{Credential: "b", Result: reconcile.ResultFailed, Error: "IAM is down"},
			{Result: reconcile.ResultInProgress, Message: "of no credential"},
			blockedBy("a", rotation.KeyCap),
			blockedBy("a", rotation.KeyCap),                               // the next sweep
			{Credential: "a", Result: reconcile.ResultFailed, Error: "x"}, // learned nothing
			blockedBy("a", rotation.KeyCap),
			blockedBy("a", rotation.StoreDenied),
			unchanged, // a person has mended it
			blockedBy("a", rotation.StoreDenied),
			{Credential: "b", Result: reconcile.ResultUnchanged, Notes: []reconcile.NoteOutcome{note(rotation.Expiring)}},
			begun,
		} {
			r.Report(o)
		}
		r.Close(t.Context())
		want := []string{"blocked a", "blocked a", "blocked a", "expiring b", "failed b"}
		if got := sink.kinds(); !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	})
}

func TestASinkIsTriedAFewTimesAndThenGivenUp(t *testing.T) {
	again := func(int, Event) error { return fmt.Errorf("%w: status 503", ErrAgain) }
	for name, tc := range map[string]struct {
		answer func(int, Event) error
		waits  []time.Duration
		lost   int
	}{
		"a refusal is final":                 {func(int, Event) error { return errors.New("status 400") }, []time.Duration{}, 1},
		"a sink that is down is tried 5×":    {again, []time.Duration{1e9, 2e9, 4e9, 8e9}, 1},
		"one that comes back gets the event": {func(try int, e Event) error { return map[bool]error{true: again(try, e)}[try < 3] }, []time.Duration{1e9, 2e9}, 0},
		"what it asks for is kept to": {func(try int, _ Event) error {
			return map[bool]error{true: fmt.Errorf("sending: %w", &pause{after: 7 * time.Second, err: ErrAgain})}[try < 2]
		}, []time.Duration{7e9}, 0},
		"but not for ever": {func(try int, _ Event) error {
			return map[bool]error{true: fmt.Errorf("sending: %w", &pause{after: time.Hour, err: ErrAgain})}[try < 2]
		}, []time.Duration{longest}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &drain{name: "sink", answer: tc.answer}
				r := New(Config{Owner: "p", Sinks: []Sink{sink}})
				r.Report(blockedBy("a", rotation.KeyCap))
				r.Close(t.Context())
				waits := []time.Duration{}
				for i := 1; i < len(sink.tried); i++ {
					waits = append(waits, sink.tried[i].Sub(sink.tried[i-1]))
				}
				if !slices.Equal(waits, tc.waits) || r.Dropped()["sink"] != tc.lost || len(sink.took) != 1-tc.lost {
					t.Errorf("waited %v, lost %v, delivered %d", waits, r.Dropped(), len(sink.took))
				}
			})
		})
	}
}

func TestASinkThatHangsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, quick := &drain{name: "stuck", hold: make(chan struct{})}, &drain{name: "quick"}
		r := New(Config{Owner: "p", Sinks: []Sink{stuck, quick}})
		start := time.Now()
		const many = queueLength + 100
		for i := range many {
			r.Report(blockedBy(fmt.Sprintf("c-%d", i), rotation.KeyCap))
			if i%100 == 0 {
				synctest.Wait() // the quick one keeps up
			}
		}
		if !time.Now().Equal(start) {
			t.Error("reporting took time")
		}
		synctest.Wait()
		if n := len(quick.kinds()); n != many {
			t.Errorf("the other sink got %d of %d", n, many)
		}
		if lost := r.Dropped(); lost["stuck"] != 100 || lost["quick"] != 0 {
			t.Errorf("lost %v", lost)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		r.Flush(ctx)
		if len(stuck.kinds()) != 0 || r.Dropped()["stuck"] != 100 {
			t.Error("a flush gave up what may still be delivered")
		}
		r.Close(ctx)
		if took := time.Since(start); took != 3*time.Second || r.Dropped()["stuck"] != many {
			t.Errorf("closed after %s with %v", took, r.Dropped())
		}
		r.Report(blockedBy("late", rotation.KeyCap))
		if r.Dropped()["stuck"] != many+1 || r.Dropped()["quick"] != 1 {
			t.Errorf("what comes late is not counted: %v", r.Dropped())
		}
	})
}

func TestNothingIsLostOrDoubledWhenManyReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flaky := &drain{name: "flaky", answer: func(try int, _ Event) error {
			return map[bool]error{true: ErrAgain}[try%3 == 0]
		}}
		r := New(Config{Owner: "p", Sinks: []Sink{flaky}})
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for j := range 50 {
					r.Report(blockedBy(fmt.Sprintf("c-%d", j), rotation.KeyCap))
				}
			})
		}
		all.Wait()
		r.Close(t.Context())
		got := flaky.kinds()
		slices.Sort(got)
		if n := len(got); n != 50 || len(slices.Compact(got)) != 50 || r.lost() != 0 {
			t.Errorf("%d delivered, %v lost", n, r.Dropped())
		}
	})
}

func TestWithoutSinksNothingHappens(t *testing.T) {
	var none *Reporter
	for _, r := range []*Reporter{none, New(Config{Owner: "p"})} {
		r.Report(blockedBy("a", rotation.KeyCap))
		r.Flush(t.Context())
		r.Close(t.Context())
		if n := len(r.Dropped()); n != 0 {
			t.Errorf("%d sinks", n)
		}
	}
}
