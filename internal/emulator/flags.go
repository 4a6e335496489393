package emulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/userfile"
)

// Flags are those of the command that serves the emulator.
type Flags struct {
	Listen  string        `help:"Address on loopback." default:"127.0.0.1:0"`
	Latency time.Duration `help:"Delay of every emulated call."`
	Lag     time.Duration `help:"How long IAM does not show new keys and policies."`
	Rate    int           `name:"rate-limit" help:"How many calls are answered a second: 0 means any number." placeholder:"N"`
	Service int           `name:"service-rate-limit" help:"The same for each service." placeholder:"N"`
	Caller  int           `name:"identity-rate-limit" help:"The same for each identity." placeholder:"N"`
	Faults  string        `help:"A JSON file with faults per route." placeholder:"FILE"`
	Verbose bool          `help:"Log every call."`
	Switch  []string      `help:"Replace a guess about IBM Cloud: see below. Repeatable." placeholder:"NAME=VALUE" sep:"none"`

	Switches string `help:"A report of latchkey verify: the switches are those that it found." placeholder:"FILE"`

	SeedCredentials int `help:"How many service IDs with a key and a policy to start with." placeholder:"N"`
}

// Serve serves IBM Cloud on loopback until ctx ends. The first line on out is JSON with
// what a client needs.
func (f Flags) Serve(ctx context.Context, out io.Writer, log *slog.Logger) error {
	opts, err := f.options(ctx, log)
	if err != nil {
		return err
	}
	server, err := Start(opts)
	if err != nil {
		return fmt.Errorf("starting the emulator: %w", err)
	}
	settings := server.Settings()
	settings.RateLimit, settings.ServiceRateLimit, settings.IdentityRateLimit = f.Rate, f.Service, f.Caller
	server.Set(settings)
	if err := json.NewEncoder(out).Encode(server.Ready()); err != nil {
		return fmt.Errorf("printing the ready line: %w", err)
	}
	<-ctx.Done()
	return server.Close()
}

func (f Flags) options(ctx context.Context, log *slog.Logger) (Options, error) {
	if min(f.Rate, f.Service, f.Caller) < 0 {
		return Options{}, errors.New("--rate-limit, --service-rate-limit and --identity-rate-limit must not be negative")
	}
	switches, err := f.Choices(ctx)
	if err != nil {
		return Options{}, err
	}
	opts := Options{
		Listen: f.Listen, Latency: f.Latency, Lag: f.Lag, ProjectDelay: UsualProjectDelay, Switches: &switches,
		SeedCredentials: f.SeedCredentials, Log: slog.New(slog.DiscardHandler),
	}
	if f.Verbose {
		opts.Log = log
	}
	if f.Faults != "" {
		data, err := userfile.Read(ctx, f.Faults)
		if err != nil {
			return Options{}, fmt.Errorf("reading faults: %w", err)
		}
		if opts.Faults, err = ParseFaults(data); err != nil {
			return Options{}, fmt.Errorf("reading faults %s: %w", f.Faults, err)
		}
	}
	return opts, nil
}

// Choices returns the guesses with what the flags replace.
func (f Flags) Choices(ctx context.Context) (cloud.Switches, error) {
	switches := cloud.DefaultSwitches()
	if f.Switches != "" {
		data, err := userfile.Read(ctx, f.Switches)
		if err != nil {
			return switches, fmt.Errorf("reading switches: %w", err)
		}
		if err := readSwitches(&switches, data); err != nil {
			return switches, fmt.Errorf("reading switches %s: %w", f.Switches, err)
		}
	}
	for _, s := range f.Switch {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return switches, fmt.Errorf("--switch %s is not NAME=VALUE", s)
		}
		if err := switches.Turn(name, value); err != nil {
			return switches, fmt.Errorf("--switch %s: %w", s, err)
		}
	}
	return switches, nil
}

// readSwitches turns the switches of a report of latchkey verify.
func readSwitches(switches *cloud.Switches, data []byte) error {
	var report struct {
		Switches map[string]any `json:"switches"`
	}
	if err := json.Unmarshal(data, &report); err != nil {
		return fmt.Errorf("decoding: %w", err)
	}
	for name, value := range report.Switches {
		if err := switches.Turn(name, fmt.Sprint(value)); err != nil {
			return err
		}
	}
	return nil
}
