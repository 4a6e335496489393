package service

import (
	"slices"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/result"
)

// looksAtAll lets one look at all credentials run, and one wait. A look that
// arrives while one waits shares its result: that one observes after both
// arrived. A look that runs is never shared, since it may have observed before.
type looksAtAll struct {
	mu      sync.Mutex
	running *sharedLook
	waiting *sharedLook
	ended   time.Time // when the last one ended; at first, when the process began
}

// idle returns how long no look has run: 0 if one runs.
func (l *looksAtAll) idle() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running != nil {
		return 0
	}
	return time.Since(l.ended)
}

type sharedLook struct {
	done  chan struct{} // closed when swept is set
	swept result.Sweep
}

// do runs look, or waits for the one that waits. shared is true for the latter.
func (l *looksAtAll) do(look func() result.Sweep) (swept result.Sweep, shared bool) {
	l.mu.Lock()
	if w := l.waiting; w != nil {
		l.mu.Unlock()
		<-w.done
		return result.Sweep{Outcomes: slices.Clone(w.swept.Outcomes), Unknown: w.swept.Unknown}, true
	}
	own, before := &sharedLook{done: make(chan struct{})}, l.running
	if before == nil {
		l.running = own
	} else {
		l.waiting = own
	}
	l.mu.Unlock()
	if before != nil {
		<-before.done // which makes this one the running one
	}
	own.swept = look()
	l.mu.Lock()
	l.running, l.waiting, l.ended = l.waiting, nil, time.Now()
	l.mu.Unlock()
	close(own.done)
	return result.Sweep{Outcomes: slices.Clone(own.swept.Outcomes), Unknown: own.swept.Unknown}, false
}

// atAll reports whether the bundle is a look at all credentials.
func (b bundled) atAll() bool {
	return b.Verb == event.Look && !b.NeedsAuth() && len(b.Credentials) == 0 && b.Project == "" && len(b.With) == 0 && len(b.secrets) == 0
}

// lookAtAll finds and reconciles all credentials.
func (s *Service) lookAtAll(b bundled, from caller, recorded *demands) result.Sweep {
	swept, shared := s.looksAtAll.do(func() result.Sweep {
		begun := time.Now()
		s.find(&b, from, recorded)
		swept := s.runBundle(b, from.cause, recorded, nil)
		swept.Log(s.cfg.Log, s.cfg.Now(), time.Since(begun))
		if s.cfg.Swept != nil {
			s.cfg.Swept(swept)
		}
		return swept
	})
	if shared {
		caused(swept.Outcomes, from.cause)
	}
	return swept
}
