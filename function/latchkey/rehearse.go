//go:build !production

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/rehearse"
)

type rehearseCommand struct {
	cli.ByHand
	Config string `help:"The config file." placeholder:"FILE"`
	cloudFlag
	JSON bool `name:"json" help:"Print JSON."`
	Most int  `help:"How many credentials are rehearsed." default:"20" placeholder:"N"`
}

// errOutage is the result of a rehearsal in which a key stops working as things are.
var errOutage = errors.New("as it is, a key will stop working for a consumer: see above")

// Run looks at the account, and plays the next 90 days of it on the emulator.
func (c rehearseCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	if c.Most < 1 {
		return fmt.Errorf("reading --most %d: at least one credential is rehearsed", c.Most)
	}
	p, err := wire(ctx, env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	credentials, err := p.catalog.Credentials(ctx, catalog.Scope{})
	if err != nil {
		return fmt.Errorf("listing credentials: %w", err)
	}
	a, err := rehearse.See(ctx, p.cfg.Owner, p.cloud.now(), credentials, c.Most, p.look)
	if err != nil {
		return err
	}
	results, err := rehearse.Run(ctx, a, func(scenario string) {
		if std.Watched {
			fmt.Fprintln(std.Err, "rehearsing:", scenario)
		}
	})
	if err != nil {
		return err
	}
	if c.JSON {
		if err := cli.PrintJSON(std.Out, results); err != nil {
			return fmt.Errorf("printing the rehearsal: %w", err)
		}
	} else {
		rehearse.Print(std.Lines(), a, results)
	}
	for _, b := range results[0].Breaks {
		if b.Severity == rehearse.Outage {
			return errOutage
		}
	}
	return nil
}
