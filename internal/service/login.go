package service

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// How long a failed login counts before the next one is tried, at first and at most.
// Without this, each request of a caller without a token would log in.
const (
	loginPause     = time.Second
	loginPauseMost = 8 * time.Second
	loginTimeout   = 5 * time.Second
)

// loginState remembers whether our own login fails.
type loginState struct {
	usable func(context.Context) error
	log    *slog.Logger
	now    func() time.Time

	mu    sync.Mutex // held while the login is tried, so that one try serves all
	err   error
	until time.Time // err counts before this
	pause time.Duration
}

// check returns why we cannot log in, or nil. The answer of a failed login is up to
// loginPauseMost old.
func (l *loginState) check(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil && l.now().Before(l.until) {
		return l.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loginTimeout)
	defer cancel()
	if l.err = l.usable(ctx); l.err == nil {
		l.pause = 0
		return nil
	}
	l.pause = min(max(2*l.pause, loginPause), loginPauseMost)
	l.until = l.now().Add(l.pause)
	l.log.Warn("logging in", "error", l.err.Error(), "next_try_in", l.pause.String())
	return l.err
}
