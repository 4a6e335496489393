package service

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// Code Engine makes projects asynchronously: the event about a new one may arrive
// before it is active. Its event is not sent again, so latchkey looks again by itself.
const (
	preparingFirst   = time.Second // doubled after each look
	preparingLongest = 8 * time.Second
	// preparingWithin is how long a process that lasts looks again. A sweep continues.
	preparingWithin = 15 * time.Minute
)

// awaits reports whether a credential waits for a project that is not active yet.
func awaits(o result.Outcome) bool {
	return o.Result == result.InProgress && o.Reason == reason.StoreNotActive
}

// preparing holds the names of the credentials that wait for a project. Each is
// looked at again once, however many events ask.
type preparing struct {
	mu      sync.Mutex
	names   map[string]bool
	stopped bool
	ended   chan struct{} // closed by stop
}

// add returns those of the credentials that did not wait yet.
func (p *preparing) add(credentials []port.Credential) (fresh []port.Credential) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range credentials {
		if !p.names[c.Name] {
			p.names[c.Name] = true
			fresh = append(fresh, c)
		}
	}
	return fresh
}

func (p *preparing) remove(credentials []port.Credential) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range credentials {
		delete(p.names, c.Name)
	}
}

// begin counts a look as work under way, unless the process drains.
func (p *preparing) begin(running *sync.WaitGroup) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped {
		running.Add(1)
	}
	return !p.stopped
}

// stop ends the wait, since the process drains.
func (p *preparing) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped {
		p.stopped = true
		close(p.ended)
	}
}

// awaitProjects looks again at the credentials whose project is not active yet. A
// process that lasts does that after the answer. Another one does it until soon is
// closed, and the answer then asks the sender to repeat the event.
func (s *Service) awaitProjects(swept result.Sweep, credentials []port.Credential, soon <-chan struct{},
	sweep func([]port.Credential) result.Sweep,
) result.Sweep {
	open := waiting(credentials, swept)
	if s.cfg.Ends {
		for _, o := range s.lookAgain(open, soon, sweep) {
			i := slices.IndexFunc(swept.Outcomes, func(before result.Outcome) bool { return before.Credential == o.Credential })
			swept.Outcomes[i] = o
		}
		return swept
	}
	if fresh := s.preparing.add(open); len(fresh) > 0 {
		go func() {
			defer s.preparing.remove(fresh)
			s.lookAgain(fresh, s.preparing.ended, sweep)
		}()
	}
	return swept
}

// lookAgain sweeps the credentials until none waits for a project or end is closed. It
// returns the last outcome of each.
func (s *Service) lookAgain(open []port.Credential, end <-chan struct{}, sweep func([]port.Credential) result.Sweep) []result.Outcome {
	ctx, cancel := context.WithTimeout(s.work, preparingWithin)
	defer cancel()
	last := map[string]result.Outcome{}
	for pause := preparingFirst; len(open) > 0 && passes(ctx, pause, end) && s.preparing.begin(&s.running); pause = min(2*pause, preparingLongest) {
		swept := sweep(open)
		s.running.Done()
		for _, o := range swept.Outcomes {
			last[o.Credential] = o
		}
		open = waiting(open, swept)
	}
	return slices.Collect(maps.Values(last))
}

// passes waits, and reports whether neither the context nor end cut that short.
func passes(ctx context.Context, d time.Duration, end <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-end:
	case <-ctx.Done():
	}
	return false
}

// waiting returns the credentials that wait for a project.
func waiting(credentials []port.Credential, swept result.Sweep) (open []port.Credential) {
	for _, c := range credentials {
		if slices.ContainsFunc(swept.Outcomes, func(o result.Outcome) bool { return o.Credential == c.Name && awaits(o) }) {
			open = append(open, c)
		}
	}
	return open
}
