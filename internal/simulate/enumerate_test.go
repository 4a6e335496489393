package simulate

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/latchkey-io/latchkey/internal/reason"
)

var (
	pairs   = flag.Bool("pairs", false, "enumerate all ordered pairs of faults as well")
	flowing = flag.String("flow", "", "only the flow of this name")
)

// faulty is a flow with faults by the index of the call, the last of them at last.
type faulty struct {
	flow
	faults map[int]fault
	last   int
	calls  []step // of the scenario without the last fault
}

func (sc faulty) describe() string { return sc.flow.describe(sc.faults, sc.calls) }

// with returns the scenarios with one fault more, behind the last one, at each of the
// calls that the scenario has.
func (sc faulty) with(calls []step) (all []faulty) {
	for at := sc.last + 1; at < len(calls); at++ {
		for _, f := range enumerated {
			more := maps.Clone(sc.faults)
			if more == nil {
				more = map[int]fault{}
			}
			more[at] = f
			all = append(all, faulty{sc.flow, more, at, calls})
		}
	}
	return all
}

// TestEnumerateFaults puts every fault at every call of every flow, and with -pairs
// a second one at every call that then follows, those of the next run included.
func TestEnumerateFaults(t *testing.T) {
	var singles []faulty
	for _, fl := range selectedFlows() {
		calls, v := fl.run(t, nil, Options{})
		for _, line := range v.Violations {
			t.Errorf("%s, without a fault: %s", fl.name, line)
		}
		singles = append(singles, faulty{flow: fl, last: -1}.with(calls)...)
	}
	n := len(singles)
	done, bad := explore(t, singles, func(t *testing.T, sc faulty) (Verdict, []faulty) {
		calls, v := sc.run(t, sc.faults, Options{})
		if !*pairs || len(sc.faults) > 1 {
			return v, nil
		}
		return v, sc.with(calls)
	}, faulty.describe)
	report(t, *pairs, fmt.Sprintf("flows %d, single faults %d, ordered pairs %d, violations %d", len(flows), n, done-n, bad))
}

// selectedFlows are all flows, or that of -flow.
func selectedFlows() []flow {
	return slices.DeleteFunc(slices.Clone(flows), func(fl flow) bool { return *flowing != "" && fl.name != *flowing })
}

// TestEnumerateHands lets a person do everything that one can do behind
// latchkey's back, before every call of every flow, and take it back or not.
func TestEnumerateHands(t *testing.T) {
	type scenario struct {
		flow flow
		o    Options
	}
	var all []scenario
	for _, fl := range selectedFlows() {
		calls, _ := fl.run(t, nil, Options{})
		for _, h := range slices.Concat(hands, clocks) {
			for at := range calls {
				for seed := range uint64(len(fl.layout)) { // which of the stores, among others
					for _, undone := range []bool{false, true} {
						all = append(all, scenario{fl, Options{hand: &h, at: at, undone: undone, seed: seed}})
					}
				}
			}
		}
	}
	all = sampled(all, 4)
	if raceDetector { // it takes ten times as long; make test plays all of them without it
		all = everyNth(all, 16)
	}
	done, bad := enumerate(t, all, func(t *testing.T, sc scenario) Verdict {
		_, v := sc.flow.run(t, nil, sc.o)
		return v
	}, func(sc scenario) string {
		return fmt.Sprintf("%s, a person %s before call %d (undone: %t, seed %d)", sc.flow.name, sc.o.hand.name, sc.o.at, sc.o.undone, sc.o.seed)
	})
	report(t, *pairs, fmt.Sprintf("hands %d/%d violations=%d", done, len(all), bad))
}

