package upstream

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// EmulatedClock returns the clock that goes with an endpoint in place of IBM Cloud's. It
// accepts https anywhere, and plain http on loopback only. On loopback the clock is the
// emulator's; elsewhere it is nil, which is this machine's.
func EmulatedClock(endpoint string) (*Clock, error) {
	loopback, err := checkEndpoint(endpoint)
	if err != nil || !loopback {
		return nil, err
	}
	return &Clock{endpoint: endpoint, http: &http.Client{Timeout: 2 * time.Second}}, nil
}

// checkEndpoint accepts https anywhere, and plain http on loopback only.
func checkEndpoint(endpoint string) (loopback bool, err error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return false, fmt.Errorf("checking LATCHKEY_ENDPOINT %q: not a URL", endpoint)
	}
	host := u.Hostname()
	addr, aerr := netip.ParseAddr(host)
	loopback = host == "localhost" || (aerr == nil && addr.IsLoopback())
	if u.Scheme != "https" && u.Scheme != "http" {
		return false, fmt.Errorf("checking LATCHKEY_ENDPOINT %q: neither https nor http", endpoint)
	}
	if u.Scheme == "http" && !loopback {
		return false, fmt.Errorf("checking LATCHKEY_ENDPOINT %q: plain http is for loopback only", endpoint)
	}
	return loopback, nil
}

// Clock follows the emulator's clock. A test can move that clock, and this process's clock
// has to move with it. Each answer of the emulator shows how far it is from this machine's.
// A nil Clock is this machine's, as it is on IBM Cloud.
type Clock struct {
	endpoint string
	http     *http.Client

	asking sync.Mutex // one caller of Now asks
	mu     sync.Mutex
	sent   time.Time // when the call was sent that showed offset
	offset time.Duration
}

// believed is how long after its call an answer still shows the emulator's clock. While
// this process stood still, that clock may have moved, as this machine's would have.
const believed = 50 * time.Millisecond

// Now returns the time, as the last answer of the emulator showed it. It asks if there was
// none lately.
func (c *Clock) Now() time.Time {
	if c != nil {
		c.asking.Lock()
		defer c.asking.Unlock()
		if c.age() > believed {
			return c.Ask()
		}
	}
	return c.now()
}

// Ask asks for the time and returns it.
func (c *Clock) Ask() time.Time {
	if c != nil {
		sent := time.Now()
		if there, err := c.read(); err == nil { // else the last offset still holds
			c.set(sent, time.Until(there).Round(time.Millisecond))
		}
	}
	return c.now()
}

func (c *Clock) now() time.Time {
	if c == nil {
		return time.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

// age returns how long ago the call was sent that showed the offset.
func (c *Clock) age() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.sent)
}

// set keeps the offset that the last call showed. An earlier one may be answered later.
func (c *Clock) set(sent time.Time, offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sent.After(c.sent) {
		c.sent, c.offset = sent, offset
	}
}

// Transport returns a transport that sets the clock by the answers.
func (c *Clock) Transport(next http.RoundTripper) http.RoundTripper {
	if c == nil {
		return next
	}
	return timed{c, next}
}

type timed struct {
	clock *Clock
	next  http.RoundTripper
}

// RoundTrip satisfies http.RoundTripper.
func (t timed) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := time.Now()
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if offset, err := time.ParseDuration(resp.Header.Get("Emulator-Offset")); err == nil {
		t.clock.set(sent, offset)
	}
	return resp, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach next.
func (t timed) CloseIdleConnections() { closeIdle(t.next) }

func (c *Clock) read() (time.Time, error) {
	resp, err := c.http.Get(c.endpoint + "/emulator/clock") //nolint:noctx // the client has a timeout
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the emulator's clock: %w", err)
	}
	defer resp.Body.Close()
	var clock struct{ Now time.Time }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<10)).Decode(&clock); err != nil || clock.Now.IsZero() {
		return time.Time{}, fmt.Errorf("reading the emulator's clock: %w", err)
	}
	return clock.Now, nil
}
