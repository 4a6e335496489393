package pace

import (
	"errors"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

const (
	mostCalls   = 128                    // at once to one host: 32 runs with 4 reads each
	fewest      = 2                      // calls at once, however busy the host is
	firstLooks  = 4                      // calls of looks at once, until so many were answered:
	enough      = 100                    // answers
	slowest     = 1.0                    // calls a second, however many are refused
	guess       = 5.0                    // the lowest rate that a single refusal leads to
	few         = 10                     // answers that are too few to measure a rate
	idle        = time.Second            // without a call after which a measurement ends
	firstPause  = 200 * time.Millisecond // after a refusal without Retry-After; doubled with each in a row
	mostPause   = 2 * time.Minute        // for which one answer closes a host
	backOff     = 0.05                   // the part by which the rate falls below the measured one
	recovery    = time.Minute            // until it is the measured one again, after a long measurement
	minRecovery = 5 * time.Second        // the same, after a short one
	tooSlow     = 4                      // times the usual time is the answer of a busy host
	slowAnswer  = time.Second            // the shortest time that counts as slow
)

// verdict is what an answer says about the load of a host.
type verdict int

const (
	fine    verdict = iota
	busy            // a 5xx, no answer in time, or a slow one
	refused         // a 429, or a 503 that says when to come back
)

// gate decides when a call to one host may be sent. It learns two things from
// the answers: how many calls at once the host bears, and how many a second.
// A gate has no clock: every method gets the time.
//
// Between two refusals a host accepts as many calls as its limit allows. So the
// rate is measured, and not searched for. After a refusal the rate is a little
// below the measured one, comes back to it, and then grows ever faster, as the
// window of TCP CUBIC (RFC 9438) does.
type gate struct {
	inFlight     int
	calls, looks float64 // most calls, and most calls of looks, at once
	answers      int     // up to enough

	bucket   *rate.Limiter // nil: no limit is known
	measured float64       // calls a second
	recovery time.Duration
	limited  time.Time // the last refusal
	current  sample
	last     *sample // up to the last refusal, until the rate is taken from it
	burst    float64 // about how many calls the host accepts at once after a pause

	sentLast time.Time
	slowed   time.Time // the last reaction; answers to earlier calls cause no other
	closed   time.Time // nothing is sent before
	inRow    int       // refusals
	usual    time.Duration
}

// sample counts what a host accepts from one refusal to the next.
type sample struct {
	from, to time.Time
	open     time.Time // when the first call was sent
	accepted int
	settled  bool // a refusal was its start
}

func newGate() *gate { return &gate{calls: mostCalls, looks: firstLooks} }

// admit returns how long the next call has to wait, at least. ok is false if it
// waits for the answer to another call.
func (g *gate) admit(now time.Time, look bool) (wait time.Duration, ok bool) {
	switch {
	case now.Before(g.closed):
		return g.closed.Sub(now), true
	case g.inFlight >= int(g.calls), look && g.inFlight >= int(g.looks):
		return 0, false
	}
	g.measure(now)
	if g.bucket == nil {
		return 0, true
	}
	limit := g.rate(now)
	g.bucket.SetLimitAt(now, rate.Limit(limit))
	g.bucket.SetBurstAt(now, max(1, int(limit/10)))
	lacking := 1 - g.bucket.TokensAt(now)
	if lacking <= 1e-9 {
		return 0, true
	}
	return max(time.Microsecond, time.Duration(lacking/limit*float64(time.Second))), true
}

// rate returns the calls a second that are allowed now.
func (g *gate) rate(now time.Time) float64 {
	x := float64(now.Sub(g.limited)-g.recovery) / float64(g.recovery)
	return max(slowest, min(g.measured*(1+backOff*x*x*x), math.MaxInt32))
}

// sent counts a call.
func (g *gate) sent(now time.Time) {
	if g.inFlight == 0 && now.Sub(g.sentLast) > idle && now.Sub(g.closed) > idle {
		g.current = sample{from: now}
	}
	if g.current.open.IsZero() {
		g.current.open = now
	}
	g.inFlight++
	g.sentLast = now
	if g.bucket != nil {
		g.bucket.AllowN(now, 1)
	}
}

// answered counts the answer to a call. It returns true if the gate reacted to
// it: the calls were sent too fast.
func (g *gate) answered(now, sentAt time.Time, v verdict, after time.Duration) (reacted bool) {
	full := g.inFlight >= int(min(g.calls, g.looks))
	g.inFlight--
	took := now.Sub(sentAt)
	if v == fine {
		if g.usual > 0 && took > slowAnswer && took > tooSlow*g.usual {
			v = busy
		}
		if g.usual == 0 {
			g.usual = took
		}
		g.usual += (took - g.usual) / 20 // a moving average
	}
	if v != refused {
		if g.last != nil && !sentAt.After(g.last.to) {
			g.last.accepted++
		} else {
			g.current.accepted++
		}
	}
	news := g.slowed.IsZero() || sentAt.After(g.slowed)
	switch v {
	case fine:
		if full {
			g.grow()
		}
		if news {
			g.inRow = 0
		}
		return false
	case busy:
		if news {
			g.narrow(now)
		}
	case refused:
		if news {
			g.limit(now)
			g.inRow++
		}
		pause := max(after, firstPause<<min(max(g.inRow-1, 0), 16))
		if end := now.Add(min(mostPause, pause)); end.After(g.closed) {
			g.closed = end
		}
	}
	return news
}

// grow lets more calls be sent at once: one more for each round of answers. The
// calls of looks are few at first and grow faster then.
func (g *gate) grow() {
	if g.calls < mostCalls {
		g.calls = min(mostCalls, g.calls+1/g.calls)
	}
	if g.answers++; g.answers > enough && g.looks < mostCalls {
		g.looks += 0.25
	}
}

// narrow halves the number of calls at once.
func (g *gate) narrow(now time.Time) {
	g.calls = max(fewest, min(g.calls, float64(g.inFlight+1))/2)
	g.looks = max(firstLooks, g.looks/2)
	g.slowed = now
}

// limit ends a sample, and starts the next one.
func (g *gate) limit(now time.Time) {
	if !g.current.settled {
		g.narrow(now)
	}
	ended := g.current
	ended.to = now
	g.last, g.current = &ended, sample{from: now, settled: true}
	g.slowed = now
}

// measure takes the rate from the last sample. The answers to the calls of the
// sample are in, since the host was closed after it.
func (g *gate) measure(now time.Time) {
	if g.last == nil {
		return
	}
	s, accepted := *g.last, float64(g.last.accepted)
	g.last = nil
	took := max(s.to.Sub(s.from), time.Millisecond)
	measured := accepted / took.Seconds()
	if s.settled {
		// The host may have saved calls up while it was closed, or not.
		if open := s.to.Sub(s.open).Seconds(); open > 0.001 {
			measured = max(measured, min((accepted-g.burst)/open, g.rate(s.to)))
		}
		if accepted < few {
			measured = max(measured, g.rate(s.to)/2)
		}
	} else {
		measured = max(measured, guess)
		g.burst = accepted
	}
	g.recovery = min(recovery, max(minRecovery, 4*took))
	g.measured, g.limited = max(measured, slowest), s.to
	if g.bucket == nil {
		g.bucket = rate.NewLimiter(1, 1)
		g.bucket.SetLimitAt(now, rate.Limit(g.rate(now)))
	}
}

// judge returns what an answer says about the load, and how long the host asks
// to wait.
func judge(resp *http.Response, err error, now time.Time) (v verdict, after time.Duration) {
	if err != nil {
		if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
			return busy, 0
		}
		return fine, 0
	}
	after, says := retryAfter(resp.Header, now)
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable && says:
		return refused, after
	case resp.StatusCode >= 500:
		return busy, 0
	}
	return fine, 0
}

// retryAfter reads the header Retry-After: seconds or a date.
func retryAfter(h http.Header, now time.Time) (after time.Duration, says bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}
