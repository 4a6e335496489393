package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

type sweepCommand struct {
	common
	Credentials []string `arg:"" optional:"" help:"Config entries or single credentials; none means all."`
}

// Run looks at the credentials once and does what is due.
func (c sweepCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	p, err := wire(env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	defer p.closeOutcomes(ctx, closeJob)
	credentials, unknown, err := p.find(ctx, c.Credentials)
	if err != nil {
		return err
	}
	swept := p.sweep(ctx, credentials, unknown, reconcile.Request{}, handOf(env, "sweep"))
	return c.print(ctx, std, p.cloud.now(), swept, c.Credentials)
}

type statusCommand struct {
	common
	Credentials []string `arg:"" optional:"" help:"Config entries or single credentials; none means all."`
}

// Run prints the state of the credentials, and changes nothing.
func (c statusCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	p, swept, _, err := c.plan(ctx, env, log, c.Credentials)
	if err != nil {
		return err
	}
	return c.print(ctx, std, p.cloud.now(), swept, c.Credentials)
}

type planCommand struct {
	common
	Credentials []string `arg:"" optional:"" help:"Config entries or single credentials; none means all."`
}

// Run prints what a sweep would do now, and why, and does none of it.
func (c planCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	p, swept, steps, err := c.plan(ctx, env, log, c.Credentials)
	if err != nil {
		return err
	}
	if c.structured() {
		return errors.Join(c.print(ctx, std, p.cloud.now(), swept, c.Credentials), pendingError(steps))
	}
	if err := printPlan(std, swept); err != nil {
		return err
	}
	return errors.Join(verdict(swept, c.Credentials), pendingError(steps))
}

func pendingError(steps int) error {
	if steps > 0 {
		return errPending
	}
	return nil
}

// plan observes and decides for each credential in the scope.
func (c common) plan(ctx context.Context, env environment, log *slog.Logger, names []string) (p *assembly, swept reconcile.SweepResult, steps int, err error) {
	if p, err = wire(env, log, c.Config, c.Endpoint); err != nil {
		return nil, swept, 0, err
	}
	credentials, unlisted, err := p.find(ctx, names)
	if err != nil {
		return nil, swept, 0, err
	}
	swept, steps = planAll(ctx, p, credentials, unlisted, reconcile.Request{Cause: "plan"})
	return p, swept, steps, nil
}

// planAll observes and decides for each credential, and counts the steps.
func planAll(ctx context.Context, p *assembly, credentials []reconcile.Credential, unlisted error, ask reconcile.Request) (swept reconcile.SweepResult, steps int) {
	swept.Unknown = unlisted
	for _, credential := range credentials {
		out, plan, perr := p.reconciler.Plan(ctx, credential, ask)
		if perr != nil {
			out.Result, out.Error = reconcile.ResultFailed, perr.Error()
			swept.Unknown = errors.Join(swept.Unknown, perr)
		}
		for _, s := range plan.Steps {
			out.Steps = append(out.Steps, reconcile.StepOutcome{Step: s})
		}
		steps += len(plan.Steps)
		swept.Outcomes = append(swept.Outcomes, out)
	}
	return swept, steps
}

// dryRun prints the steps that a demand would take.
func (c common) dryRun(ctx context.Context, p *assembly, std streams, credentials []reconcile.Credential, unlisted error, ask reconcile.Request) error {
	swept, _ := planAll(ctx, p, credentials, unlisted, ask)
	if c.structured() {
		return c.print(ctx, std, p.cloud.now(), swept, nil)
	}
	if err := printPlan(std, swept); err != nil {
		return err
	}
	return verdict(swept, nil)
}
