package main

import (
	"context"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/cli"
)

type keylessCommand struct {
	credentialFlags
	Credentials []string `arg:"" optional:"" help:"Config entries or single credentials; none means all."`
}

// Run prints which consumers could use a trusted profile instead of a key, and changes
// nothing.
func (c keylessCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	return c.look(ctx, env, std, log, func(r cli.Runner) error { return r.Keyless(ctx, c.Credentials) })
}

// Help says where the rules are from, and has examples.
func (keylessCommand) Help() string {
	return "By IBM's rules a program on Code Engine, IBM Cloud Kubernetes Service or Red Hat OpenShift on IBM Cloud can use a trusted profile " +
		"in its own account.\n\n    latchkey keyless\n    latchkey keyless logs-sender --json"
}
