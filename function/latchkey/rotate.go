package main

import (
	"context"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/cli"
)

type rotateCommand struct {
	credentialFlags
	cli.Demand
	Credential string `arg:"" help:"A config entry, or a single credential of it."`
	NotKey     string `help:"Demand a key other than this one; by default a key newer than now." placeholder:"ID"`
}

// Run demands a newer key, and waits for it.
func (c rotateCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	return c.act(ctx, env, std, log, func(r cli.Runner) error { return r.Rotate(ctx, c.Demand, c.Credential, c.NotKey) })
}

// Help has examples.
func (rotateCommand) Help() string {
	return "Waits until the new key is in every store.\n\n" +
		"    latchkey rotate logs-sender/<project ID>\n    latchkey rotate logs-sender --yes --timeout 15m\n    latchkey rotate logs-sender --dry-run"
}

type revokeCommand struct {
	credentialFlags
	cli.Demand
	Credential  string `arg:"" help:"A config entry, or a single credential of it."`
	Key         string `help:"The ID of the key that leaked." placeholder:"ID" required:""`
	Containment bool   `help:"Disable it before consumers have another: they fail until then."`
}

// Run replaces and deletes a leaked key.
func (c revokeCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	return c.act(ctx, env, std, log, func(r cli.Runner) error { return r.Revoke(ctx, c.Demand, c.Credential, c.Key, c.Containment) })
}

// Help has examples.
func (revokeCommand) Help() string {
	return "Publishes another key first, then deletes the leaked one. Waits, and exits 0 only if the key no longer works. " +
		"Access tokens that it was used for live for up to 60 minutes.\n\n" +
		"    latchkey revoke logs-sender/<project ID> --key ApiKey-… --yes\n    latchkey revoke logs-sender --key ApiKey-… --containment"
}

type adoptCommand struct {
	credentialFlags
	cli.Demand
	Credential string `arg:"" help:"A config entry with one credential, or a single credential of it."`
	Key        string `help:"The ID of the existing key." placeholder:"ID" required:""`
}

// Run takes over an existing key whose value a store holds.
func (c adoptCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	return c.act(ctx, env, std, log, func(r cli.Runner) error { return r.Adopt(ctx, c.Demand, c.Credential, c.Key) })
}

// Help has an example.
func (adoptCommand) Help() string {
	return "A store must hold the key's value.\n\n    latchkey adopt logs-sender/<project ID> --key ApiKey-…"
}
