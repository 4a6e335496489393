package main

import (
	"fmt"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/schema"
)

type schemaCommand struct{}

// Run prints the JSON Schema of the config.
func (schemaCommand) Run(std cli.Streams) error {
	text, err := schema.JSON(config.Keys())
	if err != nil {
		return err
	}
	if _, err := std.Out.Write(text); err != nil {
		return fmt.Errorf("printing the schema: %w", err)
	}
	return nil
}

// Help has the line that names the schema in a config.
func (schemaCommand) Help() string {
	return "Editors check a config by it and complete its keys. Write it to a file, and begin the config with this line:\n\n" +
		"    # yaml-language-server: $schema=latchkey.schema.json"
}
