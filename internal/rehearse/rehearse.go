// Package rehearse plays an account's next months in advance. It loads what a look has
// seen, without values, into the emulator, runs latchkey's protocol there in virtual
// time, once as it is and once per fault, and says what would break and when.
//
// The stores are in memory and take every write: their own faults are not played. All
// policies are replaced by one that the emulator knows. Sweeps are played when something
// may happen: a key is due, a key ends, work is unfinished, or a day has passed.
package rehearse

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/iam"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Seen is a credential, and what a look has seen of it.
type Seen struct {
	port.Credential
	Outcome result.Outcome
	// Running are the consumers that latchkey can restart.
	Running []protocol.Consumer
}

// Account is what is rehearsed.
type Account struct {
	Owner string
	Seen  []Seen
	// Others are the rules of the credentials that sweeps look at and that are not
	// rehearsed. They have their share of what a sweep may replace.
	Others []protocol.Rules
	Now    time.Time
}

// A Break is something that a person has to know.
type Break struct {
	At         time.Time           `json:"at"`
	Credential string              `json:"credential"`
	What       string              `json:"what"`
	Reason     reason.Reason       `json:"reason,omitempty"`
	Severity   Severity            `json:"severity"`
	Is         condition.Condition `json:"condition,omitempty"`
}

// Severity is what a break means for consumers.
type Severity string

// The severities.
const (
	Outage  Severity = "outage"  // the key that consumers have does not work
	Blocked Severity = "blocked" // a person must act before it becomes one
)

// Result is what one scenario showed, in the order of time.
type Result struct {
	Scenario string  `json:"scenario"`
	Rotated  int     `json:"rotated"` // keys that were replaced
	Breaks   []Break `json:"breaks"`
}

// A scenario is a fault that the account may meet.
type scenario struct {
	name string
	// begin is called before the first sweep.
	begin func(*world) error
	// each is called before each sweep, with the time since the start. It returns
	// false if the sweep is left out.
	each func(*world, time.Duration) bool
}

// Days is how long a rehearsal lasts.
const Days = 90

// seldom is how long a credential at rest is not looked at. It is within the fuse of a
// new key.
const seldom = 24 * time.Hour

// week is when faults that come and go begin and how long they last.
const week = 7 * 24 * time.Hour

