package simulate

import (
	"sync"
	"testing"
)

// explore plays scenarios and those that follow from them. It returns how many were
// played, and how many of them broke a promise.
func explore[S any](t *testing.T, all []S, play func(*testing.T, S) (Verdict, []S), describe func(S) string) (done, bad int) {
	const most = 30 // are reported
	var mu sync.Mutex
	changed := sync.NewCond(&mu)
	busy := 0
	take := func() (sc S, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		for len(all) == 0 && busy > 0 {
			changed.Wait()
		}
		if len(all) == 0 {
			return sc, false
		}
		sc, all = all[len(all)-1], all[:len(all)-1]
		busy++
		return sc, true
	}
	playOne := func(t *testing.T, sc S) {
		var v Verdict
		var follow []S
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, follow...)
			busy--
			done++
			if len(v.Violations) > 0 {
				if bad++; bad <= most {
					t.Errorf("%s: %s", describe(sc), v.Violations[0])
				}
			}
			changed.Broadcast()
		}()
		v, follow = play(t, sc)
	}
	t.Run("scenarios", func(t *testing.T) {
		for range workers {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for sc, ok := take(); ok; sc, ok = take() {
					playOne(t, sc)
				}
			})
		}
	})
	return done, bad
}

// enumerate plays scenarios from which none follow.
func enumerate[S any](t *testing.T, all []S, play func(*testing.T, S) Verdict, describe func(S) string) (done, bad int) {
	return explore(t, all, func(t *testing.T, sc S) (Verdict, []S) { return play(t, sc), nil }, describe)
}
