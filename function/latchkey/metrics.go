package main

import (
	"cmp"
	"net/http"

	"github.com/latchkey-io/latchkey/internal/metrics"
)

// newMetrics builds the numbers of this process.
func (p *assembly) newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Config{
		Version: cmp.Or(version, "(devel)"), Commit: commit, Owner: p.cfg.Owner, ConfigHash: p.cfg.Hash, SweepEvery: p.cfg.SweepEvery,
		Latest: p.latest, Now: p.cloud.now, Sinks: func() (sent, dropped map[string]int) { return p.outcomes.Sent(), p.outcomes.Dropped() },
	})
}

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
