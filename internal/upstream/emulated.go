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
// emulator's; elsewhere it is this machine's.
func EmulatedClock(endpoint string) (now func() time.Time, err error) {
	loopback, err := checkEndpoint(endpoint)
	if err != nil || !loopback {
		return time.Now, err
	}
	return (&emulatedClock{endpoint: endpoint, http: &http.Client{Timeout: 2 * time.Second}}).now, nil
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
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return false, fmt.Errorf("checking LATCHKEY_ENDPOINT %q: plain http is for loopback only", endpoint)
	}
	return loopback, nil
}

// emulatedClock follows the emulator's clock. A test can move that clock, and
// this process's clock has to move with it. It is never used on IBM Cloud.
type emulatedClock struct {
	endpoint string
	http     *http.Client
	mu       sync.Mutex
	offset   time.Duration
}

func (c *emulatedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if there, err := c.read(); err == nil { // else the last offset still holds
		c.offset = time.Until(there).Round(time.Millisecond)
	}
	return time.Now().Add(c.offset)
}

func (c *emulatedClock) read() (time.Time, error) {
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
