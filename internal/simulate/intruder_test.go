package simulate

import "testing"

// These histories once broke a promise.
func TestHistoriesWithAnIntruderThatOnceFailed(t *testing.T) {
	for _, seed := range []uint64{5003037, 5006387, 5007493, 5009761, 5033363, 5052990, 44001974, 53270} {
		for _, v := range Run(t, seed, Options{intruded: true}).Violations {
			t.Errorf("seed %d: %s", seed, v)
		}
	}
}

func TestHistoriesThatOnceFailed(t *testing.T) {
	for _, seed := range []uint64{12893, 18242, 82785, 107253, 129348, 129913, 191421, 217805, 250042, 324115, 352649, 373493, 379709, 382682, 2007822, 2015929, 45002334, 46000860, 46009056, 72011223} {
		for _, v := range Run(t, seed, Options{}).Violations {
			t.Errorf("seed %d: %s", seed, v)
		}
	}
}

// TestPromisesHoldWithAnIntruder plays histories in which a member of the account
// forges markers and writes one store.
func TestPromisesHoldWithAnIntruder(t *testing.T) {
	n := *histories
	if n == 0 {
		n = 1000
	}
	if raceDetector {
		n = min(n, 100)
	}
	if *replay {
		tell(t, Options{Trace: true, intruded: true})
		return
	}
	y := many(t, *firstSeed, n, Options{intruded: true}, func(y *tally) bool { return len(y.bad) >= 10 })
	for _, v := range y.bad {
		t.Errorf("seed %d: %s", v.Seed, v.Violations[0])
	}
	report(t, *histories > 0, y.String())
}
