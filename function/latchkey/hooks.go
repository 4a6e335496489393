package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/service"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

// newCallers builds the callers of events with their tokens.
func newCallers(env environment, configured []config.Caller) (built []service.Caller, err error) {
	for _, c := range configured {
		caller := service.Caller{Name: c.Name, Allow: allows(c.Allow)}
		add := func(variable, file string) error {
			token, err := renewedToken(env, variable, file)
			if err != nil {
				return fmt.Errorf("reading events.auth: caller %s: %s: %w", c.Name, variable+file, err)
			}
			caller.Tokens = append(caller.Tokens, token)
			return nil
		}
		for _, name := range c.BearerEnv {
			if err := add(name, ""); err != nil {
				return nil, err
			}
		}
		for _, name := range c.BearerFile {
			if err := add("", name); err != nil {
				return nil, err
			}
		}
		built = append(built, caller)
	}
	return built, nil
}

// separate rejects a secret that two senders have: what one sends would be valid for the
// other. The config cannot see it if the secret is in two variables or files.
func separate(env environment, cfg *config.Config) error {
	type sender struct {
		name    string
		secrets []secret.Value
	}
	var senders []sender
	add := func(name string, variables, files []string) error {
		secrets, err := readSecrets(env, variables, files)
		if err != nil {
			return fmt.Errorf("reading the secret of %s: %w", name, err)
		}
		for _, other := range senders {
			for _, s := range secrets {
				if slices.ContainsFunc(other.secrets, s.Equal) {
					return fmt.Errorf("reading the secret of %s: it is the secret of %s, too: each sender needs its own", name, other.name)
				}
			}
		}
		senders = append(senders, sender{name, secrets})
		return nil
	}
	for _, c := range cfg.Events.Callers {
		if err := add("caller "+c.Name, c.BearerEnv, c.BearerFile); err != nil {
			return err
		}
	}
	for _, h := range cfg.Hooks {
		if err := add("hooks."+h.Name, h.Verify.SecretEnv, h.Verify.SecretFile); err != nil {
			return err
		}
	}
	return nil
}

// newHooks builds the hooks of the config with their secrets.
func newHooks(env environment, configured []*config.Hook, now func() time.Time) (built []service.Hook, err error) {
	for _, h := range configured {
		v, err := newVerifier(env, h.Verify, now)
		if err != nil {
			return nil, fmt.Errorf("reading hooks.%s.verify: %w", h.Name, err)
		}
		built = append(built, service.Hook{
			Hook: &webhook.Hook{Name: h.Name, Verifier: v, Map: mapper(h)}, Allow: allows(h.Allow),
		})
	}
	return built, nil
}

// newVerifier returns the verifier of a hook. One with secrets from files is
// built again when a file has changed. While the files hold no valid secrets, as
// while they are replaced, the last verifier counts.
func newVerifier(env environment, v config.Verify, now func() time.Time) (*webhook.Verifier, error) {
	build := func() (*webhook.Verifier, []secret.Value, error) {
		secrets, err := readSecrets(env, v.SecretEnv, v.SecretFile)
		if err != nil {
			return nil, nil, err
		}
		built, err := webhook.NewVerifier(webhook.Options{
			Scheme: webhook.Scheme(v.Scheme), Header: v.Header, User: v.User, Secrets: secrets, Now: now,
		})
		return built, secrets, err
	}
	last, known, err := build()
	if err != nil || len(v.SecretFile) == 0 {
		return last, err
	}
	var mu sync.Mutex
	return webhook.Renewed(func() *webhook.Verifier {
		mu.Lock()
		defer mu.Unlock()
		secrets, err := readSecrets(env, v.SecretEnv, v.SecretFile)
		if err == nil && !slices.EqualFunc(secrets, known, secret.Value.Equal) {
			if built, secrets, err := build(); err == nil {
				last, known = built, secrets
			}
		}
		return last
	}), nil
}

// readSecrets reads every secret of one sender. If one is missing, the sender must not
// work with the other alone.
func readSecrets(env environment, variables, files []string) (secrets []secret.Value, err error) {
	for _, name := range variables {
		s, err := secret.Read(env, name, "")
		if err != nil {
			return nil, fmt.Errorf("reading variable: %w", err)
		}
		secrets = append(secrets, s)
	}
	for _, name := range files {
		s, err := secret.Read(env, "", name)
		if err != nil {
			return nil, fmt.Errorf("reading file: %w", err)
		}
		secrets = append(secrets, s)
	}
	return secrets, nil
}

// mapper lets a hook evaluate the config's expressions.
func mapper(h *config.Hook) func(any, map[string]string) (webhook.Parts, error) {
	return func(body any, header map[string]string) (webhook.Parts, error) {
		d, err := h.Map(body, header)
		switch {
		case errors.Is(err, config.ErrUnwanted):
			return webhook.Parts{}, fmt.Errorf("%w: %w", event.ErrNotForUs, err)
		case err != nil:
			return webhook.Parts{}, fmt.Errorf("%w: %w", event.ErrMalformed, err)
		}
		return webhook.Parts{Type: d.Type, Subject: d.Subject, Ticket: d.Ticket, Time: d.Time, Data: d.Data, Leaked: d.Leaked}, nil
	}
}

// allows returns the config's permissions as the service reads them.
func allows(configured []config.Allow) (out []service.Allow) {
	for _, a := range configured {
		out = append(out, a)
	}
	return out
}
