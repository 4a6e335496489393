package simulate

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
)

var (
	pairs   = flag.Bool("pairs", false, "enumerate all ordered pairs of faults as well")
	flowing = flag.String("flow", "", "only the flow of this name")
)

// TestEnumerateFaults puts every fault at every call of every flow.
func TestEnumerateFaults(t *testing.T) {
	type scenario struct {
		flow   flow
		faults map[int]fault
		calls  []step
	}
	var all []scenario
	singles := 0
	for _, fl := range flows {
		if *flowing != "" && fl.name != *flowing {
			continue
		}
		calls, v := fl.run(t, nil, Options{})
		for _, line := range v.Violations {
			t.Errorf("%s, without a fault: %s", fl.name, line)
		}
		for i := range calls {
			for _, f := range enumerated {
				all = append(all, scenario{fl, map[int]fault{i: f}, calls})
				singles++
			}
		}
		if !*pairs {
			continue
		}
		for i := range calls {
			for _, f := range enumerated {
				then, _ := fl.run(t, map[int]fault{i: f}, Options{})
				// The calls behind the first fault are those of the flow as it
				// goes on with it, and then of the run that comes after.
				for j := i + 1; j < len(then)+pairsBehind; j++ {
					for _, g := range enumerated {
						all = append(all, scenario{fl, map[int]fault{i: f, j: g}, then})
					}
				}
			}
		}
	}

	done, bad := enumerate(t, all, func(t *testing.T, sc scenario) Verdict {
		_, v := sc.flow.run(t, sc.faults, Options{})
		return v
	}, func(sc scenario) string { return sc.flow.describe(sc.faults, sc.calls) })
	report(t, *pairs, fmt.Sprintf("flows=%d %s violations=%d", len(flows), counts(singles, len(all)-singles, done), bad))
}

// enumerate plays scenarios and tells how many were played, and how many of them
// broke a promise.
func enumerate[S any](t *testing.T, all []S, play func(*testing.T, S) Verdict, describe func(S) string) (done, bad int) {
	const most = 30 // are reported
	var mu sync.Mutex
	work := make(chan S)
	t.Run("scenarios", func(t *testing.T) {
		for range workers {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for sc := range work {
					v := play(t, sc)
					mu.Lock()
					done++
					if len(v.Violations) > 0 {
						if bad++; bad <= most {
							t.Errorf("%s: %s", describe(sc), v.Violations[0])
						}
					}
					mu.Unlock()
				}
			})
		}
		go func() {
			defer close(work)
			for _, sc := range all {
				work <- sc
			}
		}()
	})
	return done, bad
}

// pairsBehind is how many calls of the run behind the flow a second fault may
// hit.
const pairsBehind = 12

func counts(singles, pairs, done int) string {
	if pairs == 0 {
		return fmt.Sprintf("singles %d/%d", done, singles)
	}
	return fmt.Sprintf("singles %d, ordered pairs %d, done %d/%d", singles, pairs, done, singles+pairs)
}

// TestEnumerateHands lets a person do everything that one can do behind
// latchkey's back, before every call of every flow, and take it back or not.
func TestEnumerateHands(t *testing.T) {
	type scenario struct {
		flow flow
		o    Options
	}
	var all []scenario
	for _, fl := range flows {
		if *flowing != "" && fl.name != *flowing {
			continue
		}
		calls, _ := fl.run(t, nil, Options{})
		for _, h := range slices.Concat(hands, clocks, tricks) {
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
		some := all[:0]
		for i := 0; i < len(all); i += 16 {
			some = append(some, all[i])
		}
		all = some
	}
	done, bad := enumerate(t, all, func(t *testing.T, sc scenario) Verdict {
		_, v := sc.flow.run(t, nil, sc.o)
		return v
	}, func(sc scenario) string {
		return fmt.Sprintf("%s, a person %s before call %d (undone: %t, seed %d)", sc.flow.name, sc.o.hand.name, sc.o.at, sc.o.undone, sc.o.seed)
	})
	report(t, *pairs, fmt.Sprintf("hands %d/%d violations=%d", done, len(all), bad))
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
