package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/drift"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/flight"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/storm"
)

// Reconciler runs the protocol. Its fields must be set before the first run and
// not change.
type Reconciler struct {
	Identities port.Identities
	Keys       port.Keys
	Exchange   port.Exchange
	// Profiles manages trusted profiles. If nil, no credential has one.
	Profiles port.Profiles
	// Owner is the name of this installation in every marker. Installations never
	// change each other's keys.
	Owner string
	// Account returns the account that a new key's token must name. If nil, the
	// account is not checked.
	Account func(context.Context) (string, error)
	// Self returns the IAM ID that we are logged in as. If nil, it is not known.
	Self func(context.Context) (string, error)

	// UsedBy returns which client authenticated a service ID at a time, as far as audit
	// events tell, for notes. If nil, it is not known.
	UsedBy func(iamID string, at time.Time) string

	// Memberships lets Plan read the access groups of every service ID, which takes a
	// call for each. Otherwise only those are read whose config names groups.
	Memberships bool

	// ForcedPerHour is how many demanded rotations this replica makes in an hour, for
	// all callers together. Zero is storm.Ceiling.
	ForcedPerHour int

	// Now returns the local time. If nil, it is time.Now.
	Now func() time.Time
	// Decide plans. If nil, it is rotation.Decide. The simulation replaces it with
	// wrong protocols, to show that they are detected.
	Decide func(protocol.State, protocol.Rules, protocol.Trigger, time.Time) protocol.Plan
	// Sleep waits between polls. If nil, it uses a timer.
	Sleep func(context.Context, time.Duration) error
	// Rand is the source of key values. If nil, it is crypto/rand.
	Rand io.Reader
	// Ran, if set, is called at the end of each run, with how long it took.
	Ran func(out result.Outcome, took time.Duration)
	// Log receives the steps of a run and its errors. If nil, they are discarded.
	Log *slog.Logger

	flights flight.Flights[result.Outcome]

	memory observe.Memory
	storm  storm.Counter
}

// maxRounds limits how often one run observes again because the state changed.
// The next event or sweep continues.
const maxRounds = 4

// Reconcile runs the protocol for one credential. One run at a time works on a
// credential. Calls that arrive meanwhile wait, and those with the same demand
// share the next run.
//
// The error is observe.ErrFailed if IAM could not be read. All other errors are in the
// outcome.
func (r *Reconciler) Reconcile(ctx context.Context, c port.Credential, req Request) (result.Outcome, error) {
	switch {
	case c.Unconfigured != nil:
		return unconfigured(c), nil
	case c.Invalid != nil:
		return r.invalid(c), nil //nolint:nilerr // the outcome tells the error
	}
	t := req.Trigger
	key := fmt.Sprintf("%s|%s|%s|%s|%t|%s|%t|%v",
		t.NewerThan.Format(time.RFC3339Nano), t.Expiry.Format(time.RFC3339Nano), t.NotKey, t.Leaked, t.Contain, c.AdoptKey, req.Force, req.End)
	out, err := r.flights.Do(ctx, c.Name, key, func() (result.Outcome, error) {
		begun := time.Now()
		out, err := r.reconcile(ctx, c, req)
		if r.Ran != nil {
			r.Ran(out, time.Since(begun))
		}
		return out, err
	})
	if out.Credential == "" { // it was canceled while it waited
		out = r.unobserved(c, err)
	}
	return out, err
}

func (r *Reconciler) reconcile(ctx context.Context, c port.Credential, req Request) (result.Outcome, error) {
	// A run must not write after the window, so its calls end with it.
	ctx, cancel := context.WithTimeout(ctx, c.Rules.Window)
	defer cancel()

	out := result.Outcome{Credential: c.Name, Project: c.Project, Owner: c.Owner, Result: result.Unchanged}
	log := slog.New(r.log().Handler().WithAttrs(filled("credential", c.Name, "cause", req.Cause)))
	var err error
	spent, published := false, false
	for round := range maxRounds {
		out.Result, out.Reason, out.Message, out.Notes = result.Unchanged, "", "", nil
		ru := r.newRun(c, req, log, &out)
		ru.spent, ru.last = spent, round == maxRounds-1
		err = r.rescue(func() error { return ru.round(ctx) })
		spent, published = spent || ru.fresh != nil, published || out.Result == result.Published
		if !errors.Is(err, observe.ErrAgain) || ctx.Err() != nil {
			break
		}
		log.Info("observing again", "reason", err.Error())
	}
	if published && (out.Result == result.Unchanged || out.Result == result.Changed) {
		out.Result = result.Published
	}
	if errors.Is(err, observe.ErrFailed) {
		log.Warn("observing", "error", err.Error())
		not := r.unobserved(c, err) // out keeps the steps of earlier rounds
		out.Condition, out.Result, out.Reason, out.Message, out.Next = not.Condition, not.Result, not.Reason, not.Message, not.Next
		return out, err
	}
	conclude(&out, err)
	logOutcome(ctx, log, out)
	return out, nil
}

