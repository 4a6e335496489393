package main

import (
	"context"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/cli"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"One of ${enum}."`
}

// Run prints the script that completes latchkey's commands in a shell.
func (c completionCommand) Run(std cli.Streams) error {
	_, err := fmt.Fprint(std.Out, cli.CompletionScripts[c.Shell])
	return err
}

// Help has the line for each shell's start file.
func (completionCommand) Help() string {
	return "Put one of these lines into ~/.bashrc, ~/.zshrc after compinit, or ~/.config/fish/config.fish:\n\n" +
		"    source <(latchkey completion bash)\n    source <(latchkey completion zsh)\n    latchkey completion fish | source"
}

// entryNames returns the names of the config's entries, or none if it can't be
// read.
func entryNames(ctx context.Context, env environment, file string) (names []string) {
	cfg, err := load(ctx, env, file)
	if err != nil {
		return nil
	}
	for _, e := range cfg.Entries {
		names = append(names, e.Name)
	}
	return names
}
