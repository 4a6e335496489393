//go:build !production

package main

import (
	"context"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
)

type emulatorCommand struct {
	cli.Unattended
	emulator.Flags
}

// Help lists the switches, faults and controls for --help.
func (emulatorCommand) Help() string { return emulator.Help() }

// Run serves IBM Cloud on loopback until its context ends. The first line on
// stdout is JSON with what a client needs.
func (c emulatorCommand) Run(ctx context.Context, std cli.Streams, log *slog.Logger) error {
	return c.Serve(ctx, std.Out, log)
}
