package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// Demand are the flags of commands that demand something.
type Demand struct {
	Yes     bool          `help:"Skip the confirmation."`
	Force   bool          `help:"Also if latchkey is logged in as the service ID whose keys change."`
	DryRun  bool          `help:"Print the steps, and do none of them."`
	Wait    bool          `help:"Wait until it is done (the default), or try once." default:"true" negatable:""`
	Timeout time.Duration `help:"How long to wait. Default: 20m on a terminal, else 2m." placeholder:"DURATION"`
}

// How long a demand is waited for. A new key has to wait until the last one is 10
// minutes old. A script must not hang that long unless it says so.
const (
	waitWatched = 20 * time.Minute
	waitScript  = 2 * time.Minute
)

// The pauses between tries.
const (
	pauseFirst   = time.Second
	pauseLongest = 15 * time.Second
)

func (d Demand) timeout(watched bool) time.Duration {
	if watched {
		return cmp.Or(d.Timeout, waitWatched)
	}
	return cmp.Or(d.Timeout, waitScript)
}

// untilDone tries until every demand is met, a person has to act, or the time is
// up. It tries only the credentials again that are not done.
func (r Runner) untilDone(ctx context.Context, d Demand, all []port.Credential,
	try func([]port.Credential) result.Sweep,
) result.Sweep {
	end := time.Now().Add(d.timeout(r.Std.Watched))
	swept := try(all)
	printed := ""
	for wait := pauseFirst; d.Wait && swept.Unknown == nil; wait = min(2*wait, pauseLongest) {
		open, old := unfinished(all, swept)
		left := time.Until(end)
		if len(open) == 0 || left <= 0 {
			break
		}
		young := old.Sub(r.Now())
		if young > left {
			r.Std.progress("The newest key is too young until %s UTC: later than --timeout allows.", old.UTC().Format(time.TimeOnly))
			break
		}
		if line := waitingFor(open, swept); line != printed {
			r.Std.progress("Waiting at most %s: %s", left.Round(time.Second), line)
			printed = line
		}
		for young > 0 && ctx.Err() == nil {
			_ = pause(ctx, min(young, pauseFirst)) // a test moves the emulator's clock meanwhile
			young, wait = old.Sub(r.Now()), pauseFirst
		}
		if !pause(ctx, min(wait, time.Until(end))) {
			break
		}
		swept = merge(swept, try(open))
	}
	return swept
}

// open reports whether another try may finish what an outcome has not. None does if a
// person must act on what an optional store says.
func open(o result.Outcome) bool {
	switch {
	case o.Result == result.Failed, o.Result == result.InProgress && o.Reason.Kind() != reason.Block:
		return true
	case o.Result == result.Blocked:
		return o.Reason == reason.Storm // passes within the hour
	}
	return o.Leaked == result.LeakedAlive
}

// unfinished returns the credentials whose demand is not met, and when the last of
// those is old enough for another key that wait for that alone.
func unfinished(all []port.Credential, swept result.Sweep) (unmet []port.Credential, old time.Time) {
	others := false
	for _, c := range all {
		i := slices.IndexFunc(swept.Outcomes, func(o result.Outcome) bool { return o.Credential == c.Name })
		if i < 0 || !open(swept.Outcomes[i]) {
			continue
		}
		unmet = append(unmet, c)
		o := swept.Outcomes[i]
		if o.Reason != reason.TooYoung || o.KeyCreated.IsZero() {
			others = true
			continue
		}
		if at := o.KeyCreated.Add(c.Rules.MinAge); at.After(old) {
			old = at
		}
	}
	if others {
		return unmet, time.Time{}
	}
	return unmet, old
}

func waitingFor(unmet []port.Credential, swept result.Sweep) string {
	var lines []string
	for _, o := range swept.Outcomes {
		if slices.ContainsFunc(unmet, func(c port.Credential) bool { return c.Name == o.Credential }) {
			lines = append(lines, o.Label()+": "+cmp.Or(o.Message, o.Error, string(o.Result)))
		}
	}
	return strings.Join(lines, "; ")
}

// merge puts the outcomes of another try in the place of the earlier ones. What the
// earlier try did stays in them.
func merge(before, after result.Sweep) result.Sweep {
	outcomes := slices.Clone(before.Outcomes)
	for _, o := range after.Outcomes {
		i := slices.IndexFunc(outcomes, func(b result.Outcome) bool { return b.Credential == o.Credential })
		if i < 0 {
			outcomes = append(outcomes, o)
			continue
		}
		was := outcomes[i]
		o.Steps = append(slices.Clone(was.Steps), o.Steps...)
		if o.Replaced == "" {
			o.Replaced, o.ReplacedEnds = was.Replaced, was.ReplacedEnds
		}
		did := func(r result.Result) bool { return r == result.Published || r == result.Changed }
		if o.Result == result.Unchanged && did(was.Result) || o.Result == result.Changed && was.Result == result.Published {
			o.Result = was.Result
		}
		outcomes[i] = o
	}
	return result.Sweep{Outcomes: outcomes, Unknown: after.Unknown}
}

// unfinishedError is the error of demands that are not met. A blocked one is
// another error.
func unfinishedError(swept result.Sweep) error {
	for _, o := range swept.Outcomes {
		if !open(o) || o.Result == result.Failed || o.Result == result.Blocked {
			continue
		}
		if o.Recorded {
			return fmt.Errorf("%w: the demand for %s is recorded and not met: the next sweep continues", ErrTryAgain, o.Label())
		}
		return fmt.Errorf("%w: the demand for %s is not met and was not recorded: run the command again", ErrTryAgain, o.Label())
	}
	return nil
}

// pause waits, and reports whether the context lasted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
