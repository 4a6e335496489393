package reconcile

import (
	"cmp"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// Limits of forced rotations in an hour. They bound the damage of a stolen token, or of
// a rule that matches too many events, and keep one caller from using up what others
// need.
const (
	// DefaultForcedPerHour is the ceiling for all callers together.
	DefaultForcedPerHour = 60
	forcedPerCaller      = 10
	forcedPerCredential  = 5
	// revokedPerHour is the budget of revocations. No demand uses it.
	revokedPerHour = 60
)

// storm counts the forced rotations of this replica in the last hour. Replicas share
// no counter, so the limits are per replica.
type storm struct {
	mu     sync.Mutex
	forced []force // oldest first
}

// force is one forced rotation, or the question whether one may begin.
type force struct {
	at                 time.Time
	caller, credential string
	leaked             bool
}

// forcedBy returns what a rotation for the reason counts as. A demand that an earlier
// run recorded has no caller: the run that meets it is a look.
func (ru *run) forcedBy(due rotation.Reason) (f force, forced bool) {
	f = force{at: ru.now(), credential: ru.c.Name, leaked: due == rotation.KeyLeaked}
	if due == rotation.Demanded {
		f.caller = ru.req.Caller
	}
	return f, f.leaked || due == rotation.Demanded || due == rotation.Remembered
}

// dueByDemand returns the reason of a rotation that a demand would force: this
// request's, or an earlier one's.
func (ru *run) dueByDemand() rotation.Reason {
	if t := ru.req.Trigger; t.NewerThan.IsZero() && t.NotKey == "" {
		return rotation.Remembered
	}
	return rotation.Demanded
}

func (ru *run) overForced(due rotation.Reason) bool {
	f, _ := ru.forcedBy(due)
	return ru.storm.over(f, ru.ForcedPerHour)
}

// over reports whether a limit of ceiling rotations in all, or a smaller one, is
// reached for f.
func (s *storm) over(f force, ceiling int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full(f, ceiling)
}

// enter counts f. It returns false if a limit is reached.
func (s *storm) enter(f force, ceiling int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full(f, ceiling) {
		return false
	}
	s.forced = append(s.forced, f)
	return true
}

// full compares f with the last hour. Callers hold mu.
func (s *storm) full(f force, ceiling int) bool {
	s.forget(f.at)
	all, byCaller, byCredential := 0, 0, 0
	for _, g := range s.forced {
		if g.leaked != f.leaked {
			continue
		}
		all++
		if g.caller == f.caller {
			byCaller++
		}
		if g.credential == f.credential {
			byCredential++
		}
	}
	if f.leaked {
		return all >= revokedPerHour
	}
	ceiling = cmp.Or(ceiling, DefaultForcedPerHour)
	most := min(forcedPerCaller, ceiling)
	if f.caller == "" {
		most = max(ceiling/2, 1) // recorded demands of all callers leave as much for new ones
	}
	return all >= ceiling || byCaller >= most || byCredential >= forcedPerCredential
}

// forget drops rotations older than an hour. It also drops those in the future,
// since the clock was set back.
func (s *storm) forget(now time.Time) {
	kept := s.forced[:0]
	for _, f := range s.forced {
		if age := now.Sub(f.at); age >= 0 && age < time.Hour {
			kept = append(kept, f)
		}
	}
	s.forced = kept
}
