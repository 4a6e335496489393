//go:build !production

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

type emulatorCommand struct {
	cli.Unattended
	Listen  string        `help:"Address on loopback." default:"127.0.0.1:0"`
	Latency time.Duration `help:"Delay of every emulated call."`
	Lag     time.Duration `help:"How long IAM does not show new keys and policies."`
	Rate    int           `name:"rate-limit" help:"How many calls are answered a second: 0 means any number." placeholder:"N"`
	Service int           `name:"service-rate-limit" help:"The same for each service." placeholder:"N"`
	Caller  int           `name:"identity-rate-limit" help:"The same for each identity." placeholder:"N"`
	Faults  string        `help:"A JSON file with faults per route." placeholder:"FILE"`
	Verbose bool          `help:"Log every call."`
	Switch  []string      `help:"Replace a guess about IBM Cloud: see below. Repeatable." placeholder:"NAME=VALUE" sep:"none"`

	SeedCredentials int `help:"How many service IDs with a key and a policy to start with." placeholder:"N"`
}

// Help lists the switches, faults and controls for --help.
func (emulatorCommand) Help() string { return emulator.Help() }

func (c emulatorCommand) switches() (*cloud.Switches, error) {
	out := cloud.DefaultSwitches()
	for _, s := range c.Switch {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("--switch %s is not NAME=VALUE", s)
		}
		if err := out.Turn(name, value); err != nil {
			return nil, fmt.Errorf("--switch %s: %w", s, err)
		}
	}
	return &out, nil
}

// Run serves IBM Cloud on loopback until its context ends. The first line on
// stdout is JSON with what a client needs.
func (c emulatorCommand) Run(ctx context.Context, std cli.Streams, log *slog.Logger) error {
	switches, err := c.switches()
	if err != nil {
		return err
	}
	if min(c.Rate, c.Service, c.Caller) < 0 {
		return errors.New("--rate-limit, --service-rate-limit and --identity-rate-limit must not be negative")
	}
	opts := emulator.Options{Listen: c.Listen, Latency: c.Latency, Lag: c.Lag, ProjectDelay: emulator.UsualProjectDelay, Switches: switches,
		SeedCredentials: c.SeedCredentials, Log: slog.New(slog.DiscardHandler)}
	if c.Verbose {
		opts.Log = log
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
	settings := server.Settings()
	settings.RateLimit, settings.ServiceRateLimit, settings.IdentityRateLimit = c.Rate, c.Service, c.Caller
	server.Set(settings)
	if err := json.NewEncoder(std.Out).Encode(server.Ready()); err != nil {
		return fmt.Errorf("printing the ready line: %w", err)
	}
	<-ctx.Done()
	return server.Close()
}
