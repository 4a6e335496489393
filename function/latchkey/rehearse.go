//go:build !production

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rehearse"
	"github.com/latchkey-io/latchkey/internal/result"
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
	p, err := wire(env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	a, err := p.seen(ctx, c.Most)
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
		e := json.NewEncoder(std.Out)
		e.SetIndent("", "  ")
		if err := e.Encode(results); err != nil {
			return fmt.Errorf("printing the rehearsal: %w", err)
		}
	} else {
		printRehearsal(std, a, results)
	}
	for _, b := range results[0].Breaks {
		if b.Severity == rehearse.Outage {
			return errOutage
		}
	}
	return nil
}

func printRehearsal(std cli.Streams, a rehearse.Account, results []rehearse.Result) {
	out := std.Lines()
	for _, r := range results {
		fmt.Fprintf(out, "If %s: %d keys replaced in %d days\n", r.Scenario, r.Rotated, rehearse.Days)
		if len(r.Breaks) == 0 {
			fmt.Fprintln(out, "  nothing breaks")
		}
		for _, b := range r.Breaks {
			fmt.Fprintf(out, "  %s (day %d) %s, %s: %s\n", b.At.Format(time.DateOnly), int(b.At.Sub(a.Now)/(24*time.Hour)), b.Severity, b.Credential, b.What)
		}
	}
	fmt.Fprintf(std.Out, "%d credentials were rehearsed\n", len(a.Seen))
}

// seen looks at credentials, at most so many, and changes nothing.
func (p *assembly) seen(ctx context.Context, most int) (rehearse.Account, error) {
	a := rehearse.Account{Owner: p.cfg.Owner, Now: p.cloud.now()}
	credentials, err := p.catalog.Credentials(ctx, catalog.Scope{})
	if err != nil {
		return a, fmt.Errorf("listing credentials: %w", err)
	}
	credentials = credentials[:min(most, len(credentials))]
	outcomes := map[string]result.Outcome{}
	for _, o := range p.look(ctx, credentials, reconcile.Request{}).Outcomes {
		outcomes[o.Credential] = o
	}
	for _, c := range credentials {
		if c.Unconfigured != nil || c.Invalid != nil {
			continue
		}
		s := rehearse.Seen{Credential: c, Outcome: outcomes[c.Name]}
		for _, of := range c.Consumers {
			running, err := of.Consumers(ctx)
			if err != nil {
				return a, fmt.Errorf("looking at the consumers of %s: %w", c.Name, err)
			}
			s.Running = append(s.Running, running...)
		}
		a.Seen = append(a.Seen, s)
	}
	return a, nil
}
