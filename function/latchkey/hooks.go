package main

import (
	"errors"
	"fmt"
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
		secrets, err := hookSecrets(env, h.Verify)
		if err != nil {
			return nil, fmt.Errorf("reading hooks.%s.verify: %w", h.Name, err)
		}
		v, err := webhook.NewVerifier(webhook.Options{
			Scheme: webhook.Scheme(h.Verify.Scheme), Header: h.Verify.Header, User: h.Verify.User, Secrets: secrets, Now: now,
		})
		if err != nil {
			return nil, fmt.Errorf("reading hooks.%s.verify: %w", h.Name, err)
		}
		built = append(built, service.Hook{
			Hook: &webhook.Hook{Name: h.Name, Verifier: v, Map: mapper(h)}, Allow: allows(h.Allow),
		})
	}
	return built, nil
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