func scenarios() []scenario {
	perCredential := func(do func(*world, *played) error) func(*world) error {
		return func(w *world) error {
			for _, p := range w.played {
				if err := do(w, p); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return []scenario{
		{name: "as it is"},
		{name: "another identity locks each published key", begin: perCredential(func(w *world, p *played) error {
			if key := p.published(); key != "" {
				return w.server.Cloud().LockAPIKey(cloud.Owner(), key, true)
			}
			return nil
		})},
		{name: "other software fills each service ID with keys", begin: perCredential(func(w *world, p *played) error {
			for n := 0; p.iamID != "" && n < mostKeys; n++ {
				if _, err := w.server.Cloud().CreateAPIKey(cloud.Owner(), cloud.NewAPIKey{Name: "other", IAMID: p.iamID}); err != nil {
					return nil //nolint:nilerr // the service ID is full
				}
			}
			return nil
		})},
		{name: "latchkey loses its rights on the service after a week, and each policy is removed", each: func(w *world, since time.Duration) bool {
			if since >= week && !w.done {
				w.done = true
				w.server.Cloud().Revoke(w.server.Cloud().Minter().IAMID, "logs")
				for _, p := range w.server.State(false).Policies {
					if slices.ContainsFunc(w.played, func(of *played) bool { return hasSubject(p, of.iamID) }) {
						_ = w.server.Cloud().DeletePolicy(cloud.Owner(), p.ID) // it is there: the state has just shown it
					}
				}
			}
			return true
		}},
		{name: "IAM accepts no write for a week, from the day on which a key is due", each: func(w *world, since time.Duration) bool {
			if due := w.firstDue(); !w.done && !due.IsZero() && !w.server.Now().Before(due) {
				w.done, w.until = true, since+week
				for _, method := range []string{"POST", "PUT", "DELETE"} {
					w.server.Inject(emulator.Fault{Method: method, Path: "/v1/*", Kind: emulator.FaultStatus, Status: 503})
				}
			}
			if w.done && since >= w.until {
				w.server.ClearFaults()
			}
			return true
		}},
		{name: "no sweep runs any more", each: func(*world, time.Duration) bool { return false }},
	}
}

// mostKeys is above IAM's limit of keys per service ID.
const mostKeys = 25

// mayWork reports whether a service ID has a policy.
func (w *world) mayWork(p *played) bool {
	return slices.ContainsFunc(w.server.State(false).Policies, func(of cloud.Policy) bool { return hasSubject(of, p.iamID) })
}

func hasSubject(p cloud.Policy, iamID string) bool {
	return slices.ContainsFunc(p.Subject, func(a cloud.Attribute) bool { return a.Value == iamID })
}

// Run rehearses each scenario. say, if not nil, receives a scenario's name before it is
// played.
func Run(ctx context.Context, a Account, say func(string)) (results []Result, err error) {
	for _, s := range scenarios() {
		if say != nil {
			say(s.name)
		}
		r, err := play(ctx, a, s)
		if err != nil {
			return results, fmt.Errorf("rehearsing %q: %w", s.name, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// A world is an emulator with the account in it.
type world struct {
	server     *emulator.Server
	iam        *iam.Client
	reconciler *reconcile.Reconciler
	owner      string
	played     []*played
	began      time.Time
	every      time.Duration // the interval of sweeps
	budget     budget

	done  bool // the fault has begun
	until time.Duration
}

// played is a credential in a world.
type played struct {
	Seen
	iamID  string
	stores []*store
	ids    map[string]string       // keys in the emulator, by their ID in the account
	values map[string]secret.Value // of keys in the emulator
	was    string                  // what was last recorded
	first  string                  // the key that was published at the start, as a value's key
	ended  bool                    // that key has ended
	down   bool                    // the published key does not work
	denied bool                    // the service ID has no policy
	told   map[protocol.Note]bool  // what a person was told to do
	at     time.Duration           // when it is looked at again
}

// published is the key that the first store names.
func (p *played) published() string {
	if len(p.stores) == 0 {
		return ""
	}
	return p.stores[0].entry.KeyID
}

// named returns the ID that a key has in the account, or empty for one that the rehearsal
// made.
func (p *played) named(id string) string {
	for seen, made := range p.ids {
		if made == id {
			return seen
		}
	}
	return ""
}

// firstDue is when the first of the keys that were published at the start is due, or zero.
func (w *world) firstDue() (first time.Time) {
	for _, p := range w.played {
		i := slices.IndexFunc(p.Outcome.Keys, func(k protocol.Key) bool { return p.ids[k.ID] != "" && p.ids[k.ID] == p.first })
		if i < 0 {
			continue
		}
		due := p.Outcome.Keys[i].Created.Add(p.Rules.After - p.Rules.Jitter)
		if first.IsZero() || due.Before(first) {
			first = due
		}
	}
	return first
}

func play(ctx context.Context, a Account, s scenario) (Result, error) {
	r := Result{Scenario: s.name, Breaks: []Break{}}
	w, err := load(ctx, a)
	if err != nil {
		return r, err
	}
	defer w.server.Close()
	if s.begin != nil {
		if err := s.begin(w); err != nil {
			return r, err
		}
	}
	for since := time.Duration(0); since <= Days*24*time.Hour; since = w.next(since) {
		if d := w.began.Add(since).Sub(w.server.Now()); d > 0 {
			w.server.Advance(d)
		}
		sweeps := s.each == nil || s.each(w, since)
		w.budget.begin()
		for _, p := range w.played {
			if err := ctx.Err(); err != nil {
				return r, err
			}
			if since < p.at {
				continue
			}
			before := p.published()
			out := result.Outcome{Condition: condition.OK}
			if sweeps {
				// An error is in the outcome's condition, too.
				out, _ = w.reconciler.Reconcile(ctx, p.Credential, reconcile.Request{Routine: w.budget.of()})
			}
			if now := p.published(); now != before {
				r.Rotated++
			}
			r.Breaks = append(r.Breaks, w.breaks(p, out)...)
			p.at = w.again(p, out, since)
		}
	}
	slices.SortStableFunc(r.Breaks, func(a, b Break) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Credential, b.Credential))
	})
	return r, nil
}

// next returns when the first credential is looked at again.
func (w *world) next(since time.Duration) time.Duration {
	next := since + max(w.every, seldom)
	for _, p := range w.played {
		next = min(next, p.at)
	}
	return next
}

// again returns when a credential is looked at again: at the first sweep at which
// something may happen.
func (w *world) again(p *played, out result.Outcome, since time.Duration) time.Duration {
	first := since + w.every
	latest := since + max(w.every, seldom/w.every*w.every)
	switch out.Condition {
	case condition.Due, condition.InProgress, condition.Unknown:
		return first
	}
	at := latest
	soon := func(t time.Time) {
		if d := t.Sub(w.began); d > since {
			at = min(at, (d+w.every-1)/w.every*w.every)
		}
	}
	if out.Condition == condition.OK { // else a person has to act
		if soon(out.Next); len(out.Steps) > 0 {
			return first
		}
	}
	for _, k := range w.server.State(false).APIKeys {
		if k.IAMID == p.iamID {
			soon(k.ExpiresAt)
		}
	}
	return max(at, first)
}

// breaks returns what is new since the sweep before.
func (w *world) breaks(p *played, out result.Outcome) (found []Break) {
	now := w.server.Now()
	add := func(severity Severity, what string) {
		found = append(found, Break{At: now, Credential: p.Name, What: what, Reason: out.Reason, Severity: severity, Is: out.Condition})
	}
	if key := p.published(); key != "" {
		_, err := w.server.Cloud().ExchangeAPIKey(p.stores[0].entry.Value.Expose())
		if down := err != nil; down != p.down {
			if p.down = down; down {
				add(Outage, "the published key stops working")
			} else {
				add(Blocked, "the published key works again")
			}
		}
	}
	if denied := p.iamID != "" && !w.mayWork(p); denied != p.denied {
		if p.denied = denied; denied {
			add(Outage, "the policy is gone: consumers log in, and the service refuses them")
		} else {
			add(Blocked, "the policy is back")
		}
	}
	if value, ok := p.values[p.first]; ok && !p.ended && len(p.Running) == 0 {
		if _, err := w.server.Cloud().ExchangeAPIKey(value.Expose()); err != nil {
			p.ended = true
			if p.published() != p.first {
				add(Outage, "a consumer that read today's key, and never reads again, stops working: latchkey restarts none")
			}
		}
	}
	for _, n := range out.Notes {
		if about := (protocol.Note{Reason: n.Reason, Key: n.Key}); n.Reason.Kind() == reason.Block && !p.told[about] {
			p.told[about] = true
			add(Blocked, strings.TrimPrefix(p.named(n.Key)+": "+n.Reason.Sentence(), ": "))
			found[len(found)-1].Reason = n.Reason
		}
	}
	is := ""
	if out.Condition == condition.Blocked || out.Condition == condition.Missing || out.Condition == condition.Expiring || out.Condition == condition.Expired {
		is = string(cmp.Or(out.Reason, reason.Reason(out.Condition)))
	}
	if is != p.was {
		if p.was = is; is != "" {
			add(Blocked, cmp.Or(out.Message, string(out.Condition)))
		}
	}
	return found
}
