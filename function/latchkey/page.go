package main

import (
	"net/http"

	"github.com/latchkey-io/latchkey/internal/evidence"
	"github.com/latchkey-io/latchkey/internal/page"
	"github.com/latchkey-io/latchkey/internal/service"
)

// pages shows the credentials as the last runs of this process left them.
func (p *assembly) pages() http.Handler {
	return page.Handler(func() page.Page {
		now := p.cloud.ask()
		shown := page.Page{Owner: p.cfg.Owner, Version: buildVersion(), Now: now, LastSweep: p.latest.LastSweep()}
		for _, o := range p.latest.At(now) {
			shown.Credentials = append(shown.Credentials, evidence.Of(o.Outcome))
		}
		return shown
	})
}

// shown serves the pages and the metrics to callers who show a token. address is where
// the service listens.
func (p *assembly) shown(address string) func(*service.Config) {
	return func(cfg *service.Config) {
		cfg.Metrics, cfg.Pages, cfg.Local = p.metrics, p.pages(), service.Loopback(address)
	}
}
