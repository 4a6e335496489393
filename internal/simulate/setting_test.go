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
		"a store denies the second read of the entry of an adopted key":                 {adopts, 914561},
		"a store that only the new config has names the key that serves a date":         {configs, 935707},
		"a person asks for a wider policy while the policies are granted":               {configs, 942763},
		"a store's refusal is a day old between two looks":                              {configs, 935896},
		"the rename of a locked service ID is refused, and a key is made":               {renames, 8291},
		"a store names the key that a replica with the new name has just made":          {renames, 11203},
		"one of two service IDs is renamed, and a demand comes to the old name":         {renames, 4667},
		"the service ID is made twice, under the old name and the new one":              {renames, 8889},
		"a key is made on a service ID while it is removed as a duplicate":              {renames, 3517},
		"an app can't get the published key, and as many keys as allowed are alive":     {given, 4275},
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
