package emulator

import (
	"cmp"
	"maps"
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

// wait returns the number of seconds until the next token, or 0 if there is one.
// It takes none.
func (b *bucket) wait(now time.Time) (retryAfter int) {
	if b.rate <= 0 {
		return 0
	}
	if d := now.Sub(b.last); d > 0 {
		b.tokens = min(b.tokens+d.Seconds()*float64(b.rate), float64(cmp.Or(b.burst, b.rate)))
	}
	b.last = now
	// The clock's ticks are not exact fractions of a token.
	if b.tokens >= 1-1e-9 {
		return 0
	}
	return max(1, int(math.Ceil((1-b.tokens)/float64(b.rate))))
}

// rates are the rate limits of all calls, of each service and of each identity.
// A call needs a token of each that applies to it.
type rates struct {
	all, service, identity bucket          // the latter two are models of those in each
	each                   map[any]*bucket // by *family or IAM ID
}

// mostBuckets limits the buckets of identities. Those that are full are dropped.
const mostBuckets = 1_000

// of returns the bucket of a service or identity.
func (l *rates) of(key any, model bucket, now time.Time) *bucket {
	b, ok := l.each[key]
	if !ok {
		if len(l.each) >= mostBuckets {
			maps.DeleteFunc(l.each, func(_ any, b *bucket) bool {
				return b.wait(now) == 0 && b.tokens >= float64(cmp.Or(b.burst, b.rate))
			})
		}
		fresh := newBucket(model.rate, model.burst, now)
		b = &fresh
		l.each[key] = b
	}
	return b
}

// throttle returns after how many seconds a call above a rate limit may be
// retried, or 0 if the call is within all. A call that is rejected takes nothing.
func (s *Server) throttle(c *call) int {
	s.mu.Lock()
	byIdentity := s.rates.identity.rate > 0
	s.mu.Unlock()
	var who string
	if byIdentity {
		actor, _ := s.cloud.Authenticate(bearerOf(c.family, c.request)) // a login has no identity yet
		who = actor.IAMID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.base().Add(s.offset)
	buckets := []*bucket{&s.rates.all}
	if s.rates.service.rate > 0 {
		buckets = append(buckets, s.rates.of(c.family, s.rates.service, now))
	}
	if who != "" {
		buckets = append(buckets, s.rates.of(who, s.rates.identity, now))
	}
	after := 0
	for _, b := range buckets {
		after = max(after, b.wait(now))
	}
	if after == 0 {
		for _, b := range buckets {
			b.tokens--
		}
	}
	return after
}
