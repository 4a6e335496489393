package main

import (
	"context"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
)

// credentialFlags are the flags of the commands that a person uses on credentials.
type credentialFlags struct {
	cli.ByHand
	Config string `help:"The config file." placeholder:"FILE"`
	cloudFlag
	cli.Format
}

// act runs a command whose outcomes are sent.
func (c credentialFlags) act(ctx context.Context, env environment, std cli.Streams, log *slog.Logger, command func(cli.Runner) error) error {
	p, err := wire(ctx, env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	if err := p.sends(ctx, env); err != nil {
		return err
	}
	defer p.closeOutcomes(ctx, closeJob)
	return command(c.runner(p, env, std))
}

// look runs a command that changes nothing.
func (c credentialFlags) look(ctx context.Context, env environment, std cli.Streams, log *slog.Logger, command func(cli.Runner) error) error {
	p, err := wire(ctx, env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	return command(c.runner(p, env, std))
}

func (c credentialFlags) runner(p *assembly, env environment, std cli.Streams) cli.Runner {
	p.progress = cli.NewProgress(std).Begin
	return cli.Runner{
		Std: std, Format: c.Format, Catalog: p.catalog, Look: p.look, Foresee: p.foresee, Keys: p.iam, IAM: p.iam, Account: p.iam.AccountKeys, Own: p.iam.Account,
		Sweeper: p.sweep, Every: p.cfg.SweepEvery, Days: config.Days, Now: p.cloud.ask, User: cli.User(env),
	}
}
