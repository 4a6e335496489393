package main

import (
	"context"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/cli"
)

type sweepCommand struct {
	credentialFlags
	Credentials []string `arg:"" optional:"" help:"Config entries or single credentials; none means all."`
}

// Run looks at the credentials once and does what is due.
func (c sweepCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	return c.act(ctx, env, std, log, func(r cli.Runner) error { return r.Sweep(ctx, c.Credentials) })
}

// Help has examples.
func (sweepCommand) Help() string {
	return "    latchkey sweep\n    latchkey sweep logs-sender audit -o json"
}

type statusCommand struct {
	credentialFlags
	Credentials []string `arg:"" optional:"" help:"Config entries or single credentials; none means all."`
}

// Run prints the state of the credentials, and changes nothing.
func (c statusCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	return c.look(env, std, log, func(r cli.Runner) error { return r.Status(ctx, c.Credentials) })
}

// Help has examples.
func (statusCommand) Help() string {
	return "    latchkey status\n    latchkey status logs-sender -o wide"
}

type planCommand struct {
	credentialFlags
	Credentials []string `arg:"" optional:"" help:"Config entries or single credentials; none means all."`
}

// Run prints what a sweep would do now, and why, and does none of it.
func (c planCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	return c.look(env, std, log, func(r cli.Runner) error { return r.Plan(ctx, c.Credentials) })
}

// Help has examples.
func (planCommand) Help() string {
	return "    latchkey plan\n    latchkey plan logs-sender --json"
}
