package offboard_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// world is what a deprovisioning works on: a service ID with keys, and secrets in which
// others have entries, too.
type world struct {
	now      time.Time
	identity bool
	mark     time.Time
	keys     map[string]*worldKey
	secrets  map[string]map[string]string // by store: entries by name, with the key that they name
	gone     []string                     // keys that were deleted while they worked or were in use
	blocked  reason.Reason
}

type worldKey struct {
	disabled  bool
	suspended time.Time
	used      time.Time
}

const (
	ourEntry   = "IAM_API_KEY"
	otherEntry = "NEIGHBOUR"
)

func newWorld(used time.Duration) *world {
	w := &world{now: now, identity: true, keys: map[string]*worldKey{"new": {used: now.Add(-used)}, "old": {}}, secrets: map[string]map[string]string{}}
	for _, store := range []string{"a", "b"} {
		w.secrets[store] = map[string]string{ourEntry: "new", otherEntry: "another's"}
	}
	return w
}

func (w *world) state(d offboard.Demand) offboard.State {
	s := offboard.State{Demand: d, Exists: w.identity, Mark: w.mark}
	for _, id := range []string{"new", "old"} {
		if k := w.keys[id]; k != nil {
			s.Keys = append(s.Keys, offboard.Key{ID: id, Disabled: k.disabled, Suspended: k.suspended, Used: k.used})
		}
	}
	for _, store := range []string{"a", "b"} {
		s.Stores = append(s.Stores, offboard.Store{Name: store, Ours: w.keys[w.secrets[store][ourEntry]] != nil})
	}
	return s
}

// take takes a step as reconcile does. Each is one or two calls; crash is after which of
// them the process ends.
func (w *world) take(s protocol.Step, crash int) {
	switch s.Action {
	case protocol.MarkEnd:
		w.mark = w.now
	case protocol.UnmarkEnd:
		w.mark = time.Time{}
	case protocol.Suspend:
		if w.keys[s.Key].suspended = w.now; crash != 1 {
			w.keys[s.Key].disabled = true
		}
	case protocol.Enable:
		w.keys[s.Key].disabled = false
	case protocol.RemoveEntry:
		delete(w.secrets[s.Target], ourEntry)
	case protocol.Retire:
		if k := w.keys[s.Key]; !k.disabled || w.now.Before(k.suspended.Add(rules.Wait)) {
			w.gone = append(w.gone, s.Key)
		}
		delete(w.keys, s.Key)
	case protocol.RemoveIdentity:
		if len(w.keys) == 0 {
			w.identity = false
		}
	}
}

type decide func(offboard.State, offboard.Rules, time.Time) offboard.Plan

// run is one run that ends after some calls. The last call may fail without an effect.
func (w *world) run(by decide, d offboard.Demand, calls int, fails bool) {
	s := w.state(d)
	if !offboard.Concerns(s) {
		return
	}
	p := by(s, rules, w.now)
	w.blocked = p.Blocked
	for _, step := range p.Steps {
		n := 1
		if step.Action == protocol.Suspend {
			n = 2
		}
		for call := 1; call <= n; call++ {
			if calls--; calls < 0 || calls == 0 && fails {
				if call == 2 {
					w.take(step, 1)
				}
				return
			}
		}
		w.take(step, 0)
	}
}

// promise is what holds after a walk.
func (w *world) promise(forced, inUse, undone bool) error {
	for store, entries := range w.secrets {
		if entries[otherEntry] != "another's" {
			return fmt.Errorf("the neighbour in %s is gone", store)
		}
	}
	suspended := slices.ContainsFunc([]string{"new", "old"}, func(id string) bool { return w.keys[id] == nil || w.keys[id].disabled })
	left := w.identity || len(w.keys) > 0 || w.secrets["a"][ourEntry]+w.secrets["b"][ourEntry] != ""
	switch {
	case len(w.gone) > 0:
		return fmt.Errorf("%s: deleted before the wait was over", strings.Join(w.gone, ", "))
	case inUse && !forced && (suspended || !w.mark.IsZero()):
		return fmt.Errorf("a credential in use is deprovisioned")
	case inUse && !forced:
		return nil
	case undone && (suspended || !w.identity || !w.mark.IsZero()):
		return fmt.Errorf("the undo did not bring it back")
	case !undone && left:
		return fmt.Errorf("something of ours is left: identity %t, %d keys, %v", w.identity, len(w.keys), w.secrets)
	}
	return nil
}

