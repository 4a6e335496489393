package main

import (
	"net/http"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/trace"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// target is how IBM Cloud, or the emulator, is reached.
type target struct {
	endpoint string // of the emulator; empty on IBM Cloud
	private  bool   // private endpoints
	http     *http.Client
	now      func() time.Time // of a run: on the emulator, its calls keep it right
	ask      func() time.Time // between runs: on the emulator, a call
}

// reach builds the client for IBM Cloud's APIs, or for the emulator's. sent receives
// each request. reads, if not nil, shares what is read.
func reach(endpoint string, private bool, pacer *pace.Pacer, sent func(upstream.Call), reads *upstream.Reads) (target, error) {
	to := target{endpoint: strings.TrimSuffix(endpoint, "/"), private: private}
	var clock *upstream.Clock // this machine's
	if to.endpoint != "" {
		var err error
		if clock, err = upstream.EmulatedClock(to.endpoint); err != nil {
			return target{}, err
		}
	}
	to.now, to.ask = clock.Now, clock.Ask
	transport := fence.Writes(upstream.Measure(trace.Transport(clock.Transport(upstream.NewTransport(nil))), "", sent))
	bound := upstream.Bound(pacer.Transport(transport, upstream.Unsent))
	to.http = &http.Client{Transport: reads.Transport(bound, "latchkey", "Accept", "IAM-ApiKey"), CheckRedirect: upstream.NoRedirect}
	return to, nil
}
