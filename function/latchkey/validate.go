package main

import (
	"fmt"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/service"
)

type validateCommand struct {
	Config string   `help:"The config file." placeholder:"FILE"`
	Event  []string `help:"Print what this event would request: JSON of a CloudEvent, a batch or a notification, or a whole request in .http. Repeatable." placeholder:"FILE" sep:"none"`
	Events []string `arg:"" optional:"" name:"event" help:"Files with events, as --event takes them."`
}

// Run prints what the config yields, or every fault of it; with events, what each
// of them would request. It calls nothing.
func (c validateCommand) Run(env environment, std cli.Streams) error {
	cfg, err := load(env, c.Config)
	if err != nil {
		return err
	}
	if files := append(c.Event, c.Events...); len(files) > 0 {
		return cli.Explain(std, explainer(cfg), files)
	}
	for _, e := range cfg.Entries {
		each := "one credential"
		switch {
		case e.ForEach != "":
			each = "one credential for each of " + e.ForEach
		case e.UsesWith():
			each = "one credential for each set of parameters that a provision event gives"
		}
		fmt.Fprintf(std.Out, "%s: %s\n", e.Name, each)
	}
	for _, r := range cfg.Rules {
		fmt.Fprintf(std.Out, "%s (line %d): %s\n", r.Name, r.Line, r.Verb)
	}
	fmt.Fprintln(std.Out, "The config is valid.")
	return nil
}

// explainer tells what the config makes of an event.
func explainer(cfg *config.Config) service.Explainer {
	x := service.Explainer{
		Interpreter: service.Interpreter{Rules: newRuleset(cfg.Rules)},
		Known:       cfg.Events.Auth != config.Auth{}, Allow: allows(cfg.Events.Allow),
	}
	for _, e := range cfg.Entries {
		x.Entries = append(x.Entries, e.Name)
	}
	return x
}
