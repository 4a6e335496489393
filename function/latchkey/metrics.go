package main

import (
	"cmp"
	"net/http"

	"github.com/latchkey-io/latchkey/internal/metrics"
	"github.com/latchkey-io/latchkey/internal/trace"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// newMetrics builds the numbers of this process.
func (p *assembly) newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Config{
		Version: cmp.Or(version, "(devel)"), Commit: commit, Owner: p.cfg.Owner, ConfigHash: p.cfg.Hash, SweepEvery: p.cfg.SweepEvery,
		Latest: p.latest, Now: p.cloud.now, Sinks: func() (sent, dropped map[string]int) { return p.outcomes.Sent(), p.outcomes.Dropped() },
	})
}

// traces builds the tracer. Its client is one of its own, so that spans are neither paced
// nor traced.
func (p *assembly) traces(env environment) (err error) {
	client := &http.Client{Transport: upstream.Bound(nil), CheckRedirect: upstream.NoRedirect}
	p.tracer, err = trace.New(env, cmp.Or(version, "(devel)"), client, p.log)
	return err
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
