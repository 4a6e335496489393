package main

import (
	"context"
	"log/slog"

	"github.com/latchkey-io/latchkey/internal/cli"
)

type historyCommand struct {
	credentialFlags
	cli.Evidence
	Credential string `arg:"" help:"A config entry or a single credential."`
}

// Run prints the life of a credential's keys, and changes nothing.
func (c historyCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	return c.look(ctx, env, std, log, func(r cli.Runner) error { return r.History(ctx, c.Evidence, c.Credential) })
}

// Help has examples.
func (historyCommand) Help() string {
	return "    latchkey history logs-sender\n    latchkey history logs-sender --audit records.json -o json"
}

type reportCommand struct {
	cli.ByHand
	Config string `help:"The config file." placeholder:"FILE"`
	cloudFlag
	cli.Report
}

// Run prints the evidence about every key, and changes nothing.
func (c reportCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	p, err := wire(ctx, env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	return credentialFlags{}.runner(p, env, std).Report(ctx, c.Report, p.cfg.Owner, buildVersion())
}

// Help has examples.
func (reportCommand) Help() string {
	return "    latchkey report\n    latchkey report --csv >keys.csv\n    latchkey report --html keys.html --audit records.json\n    latchkey report --account --csv >account.csv"
}
