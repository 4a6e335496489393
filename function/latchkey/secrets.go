package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/doctor"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

// checkSecrets names every secret that a process which takes events needs and does not
// have, or that two senders share. Those of stores are the stores' own: they block their
// credentials.
func checkSecrets(env environment, cfg *config.Config) error {
	needed := slices.DeleteFunc(slices.Clone(cfg.Secrets), func(s secret.Source) bool { return strings.HasPrefix(s.At, "credentials[") })
	if err := secret.Missing(env, needed); err != nil {
		return err
	}
	return secret.Separate(env, needed)
}

// secretsToCheck reads every secret of the config for doctor, and says which forms
// need it.
func secretsToCheck(env environment, cfg *config.Config) (checked []doctor.Secret) {
	for _, s := range cfg.Secrets {
		at := doctor.Secret{At: s.At, Where: cmp.Or(s.Env, s.File)}
		switch part, _, _ := strings.Cut(s.At, "["); {
		case part == "credentials":
			at.For = "without it the credential is blocked"
		case s.Sender == "":
			at.For = "without it serve, the function and every job do not start"
		default:
			at.For = "without it serve, the function and a job with an event do not start"
		}
		v, err := secret.Read(env, s.Env, s.File)
		switch {
		case err != nil:
			at.Missing = err
		case s.Sender != "":
			at.Wrong = webhook.CheckSecret(webhook.Bearer, v)
		}
		checked = append(checked, at)
	}
	return checked
}
