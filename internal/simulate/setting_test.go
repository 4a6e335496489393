package simulate

import "testing"

// These histories once broke a promise.
func TestHistoriesWithASettingThatOnceFailed(t *testing.T) {
	for name, h := range map[string]struct {
		setting twist
		seed    uint64
	}{
		"a clock is set while a key is adopted":                                         {adopts, 2480},
		"a key is revoked before it is adopted, while the clock is off":                 {adopts, 1454},
		"the fuse of a published key can't be moved out, and an app has the one before": {given, 8131},
	} {
		for _, v := range Run(t, h.seed, Options{twist: h.setting}).Violations {
			t.Errorf("%s: %s", name, v)
		}
	}
}

// TestEachSettingIsSafe plays histories with what only some configs have.
func TestEachSettingIsSafe(t *testing.T) {
	n := *histories
	if n == 0 {
		n = 60
	}
	if raceDetector {
		n = min(n, 50)
	}
	for _, of := range settings {
		t.Run(string(of), func(t *testing.T) {
			y := many(t, *firstSeed, n, Options{twist: of}, func(y *tally) bool { return len(y.bad) >= 10 })
			for _, v := range y.bad {
				t.Errorf("seed %d (replay: go test ./internal/simulate -run Promise -replay -twist %s -seed %d -v): %s", v.Seed, of, v.Seed, v.Violations[0])
			}
			report(t, *histories > 0, string(of)+": "+y.String())
		})
	}
}