// walks walks through a deprovisioning with a crash after each call and a failure of each,
// alone and in pairs, and returns how many walks there were and the first broken promise.
func walks(by decide) (n int, broken error) {
	const most = 12
	for _, inUse := range []bool{false, true} {
		for _, forced := range []bool{false, true} {
			for _, undone := range []bool{false, true} {
				for first := range most {
					for second := range most {
						for fails := range 2 {
							n++
							w := newWorld(map[bool]time.Duration{true: time.Hour, false: 30 * 24 * time.Hour}[inUse])
							d := offboard.Demand{Ask: offboard.End, Force: forced}
							w.run(by, d, first, fails == 1)
							if w.mark.IsZero() {
								w.run(by, d, most, false) // the demand was not recorded: it comes again
							}
							if undone {
								w.run(by, offboard.Demand{Ask: offboard.Undo}, second, fails == 1)
								w.run(by, offboard.Demand{Ask: offboard.Undo}, most, false)
							}
							for range 5 {
								w.now = w.now.Add(rules.Wait + time.Minute)
								w.run(by, offboard.Demand{}, second, fails == 1)
								w.run(by, offboard.Demand{}, most, false)
							}
							if err := w.promise(forced, inUse, undone); err != nil {
								return n, fmt.Errorf("in use %t, forced %t, undone %t, ended after %d and %d calls: %w", inUse, forced, undone, first, second, err)
							}
						}
					}
				}
			}
		}
	}
	return n, nil
}

func TestEveryWalkKeepsThePromises(t *testing.T) {
	n, err := walks(offboard.Decide)
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d walks", n)
}

// Each mutant breaks one rule, and a walk shows it.
func TestMutants(t *testing.T) {
	changed := func(change func(offboard.State, *offboard.Plan)) decide {
		return func(s offboard.State, r offboard.Rules, now time.Time) offboard.Plan {
			p := offboard.Decide(s, r, now)
			change(s, &p)
			return p
		}
	}
	without := func(a protocol.Action) decide {
		return changed(func(_ offboard.State, p *offboard.Plan) {
			p.Steps = slices.DeleteFunc(p.Steps, func(s protocol.Step) bool { return s.Action == a })
		})
	}
	for mutant, by := range map[string]decide{
		"deletes while in use": func(s offboard.State, r offboard.Rules, now time.Time) offboard.Plan {
			s.Demand.Force = true
			return offboard.Decide(s, r, now)
		},
		"does not wait": func(s offboard.State, r offboard.Rules, now time.Time) offboard.Plan {
			r.Wait = 0
			return offboard.Decide(s, r, now)
		},
		"counts the wait from the demand": func(s offboard.State, r offboard.Rules, now time.Time) offboard.Plan {
			for i := range s.Keys {
				s.Keys[i].Suspended = time.Time{}
			}
			return offboard.Decide(s, r, now)
		},
		"forgets undo": func(s offboard.State, r offboard.Rules, now time.Time) offboard.Plan {
			s.Demand.Ask = ""
			if s.Mark.IsZero() {
				s.Demand.Ask = offboard.End
			}
			return offboard.Decide(s, r, now)
		},
		"enables no key":                 without(protocol.Enable),
		"leaves the entries":             without(protocol.RemoveEntry),
		"leaves the keys":                without(protocol.Retire),
		"leaves the service ID":          without(protocol.RemoveIdentity),
		"disables without a record":      without(protocol.MarkEnd),
		"deletes keys without disabling": without(protocol.Suspend),
		"unmarks before it enables": changed(func(_ offboard.State, p *offboard.Plan) {
			slices.SortStableFunc(p.Steps, func(a, b protocol.Step) int {
				return strings.Compare(string(b.Action), string(a.Action)) * map[bool]int{true: 1}[a.Reason == reason.Undone]
			})
		}),
		"deletes the service ID first": changed(func(_ offboard.State, p *offboard.Plan) {
			if i := len(p.Steps) - 1; i > 0 && p.Steps[i].Action == protocol.RemoveIdentity {
				p.Steps = append([]protocol.Step{{Action: protocol.Retire, Key: "new"}, {Action: protocol.Retire, Key: "old"}, p.Steps[i]}, p.Steps[:i]...)
			}
		}),
	} {
		t.Run(mutant, func(t *testing.T) {
			defer func() {
				if p := recover(); p != nil {
					t.Logf("caught: it deletes a key twice: %v", p)
				}
			}()
			_, err := walks(by)
			if err == nil {
				t.Error("no walk shows it")
			}
			t.Log(err)
		})
	}
}
