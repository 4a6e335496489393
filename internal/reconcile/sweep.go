package reconcile

import (
	"log/slog"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
)

// SweepResult is the result of a sweep.
type SweepResult struct {
	Outcomes []Outcome
	// Unknown joins the errors that kept something from being observed.
	Unknown error
}

// Worst returns the worst result, which decides the answer to the caller.
func (s SweepResult) Worst() Result {
	rank := map[Result]int{
		ResultUnchanged: 0, ResultUnconfigured: 1, ResultChanged: 2, ResultPublished: 3, ResultInProgress: 4, ResultBlocked: 5, ResultFailed: 6,
	}
	worst := ResultUnchanged
	for _, o := range s.Outcomes {
		if rank[o.Result] > rank[worst] {
			worst = o.Result
		}
	}
	return worst
}

// Log logs the sweep as one line: how many credentials have each condition and each
// result.
func (s SweepResult) Log(log *slog.Logger, took time.Duration) {
	conditions, results := map[condition.Condition]int{}, map[Result]int{}
	for _, o := range s.Outcomes {
		conditions[o.Condition]++
		results[o.Result]++
	}
	attrs := []any{"credentials", len(s.Outcomes), "conditions", conditions, "results", results, "seconds", took.Round(time.Millisecond).Seconds()}
	if s.Unknown != nil {
		attrs = append(attrs, "error", s.Unknown.Error())
	}
	log.Info("swept", attrs...)
}

// WhereLeaked reduces a sweep that requested the revocation of a key to the
// credentials that the key may belong to. It returns false if the key belongs to
// a credential that the sweep did not include, so it was not revoked.
func WhereLeaked(s SweepResult) (SweepResult, bool) {
	elsewhere := func(o Outcome) bool { return o.Leaked == LeakedElsewhere }
	here := slices.ContainsFunc(s.Outcomes, func(o Outcome) bool { return !elsewhere(o) && o.Leaked != LeakedGone })
	known := slices.ContainsFunc(s.Outcomes, elsewhere)
	if !here && known {
		return SweepResult{Unknown: s.Unknown}, false
	}
	s.Outcomes = slices.DeleteFunc(slices.Clone(s.Outcomes), elsewhere)
	return s, true
}
