// Package storm limits how many rotations are forced in an hour.
package storm

import (
	"cmp"
	"sync"
	"time"
)

// Limits of Forced rotations in an hour. They bound the damage of a stolen token, or of
// a rule that matches too many events, and keep one caller from using up what others
// need.
const (
	// Ceiling is the ceiling for all callers together.
	Ceiling             = 60
	forcedPerCaller     = 10
	forcedPerCredential = 5
	// revokedPerHour is the budget of revocations. No demand uses it.
	revokedPerHour = 60
)

// Counter counts the forced rotations of this replica in the last hour. Replicas share
// no counter, so the limits are per replica.
type Counter struct {
	mu     sync.Mutex
	forced []Force // oldest first
}

// Force is one forced rotation, or the question whether one may begin.
type Force struct {
	At time.Time
	// Caller is who demands it. It is empty for a demand that an earlier run recorded.
	Caller, Credential string
	Leaked             bool
}

// Over reports whether a limit of ceiling rotations in all, or a smaller one, is
// reached for f.
func (s *Counter) Over(f Force, ceiling int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full(f, ceiling)
}

// Enter counts f. It returns false if a limit is reached.
func (s *Counter) Enter(f Force, ceiling int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full(f, ceiling) {
		return false
	}
	s.forced = append(s.forced, f)
	return true
}

// full compares f with the last hour. Callers hold mu.
func (s *Counter) full(f Force, ceiling int) bool {
	s.forget(f.At)
	all, byCaller, byCredential := 0, 0, 0
	for _, g := range s.forced {
		if g.Leaked != f.Leaked {
			continue
		}
		all++
		if g.Caller == f.Caller {
			byCaller++
		}
		if g.Credential == f.Credential {
			byCredential++
		}
	}
	if f.Leaked {
		return all >= revokedPerHour
	}
	ceiling = cmp.Or(ceiling, Ceiling)
	most := min(forcedPerCaller, ceiling)
	if f.Caller == "" {
		most = max(ceiling/2, 1) // recorded demands of all callers leave as much for new ones
	}
	return all >= ceiling || byCaller >= most || byCredential >= forcedPerCredential
}

// forget drops rotations older than an hour. It also drops those in the future,
// since the clock was set back.
func (s *Counter) forget(now time.Time) {
	kept := s.forced[:0]
	for _, f := range s.forced {
		if age := now.Sub(f.At); age >= 0 && age < time.Hour {
			kept = append(kept, f)
		}
	}
	s.forced = kept
}
