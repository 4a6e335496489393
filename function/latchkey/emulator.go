package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
)

type emulatorCommand struct {
	Listen  string        `help:"Address on loopback." default:"127.0.0.1:0"`
	Latency time.Duration `help:"Delay of every emulated call."`
	Lag     time.Duration `help:"How long IAM does not see new keys and policies."`
	Faults  string        `help:"A JSON file with faults per route." placeholder:"FILE"`
	Verbose bool          `help:"Log every call."`
}

// Run serves IBM Cloud on loopback until it is told to stop. The first line on
// stdout is JSON: what a client needs to know.
func (c emulatorCommand) Run(ctx context.Context, p *process) error {
	opts := emulator.Options{Listen: c.Listen, Latency: c.Latency, Lag: c.Lag, Log: slog.New(slog.DiscardHandler)}
	if c.Verbose {
		opts.Log = p.log
	}
	if c.Faults != "" {
		data, err := os.ReadFile(c.Faults)
		if err != nil {
			return fmt.Errorf("reading faults: %w", err)
		}
		if opts.Faults, err = emulator.ParseFaults(data); err != nil {
			return fmt.Errorf("reading faults %s: %w", c.Faults, err)
		}
	}
	server, err := emulator.Start(opts)
	if err != nil {
		return fmt.Errorf("starting the emulator: %w", err)
	}
	if err := json.NewEncoder(p.stdout).Encode(server.Ready()); err != nil {
		return fmt.Errorf("printing what a client needs to know: %w", err)
	}
	<-ctx.Done()
	return server.Close()
}
