package reconcile

import (
	"sync"
	"time"
)

// forcedPerHour is the maximum number of forced rotations in an hour. It limits
// the damage of a stolen token, or of a rule that matches too many events.
const forcedPerHour = 10

// storm counts the forced rotations of this replica. Replicas share no counter, so
// the limit is per replica.
type storm struct {
	mu     sync.Mutex
	forced []time.Time // of the last hour, oldest first
}

// over reports whether the limit is reached at now.
func (s *storm) over(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	return len(s.forced) >= forcedPerHour
}

// enter counts one rotation. It returns false if the limit is reached.
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

// forget drops rotations older than an hour. It also drops those in the future,
// since the clock was set back.
func (s *storm) forget(now time.Time) {
	kept := s.forced[:0]
	for _, at := range s.forced {
		if age := now.Sub(at); age >= 0 && age < time.Hour {
			kept = append(kept, at)
		}
	}
	s.forced = kept
}