// TestEnumerateHandsAndFaults lets a person do everything that one can do behind
// latchkey's back, before every call of every flow, and puts every fault at that call
// and at the third one after it. An ordinary run plays a sample.
func TestEnumerateHandsAndFaults(t *testing.T) {
	type scenario struct {
		faulty
		o Options
	}
	var all []scenario
	for _, fl := range selectedFlows() {
		calls, _ := fl.run(t, nil, Options{})
		for _, h := range slices.Concat(hands, clocks) {
			for at := range calls {
				for i, f := range enumerated {
					o := Options{hand: &h, at: at, undone: (at+i)%2 == 0, seed: uint64((at + i) / 2 % len(fl.layout))}
					for _, later := range []int{0, 3} {
						all = append(all, scenario{faulty{fl, map[int]fault{at + later: f}, at + later, calls}, o})
					}
				}
			}
		}
	}
	if !*pairs {
		every := 97
		if raceDetector {
			every = 997
		}
		all = everyNth(all, every)
	}
	done, bad := enumerate(t, all, func(t *testing.T, sc scenario) Verdict {
		_, v := sc.run(t, sc.faults, sc.o)
		return v
	}, func(sc scenario) string {
		return fmt.Sprintf("%s, a person %s before call %d (undone: %t, seed %d)", sc.describe(), sc.o.hand.name, sc.o.at, sc.o.undone, sc.o.seed)
	})
	report(t, *pairs, fmt.Sprintf("flows %d, hands with a fault %d, violations %d", len(flows), done, bad))
}

// visit is what the intruder does once in a flow.
type visit struct {
	flow
	trick hand
	store int // that she may write
	at    int // the call before which she does it
	seed  uint64
}

func (v visit) String() string {
	return fmt.Sprintf("%s, the intruder, who may write store %d, %s before call %d (seed %d)", v.name, v.store, v.trick.name, v.at, v.seed)
}

// play plays the flow with the visit. It must not block a credential whose service ID is
// older than it. Two things may: a text that latchkey can't have written is another
// owner's, and the value to adopt may be lost with its entry.
func (v visit) play(t *testing.T, m *mutant) Verdict {
	first := true
	h := hand{v.trick.name, func(s *sim) (func(), bool) {
		first = len(s.ids) == 0
		s.member = &intruder{place: s.places[v.store]}
		return v.trick.do(s)
	}}
	_, out := v.run(t, nil, Options{hand: &h, at: v.at, seed: v.seed, mutant: m})
	expected := v.trick.name == plantsNoID && out.blocked == reason.EntryUnmarked || v.setting == adopts && out.blocked == reason.AdoptionFailed
	if out.blocked != "" && !first && !expected {
		out.Violations = append(out.Violations, "P9: the intruder blocks the credential: "+string(out.blocked))
	}
	return out
}

// visits are all things that the intruder does, before every call of every flow and of
// the run after it, to each of the stores.
func visits(t *testing.T) (all []visit) {
	nothing := hand{"does nothing", func(*sim) (func(), bool) { return nil, false }}
	for _, fl := range selectedFlows() {
		calls, _ := fl.run(t, nil, Options{hand: &nothing})
		for _, trick := range slices.Concat(tricks, schemes) {
			for store := range fl.layout {
				for at := range calls {
					for seed := range uint64(3) { // which times she writes
						all = append(all, visit{fl, trick, store, at, seed})
					}
				}
			}
		}
	}
	return all
}

// TestEnumerateIntruder lets a hostile member of the account do each of her tricks at
// every call of every flow: every promise holds for the genuine credential, and what is
// hers stays as she made it. An ordinary run plays a sample.
func TestEnumerateIntruder(t *testing.T) {
	all := visits(t)
	if !*pairs {
		all = everyNth(all, 23)
	}
	done, bad := enumerate(t, all, func(t *testing.T, v visit) Verdict { return v.play(t, nil) }, visit.String)
	report(t, *pairs, fmt.Sprintf("flows %d, visits of the intruder %d, violations %d", len(flows), done, bad))
}

// TestTheIntruderShowsWrongProtocols plays the mutants that believe her.
func TestTheIntruderShowsWrongProtocols(t *testing.T) {
	all := visits(t)
	for _, m := range mutants {
		if !m.intruded {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			for _, tried := range everyNth(all, 7) {
				if v := tried.play(t, &m); len(v.Violations) > 0 {
					t.Logf("killed by %s: %s", tried, v.Violations[0])
					return
				}
			}
			t.Error("survived")
		})
	}
}

// TestEveryFlowSucceedsWhateverIAMIsBehind plays the flows without a fault, but
// with lists, gets and tokens that are up to a minute behind, and show keys as
// they were.
func TestEveryFlowSucceedsWhateverIAMIsBehind(t *testing.T) {
	for _, fl := range flows {
		for seed := uint64(1); seed <= 30; seed++ {
			_, v := fl.run(t, nil, Options{lagging: true, seed: seed})
			if len(v.Violations) > 0 {
				t.Errorf("%s, seed %d: %s", fl.name, seed, v.Violations[0])
				break
			}
		}
	}
}
