package result

import (
	"log/slog"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
)

// Sweep is the result of a sweep.
type Sweep struct {
	Outcomes []Outcome
	// Unknown joins the errors that kept something from being observed.
	Unknown error
}

// Worst returns the worst result, which decides the answer to the caller.
func (s Sweep) Worst() Result {
	rank := map[Result]int{
		Unchanged: 0, Unconfigured: 1, Changed: 2, Published: 3, InProgress: 4, Blocked: 5, Failed: 6,
	}
	worst := Unchanged
	for _, o := range s.Outcomes {
		if rank[o.Result] > rank[worst] {
			worst = o.Result
		}
	}
	return worst
}

// soon is how long before its expiry a published key is counted in the log.
const soon = 7 * 24 * time.Hour

// Log logs the sweep as one line: how many credentials have each condition and each
// result, and how many published keys expire within 7 days of now.
func (s Sweep) Log(log *slog.Logger, now time.Time, took time.Duration) {
	conditions, results, expiring := map[condition.Condition]int{}, map[Result]int{}, 0
	for _, o := range s.Outcomes {
		conditions[o.Condition]++
		results[o.Result]++
		if !o.KeyExpires.IsZero() && o.KeyExpires.Sub(now) < soon {
			expiring++
		}
	}
	attrs := []any{
		"credentials", len(s.Outcomes), "conditions", conditions, "results", results, "expire_within_7d", expiring, "seconds", took.Round(time.Millisecond).Seconds(),
	}
	if s.Unknown != nil {
		attrs = append(attrs, "error", s.Unknown.Error())
	}
	log.Info("swept", attrs...)
}

// WhereLeaked reduces a sweep that requested the revocation of a key to the
// credentials that the key may belong to. It returns false if the key belongs to
// a credential that the sweep did not include, so it was not revoked.
func WhereLeaked(s Sweep) (Sweep, bool) {
	elsewhere := func(o Outcome) bool { return o.Leaked == LeakedElsewhere }
	here := slices.ContainsFunc(s.Outcomes, func(o Outcome) bool { return !elsewhere(o) && o.Leaked != LeakedGone })
	known := slices.ContainsFunc(s.Outcomes, elsewhere)
	if !here && known {
		return Sweep{Unknown: s.Unknown}, false
	}
	s.Outcomes = slices.DeleteFunc(slices.Clone(s.Outcomes), elsewhere)
	return s, true
}
