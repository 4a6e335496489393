package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// Sink is where events go.
type Sink interface {
	// Name tells the sink from others in logs. It holds no secret.
	Name() string
	// Send delivers one event, once. An error that wraps ErrAgain is worth
	// another try; any other is final.
	Send(ctx context.Context, e Event) error
}

// ErrAgain says that the sink did not take the event, or that nobody knows; a
// repetition, with the same ID, may help.
var ErrAgain = errors.New("the sink may take it later")

// pause is an ErrAgain that says how long to wait.
type pause struct {
	after time.Duration
	err   error
}

func (p *pause) Error() string { return p.err.Error() }
func (p *pause) Unwrap() error { return p.err }

// The bounds of what one sink may cost.
const (
	queueLength = 1024 // events that wait
	tries       = 5
	firstPause  = time.Second
	longest     = 30 * time.Second // pause, also where the sink asks for a longer one
	oneTry      = 10 * time.Second
)

// Config of a Reporter.
type Config struct {
	// Owner is the installation: it stands in every event's source.
	Owner string
	Sinks []Sink
	// Now is the clock of the events' times; nil is time.Now.
	Now func() time.Time
	Log *slog.Logger // nil: nothing is logged
}

// Reporter sends outcomes. It is safe for concurrent use; a nil one sends
// nothing.
type Reporter struct {
	cfg  Config
	work context.Context //nolint:containedctx // the life of what is sent behind the callers' backs
	stop context.CancelFunc

	mu     sync.Mutex // guards what follows, and the queues
	said   map[string]string
	queues []*queue
	idle   chan struct{} // closed when every queue is empty; nil when they are
}

// queue is what waits for one sink. It has a goroutine while it is not empty.
type queue struct {
	sink    Sink
	waiting []Event // the first one is under way
	running bool
	dropped int
	told    time.Time
}

// New builds a reporter. Nothing is called yet.
func New(cfg Config) *Reporter {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Reporter{cfg: cfg, said: map[string]string{}}
	r.work, r.stop = context.WithCancel(context.Background())
	for _, s := range cfg.Sinks {
		r.queues = append(r.queues, &queue{sink: s})
	}
	return r
}

// Report puts what is new about some credentials into the queues. It returns at
// once.
func (r *Reporter) Report(outcomes ...reconcile.Outcome) {
	if r == nil || len(r.queues) == 0 {
		return
	}
	at := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range outcomes {
		if !news(o) {
			// A look that learned nothing says nothing of what was before.
			if o.Result == reconcile.ResultUnchanged {
				delete(r.said, o.Credential)
			}
			continue
		}
		now := state(o)
		if r.said[o.Credential] == now {
			continue
		}
		r.said[o.Credential] = now
		e := event("/latchkey/"+r.cfg.Owner, o, at)
		for _, q := range r.queues {
			r.enqueue(q, e)
		}
	}
}

func (r *Reporter) enqueue(q *queue, e Event) {
	if len(q.waiting) >= queueLength || r.work.Err() != nil {
		r.drop(q, e, errFull)
		return
	}
	q.waiting = append(q.waiting, e)
	if q.running {
		return
	}
	q.running = true
	if r.idle == nil {
		r.idle = make(chan struct{})
	}
	go r.send(q)
}

var (
	errFull = errors.New("too many events wait for this sink")
	errLate = errors.New("the time was up")
)

// drop counts an event that is lost, and tells of it: of the first at once, of
// more once a minute.
func (r *Reporter) drop(q *queue, e Event, why error) {
	q.dropped++
	if now := time.Now(); q.told.IsZero() || now.Sub(q.told) >= time.Minute {
		q.told = now
		r.cfg.Log.Warn("an outcome was not delivered", "sink", q.sink.Name(), "event", e.ID, "type", e.Type,
			"credential", e.Subject, "error", why.Error(), "dropped", q.dropped)
	}
}

// Dropped is how many events each sink lost, by its name.
func (r *Reporter) Dropped() map[string]int {
	out := map[string]int{}
	if r == nil {
		return out
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.queues {
		out[q.sink.Name()] += q.dropped
	}
	return out
}

// send empties one queue.
func (r *Reporter) send(q *queue) {
	for {
		r.mu.Lock()
		if len(q.waiting) == 0 {
			q.running = false
			r.rest()
			r.mu.Unlock()
			return
		}
		e := q.waiting[0]
		r.mu.Unlock()
		err := r.deliver(q.sink, e)
		r.mu.Lock()
		q.waiting = q.waiting[1:]
		if err != nil {
			r.drop(q, e, err)
		}
		r.mu.Unlock()
	}
}

// rest tells those who wait when no queue has anything left.
func (r *Reporter) rest() {
	for _, q := range r.queues {
		if q.running {
			return
		}
	}
	close(r.idle)
	r.idle = nil
}

// deliver tries an event a few times.
func (r *Reporter) deliver(s Sink, e Event) error {
	wait := firstPause
	if r.work.Err() != nil {
		return errLate
	}
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(r.work, oneTry)
		err := s.Send(ctx, e)
		cancel()
		switch {
		case err == nil:
			r.cfg.Log.Debug("an outcome was delivered", "sink", s.Name(), "event", e.ID, "type", e.Type, "credential", e.Subject)
			return nil
		case !errors.Is(err, ErrAgain):
			return err
		case r.work.Err() != nil:
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
		case <-r.work.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", errLate, err)
		}
		wait *= 2
	}
}

// Flush waits until everything is sent, or until ctx ends: what is left is
// tried on.
func (r *Reporter) Flush(ctx context.Context) {
	if r == nil {
		return
	}
	r.mu.Lock()
	idle := r.idle
	r.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// Close waits like Flush; what is left then is dropped, counted and logged, and
// so is everything that comes later.
func (r *Reporter) Close(ctx context.Context) {
	if r == nil {
		return
	}
	r.Flush(ctx)
	r.stop()
	r.Flush(context.WithoutCancel(ctx)) // each sender sees that its time is up
	if n := r.lost(); n > 0 {
		r.cfg.Log.Warn("outcomes were not delivered", "dropped", n)
	}
}

func (r *Reporter) lost() (n int) {
	for _, dropped := range r.Dropped() {
		n += dropped
	}
	return n
}
