// Package condition says in one word how a credential is. Every command, answer and
// event takes the word from here.
//
// The condition follows from what a run observed and decided, and from the time. It
// is about the consumers first: a published key that has expired or leaked is never
// ok, whatever keeps latchkey from replacing it.
package condition

import (
	"cmp"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// Condition is how a credential is.
type Condition string

// The conditions, the first that holds counts. Unknown is that of a credential that
// could not be observed.
const (
	Unknown      Condition = "unknown"      // IAM could not be read
	Unconfigured Condition = "unconfigured" // no config entry yields it
	Expired      Condition = "expired"      // the published key has expired
	Leaked       Condition = "leaked"       // a key that leaked still authenticates
	Blocked      Condition = "blocked"      // a person must act
	InProgress   Condition = "in-progress"  // held back by a reason that passes by itself
	Missing      Condition = "missing"      // no store names a key that works
	Expiring     Condition = "expiring"     // the published key is overdue, and expires within 14 days
	Due          Condition = "due"          // a step is due, or an optional store is in trouble
	OK           Condition = "ok"           // nothing is due
)

// Worst lists all conditions, those that need a person soonest first.
var Worst = []Condition{Expired, Leaked, Blocked, Missing, Expiring, Unknown, Due, InProgress, Unconfigured, OK}

// Facts are what a condition follows from.
type Facts struct {
	// Key is the published key. If none is live, it is the newest key that a store
	// names; zero if there is none.
	Key protocol.Key
	// LeakedAlive is set if a key that leaked still authenticates.
	LeakedAlive bool
	// HeldBack is why the run was held back, or empty. Blocked is set if that keeps the
	// credential from being worked on. Otherwise it is about an optional store, or passes
	// by itself.
	HeldBack reason.Reason
	Blocked  bool
	// Due are the steps that were planned and not taken.
	Due []protocol.Step
	// Expiring is set if the published key is overdue and expires soon.
	Expiring bool
	// Gone is set if the project was deleted, so no key is needed.
	Gone bool
	// Next is when the state will have changed without an event.
	Next time.Time
	// SweepEvery is the interval between looks.
	SweepEvery time.Duration
}

// Of returns the condition at now, its reason and the moment of the next step. The
// reason is empty if the condition is OK.
func Of(f Facts, now time.Time) (c Condition, why reason.Reason, next time.Time) {
	next = f.next(now)
	dead := f.Key.ID == "" || f.Key.Disabled
	back := f.HeldBack
	switch {
	case f.Key.Expired(now) && !f.Gone:
		return Expired, cmp.Or(back, reason.IsExpired), next
	case f.LeakedAlive:
		return Leaked, cmp.Or(back, reason.KeyLeaked), next
	case f.Blocked:
		return Blocked, back, next
	case back != "" && back.Kind() != reason.Block:
		return InProgress, back, next
	case dead && !f.Gone:
		return Missing, cmp.Or(back, f.due(), reason.NothingThere), next
	case f.Expiring:
		return Expiring, cmp.Or(back, f.due(), reason.Expiring), next
	case back != "":
		return Due, back, next
	case len(f.Due) > 0:
		return Due, f.due(), next
	}
	return OK, "", next
}

// due returns why a new key is due, or else the first step.
func (f Facts) due() reason.Reason {
	for _, s := range f.Due {
		if s.Action == protocol.Mint {
			return s.Reason
		}
	}
	if len(f.Due) > 0 {
		return f.Due[0].Reason
	}
	return ""
}

// next returns the moment of the next step, or of the next look if a step is held
// back.
func (f Facts) next(now time.Time) time.Time {
	look := now.Add(f.SweepEvery)
	switch {
	case f.HeldBack == "" && len(f.Due) > 0:
		return now
	case f.HeldBack == "" && !f.LeakedAlive, f.Next.After(now) && f.Next.Before(look):
		return f.Next
	}
	return look
}
