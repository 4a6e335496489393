package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/provider"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/service"
	"github.com/latchkey-io/latchkey/internal/start"
	"github.com/latchkey-io/latchkey/internal/trace"
)

type jobCommand struct {
	cli.Unattended
	Config string `help:"The config file." placeholder:"FILE"`
}

// Run is one Code Engine job run: an event that the platform put into the
// environment, or else a sweep over this index's share of the credentials.
//
// The exit code is 0 for everything that a retry does not change, since the
// platform restarts a failed index. It is 75 if a retry may help.
func (c jobCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	start.Lean()
	share, err := catalog.ReadShare(env)
	if err != nil {
		return err
	}
	if env("SM_ACTION") != "" {
		if share.Index != 0 {
			log.Info("skipping: index 0 does the task", "index", share.Index)
			return nil
		}
		return c.task(ctx, env, std, log)
	}
	e, triggered := event.FromEnvironment(env)
	var p *assembly
	if triggered {
		p, err = wireService(ctx, env, log, c.Config, "")
	} else {
		p, err = wireSweep(ctx, env, log, c.Config)
	}
	if err != nil {
		return err
	}
	if triggered {
		if share.Index != 0 {
			log.Info("skipping: index 0 takes the event", "index", share.Index)
			return nil
		}
		s, err := p.newService(ctx, ctx, env, ends)
		if err != nil {
			return err
		}
		defer p.reportMetrics(ctx)
		defer p.closeOutcomes(ctx, closeJob)
		ctx, span := p.tracer.Begin(ctx, "job", trace.Server, e.Header.Get("Ce-Traceparent"))
		defer span.End()
		return cli.PrintAnswer(std, s.Answer(ctx, e.Header, e.Body, e.Known))
	}
	if err := errors.Join(p.sends(ctx, env), p.collectors(env)); err != nil {
		return err
	}
	defer p.reportMetrics(ctx)
	defer p.closeOutcomes(ctx, closeJob)
	ctx, span := p.tracer.Begin(ctx, "job", trace.Internal, "")
	defer span.End()
	credentials, unknown := p.catalog.Credentials(ctx, catalog.Scope{Share: share})
	swept := p.sweep(ctx, credentials, unknown, reconcile.Request{}, result.Cause{Caller: "job " + env("CE_JOBRUN"), Type: "sweep"})
	p.metrics.Swept(swept)
	return cli.PrintAnswer(std, service.Respond(swept, p.cloud.now()))
}

// task does one task of Secrets Manager's custom credentials.
func (c jobCommand) task(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	request, err := provider.ReadRequest(env)
	if err != nil {
		return err
	}
	p, err := wireSweep(ctx, env, log, c.Config)
	if err != nil {
		return err
	}
	if p.cfg.Provider == nil {
		return fmt.Errorf("taking task %s: the config has no provider: no key and no token is sent to %s", request.Task, request.Instance)
	}
	if err := errors.Join(p.sends(ctx, env), p.collectors(env)); err != nil {
		return err
	}
	defer p.reportMetrics(ctx)
	defer p.closeOutcomes(ctx, closeJob)
	ctx, span := p.tracer.Begin(ctx, "job", trace.Internal, "")
	defer span.End()
	printed := provider.Print(std.Out, log)
	err = p.newProvider(func(out result.Outcome) {
		out.Cause = &result.Cause{Caller: "Secrets Manager", Type: "task", Event: request.Task, Source: request.Instance}
		p.outcomes.Send(out)
		printed(out)
	}).Run(ctx, request)
	if errors.Is(err, provider.ErrTryAgain) {
		return fmt.Errorf("%w: %w", cli.ErrTryAgain, err)
	}
	return err
}
