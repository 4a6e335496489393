package outcome

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/result"
)

// Sink receives events.
type Sink interface {
	// Name identifies the sink in logs. It holds no secret.
	Name() string
	// Deliver makes one attempt to deliver an event. An error that wraps
	// ErrAgain may be retried; any other is final.
	Deliver(ctx context.Context, e Event) error
}

// ErrAgain reports a delivery that failed or whose result is unknown. A retry
// with the same ID may succeed.
var ErrAgain = errors.New("a retry may succeed")

// pause is an ErrAgain with the wait that the sink asked for.
type pause struct {
	after time.Duration
	err   error
}

func (p *pause) Error() string { return p.err.Error() }
func (p *pause) Unwrap() error { return p.err }

// The limits for one sink.
const (
	queueLength = 1024 // waiting events
	tries       = 5
	firstPause  = time.Second
	longest     = 30 * time.Second // pause, even if the sink asks for more
	oneTry      = 10 * time.Second
)

// Config configures a Sender.
type Config struct {
	// Owner identifies the installation. It is part of every event's source.
	Owner string
	Sinks []Sink
	// Now returns the time of an event. If nil, time.Now is used.
	Now func() time.Time
	// Log receives lost and delivered events. If nil, nothing is logged.
	Log *slog.Logger
}

// Sender sends outcomes to sinks. It is safe for concurrent use. A nil Sender
// sends nothing.
type Sender struct {
	cfg  Config
	work context.Context //nolint:containedctx // bounds deliveries that outlive the call of Send
	stop context.CancelFunc

	mu     sync.Mutex        // guards the fields below and the queues
	sent   map[string]string // the last state sent, by credential
	queues []*queue
	idle   chan struct{} // closed when every queue is empty; nil while they are
}

// queue holds the events of one sink. It has a goroutine while it is not empty.
type queue struct {
	sink    Sink
	waiting []Event // the first one is being delivered
	running bool
	sent    int
	dropped int
	logged  time.Time // when a lost event was last logged
}

// New returns a Sender. It sends nothing yet.
func New(cfg Config) *Sender {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sender{cfg: cfg, sent: map[string]string{}}
	s.work, s.stop = context.WithCancel(context.Background())
	for _, sink := range cfg.Sinks {
		s.queues = append(s.queues, &queue{sink: sink})
	}
	return s
}

// Send queues the outcomes that say something new, and returns at once.
func (s *Sender) Send(outcomes ...result.Outcome) {
	if s == nil || len(s.queues) == 0 {
		return
	}
	at := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range outcomes {
		if !news(o, at) {
			// Only a run that finds nothing to do ends a lasting state.
			if o.Result == result.Unchanged {
				delete(s.sent, o.Credential)
			}
			continue
		}
		now := state(o, at)
		if s.sent[o.Credential] == now {
			continue
		}
		s.sent[o.Credential] = now
		e := newEvent("/latchkey/"+s.cfg.Owner, o, at)
		for _, q := range s.queues {
			s.enqueue(q, e)
		}
	}
}

func (s *Sender) enqueue(q *queue, e Event) {
	if len(q.waiting) >= queueLength || s.work.Err() != nil {
		s.drop(q, e, errFull)
		return
	}
	q.waiting = append(q.waiting, e)
	if q.running {
		return
	}
	q.running = true
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	go s.run(q)
}

var (
	errFull = errors.New("the sink's queue is full")
	errLate = errors.New("the process is closing")
)

// drop counts a lost event. It logs the first at once, and then at most one a
// minute.
func (s *Sender) drop(q *queue, e Event, why error) {
	q.dropped++
	if now := time.Now(); q.logged.IsZero() || now.Sub(q.logged) >= time.Minute {
		q.logged = now
		s.cfg.Log.Warn("an outcome was not delivered", "sink", q.sink.Name(), "event", e.ID, "type", e.Type,
			"credential", e.Subject, "error", why.Error(), "dropped", q.dropped)
	}
}

// Dropped returns the number of events that each sink lost, by its name.
func (s *Sender) Dropped() map[string]int {
	return s.counts(func(q *queue) int { return q.dropped })
}

// Sent returns the number of events that each sink took, by its name.
func (s *Sender) Sent() map[string]int { return s.counts(func(q *queue) int { return q.sent }) }

func (s *Sender) counts(of func(*queue) int) map[string]int {
	out := map[string]int{}
	if s == nil {
		return out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues {
		out[q.sink.Name()] += of(q)
	}
	return out
}

// run empties one queue.
func (s *Sender) run(q *queue) {
	for {
		s.mu.Lock()
		if len(q.waiting) == 0 {
			q.running = false
			s.rest()
			s.mu.Unlock()
			return
		}
		e := q.waiting[0]
		s.mu.Unlock()
		err := s.deliver(q.sink, e)
		s.mu.Lock()
		q.waiting = q.waiting[1:]
		if err != nil {
			s.drop(q, e, err)
		} else {
			q.sent++
		}
		s.mu.Unlock()
	}
}

// rest wakes the waiting Flush calls if every queue is empty.
func (s *Sender) rest() {
	for _, q := range s.queues {
		if q.running {
			return
		}
	}
	close(s.idle)
	s.idle = nil
}

// deliver delivers an event, in several tries if need be.
func (s *Sender) deliver(sink Sink, e Event) error {
	wait := firstPause
	if s.work.Err() != nil {
		return errLate
	}
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(s.work, oneTry)
		err := sink.Deliver(ctx, e)
		cancel()
		switch {
		case err == nil:
			s.cfg.Log.Debug("an outcome was delivered", "sink", sink.Name(), "event", e.ID, "type", e.Type, "credential", e.Subject)
			return nil
		case !errors.Is(err, ErrAgain):
			return err
		case s.work.Err() != nil:
			return fmt.Errorf("%w: %w", errLate, err)
		case try == tries:
			return fmt.Errorf("after %d tries: %w", tries, err)
		}
		length := wait
		if asked := (*pause)(nil); errors.As(err, &asked) {
			length = max(length, asked.after)
		}
		timer := time.NewTimer(min(length, longest))
		select {
		case <-timer.C:
		case <-s.work.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", errLate, err)
		}
		wait *= 2
	}
}

// Flush waits until every event is delivered or dropped, or ctx ends. Remaining
// events stay in the queues.
func (s *Sender) Flush(ctx context.Context) {
	if s == nil {
		return
	}
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// Close waits as Flush does. It then drops, counts and logs remaining events and
// every later one.
func (s *Sender) Close(ctx context.Context) {
	if s == nil {
		return
	}
	s.Flush(ctx)
	s.stop()
	s.Flush(context.WithoutCancel(ctx)) // each queue drops its events
	if n := s.lost(); n > 0 {
		s.cfg.Log.Warn("outcomes were not delivered", "dropped", n)
	}
}

// lost returns the number of events that all sinks lost.
func (s *Sender) lost() (n int) {
	for _, dropped := range s.Dropped() {
		n += dropped
	}
	return n
}
