package rehearse

import (
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
)

// budget counts the keys that a sweep may replace because of their age alone: see
// protocol.Routine. It is the share of the credentials that are rehearsed. Sweeps take
// the credentials in any order, so their share is as large as their number.
type budget struct {
	perSweep float64 // 0: no limit
	left     float64
	waits    bool // the last sweep has left a key to this one
}

func (a Account) budget() (b budget) {
	rules := slices.Clone(a.Others)
	for _, s := range a.Seen {
		rules = append(rules, s.Rules)
	}
	if every := a.every(); every > 0 && len(rules) > 0 {
		b.perSweep = float64(protocol.Routine(rules, every)) * float64(len(a.Seen)) / float64(len(rules))
	}
	return b
}

// every is the interval of sweeps. All credentials have the same.
func (a Account) every() time.Duration {
	for _, s := range a.Seen {
		return s.Rules.SweepEvery
	}
	return 0
}

// begin begins a sweep. The first of the keys that are due at once does not wait.
func (b *budget) begin() {
	if b.waits {
		b.left += b.perSweep
	} else {
		b.left = max(1, b.perSweep)
	}
	b.waits = false
}

// of returns reconcile.Request's Routine for a run, which asks in each of its rounds.
func (b *budget) of() func() bool {
	if b.perSweep == 0 {
		return nil
	}
	begun := false
	return func() bool {
		switch {
		case begun:
		case b.left >= 1:
			b.left--
			begun = true
		default:
			b.waits = true
		}
		return begun
	}
}
