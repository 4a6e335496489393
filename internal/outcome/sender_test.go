package outcome

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// fakeSink is a Sink played by a test. Without an answer it takes everything.
type fakeSink struct {
	name   string
	answer func(try int, e Event) error
	hold   chan struct{} // if set, Deliver waits for it or for the end of its context

	mu    sync.Mutex
	tried []time.Time
	took  []Event
}

var _ Sink = (*fakeSink)(nil)

func (d *fakeSink) Name() string { return d.name }

func (d *fakeSink) Deliver(ctx context.Context, e Event) error {
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

// kinds returns the delivered events as "type subject".
func (d *fakeSink) kinds() (kinds []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.took {
		kinds = append(kinds, e.Type[len(TypePrefix):]+" "+e.Subject)
	}
	return kinds
}

func blockedBy(credential string, why reason.Reason) result.Outcome {
	return result.Outcome{Credential: credential, Result: result.Blocked, Reason: why}
}

func TestOnlyNewsIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{name: "sink"}
		s := New(Config{Owner: "p", Sinks: []Sink{sink}})
		unchanged := result.Outcome{Credential: "a", Result: result.Unchanged}
		steps := []result.Step{step(protocol.Retire, reason.Replaced)}
		begun := result.Outcome{Credential: "b", Result: result.Failed, Steps: steps}
		for _, o := range []result.Outcome{
			unchanged,
			{Credential: "b", Result: result.InProgress},
			{Credential: "b", Result: result.Failed, Error: "IAM is down"},
			{Result: result.InProgress, Message: "of no credential"},
			blockedBy("a", reason.KeyCap),
			blockedBy("a", reason.KeyCap),                        // the next sweep
			{Credential: "a", Result: result.Failed, Error: "x"}, // a failed run keeps the state
			blockedBy("a", reason.KeyCap),
			blockedBy("a", reason.StoreDenied),
			unchanged, // the block is resolved
			blockedBy("a", reason.StoreDenied),
			{Credential: "b", Result: result.Unchanged, Notes: []result.Note{note(reason.Expiring)}},
			begun,
		} {
			s.Send(o)
		}
		s.Close(t.Context())
		want := []string{"blocked a", "blocked a", "blocked a", "expiring b", "failed b"}
		if got := sink.kinds(); !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	})
}

func TestAnEventIsTriedAFewTimesAndThenDropped(t *testing.T) {
	again := func(int, Event) error { return fmt.Errorf("%w: status 503", ErrAgain) }
	for name, tc := range map[string]struct {
		answer func(int, Event) error
		waits  []time.Duration
		lost   int
	}{
		"a rejection is final":               {func(int, Event) error { return errors.New("status 400") }, []time.Duration{}, 1},
		"a sink that is down is tried 5×":    {again, []time.Duration{1e9, 2e9, 4e9, 8e9}, 1},
		"one that comes back gets the event": {func(try int, e Event) error { return map[bool]error{true: again(try, e)}[try < 3] }, []time.Duration{1e9, 2e9}, 0},
		"the pause it asks for is kept": {func(try int, _ Event) error {
			return map[bool]error{true: fmt.Errorf("sending: %w", &pause{after: 7 * time.Second, err: ErrAgain})}[try < 2]
		}, []time.Duration{7e9}, 0},
		"but at most the longest pause": {func(try int, _ Event) error {
			return map[bool]error{true: fmt.Errorf("sending: %w", &pause{after: time.Hour, err: ErrAgain})}[try < 2]
		}, []time.Duration{longest}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &fakeSink{name: "sink", answer: tc.answer}
				s := New(Config{Owner: "p", Sinks: []Sink{sink}})
				s.Send(blockedBy("a", reason.KeyCap))
				s.Close(t.Context())
				waits := []time.Duration{}
				for i := 1; i < len(sink.tried); i++ {
					waits = append(waits, sink.tried[i].Sub(sink.tried[i-1]))
				}
				if !slices.Equal(waits, tc.waits) || s.Dropped()["sink"] != tc.lost || len(sink.took) != 1-tc.lost {
					t.Errorf("waited %v, lost %v, delivered %d", waits, s.Dropped(), len(sink.took))
				}
			})
		})
	}
}

func TestAHangingSinkDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, quick := &fakeSink{name: "stuck", hold: make(chan struct{})}, &fakeSink{name: "quick"}
		s := New(Config{Owner: "p", Sinks: []Sink{stuck, quick}})
		start := time.Now()
		const many = queueLength + 100
		for i := range many {
			s.Send(blockedBy(fmt.Sprintf("c-%d", i), reason.KeyCap))
			if i%100 == 0 {
				synctest.Wait() // the quick one keeps up
			}
		}
		if !time.Now().Equal(start) {
			t.Error("sending took time")
		}
		synctest.Wait()
		if n := len(quick.kinds()); n != many {
			t.Errorf("the other sink got %d of %d", n, many)
		}
		if lost := s.Dropped(); lost["stuck"] != 100 || lost["quick"] != 0 {
			t.Errorf("lost %v", lost)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		s.Flush(ctx)
		if len(stuck.kinds()) != 0 || s.Dropped()["stuck"] != 100 {
			t.Error("a flush dropped events")
		}
		s.Close(ctx)
		if took := time.Since(start); took != 3*time.Second || s.Dropped()["stuck"] != many {
			t.Errorf("closed after %s with %v", took, s.Dropped())
		}
		s.Send(blockedBy("late", reason.KeyCap))
		if s.Dropped()["stuck"] != many+1 || s.Dropped()["quick"] != 1 {
			t.Errorf("later events are not counted: %v", s.Dropped())
		}
	})
}

func TestConcurrentSendsLoseAndDoubleNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flaky := &fakeSink{name: "flaky", answer: func(try int, _ Event) error {
			return map[bool]error{true: ErrAgain}[try%3 == 0]
		}}
		s := New(Config{Owner: "p", Sinks: []Sink{flaky}})
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for j := range 50 {
					s.Send(blockedBy(fmt.Sprintf("c-%d", j), reason.KeyCap))
				}
			})
		}
		all.Wait()
		s.Close(t.Context())
		got := flaky.kinds()
		slices.Sort(got)
		if n := len(got); n != 50 || len(slices.Compact(got)) != 50 || s.lost() != 0 {
			t.Errorf("%d delivered, %v lost", n, s.Dropped())
		}
	})
}

func TestWithoutSinksNothingHappens(t *testing.T) {
	var none *Sender
	for _, s := range []*Sender{none, New(Config{Owner: "p"})} {
		s.Send(blockedBy("a", reason.KeyCap))
		s.Flush(t.Context())
		s.Close(t.Context())
		if n := len(s.Dropped()); n != 0 {
			t.Errorf("%d sinks", n)
		}
	}
}
