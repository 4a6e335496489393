package reconcile_test

import (
	"testing"

	"github.com/latchkey-io/latchkey/internal/simulate"
)

// histories is how many simulated histories this package plays itself. The
// tests of simulate play many more.
const histories = 300

func TestEveryPromiseIsKeptInSomeHundredHistories(t *testing.T) {
	published := 0
	for seed := uint64(1); seed <= histories; seed++ {
		v := simulate.Run(t, seed, simulate.Options{})
		published += v.Published
		for _, broken := range v.Violations {
			t.Errorf("seed %d (replay: go test ./internal/simulate -run Promise -replay -seed %d -v): %s", seed, seed, broken)
		}
	}
	if published < histories {
		t.Errorf("%d keys were published in %d histories", published, histories)
	}
}
