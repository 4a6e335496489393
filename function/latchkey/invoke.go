package main

import (
	"context"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/service"
)

type invokeCommand struct {
	cli.Unattended
	Config string `help:"The config file." placeholder:"FILE"`
}

// Run is the function's resident child: one JSON line in, one out, many in
// flight. It serves the routes of the application.
func (c invokeCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	p, err := wireService(ctx, env, log, c.Config, "")
	if err != nil {
		return err
	}
	s, err := p.newService(ctx, ctx, env, ends, p.shown(""))
	if err != nil {
		return err
	}
	defer p.closeOutcomes(ctx, closeService)
	return service.ServeLines(ctx, p.reportingMetrics(s.Flushing(p.tracer.Handler(s.Handler()))), std.In, std.Out)
}

// ends says that the process may end or freeze as soon as it has answered.
func ends(cfg *service.Config) { cfg.Ends = true }
