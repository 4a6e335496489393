package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/upstream"
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
	return "Examples:\n\n    latchkey sweep\n    latchkey sweep logs-sender audit -o json"
}

type statusCommand struct {
	credentialFlags
	Credentials []string `arg:"" optional:"" help:"Config entries or single credentials; none means all."`
}

// Run prints the state of the credentials, and changes nothing.
func (c statusCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	return c.look(ctx, env, std, log, func(r cli.Runner) error { return r.Status(ctx, c.Credentials) })
}

// Help has examples.
func (statusCommand) Help() string {
	return "Examples:\n\n    latchkey status\n    latchkey status logs-sender -o wide"
}

type planCommand struct {
	credentialFlags
	Against     string   `help:"The config that runs: print only what --config changes." placeholder:"FILE"`
	Credentials []string `arg:"" optional:"" help:"Config entries or single credentials; none means all."`
}

// Run prints what a sweep would do now, and why, and does none of it.
func (c planCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	if c.Against != "" {
		return c.compare(ctx, env, std, log)
	}
	return c.look(ctx, env, std, log, func(r cli.Runner) error { return r.Plan(ctx, c.Credentials) })
}

// Help has examples.
func (planCommand) Help() string {
	return "Examples:\n\n    latchkey plan\n    latchkey plan logs-sender --json\n    latchkey plan --config new.yaml --against latchkey.yaml"
}

var (
	errWhole   = errors.New("comparing configs: --against compares all credentials: name none")
	errAnother = errors.New("it is another installation, or logs in otherwise. Plan with it alone")
)

// compare prints what the config does otherwise than the one that runs. The look with it
// reads only what the look with the other one has not read.
func (c planCommand) compare(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	if len(c.Credentials) > 0 {
		return errWhole
	}
	reads := &upstream.Reads{}
	share := func(p *assembly) { p.reads = reads }
	now, err := wire(ctx, env, log, c.Against, c.Endpoint, share)
	if err != nil {
		return err
	}
	next, err := wire(ctx, env, log, c.Config, c.Endpoint, share)
	if err != nil {
		return err
	}
	for _, differs := range []struct{ name, now, next string }{
		{"owner", now.cfg.Owner, next.cfg.Owner}, {"account", now.cfg.Account, next.cfg.Account}, {"identity.profile", now.cfg.Identity.Profile, next.cfg.Identity.Profile},
	} {
		if differs.now != differs.next {
			return fmt.Errorf("comparing configs: %s is %q, and %q in the config that runs: %w", differs.name, differs.next, differs.now, errAnother)
		}
	}
	r := c.runner(next, env, std)
	now.progress = next.progress
	running := cli.Running{Catalog: now.catalog, Look: now.look, Looked: reads.Reuse}
	return r.Compare(ctx, running)
}
