package reconcile

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Swept is the result of a sweep.
type Swept struct {
	Outcomes []Outcome
	// Unknown joins the errors that kept something from being observed.
	Unknown error
}

// Worst is the result that decides the answer to the caller.
func (s Swept) Worst() Result {
	rank := map[Result]int{
		ResultUnchanged: 0, ResultOrphaned: 1, ResultChanged: 2, ResultPublished: 3, ResultInProgress: 4, ResultBlocked: 5, ResultFailed: 6,
	}
	worst := ResultUnchanged
	for _, o := range s.Outcomes {
		if rank[o.Result] > rank[worst] {
			worst = o.Result
		}
	}
	return worst
}

// WhereLeaked leaves out of a sweep that asked for a key's revocation the
// credentials that the key does not belong to. It reports false when it belongs
// to none of those that were looked at: nothing is worse than a revocation that
// only seems done.
func WhereLeaked(s Swept) (Swept, bool) {
	elsewhere := func(o Outcome) bool { return o.Leaked == LeakedElsewhere }
	here := slices.ContainsFunc(s.Outcomes, func(o Outcome) bool { return !elsewhere(o) && o.Leaked != LeakedGone })
	known := slices.ContainsFunc(s.Outcomes, elsewhere)
	if !here && known {
		return Swept{Unknown: s.Unknown}, false
	}
	s.Outcomes = slices.DeleteFunc(slices.Clone(s.Outcomes), elsewhere)
	return s, true
}

// sweepWidth is how many credentials are looked at at once.
const sweepWidth = 32

// Sweep reconciles the credentials. One credential's trouble does not keep the
// others waiting. Unknown is the first error that kept one from being observed.
func (r *Reconciler) Sweep(ctx context.Context, credentials []Credential, ask Ask) Swept {
	s := Swept{Outcomes: make([]Outcome, len(credentials))}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(sweepWidth)
	for i, c := range credentials {
		g.Go(func() error {
			out, err := r.Reconcile(ctx, c, ask)
			if err != nil {
				out.Result, out.Error = ResultFailed, err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			s.Outcomes[i] = out
			if err != nil && s.Unknown == nil {
				s.Unknown = err
			}
			return nil
		})
	}
	_ = g.Wait() // every failure is in its outcome
	return s
}
