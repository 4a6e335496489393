package service

import (
	"context"
	"time"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/result"
)

// SweepWhenIdle looks at all credentials whenever no such look has ended for the given
// time, so that a lost timer does not stop rotations. It returns when ctx ends.
func (s *Service) SweepWhenIdle(ctx context.Context, every time.Duration) {
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if left := every - s.looksAtAll.idle(); left > 0 {
			timer.Reset(left)
			continue
		}
		s.cfg.Log.Warn("sweeping: no timer asked for a sweep", "for", every.String())
		s.running.Add(1)
		cause := result.Cause{Caller: "latchkey", Type: "no sweep for " + every.String()}
		s.lookAtAll(bundled{Request: event.Request{Verb: event.Look, Sender: event.SenderTimer, Cause: cause.String()}}, caller{name: cause.Caller, known: true, cause: cause}, &demands{})
		s.running.Done()
		timer.Reset(every)
	}
}
