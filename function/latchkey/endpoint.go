package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/trace"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// target is how IBM Cloud, or the emulator, is reached.
type target struct {
	endpoint string // of the emulator; empty on IBM Cloud
	private  bool   // private endpoints
	http     *http.Client
	now      func() time.Time
}

// reach builds the client for IBM Cloud's APIs, or for the emulator's. sent receives
// each request.
func reach(endpoint string, private bool, pacer *pace.Pacer, sent func(upstream.Call)) (target, error) {
	to := target{endpoint: strings.TrimSuffix(endpoint, "/"), private: private, now: time.Now}
	transport := reconcile.FenceWrites(upstream.Measure(trace.Transport(upstream.NewTransport(nil)), "", sent))
	to.http = &http.Client{Transport: upstream.Bound(pacer.Transport(transport, upstream.Unsent)), CheckRedirect: upstream.NoRedirect}
	if to.endpoint == "" {
		return to, nil
	}
	loopback, err := checkEndpoint(to.endpoint)
	if err != nil {
		return to, err
	}
	if loopback {
		to.now = (&emulatedClock{endpoint: to.endpoint, http: &http.Client{Timeout: 2 * time.Second}}).now
	}
	return to, nil
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
