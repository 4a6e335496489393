package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/webhook"
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

// missingSecrets names every secret that a process which takes events needs and does
// not have. Those of stores are the stores' own: they block their credentials.
func missingSecrets(env environment, cfg *config.Config) error {
	var missing []error
	for _, s := range cfg.Secrets {
		if strings.HasPrefix(s.At, "credentials[") {
			continue
		}
		if _, err := readSecret(env, s.Env, s.File); err != nil {
			missing = append(missing, fmt.Errorf("reading %s: %w", s.At, err))
		}
	}
	return errors.Join(missing...)
}

// readToken is readSecret for the token of a caller. A short token can be guessed,
// since the URL is public.
func readToken(env environment, variable, file string) (secret.Value, error) {
	v, err := readSecret(env, variable, file)
	if err != nil {
		return nil, err
	}
	if n := len(v.Expose()); n < webhook.MinSecret {
		return nil, fmt.Errorf("the token has %d characters; the minimum is %d", n, webhook.MinSecret)
	}
	return v, nil
}

// renewedToken is readToken for a process that stays up: a token from a file is read
// again each time it is used. While the file cannot be read or holds no valid token, as
// while it is replaced, the last token counts.
func renewedToken(env environment, variable, file string) (secret.Value, error) {
	first, err := readToken(env, variable, file)
	if err != nil || variable != "" {
		return first, err
	}
	var mu sync.Mutex
	last := first
	return secret.From(func() string {
		mu.Lock()
		defer mu.Unlock()
		if now, err := readToken(env, "", file); err == nil {
			last = now
		}
		return last.Expose()
	}), nil
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
