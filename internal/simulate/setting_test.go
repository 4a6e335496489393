package simulate

import "testing"

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
