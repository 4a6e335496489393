package main

import (
	"context"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/offboard"
)

type deprovisionCommand struct {
	credentialFlags
	Credential string `arg:"" help:"A single credential."`
	Yes        bool   `help:"Skip the confirmation."`
	Force      bool   `help:"Also if a key or the trusted profile was used within the quiet time."`
	Undo       bool   `help:"Enable the keys again and keep the credential."`
	DryRun     bool   `help:"Print the steps, and do none of them."`
}

// Run brings a credential to its end, or brings it back.
func (c deprovisionCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	d := offboard.Demand{Ask: offboard.End, Force: c.Force}
	if c.Undo {
		d.Ask = offboard.Undo
	}
	return c.act(ctx, env, std, log, func(r cli.Runner) error { return r.Deprovision(ctx, c.Credential, d, c.Yes, c.DryRun) })
}

// Help has examples.
func (deprovisionCommand) Help() string {
	return "Disables the keys and deletes the trusted profile at once if none was used for a while. Sweeps delete the keys, the service ID and the entries in the stores " +
		"after a wait. Until then --undo brings the keys back.\n\n" +
		"    latchkey deprovision tenant/prod.acme\n    latchkey deprovision tenant/prod.acme --force --yes\n    latchkey deprovision tenant/prod.acme --undo"
}
