package simulate

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// Every event comes five times, to four replicas, within seconds: the store that
// compares and sets lets one of the keys through, and the others are taken back.
func TestFiveCopiesOnFourReplicasPublishOneKeyInADueWindow(t *testing.T) {
	seeds := uint64(100)
	if raceDetector {
		seeds = 10 // make test plays the others without it
	}
	for _, layout := range []string{"G", "GP", "PG", "GG", "g", "gP"} {
		for _, what := range []string{"due by age", "demanded"} {
			for seed := uint64(1); seed <= seeds; seed++ {
				v, published := five(t, layout, what == "demanded", seed)
				if len(v.Violations) > 0 {
					t.Errorf("%s, %s, seed %d: %s", layout, what, seed, v.Violations[0])
				}
				if published != 1 {
					t.Errorf("%s, %s, seed %d: %d keys were published, want 1", layout, what, seed, published)
				}
			}
		}
	}
}

// five plays the copies of one event and tells how many keys a store named for the
// first time because of it.
func five(t *testing.T, layout string, demanded bool, seed uint64) (v Verdict, published int) {
	synctest.Test(t, func(*testing.T) {
		s := staged(seed, Options{}, layout, 1, "A", "B", "C", "D")
		s.policy = &script{sim: s}
		due(s)
		req := reconcile.Request{Cause: "timer"}
		if demanded {
			req = reconcile.Request{Cause: "demand", Trigger: protocol.Trigger{NewerThan: s.now}}
		}
		s.lag, s.stale = pick(s.rnd, 0, 5*time.Second, 60*time.Second), s.rnd.IntN(2) == 0
		s.policy = &chance{sim: s, rnd: rand.New(rand.NewPCG(seed, 3)), on: true, slow: 0.2, steady: true}
		before := s.firsts
		for range 5 {
			in := s.replicas[s.rnd.IntN(len(s.replicas))]
			s.after(time.Duration(s.rnd.Int64N(int64(4*time.Second))), func() { s.begin(in, req, 10*time.Minute) })
		}
		s.until(s.now.Add(20 * time.Minute))
		for _, in := range s.replicas {
			s.sweep(in)
			s.until(s.now.Add(5 * time.Minute))
		}
		published = s.firsts - before
		for _, in := range s.replicas {
			s.kill(in)
		}
		s.settle()
		v = s.verdict(seed)
	})
	return v, published
}

func TestALostAnswerToTheCreateLeavesOneKey(t *testing.T) {
	for _, fl := range flows[:4] {
		clean, _ := fl.run(t, nil, Options{})
		for i, st := range clean {
			if st != post {
				continue
			}
			for _, what := range []fault{lost, truncated} {
				var made, left int
				_, v := fl.run(t, map[int]fault{i: what}, Options{after: func(s *sim) {
					for _, f := range s.order {
						if f.by == s.runs[len(s.runs)-1] {
							made++
							if f.gone.IsZero() {
								left++
							}
						}
					}
				}})
				if made != 1 || left != 1 || len(v.Violations) > 0 {
					t.Errorf("%s, %s: %d keys were made and %d are there, want one: %v", fl.name, what, made, left, v.Violations)
				}
			}
		}
	}
}
