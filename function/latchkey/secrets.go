package main

import (
	"context"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// checkSecrets names every secret that a process which takes events needs and does not
// have, or that two senders share. Those of stores are the stores' own: they block their
// credentials.
func checkSecrets(ctx context.Context, env environment, cfg *config.Config) error {
	needed := slices.DeleteFunc(slices.Clone(cfg.Secrets), func(s secret.Source) bool { return strings.HasPrefix(s.At, "credentials[") })
	if err := secret.Missing(ctx, env, needed); err != nil {
		return err
	}
	return secret.Separate(ctx, env, needed)
}
