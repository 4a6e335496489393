package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/outcome"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// How long the end of something waits for outcomes to be delivered.
const (
	// A function may stand still as soon as it has answered, and its caller
	// waits meanwhile. What is left is tried on while the process lives.
	reportInCall = time.Second
	// SIGTERM leaves 30 s, of which the work has had up to 25.
	reportAtEnd = 4 * time.Second
	reportInJob = 20 * time.Second
)

// reporter builds the sinks of the config. Nil when there are none.
func (p *process) reporter(h *house) (*outcome.Sender, error) {
	if len(h.cfg.Outcomes) == 0 {
		return nil, nil //nolint:nilnil // a nil reporter sends nothing
	}
	var sinks []outcome.Sink
	for i, s := range h.cfg.Outcomes {
		if n := s.Notifications; n != nil {
			sinks = append(sinks, outcome.NewNotifications(outcome.NotificationsConfig{
				Instance: n.Instance, Region: n.Region, Source: n.Source,
				Private: h.cfg.Endpoints == config.Private, Endpoint: h.endpoint, HTTP: h.iam.HTTP(),
			}))
			continue
		}
		sink := outcome.HTTPConfig{URL: s.URL, HTTP: h.http}
		if s.BearerEnv != "" {
			token := p.env(s.BearerEnv)
			if token == "" {
				return nil, fmt.Errorf("reading outcomes[%d].bearerEnv: %s is not set", i, s.BearerEnv)
			}
			sink.Bearer = secret.New(token)
		}
		sinks = append(sinks, outcome.NewHTTP(sink))
	}
	return outcome.New(outcome.Config{Owner: h.cfg.Owner, Sinks: sinks, Now: h.now, Log: p.log}), nil
}

// reconcile does what the reconciler's Sweep does, and tells the sinks.
func (d *desk) reconcile(ctx context.Context, catalog reconcile.Catalog, scope reconcile.Scope, ask reconcile.Ask) reconcile.Swept {
	swept := d.reconciler.Sweep(ctx, catalog, scope, ask)
	d.reporter.Send(swept.Outcomes...)
	return swept
}

// reported lets each call wait a moment for its outcomes to be delivered.
func (d *desk) reported(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), reportInCall)
		defer cancel()
		d.reporter.Flush(ctx)
	})
}

// farewell ends the reporter: what is not delivered by then is lost, counted
// and logged.
func (d *desk) farewell(patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.work), patience)
	defer cancel()
	d.reporter.Close(ctx)
}
