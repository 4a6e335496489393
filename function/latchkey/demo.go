//go:build !production

package main

import (
	"context"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/demo"
)

type demoCommand struct {
	Keep     bool   `help:"Stay up afterwards and print curl lines to try."`
	Form     string `help:"The form of the program that the demo runs: app, function or job." enum:"app,function,job" default:"app"`
	Platform string `help:"For a function: the script that stands in for Code Engine." default:"function/testdata/platform.js"`
	Bundle   string `help:"For a function: its bundle." default:"dist/function"`
}

// Run shows the life of a key on the emulator.
func (c demoCommand) Run(ctx context.Context, std cli.Streams) error {
	return demo.Run(ctx, demo.Options{Out: std.Out, Keep: c.Keep, Form: c.Form, Platform: c.Platform, Bundle: c.Bundle})
}
