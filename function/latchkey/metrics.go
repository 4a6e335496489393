package main

import (
	"net/http"
)

// logMetrics logs the numbers of a run, since a job or a function is not scraped.
func (p *assembly) logMetrics() {
	if numbers, notOK := p.metrics.Summary(); numbers != nil {
		p.log.Info("metrics", "numbers", numbers, "not_ok", notOK)
	}
}

// loggingMetrics logs the numbers after each call that did something.
func (p *assembly) loggingMetrics(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		p.logMetrics()
	})
}
