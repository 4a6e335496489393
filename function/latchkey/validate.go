package main

import (
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/service"
)

type validateCommand struct {
	Config string   `help:"The config file." placeholder:"FILE"`
	Event  []string `help:"Print what this event would request: JSON of a CloudEvent, a batch or a notification, or a whole request in .http. Repeatable." placeholder:"FILE" sep:"none"`
	Needs  bool     `help:"Print the variables, files, roles and servers that the config needs, as JSON."`
	Files  []string `arg:"" optional:"" name:"file" help:"The config file, as --config takes it. After --event: further events."`
}

// errOneConfig: an event in the place of the config.
var errOneConfig = errors.New("validate takes one config file; an event needs --event")

// Run prints what the config yields, or every fault of it; with events, what each
// of them would request. It calls nothing. It reads the kubeconfigs that are here.
func (c validateCommand) Run(env environment, std cli.Streams) error {
	events := len(c.Event) > 0
	if !events && len(c.Files) > 0 {
		if c.Config != "" || len(c.Files) > 1 {
			return errOneConfig
		}
		c.Config = c.Files[0]
	}
	cfg, err := load(env, c.Config)
	switch {
	case err != nil:
		return err
	case events:
		return cli.Explain(std, explainer(cfg), append(c.Event, c.Files...))
	case c.Needs:
		return cli.PrintJSON(std.Out, cfg.Needs())
	}
	out := std.Lines()
	for _, line := range cfg.Describe() {
		fmt.Fprintln(out, line)
	}
	if err := checkKubeconfigs(env, cfg); err != nil {
		return err
	}
	fmt.Fprintln(std.Out, "The config is valid.")
	return nil
}

// explainer tells what the config makes of an event.
func explainer(cfg *config.Config) service.Explainer {
	x := service.Explainer{
		Interpreter: service.Interpreter{Rules: newRuleset(cfg.Rules)},
		Known:       len(cfg.Events.Callers) > 0, Allow: allows(cfg.Jobs.Allow),
	}
	for _, c := range cfg.Events.Callers {
		x.Allow = append(x.Allow, allows(c.Allow)...)
	}
	for _, e := range cfg.Entries {
		x.Entries = append(x.Entries, e.Name)
	}
	return x
}
