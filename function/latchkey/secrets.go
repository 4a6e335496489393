package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/doctor"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

// missingSecrets names every secret that a process which takes events needs and does
// not have. Those of stores are the stores' own: they block their credentials.
func missingSecrets(env environment, cfg *config.Config) error {
	var missing []error
	for _, s := range cfg.Secrets {
		if strings.HasPrefix(s.At, "credentials[") {
			continue
		}
		if _, err := secret.Read(env, s.Env, s.File); err != nil {
			missing = append(missing, fmt.Errorf("reading %s: %w", s.At, err))
		}
	}
	return errors.Join(missing...)
}

// secretsToCheck reads every secret of the config for doctor, and says which forms
// need it.
func secretsToCheck(env environment, cfg *config.Config) (checked []doctor.Secret) {
	for _, s := range cfg.Secrets {
		at := doctor.Secret{At: s.At, Where: cmp.Or(s.Env, s.File)}
		shown := false // a caller shows it
		switch part, _, _ := strings.Cut(s.At, "["); part {
		case "credentials":
			at.For = "without it the credential is blocked"
		case "outcomes":
			at.For = "without it serve, the function and every job do not start"
		default:
			shown = true
			at.For = "without it serve, the function and a job with an event do not start"
		}
		v, err := secret.Read(env, s.Env, s.File)
		switch n := v.Len(); {
		case err != nil:
			at.Missing = err
		case shown && n < webhook.MinSecret:
			at.Wrong = fmt.Errorf("it has %d characters; the minimum is %d", n, webhook.MinSecret)
		}
		checked = append(checked, at)
	}
	return checked
}

// readToken reads the token of a caller. A short token can be guessed, since the URL is
// public.
func readToken(env environment, variable, file string) (secret.Value, error) {
	v, err := secret.Read(env, variable, file)
	if err != nil {
		return nil, err
	}
	if n := v.Len(); n < webhook.MinSecret {
		return nil, fmt.Errorf("the token has %d characters; the minimum is %d", n, webhook.MinSecret)
	}
	return v, nil
}

// renewedToken is readToken for a process that stays up.
func renewedToken(env environment, variable, file string) (secret.Value, error) {
	read := func() (secret.Value, error) { return readToken(env, variable, file) }
	if variable != "" {
		return read()
	}
	return secret.Renewed(read)
}

// takeKeys returns the variables of the process. It removes those that hold
// latchkey's own key, so that no program that this one starts inherits it. The
// kernel keeps the text that the process began with: see forbidDumps.
func takeKeys() environment {
	taken := map[string]string{}
	for _, name := range []string{"IBMCLOUD_API_KEY", "SM_ACCESS_APIKEY"} {
		if value, set := os.LookupEnv(name); set {
			taken[name] = value
			_ = os.Unsetenv(name) // it fails for invalid names only
		}
	}
	return func(name string) string {
		if value, ok := taken[name]; ok {
			return value
		}
		return os.Getenv(name)
	}
}
