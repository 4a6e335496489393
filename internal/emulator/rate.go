package emulator

import (
	"cmp"
	"math"
	"time"
)

// bucket is a token bucket on the emulated clock.
type bucket struct {
	rate, burst int // as configured
	tokens      float64
	last        time.Time
}

func newBucket(rate, burst int, now time.Time) bucket {
	return bucket{rate: rate, burst: burst, tokens: float64(cmp.Or(burst, rate)), last: now}
}

// take takes a token. If there is none, it returns the number of seconds until
// the next one. It never waits.
func (b *bucket) take(now time.Time) (retryAfter int) {
	if b.rate <= 0 {
		return 0
	}
	if d := now.Sub(b.last); d > 0 {
		b.tokens = min(b.tokens+d.Seconds()*float64(b.rate), float64(cmp.Or(b.burst, b.rate)))
	}
	b.last = now
	// The clock's ticks are not exact fractions of a token.
	if b.tokens >= 1-1e-9 {
		b.tokens--
		return 0
	}
	return max(1, int(math.Ceil((1-b.tokens)/float64(b.rate))))
}

// throttle returns after how many seconds a call above the rate limit may be
// retried, or 0 if the call is within it.
func (s *Server) throttle() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bucket.take(s.base().Add(s.offset))
}
