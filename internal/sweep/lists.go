package sweep

import (
	"context"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/listing"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// Planner observes and decides in place of a run. It changes nothing.
type Planner struct{ *reconcile.Reconciler }

// Reconcile returns what a run would do: the steps of the outcome are due.
func (p Planner) Reconcile(ctx context.Context, c port.Credential, req reconcile.Request) (result.Outcome, error) {
	out, plan, err := p.Plan(ctx, c, req)
	for _, s := range plan.Steps {
		out.Steps = append(out.Steps, result.Step{Step: s})
	}
	return out, err
}

const (
	// fewest is the number of credentials from which on lists cost fewer calls than
	// looks. A list has at least one page of service IDs, keys and policies each.
	fewest = 4
	// relists is how long a sweep does without lists after they could not be read, such
	// as for a lack of permission.
	relists = time.Hour
)

// restful returns those of the credentials that probably need nothing. The last look in
// this process showed the others to be due, so lists would only delay them.
func (s *Sweeper) restful(credentials []port.Credential, now time.Time) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]bool{}
	for _, c := range credentials {
		if c.Profile != nil { // no list shows it
			continue
		}
		if h := s.seen[c.Name]; h.looked.IsZero() || h.rank(now) == rankRest {
			found[c.Name] = true
		}
	}
	if now.Before(s.single) {
		return nil
	}
	return found
}

// lists are what the looks of one sweep share, and the credentials that use it.
type lists struct {
	listing.Shared
	restful map[string]bool
}

// readLists makes Listed ready for the credentials that probably need nothing; nil means
// that it is not ready.
func (s *Sweeper) readLists(ctx context.Context, credentials []port.Credential) *lists {
	now := s.cfg.Now()
	restful := s.restful(credentials, now)
	if s.cfg.Lists == nil || len(restful) < fewest {
		return nil
	}
	err := s.cfg.Lists(ctx, credentials)
	if err == nil {
		by := &lists{restful: restful}
		for _, c := range credentials {
			for _, st := range c.Stores {
				by.Want(st)
			}
		}
		return by
	}
	if ctx.Err() == nil {
		s.cfg.Log.WarnContext(ctx, "looking at each credential by itself", "error", err.Error())
		s.mu.Lock()
		s.single = now.Add(relists)
		s.mu.Unlock()
	}
	return nil
}

// look works on one credential. One that needs nothing by the lists is done.
func (s *Sweeper) look(ctx context.Context, c port.Credential, req reconcile.Request, by *lists, room func(begin bool) bool) (result.Outcome, error) {
	listed := req
	if room != nil {
		begun := false
		req.Routine = func() bool { begun = begun || room(true); return begun }
		listed.Routine = func() bool { return room(false) }
	}
	if by != nil && by.restful[c.Name] {
		if out, err := s.cfg.Listed.Reconcile(by.With(ctx), c, listed); err == nil && settled(out) {
			out.Recorded = true // nothing was demanded
			return out, nil
		}
	}
	return s.cfg.Reconciler.Reconcile(ctx, c, req)
}

// settled reports whether nothing is due in this sweep and nothing is wrong with the keys.
func settled(out result.Outcome) bool {
	rests := out.Condition == condition.OK || out.Condition == condition.Due && out.Reason == reason.Spread
	return out.Result == result.Unchanged && rests && len(out.Steps) == 0 && !slices.ContainsFunc(out.Notes, func(n result.Note) bool { return !n.Reason.Drift() }) && out.Error == ""
}
