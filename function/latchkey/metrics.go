package main

import (
	"context"
	"net/http"
	"time"
)

// pushFor is how long a run waits for a collector to take its metrics. A function's caller
// waits as long, since the function may be frozen as soon as it has answered.
const pushFor = 2 * time.Second

// reportMetrics logs the numbers of a run and sends them to the collector, since a job or
// a function is not scraped.
func (p *assembly) reportMetrics(ctx context.Context) {
	numbers, notOK := p.metrics.Summary()
	if numbers == nil {
		return
	}
	p.log.Info("metrics", "numbers", numbers, "not_ok", notOK)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pushFor)
	defer cancel()
	if err := p.metrics.Push(ctx, p.numbers); err != nil {
		p.log.Warn("sending metrics", "error", err.Error())
	}
}

// reportingMetrics reports the numbers after each call that did something.
func (p *assembly) reportingMetrics(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		p.reportMetrics(r.Context())
	})
}
