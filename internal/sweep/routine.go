package sweep

import (
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// routine counts the keys that this replica has begun to replace because of their age
// alone, in the last interval of sweeps.
type routine struct {
	mu sync.Mutex
	at []time.Time // oldest first
}

// room reports whether one more of at most so many fits in the interval before now. It
// counts one that fits if begin is set.
func (r *routine) room(now time.Time, every time.Duration, most int, begin bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.at) > 0 && now.Sub(r.at[0]) >= every {
		r.at = r.at[1:]
	}
	if len(r.at) >= most {
		return false
	}
	if begin {
		r.at = append(r.at, now)
	}
	return true
}

// roomFor returns what reports whether one more key of the credentials may be replaced
// because of its age alone, and counts it if begin is set.
func (s *Sweeper) roomFor(credentials []port.Credential) func(begin bool) bool {
	rules := make([]protocol.Rules, len(credentials))
	for i, c := range credentials {
		rules[i] = c.Rules
	}
	most := protocol.Routine(rules, s.cfg.Every)
	return func(begin bool) bool { return s.routine.room(s.cfg.Now(), s.cfg.Every, most, begin) }
}
