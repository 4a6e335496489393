package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// common are the flags of the commands for people.
type common struct {
	Config   string `help:"The config file." placeholder:"FILE"`
	Endpoint string `help:"The emulator's URL, instead of IBM Cloud." placeholder:"URL"`
	JSON     bool   `help:"Print outcomes as JSON." name:"json"`
}

type sweepCommand struct {
	common
	Credentials []string `arg:"" optional:"" help:"Config entries or single credentials; none means all."`
}

// Run checks the credentials once and does what is due.
func (c sweepCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	p, err := wire(env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	defer p.closeOutcomes(ctx, closeJob)
	credentials, unknown := p.catalog.Credentials(ctx, catalog.Scope{Names: c.Credentials})
	return c.print(std.out, p.sweep(ctx, credentials, unknown, reconcile.Ask{Cause: "sweep by hand"}), c.Credentials)
}

// sweep reconciles credentials and sends their outcomes to the sinks. unknown is
// what kept others from being listed.
func (p *parts) sweep(ctx context.Context, credentials []reconcile.Credential, unknown error, ask reconcile.Ask) reconcile.Swept {
	swept := p.reconciler.Sweep(ctx, credentials, ask)
	swept.Unknown = errors.Join(unknown, swept.Unknown)
	p.outcomes.Send(swept.Outcomes...)
	return swept
}

type statusCommand struct {
	common
	Credentials []string `arg:"" optional:"" help:"Config entries or single credentials; none means all."`
}

// Run prints the state of the credentials, and changes nothing.
func (c statusCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	swept, _, err := c.plan(ctx, env, log, c.Credentials)
	if err != nil {
		return err
	}
	return c.print(std.out, swept, c.Credentials)
}

type planCommand struct {
	common
	Credentials []string `arg:"" optional:"" help:"Config entries or single credentials; none means all."`
}

// Run prints what a sweep would do now, and why, and does none of it.
func (c planCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	swept, steps, err := c.plan(ctx, env, log, c.Credentials)
	if err != nil {
		return err
	}
	if c.JSON {
		return errors.Join(c.print(std.out, swept, c.Credentials), pending(steps))
	}
	printPlan(std.out, swept)
	return errors.Join(verdict(swept, c.Credentials), pending(steps))
}

func printPlan(out io.Writer, swept reconcile.Swept) {
	for _, o := range swept.Outcomes {
		switch {
		case o.Result == reconcile.ResultFailed:
			fmt.Fprintf(out, "%s: could not be checked: %s\n", o.Credential, o.Error)
		case o.Result == reconcile.ResultBlocked || o.Result == reconcile.ResultInProgress || o.Result == reconcile.ResultOrphaned:
			fmt.Fprintf(out, "%s: %s: %s\n", o.Credential, o.Result, o.Message)
		case len(o.Steps) == 0:
			fmt.Fprintf(out, "%s: nothing to do\n", o.Credential)
		default:
			fmt.Fprintf(out, "%s:\n", o.Credential)
		}
		for _, s := range o.Steps {
			fmt.Fprintf(out, "  %s: %s\n", stepLine(s.Step), s.Reason.Sentence())
		}
		for _, line := range storeErrors(o) {
			fmt.Fprintf(out, "  %s\n", line)
		}
		for _, n := range o.Notes {
			fmt.Fprintf(out, "  %s\n", n)
		}
	}
}

// stepLine is a step on one line.
func stepLine(s rotation.Step) string {
	parts := []string{string(s.Action), s.Key, s.Target}
	if !s.At.IsZero() {
		parts = append(parts, "until "+s.At.UTC().Format(time.DateTime))
	}
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

func pending(steps int) error {
	if steps > 0 {
		return errPending
	}
	return nil
}

// plan observes and decides for each credential in the scope.
func (c common) plan(ctx context.Context, env environment, log *slog.Logger, names []string) (swept reconcile.Swept, steps int, err error) {
	p, err := wire(env, log, c.Config, c.Endpoint)
	if err != nil {
		return swept, 0, err
	}
	credentials, err := p.catalog.Credentials(ctx, catalog.Scope{Names: names})
	swept.Unknown = err
	for _, credential := range credentials {
		out, plan, perr := p.reconciler.Plan(ctx, credential, reconcile.Ask{Cause: "plan"})
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
	return swept, steps, nil
}
