package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/effects"
	"github.com/latchkey-io/latchkey/internal/plural"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// Running is the config that a new one is compared with.
type Running struct {
	Catalog Catalog
	Look    Look
	// Looked is called between the looks with the two configs.
	Looked func()
}

// Compare prints what a sweep would do otherwise with the Runner's config than with the
// running one.
func (r Runner) Compare(ctx context.Context, running Running) error {
	now, missed := r.side(ctx, running.Catalog, running.Look)
	running.Looked()
	next, missing := r.side(ctx, r.Catalog, r.Look)
	unknown := result.Sweep{Unknown: errors.Join(missed, missing)}
	all, totals := effects.Compare(now, next, r.Every, r.Days)
	if err := r.printEffects(all, totals); err != nil {
		return fmt.Errorf("printing the effects: %w", err)
	}
	switch err := verdict(r.Std, unknown, nil); {
	case err != nil:
		return err
	case len(all) > 0:
		return fmt.Errorf("%w: the new config has effects", ErrDue)
	}
	return nil
}

// side looks at all credentials of a config.
func (r Runner) side(ctx context.Context, from Catalog, look Look) (effects.Side, error) {
	credentials, unlisted := from.Credentials(ctx, catalog.Scope{})
	looked := look(ctx, credentials, reconcile.Request{Cause: "plan"})
	return effects.Side{Credentials: credentials, Outcomes: looked.Outcomes}, errors.Join(unlisted, looked.Unknown)
}

func (r Runner) printEffects(all []effects.Effect, totals effects.Totals) error {
	if r.Format.structured() {
		if all == nil {
			all = []effects.Effect{}
		}
		return r.Format.printStructured(r.Std.Out, map[string]any{"effects": all, "totals": totals})
	}
	var outcomes []result.Outcome // for the names
	for _, e := range all {
		outcomes = append(outcomes, result.Outcome{Credential: e.Credential, Project: e.Project})
	}
	label := labels(r.Std, outcomes)
	for i, e := range all {
		for _, line := range effectLines(r.Std, e, label(outcomes[i], whole)) {
			if err := r.Std.printLine("%s", line); err != nil {
				return err
			}
		}
	}
	for _, line := range totalLines(totals, r.Every, r.Days) {
		if err := r.Std.printLine("%s", line); err != nil {
			return err
		}
	}
	return nil
}

// effectLines tells one effect: the credential now and with the new config, and below
// that what leads there.
func effectLines(std Streams, e effects.Effect, name string) (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	switch e.Change {
	case effects.Added:
		add("%s: new: %s", name, stateText(e.New))
		if e.Taken != "" {
			add("  %s, which the new config removes, has its service ID or its location. If it is the same one, list that name in formerly", e.Taken)
		}
	case effects.Removed:
		add("%s: removed: now %s", name, stateText(e.Now))
		if e.Now.Key != "" {
			add("  nothing replaces key %s, which works until %s", e.Now.Key, day(e.Now.KeyExpires))
		}
	case effects.Renamed:
		add("%s: renamed, formerly %s: now %s, then %s", name, e.Formerly, stateText(e.Now), stateText(e.New))
	default:
		add("%s: now %s, then %s", name, stateText(e.Now), stateText(e.New))
	}
	for _, s := range e.Settings {
		add("  %s: now %s, then %s", s.Name, orNone(s.Now), orNone(s.New))
	}
	for _, s := range e.Steps {
		add("  %s: %s", shownStep(std, s), s.Reason.Sentence())
	}
	for _, s := range e.Dropped {
		add("  not any more: %s", shownStep(std, s))
	}
	if e.Now != nil && e.New != nil && e.Now.Condition == condition.OK && e.New.Condition == condition.OK && !e.Now.Next.Equal(e.New.Next) {
		add("  next due: now %s, then %s", day(e.Now.Next), day(e.New.Next))
	}
	for _, n := range e.Notes {
		add("  %s", n)
	}
	return lines
}

func shownStep(std Streams, s protocol.Step) string {
	if std.Width > 0 {
		s.Target = shortIDs(s.Target)
	}
	return stepLine(s)
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// stateText is the condition, and why it is not ok.
func stateText(s *effects.State) string {
	if s.Message == "" || s.Condition == condition.Due || s.Condition == condition.Missing { // steps say why
		return string(s.Condition)
	}
	return fmt.Sprintf("%s (%s)", s.Condition, s.Message)
}

func totalLines(t effects.Totals, every time.Duration, days func(time.Duration) string) []string {
	var parts []string
	for _, c := range []effects.Change{effects.Added, effects.Removed, effects.Renamed, effects.Changed} {
		if n := t.Changes[c]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, c))
		}
	}
	if len(parts) == 0 {
		parts = []string{"no effects"}
	}
	lines := []string{fmt.Sprintf("%s now, %d with the new config: %s; %s more due",
		plural.Count(t.Now, "credential"), t.New, strings.Join(parts, ", "), plural.Count(t.Steps, "step"))}
	r := t.Rotations
	if r.New == 0 && r.Now == 0 {
		return lines
	}
	text := fmt.Sprintf("The next sweep replaces %s, and %d with the present config.", plural.Count(r.New, "key"), r.Now)
	spread := r.Routine > r.PerSweep
	switch {
	case spread:
		text = fmt.Sprintf("%s are due with the new config, and %d with the present config. In each %s at most %d are replaced because of their age alone, so that takes %d sweeps.",
			plural.Count(r.New, "key"), r.Now, days(every), r.PerSweep, r.Sweeps)
	case r.New > 1:
		text += fmt.Sprintf(" It works on 32 credentials at once, as fast as IAM and the stores answer: at %d calls a second that takes %s.", effects.Rate, r.Took)
	}
	if r.Sweeps > 1 && !spread {
		text += fmt.Sprintf(" A sweep begins with credentials for %s at most, so it takes %d sweeps.", days(every), r.Sweeps)
	}
	return append(lines, text)
}
