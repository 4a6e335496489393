package reconcile

import (
	"sync"
	"time"
)

// forcedPerHour is how many rotations may be forced within an hour: somebody
// who holds a token, or a rule that matches too much, must not be able to spin
// every key of an account.
const forcedPerHour = 10

// storm counts the forced rotations of this process. There is no place that
// all instances share, so the bound is per instance.
type storm struct {
	mu     sync.Mutex
	forced []time.Time // of the last hour, oldest first
}

// over reports whether the hour before now has seen as many as it may.
func (s *storm) over(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	return len(s.forced) >= forcedPerHour
}

// enter counts one more, unless there are too many.
func (s *storm) enter(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	if len(s.forced) >= forcedPerHour {
		return false
	}
	s.forced = append(s.forced, now)
	return true
}

// forget drops what is an hour old. One from the future is dropped too: the
// clock was set back.
func (s *storm) forget(now time.Time) {
	kept := s.forced[:0]
	for _, at := range s.forced {
		if age := now.Sub(at); age >= 0 && age < time.Hour {
			kept = append(kept, at)
		}
	}
	s.forced = kept
}
