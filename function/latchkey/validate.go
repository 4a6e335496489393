package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/doctor"
	"github.com/latchkey-io/latchkey/internal/service"
)

type validateCommand struct {
	Config string   `help:"The config file." placeholder:"FILE"`
	Event  []string `help:"Print what this event would request: JSON of a CloudEvent, a batch or a notification, or a whole request in .http. Repeatable." placeholder:"FILE" sep:"none"`
	Needs  bool     `help:"Print the variables, files, roles and servers that the config needs, as JSON."`
	Live   bool     `help:"Ask IAM, too, whether each service has the roles that the config grants, and whether a credential is latchkey's own login."`
	Files  []string `arg:"" optional:"" name:"file" help:"The config file, as --config takes it. After --event: further events."`
	cloudFlag
}

// errOneConfig: an event in the place of the config.
var errOneConfig = errors.New("validate takes one config file; an event needs --event")

// Run prints what the config yields, or every fault of it; with events, what each
// of them would request. It calls nothing but IAM, and that with --live only. It reads
// the kubeconfigs that are here.
func (c validateCommand) Run(ctx context.Context, env environment, std cli.Streams, log *slog.Logger) error {
	events := len(c.Event) > 0
	if !events && len(c.Files) > 0 {
		if c.Config != "" || len(c.Files) > 1 {
			return errOneConfig
		}
		c.Config = c.Files[0]
	}
	cfg, err := load(ctx, env, c.Config)
	switch {
	case err != nil:
		return err
	case events:
		return cli.Explain(ctx, std, explainer(cfg), append(c.Event, c.Files...))
	case c.Needs:
		return cli.PrintJSON(std.Out, cfg.Needs())
	}
	out := std.Lines()
	for _, line := range cfg.Describe() {
		fmt.Fprintln(out, line)
	}
	if err := checkKubeconfigs(ctx, env, cfg); err != nil {
		return err
	}
	if c.Live {
		if err := c.askIAM(ctx, env, log); err != nil {
			return err
		}
	}
	fmt.Fprintln(std.Out, "The config is valid.")
	return nil
}

// askIAM asks IAM for the roles of each service that the config grants roles on, and for
// our own identity. IAM does not tell which attributes a service knows.
func (c validateCommand) askIAM(ctx context.Context, env environment, log *slog.Logger) error {
	p, err := wire(ctx, env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	faults := []error{p.checkOwnLogin(ctx)}
	for _, e := range p.cfg.Entries {
		for _, g := range e.Grants() {
			roles, err := doctor.UnknownRole(ctx, p.iam, g.Service, g.Role)
			if err != nil {
				return fmt.Errorf("asking IAM for the roles of %s: %w", g.Service, err)
			}
			if roles != nil {
				faults = append(faults, fmt.Errorf("%s: %s has no role %q: its roles are %s", e.Name, g.Service, g.Role, strings.Join(roles, ", ")))
			}
		}
	}
	return errors.Join(faults...)
}

// explainer tells what the config makes of an event.
func explainer(cfg *config.Config) service.Explainer {
	x := service.Explainer{
		Entries:     map[string]string{},
		Interpreter: service.Interpreter{Rules: newRuleset(cfg.Rules)},
		Known:       len(cfg.Events.Callers) > 0, Allow: allows(cfg.Jobs.Allow),
	}
	for _, c := range cfg.Events.Callers {
		x.Allow = append(x.Allow, allows(c.Allow)...)
	}
	for _, e := range cfg.Entries {
		for _, name := range append([]string{e.Name}, e.Formerly...) {
			x.Entries[name] = e.Name
		}
	}
	return x
}