// conclude sets the result of a run from its last error.
func conclude(o *result.Outcome, err error) {
	switch {
	case errors.Is(err, observe.ErrAgain):
		o.Result, o.Reason, o.Message = result.InProgress, reason.InProgress, ""
	case err != nil:
		o.Error = err.Error()
		if o.Reason == "" { // nothing else explains it
			o.Result = result.Failed
		}
	}
	if o.Result == result.Unchanged && len(o.Steps) > 0 {
		o.Result = result.Changed
	}
	o.Settle()
}

func logOutcome(ctx context.Context, log *slog.Logger, o result.Outcome) {
	level := slog.LevelInfo
	if o.Result == result.Blocked || o.Result == result.Failed || o.Error != "" {
		level = slog.LevelWarn
	}
	attrs := append(filled("reason", string(o.Reason), "key", o.Key, "error", o.Error), slog.Int("steps", len(o.Steps)))
	if !o.Next.IsZero() {
		attrs = append(attrs, slog.Time("next", o.Next))
	}
	log.LogAttrs(ctx, level, "reconciled", append([]slog.Attr{slog.String("result", string(o.Result))}, attrs...)...)
}

// Plan observes and decides without changing anything. The outcome says what
// blocks or delays the plan.
func (r *Reconciler) Plan(ctx context.Context, c port.Credential, req Request) (result.Outcome, protocol.Plan, error) {
	switch {
	case c.Unconfigured != nil:
		return unconfigured(c), protocol.Plan{}, nil
	case c.Invalid != nil:
		return r.invalid(c), protocol.Plan{Blocked: reason.ExpansionFailed}, nil //nolint:nilerr // the same
	}
	out := result.Outcome{Credential: c.Name, Project: c.Project, Owner: c.Owner, Result: result.Unchanged}
	ru := r.newRun(c, req, r.log(), &out)
	ru.memberships = r.Memberships && c.Given == ""
	if err := ru.observe(ctx); err != nil {
		return r.unobserved(c, err), protocol.Plan{}, err
	}
	plan := ru.decide()
	ru.setTried(plan)
	ru.note(plan.Notes...)
	ru.noteBeyond()
	ru.setFacts(plan)
	out.Settle()
	return out, plan, nil
}

// unconfigured returns the outcome for a service ID that no config entry yields.
func unconfigured(c port.Credential) result.Outcome {
	out := result.Outcome{
		Credential: c.Name, Condition: condition.Unconfigured, Result: result.Unconfigured, Reason: reason.Unconfigured, ServiceID: c.Unconfigured.ID, Recorded: true,
	}
	if c.Forged {
		out.Reason = reason.ForgedMarker
		out.Notes = drift.Forged([]port.Forgery{{ID: c.Unconfigured.ID, Creator: c.Unconfigured.Creator}})
	}
	out.Message = out.Reason.Sentence()
	return out
}

// invalid returns the outcome of a credential that cannot be made.
func (r *Reconciler) invalid(c port.Credential) result.Outcome {
	r.log().Warn("expanding a config entry", "credential", c.Name, "error", c.Invalid.Error())
	return result.Outcome{
		Credential: c.Name, Project: c.Project, Owner: c.Owner, Condition: condition.Blocked, Result: result.Blocked, Reason: reason.ExpansionFailed,
		Message: reason.ExpansionFailed.Sentence() + ": " + c.Invalid.Error(), Next: r.wall().Add(c.Rules.SweepEvery),
	}
}

// filled returns the log attributes, given as keys and values, that are not
// empty.
func filled(pairs ...string) (attrs []slog.Attr) {
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			attrs = append(attrs, slog.String(pair[0], pair[1]))
		}
	}
	return attrs
}

// rescue calls f and returns an error if it panics.
func (r *Reconciler) rescue(f func() error) error { return fence.Rescue(r.log(), f) }

func (r *Reconciler) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}

// wall returns the local time without the monotonic clock, which does not advance
// while a machine is suspended.
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

// poll calls try until it succeeds, fails with an error other than ErrNotYet and
// ErrUnavailable, or patience runs out.
func (r *Reconciler) poll(ctx context.Context, try func() error) error {
	return r.pollFor(ctx, patience, try)
}

func (r *Reconciler) pollFor(ctx context.Context, patience time.Duration, try func() error) error {
	const first, longest = 100 * time.Millisecond, 4 * time.Second
	end := r.wall().Add(patience)
	for pause := first; ; pause = min(2*pause, longest) {
		err := try()
		if err == nil || (!errors.Is(err, port.ErrNotYet) && !errors.Is(err, port.ErrUnavailable)) {
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
