package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/latchkey-io/latchkey/internal/secret"
)

// readSecret reads a secret from the variable or else from the file that the
// config names. White space around it is not part of it: an editor or a mount
// adds a line break. An empty secret is an error, and so is an unset variable.
func readSecret(env environment, variable, file string) (secret.Value, error) {
	if variable != "" {
		v := strings.TrimSpace(env(variable))
		if v == "" {
			return nil, fmt.Errorf("%s is not set", variable)
		}
		return secret.New(v), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	v := strings.TrimSpace(string(text))
	if v == "" {
		return nil, fmt.Errorf("%s is empty", file)
	}
	return secret.New(v), nil
}
