package service

import (
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/internal/event"
)

// A caller with a wrong token or signature may try at this rate, as all of them
// together. Above it, each waits for its answer and has to connect again.
const (
	refusalsPerSecond = 20
	refusalsBurst     = 40
	refusalPause      = time.Second
	// mostSlowed bounds the requests that wait. The others are answered at once.
	mostSlowed = 64
)

// refusals answers callers that failed verification.
type refusals struct {
	log    *slog.Logger
	count  atomic.Int64 // since the last line
	line   rate.Sometimes
	swift  *rate.Limiter
	slowed chan struct{}
}

func newRefusals(log *slog.Logger) refusals {
	return refusals{
		log: log, line: rate.Sometimes{Interval: time.Second},
		swift: rate.NewLimiter(refusalsPerSecond, refusalsBurst), slowed: make(chan struct{}, mostSlowed),
	}
}

// answer answers 401. It logs at most one line per second.
func (f *refusals) answer(w http.ResponseWriter, r *http.Request) {
	f.count.Add(1)
	f.line.Do(func() {
		f.log.Warn("refusing callers: not verified", "count", f.count.Swap(0), "path", event.Clip(r.URL.Path), "remote", r.RemoteAddr,
			"forwarded_for", event.Clip(strings.Join(r.Header.Values("X-Forwarded-For"), ", ")))
	})
	if !f.swift.Allow() {
		w.Header().Set("Connection", "close")
		f.pause(r)
	}
	w.WriteHeader(http.StatusUnauthorized)
	// One connection that sends many must not delay the others by a whole time
	// slice of the scheduler.
	runtime.Gosched()
}

// pause waits, unless too many wait already or the caller is gone.
func (f *refusals) pause(r *http.Request) {
	select {
	case f.slowed <- struct{}{}:
	default:
		return
	}
	defer func() { <-f.slowed }()
	timer := time.NewTimer(refusalPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}
