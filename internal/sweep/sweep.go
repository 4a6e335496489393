// Package sweep reconciles many credentials, in an order and at a pace.
//
// A credential that has begun ends before the next ones begin: package pace
// lets one begin when no call waits for its turn. They begin in the order of
// urgency, as far as the last look in this process showed it. A sweep that has
// no time left says how far it came. The next one begins with the others. One
// interval of sweeps begins with so many keys that are only old: see protocol.Routine.
//
// Lists of the whole account show most credentials to need nothing, at a hundred a call.
// They may lag, so nothing is written because of them: each other credential is observed
// by itself, as it is after an event.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/trace"
)

// ErrPartial says that a sweep ended before it looked at every credential.
var ErrPartial = errors.New("the next sweep goes on with the others")

// Reconciler runs the protocol for one credential; reconcile.Reconciler does.
type Reconciler interface {
	Reconcile(ctx context.Context, c port.Credential, req reconcile.Request) (result.Outcome, error)
}

// Config is what a Sweeper uses.
type Config struct {
	Reconciler Reconciler
	// Lists, if not nil, makes Listed ready: it plans from lists of the whole account, as
	// they are when Lists returns, and changes nothing. A sweep begins with it. What needs
	// nothing by the lists has its outcome from Listed; all else is looked at by itself.
	Lists  func(context.Context, []port.Credential) error
	Listed Reconciler
	// Pace says when a run may begin. If nil, it is a new one.
	Pace *pace.Pacer
	// Now returns the local time. If nil, it is time.Now.
	Now func() time.Time
	// Every is the interval of sweeps. It bounds the time in which a sweep without
	// a demand begins with credentials. If 0, nothing does.
	Every time.Duration
	// Log receives why lists can't be read. If nil, it is discarded.
	Log *slog.Logger
	// Progress, if set, is called when a sweep over so many credentials begins. The sweep
	// calls step after each credential and end at its end, and one call follows the
	// other.
	Progress func(all int) (step func(result.Outcome), end func())
}

// Silent is a Progress that shows nothing.
func Silent(int) (step func(result.Outcome), end func()) {
	return func(result.Outcome) {}, func() {}
}

// Sweeper reconciles credentials. It is safe for concurrent use.
type Sweeper struct {
	cfg     Config
	routine routine

	mu   sync.Mutex
	seen map[string]hint // by credential
	// single is until when no lists are read, because that failed.
	single time.Time
}

// New returns a Sweeper.
func New(cfg Config) *Sweeper {
	if cfg.Pace == nil {
		cfg.Pace = pace.New(nil)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Progress == nil {
		cfg.Progress = Silent
	}
	return &Sweeper{cfg: cfg, seen: map[string]hint{}}
}

// Sweep reconciles the credentials, and continues if one fails. The outcomes are
// in the order of the credentials. Unknown joins the first error that kept one
// from being observed and, if some were not looked at, ErrPartial.
func (s *Sweeper) Sweep(ctx context.Context, credentials []port.Credential, req reconcile.Request) result.Sweep {
	class := min(pace.ClassOf(ctx), classOf(req.Trigger))
	begin, cancel := ctx, context.CancelFunc(func() {})
	if class == pace.Look && s.cfg.Every > 0 {
		begin, cancel = context.WithTimeout(ctx, s.cfg.Every)
	}
	defer cancel()
	start := time.Now()
	outcomes, looked := make([]result.Outcome, len(credentials)), make([]bool, len(credentials))
	var (
		runs    sync.WaitGroup
		mu      sync.Mutex // guards swept.Unknown, and the calls of step
		swept   result.Sweep
		stopped error
	)
	step, end := s.cfg.Progress(len(credentials))
	defer end()
	var by *lists
	var room func(begin bool) bool // nil: for all
	if req.Trigger == (protocol.Trigger{}) {
		by = s.readLists(begin, credentials)
		if s.cfg.Every > 0 {
			room = s.roomFor(credentials)
		}
	}
	for _, i := range s.order(credentials) {
		var run *pace.Run
		if run, stopped = s.cfg.Pace.Begin(begin, class); stopped != nil {
			break
		}
		runs.Go(func() {
			defer run.End()
			below, span := trace.Start(run.With(ctx), "reconcile", trace.Internal)
			span.Text("latchkey.credential", credentials[i].Name)
			out, err := s.look(below, credentials[i], req, by, room)
			span.Text("latchkey.result", string(out.Result))
			span.End()
			if err != nil && !out.HeldBack() {
				out.Result, out.Error = result.Failed, err.Error()
			}
			s.remember(out)
			mu.Lock()
			defer mu.Unlock()
			outcomes[i], looked[i] = out, true
			step(out)
			if err != nil && swept.Unknown == nil {
				swept.Unknown = err
			}
		})
	}
	runs.Wait()
	n := 0
	for i, is := range looked {
		if is {
			outcomes[n] = outcomes[i]
			n++
		}
	}
	swept.Outcomes = outcomes[:n:n]
	if stopped != nil {
		swept.Unknown = errors.Join(swept.Unknown, fmt.Errorf("looked at %d of %d credentials in %s: %w",
			len(swept.Outcomes), len(credentials), time.Since(start).Round(time.Second), ErrPartial))
	}
	return swept
}

// classOf returns how urgent a trigger is.
func classOf(t protocol.Trigger) pace.Class {
	switch {
	case t.Leaked != "":
		return pace.Leak
	case t != protocol.Trigger{}:
		return pace.Demand
	}
	return pace.Look
}

// order returns the indexes of the credentials in the order in which they begin.
func (s *Sweeper) order(credentials []port.Credential) []int {
	if len(credentials) < 2 {
		return make([]int, len(credentials))
	}
	names := make([]string, len(credentials))
	for i, c := range credentials {
		names[i] = c.Name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return order(names, s.seen, s.cfg.Now(), s.cfg.Every)
}

// remember keeps what the outcome shows for the order of the next sweep.
func (s *Sweeper) remember(out result.Outcome) {
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[out.Credential] = hintOf(out, now)
	if len(s.seen) > mostHints {
		forget(s.seen)
	}
}
