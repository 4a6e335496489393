package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

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
