package sweep

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
)

// account is an account with lists: what a plan from them returns, by credential.
type account struct {
	listed map[string]result.Outcome
	err    error // of reading the lists
	reads  int
	alone  []string // what was looked at by itself
	now    time.Time
}

func (a *account) Reconcile(_ context.Context, c port.Credential, _ reconcile.Request) (result.Outcome, error) {
	a.alone = append(a.alone, c.Name)
	return result.Outcome{Credential: c.Name, Result: result.Unchanged, Condition: condition.OK, Next: a.now.Add(time.Hour)}, nil
}

type fromLists struct{ *account }

func (f fromLists) Reconcile(_ context.Context, c port.Credential, _ reconcile.Request) (result.Outcome, error) {
	out, ok := f.listed[c.Name]
	if !ok {
		return result.Outcome{}, observe.ErrFailed
	}
	out.Credential = c.Name
	return out, nil
}

func (a *account) sweeper() *Sweeper {
	return New(Config{
		Reconciler: a, Listed: fromLists{a}, Now: func() time.Time { return a.now },
		Lists: func(context.Context, []port.Credential) error { a.reads++; return a.err },
	})
}

func TestOnlyWhatNeedsNothingByTheListsIsNotLookedAtByItself(t *testing.T) {
	settled := result.Outcome{Result: result.Unchanged, Condition: condition.OK}
	due, blocked, noted, failed := settled, settled, settled, settled
	due.Steps = []result.Step{{Step: protocol.Step{Action: protocol.Mint}}}
	blocked.Result, blocked.Condition = result.Blocked, condition.Blocked
	noted.Notes = []result.Note{{}}
	failed.Error = "a store could not be read"
	expiring, later := settled, settled
	expiring.Condition = condition.Expiring
	later.Condition, later.Reason = condition.Due, reason.Spread
	a := &account{now: time.Unix(1e9, 0), listed: map[string]result.Outcome{
		"settled": settled, "due": due, "blocked": blocked, "noted": noted, "failed": failed, "expiring": expiring, "later": later,
	}}
	all := named("settled", "due", "blocked", "noted", "failed", "expiring", "unlisted", "later")
	swept := a.sweeper().Sweep(t.Context(), all, reconcile.Request{})
	slices.Sort(a.alone)
	if want := []string{"blocked", "due", "expiring", "failed", "noted", "unlisted"}; !slices.Equal(a.alone, want) || a.reads != 1 {
		t.Errorf("%q were looked at by themselves, want %q, after %d lists", a.alone, want, a.reads)
	}
	for i, out := range swept.Outcomes {
		if out.Credential != all[i].Name || out.Condition != condition.OK && out.Credential != "later" {
			t.Errorf("outcome %d is %s %s", i, out.Credential, out.Condition)
		}
	}
	if !swept.Outcomes[0].Recorded {
		t.Error("a look without a demand is not done")
	}
}

func TestListsAreReadOnlyWhereTheyHelp(t *testing.T) {
	settled := result.Outcome{Result: result.Unchanged, Condition: condition.OK}
	all := named("a", "b", "c", "d", "e")
	world := func() *account {
		a := &account{now: time.Unix(1e9, 0), listed: map[string]result.Outcome{}}
		for _, c := range all {
			a.listed[c.Name] = settled
		}
		return a
	}
	t.Run("a demand is about the credential itself", func(t *testing.T) {
		a := world()
		a.sweeper().Sweep(t.Context(), all, reconcile.Request{Trigger: protocol.Trigger{NotKey: "ApiKey-1"}})
		if a.reads != 0 || len(a.alone) != 5 {
			t.Errorf("%d lists, %d looks", a.reads, len(a.alone))
		}
	})
	t.Run("few credentials are looked at by themselves", func(t *testing.T) {
		a := world()
		a.sweeper().Sweep(t.Context(), all[:3], reconcile.Request{})
		if a.reads != 0 || len(a.alone) != 3 {
			t.Errorf("%d lists, %d looks", a.reads, len(a.alone))
		}
	})
	t.Run("what the last look showed to be due is not delayed", func(t *testing.T) {
		a := world()
		delete(a.listed, "a")
		s := a.sweeper()
		s.Sweep(t.Context(), all, reconcile.Request{})
		a.listed["a"] = settled
		a.now, a.alone = a.now.Add(2*time.Hour), nil
		s.Sweep(t.Context(), all, reconcile.Request{})
		if a.reads != 2 || !slices.Equal(a.alone, []string{"a"}) {
			t.Errorf("%d lists, %q looked at", a.reads, a.alone)
		}
	})
	t.Run("lists that can't be read are tried again after an hour", func(t *testing.T) {
		a := world()
		a.err = errors.New("denied")
		s := a.sweeper()
		for _, step := range []struct {
			later time.Duration
			reads int
		}{{0, 1}, {30 * time.Minute, 1}, {31 * time.Minute, 2}} {
			a.now, a.alone = a.now.Add(step.later), nil
			s.Sweep(t.Context(), all, reconcile.Request{})
			if a.reads != step.reads || len(a.alone) != 5 {
				t.Errorf("after %s: %d lists, want %d; %d looks", step.later, a.reads, step.reads, len(a.alone))
			}
		}
	})
}
