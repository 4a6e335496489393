package main

import (
	"context"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/cli"
)

type claimCommand struct {
	cli.ByHand
	Config string `help:"The config file." placeholder:"FILE"`
	cloudFlag
	Thing string `arg:"" name:"id" help:"The ID of a service ID or key that carries latchkey's marker."`
	Yes   bool   `help:"Skip the confirmation."`
}

// Run makes a service ID or key ours that IAM does not show to be.
func (c claimCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	if err := cli.CheckClaim(c.Thing); err != nil {
		return err
	}
	p, err := wire(ctx, env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	return cli.Claim{IAM: p.iam, Owner: p.cfg.Owner, Yes: c.Yes}.Run(ctx, std, c.Thing)
}
