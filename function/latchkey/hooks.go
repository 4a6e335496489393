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
		secrets, err := hookSecrets(env, v)
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
		secrets, err := hookSecrets(env, v)
		if err == nil && !slices.EqualFunc(secrets, known, secret.Value.Equal) {
			if built, secrets, err := build(); err == nil {
				last, known = built, secrets
			}
		}
		return last
	}), nil
}

// hookSecrets reads every secret that the config names. If one is missing, the
// hook must not work with the other alone.
func hookSecrets(env environment, v config.Verify) (secrets []secret.Value, err error) {
	for _, name := range v.SecretEnv {
		s, err := readSecret(env, name, "")
		if err != nil {
			return nil, fmt.Errorf("secretEnv: %w", err)
		}
		secrets = append(secrets, s)
	}
	for _, name := range v.SecretFile {
		s, err := readSecret(env, "", name)
		if err != nil {
			return nil, fmt.Errorf("secretFile: %w", err)
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
		return webhook.Parts{Type: d.Type, Subject: d.Subject, Time: d.Time, Data: d.Data, Leaked: d.Leaked}, nil
	}
}

// allows returns the config's permissions as the service reads them.
func allows(configured []config.Allow) (out []service.Allow) {
	for _, a := range configured {
		out = append(out, a)
	}
	return out
}
