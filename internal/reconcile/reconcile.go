package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// Reconciler runs the algorithm. Its fields are set once, before the first
// run.
type Reconciler struct {
	Identities Identities
	Keys       Keys
	Exchange   Exchange
	// Owner stands in every marker: two installations never touch each
	// other's things.
	Owner string
	// Account is the account that a new key's token must name; empty skips
	// the check.
	Account func(context.Context) (string, error)

	// Now is the local wall clock; nil is time.Now.
	Now func() time.Time
	// Decide plans; nil is rotation.Decide. A simulation puts wrong protocols
	// here, to see that they are noticed.
	Decide func(rotation.State, rotation.Rules, rotation.Trigger, time.Time) rotation.Plan
	// Sleep waits between polls; nil is a timer.
	Sleep func(context.Context, time.Duration) error
	// Rand is where values come from; nil is crypto/rand.
	Rand io.Reader
	Log  *slog.Logger

	flights flights

	mu    sync.Mutex
	known map[string]memory // by credential: spares the look-up by name
	storm storm
}

// maxRounds bounds how often one run observes anew when others keep changing
// the facts. The next event or sweep goes on.
const maxRounds = 4

// Reconcile looks at one credential and does what is due. It runs once at a
// time per credential; a call that arrives meanwhile observes after it, and
// calls that wait with the same demand share one run.
//
// The error is ErrObserve when nothing could be learned; everything else is in
// the outcome.
func (r *Reconciler) Reconcile(ctx context.Context, c Credential, ask Ask) (Outcome, error) {
	if c.Unconfigured != nil {
		return c.orphaned(), nil
	}
	t := ask.Trigger
	key := fmt.Sprintf("%s|%s|%s|%t|%s", t.NewerThan.Format(time.RFC3339Nano), t.NotKey, t.Leaked, t.Contain, c.AdoptKey)
	return r.flights.do(ctx, c.Name, key, func() (Outcome, error) { return r.reconcile(ctx, c, ask) })
}

func (r *Reconciler) reconcile(ctx context.Context, c Credential, ask Ask) (Outcome, error) {
	// The window bounds what a run may write; the context ends its calls too.
	ctx, cancel := context.WithTimeout(ctx, c.Rules.Window)
	defer cancel()

	out := Outcome{Credential: c.Name, Result: ResultUnchanged}
	log := slog.New(r.log().Handler().WithAttrs(filled("credential", c.Name, "cause", ask.Cause)))
	var err error
	spent, published := false, false
	for range maxRounds {
		out.Result, out.Reason, out.Message, out.Notes = ResultUnchanged, "", "", nil
		ru := r.newRun(c, ask, log, &out)
		ru.spent = spent
		err = ru.round(ctx)
		spent, published = spent || ru.fresh != nil, published || out.Result == ResultPublished
		if !errors.Is(err, errAgain) || ctx.Err() != nil {
			break
		}
		log.Info("observing again", "reason", err.Error())
	}
	if published && (out.Result == ResultUnchanged || out.Result == ResultChanged) {
		out.Result = ResultPublished
	}
	switch {
	case errors.Is(err, ErrObserve):
		log.Warn("observing", "error", err.Error())
		return out, err
	case errors.Is(err, errAgain):
		out.Result, out.Reason, out.Message = ResultInProgress, rotation.InProgress, ""
	case err != nil:
		out.Error = err.Error()
		if out.Result != ResultBlocked && out.Result != ResultInProgress {
			out.Result = ResultFailed
		}
	}
	if out.Result == ResultUnchanged && len(out.Steps) > 0 {
		out.Result = ResultChanged
	}
	if out.Message == "" {
		out.Message = out.Reason.Sentence()
	}
	level := slog.LevelInfo
	if out.Result == ResultBlocked || out.Result == ResultFailed || out.Error != "" {
		level = slog.LevelWarn
	}
	attrs := append(filled("reason", string(out.Reason), "key", out.Key, "error", out.Error), slog.Int("steps", len(out.Steps)))
	if !out.Next.IsZero() {
		attrs = append(attrs, slog.Time("next", out.Next))
	}
	log.LogAttrs(ctx, level, "reconciled", append([]slog.Attr{slog.String("result", string(out.Result))}, attrs...)...)
	return out, nil
}

// Plan observes and decides, and changes nothing.
func (r *Reconciler) Plan(ctx context.Context, c Credential, ask Ask) (Outcome, rotation.Plan, error) {
	if c.Unconfigured != nil {
		return c.orphaned(), rotation.Plan{}, nil
	}
	out := Outcome{Credential: c.Name, Result: ResultUnchanged}
	ru := r.newRun(c, ask, r.log(), &out)
	if err := ru.observe(ctx); err != nil {
		return out, rotation.Plan{}, err
	}
	plan := ru.decide()
	ru.setHeldBack(plan)
	ru.note(plan.Notes...)
	return out, plan, nil
}

// orphaned is the outcome of a service ID of ours that no config entry yields.
func (c Credential) orphaned() Outcome {
	return Outcome{
		Credential: c.Name, Result: ResultOrphaned, Reason: rotation.Unconfigured, Message: rotation.Unconfigured.Sentence(),
		ServiceID: c.Unconfigured.ID, Kept: true,
	}
}

// filled are the log attributes, given as keys and values, that are not empty.
func filled(pairs ...string) (attrs []slog.Attr) {
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			attrs = append(attrs, slog.String(pair[0], pair[1]))
		}
	}
	return attrs
}

func (r *Reconciler) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}

// wall is the local clock without its monotonic part: a machine that was
// suspended must see that time has passed.
func (r *Reconciler) wall() time.Time {
	if r.Now == nil {
		return time.Now().Round(0)
	}
	return r.Now().Round(0)
}

func (r *Reconciler) sleep(ctx context.Context, d time.Duration) error {
	if r.Sleep != nil {
		return r.Sleep(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// poll calls try until it succeeds, gives a final error, or patience ends.
// ErrNotYet and ErrUnavailable are worth another try.
func (r *Reconciler) poll(ctx context.Context, try func() error) error {
	const first, longest = 100 * time.Millisecond, 4 * time.Second
	end := r.wall().Add(patience)
	for pause := first; ; pause = min(2*pause, longest) {
		err := try()
		if err == nil || (!errors.Is(err, ErrNotYet) && !errors.Is(err, ErrUnavailable)) {
			return err
		}
		if !r.wall().Add(pause).Before(end) {
			return fmt.Errorf("after %s: %w", patience, err)
		}
		if serr := r.sleep(ctx, pause); serr != nil {
			return fmt.Errorf("waiting (%w): %w", serr, err)
		}
	}
}

// memory is a service ID that a run knew, and since when.
type memory struct {
	ServiceID
	at time.Time
}

// recall is what an earlier run knew. It does not last: a list that lagged may
// have hidden a second service ID.
func (r *Reconciler) recall(credential string) (ServiceID, bool) {
	const lasts = time.Hour
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.known[credential]
	return m.ServiceID, ok && r.wall().Sub(m.at).Abs() < lasts
}

func (r *Reconciler) remember(credential string, id ServiceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]memory{}
	}
	if id.IAMID == "" {
		delete(r.known, credential)
		return
	}
	r.known[credential] = memory{id, r.wall()}
}
