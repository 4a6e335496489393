package simulate

import (
	"flag"
	"fmt"
	"runtime/debug"
	"sync"
	"testing"
	"time"
)

var (
	histories = flag.Int("histories", 0, "how many histories to play; 0 is as many as an ordinary test run has time for")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first history")
	asked     = flag.String("twist", "", "a twist that every history has")
	replay    = flag.Bool("replay", false, "play the one history of -seed and print what happened")
)

// workers play histories at the same time; each history has one bubble.
const workers = 2

// TestMain lets the heap grow: histories leave much behind and need little, and
// the collector would take a third of the time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	m.Run()
}

var everything = flag.Bool("all", false, "play everything, as make test does: 10,000 histories, every hand, every lasting fault and the mutants")

// selected reports whether tests play in full: with -all, or if -run names some. An
// ordinary run of the package plays samples, so that it ends within a minute.
func selected() bool { return *everything || flag.Lookup("test.run").Value.String() != "" }

// sampled returns each nth element, or all in full.
func sampled[T any](list []T, n int) []T {
	if selected() {
		return list
	}
	return everyNth(list, n)
}

// everyNth returns each nth element, from the first on.
func everyNth[T any](list []T, n int) (some []T) {
	for i := 0; i < len(list); i += n {
		some = append(some, list[i])
	}
	return some
}

// tally adds up verdicts.
type tally struct {
	mu        sync.Mutex
	histories int
	bad       []Verdict
	life      time.Duration
	hits      *coverage
	published int
	doubles   int
}

func (y *tally) add(v Verdict) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.histories++
	y.life += v.life / 1000 // a Duration holds 292 years
	y.hits.merge(v.hits)
	y.published += v.Published
	y.doubles += v.doubles
	if len(v.Violations) > 0 {
		y.bad = append(y.bad, v)
	}
}

func (y *tally) String() string {
	const year = 365 * 24 * time.Hour
	return fmt.Sprintf("histories=%d violations=%d key-years=%.1f coverage=%s",
		y.histories, len(y.bad), float64(y.life)*1000/float64(year), y.hits)
}

// many plays n histories from a seed on, until stop says that it knows enough.
func many(t *testing.T, first uint64, n int, o Options, stop func(*tally) bool) *tally {
	y := &tally{hits: newCoverage()}
	next := make(chan uint64)
	var over sync.Once
	quit := make(chan struct{})
	t.Run("histories", func(t *testing.T) {
		for range workers {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for seed := range next {
					y.add(Run(t, seed, o))
					y.mu.Lock()
					enough := stop(y)
					y.mu.Unlock()
					if enough {
						over.Do(func() { close(quit) })
					}
				}
			})
		}
		go func() {
			defer close(next)
			for i := range n {
				select {
				case next <- first + uint64(i):
				case <-quit:
					return
				}
			}
		}()
	})
	return y
}

func TestEveryPromiseIsKeptInRandomHistories(t *testing.T) {
	if *replay {
		tell(t, Options{Trace: true, twist: twist(*asked)})
		return
	}
	n := *histories
	if n == 0 {
		n = ordinary
		if selected() {
			n = whole
		}
	}
	began := time.Now()
	y := many(t, *firstSeed, n, Options{twist: twist(*asked)}, func(*tally) bool { return false })
	for i, v := range y.bad {
		if i == 60 {
			t.Errorf("… and %d more", len(y.bad)-i)
			break
		}
		t.Errorf("seed %d (replay: go test ./internal/simulate -run Promise -replay -seed %d -v): %s", v.Seed, v.Seed, v.Violations[0])
	}
	if missing := append(y.hits.missing(), y.hits.untwisted()...); len(missing) > 0 && n >= 10_000 {
		t.Errorf("never hit: %v\n%s", missing, y.hits.table())
	}
	if missing := y.hits.untouched(); len(missing) > 0 && n >= 100_000 {
		t.Errorf("never played before a call: %v", missing)
	}
	t.Logf("published=%d doubles=%d in %s", y.published, y.doubles, time.Since(began).Round(time.Second))
	report(t, *histories > 0, y.String())
}

// tell replays one history, and prints its trace.
func tell(t *testing.T, o Options) {
	t.Helper()
	v := Run(t, *firstSeed, o)
	for _, line := range v.Lines {
		t.Log(line)
	}
	for _, line := range v.Violations {
		t.Error(line)
	}
	t.Logf("seed %d, trace %016x", v.Seed, v.Hash)
}

func TestTheSameSeedTellsTheSameStory(t *testing.T) {
	for seed := uint64(1); seed <= 60; seed++ {
		a, b := Run(t, seed, Options{}), Run(t, seed, Options{})
		if a.Hash != b.Hash {
			t.Fatalf("seed %d: traces %016x and %016x", seed, a.Hash, b.Hash)
		}
	}
}

// report shows a result; aloud is for those who did not ask for every log.
func report(t *testing.T, aloud bool, line string) {
	t.Helper()
	t.Log(line)
	if aloud && !testing.Verbose() {
		fmt.Println(line)
	}
}
