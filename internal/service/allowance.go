package service

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Limits of the calls to IBM Cloud that callers without a token may cause: by ticks, and
// by looks at named credentials. They can request nothing else. An event that requests
// nothing costs nothing of them.
const (
	CallsPerSecond = 25
	CallsBurst     = 300
	// A tick looks at all credentials. The burst is for a large account, whose lists
	// can't be read, and for a clock that tests move.
	tickCallsPerSecond = 50
	tickCallsBurst     = 3000
	// CallsPerLook is what a look at named credentials costs before it begins. A tick,
	// which looks at all, costs nothing then.
	CallsPerLook = 5
)

// allowance returns what the caller's calls are taken from.
func (c caller) allowance(s *Service) *allowance {
	if c.tick {
		return &s.ticks
	}
	return &s.looks
}

// allowance is how many calls callers without a token may still cause. A look that made
// more calls than were left leaves a debt, which the next one waits for.
type allowance struct {
	calls *rate.Limiter
	owed  atomic.Bool // a tick waits until the debt is paid
}

// allow takes what a look at named credentials costs before it begins.
func (a *allowance) allow() bool { return a.calls.AllowN(time.Now(), CallsPerLook) }

// debt returns how long it takes until the next tick may begin.
func (a *allowance) debt() time.Duration {
	left := a.calls.Tokens()
	if left > 0 {
		return 0
	}
	wait := (1 - left) / max(float64(a.calls.Limit()), 1e-9)
	return time.Duration(min(wait, math.MaxInt32) * float64(time.Second))
}

// wait waits until the debt is paid, so that the next tick that finds one may wait.
func (a *allowance) wait(ctx context.Context) {
	defer a.owed.Store(false)
	timer := time.NewTimer(a.debt())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// charge takes the calls that a look made.
func (a *allowance) charge(made int) {
	for burst := max(a.calls.Burst(), 1); made > 0; made -= burst {
		a.calls.ReserveN(time.Now(), min(made, burst))
	}
}
