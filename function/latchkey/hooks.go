package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/service"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

// newCallers builds the callers of events with their tokens.
func newCallers(ctx context.Context, env environment, configured []config.Caller) (built []service.Caller, err error) {
	for _, c := range configured {
		caller := service.Caller{Name: c.Name, Allow: allows(c.Allow)}
		if caller.Tokens, err = readSecrets(ctx, env, webhook.Bearer, c.Tokens); err != nil {
			return nil, err
		}
		built = append(built, caller)
	}
	return built, nil
}

// newHooks builds the hooks of the config with their secrets.
func newHooks(ctx context.Context, env environment, configured []*config.Hook, now func() time.Time) (built []service.Hook, err error) {
	for _, h := range configured {
		o := webhook.Options{Scheme: webhook.Scheme(h.Verify.Scheme), Header: h.Verify.Header, User: h.Verify.User, Now: now}
		if o.Secrets, err = readSecrets(ctx, env, o.Scheme, h.Verify.Secrets); err != nil {
			return nil, err
		}
		v, err := webhook.NewVerifier(o)
		if err != nil {
			return nil, fmt.Errorf("reading hooks.%s.verify: %w", h.Name, err)
		}
		built = append(built, service.Hook{
			Hook: &webhook.Hook{Name: h.Name, Verifier: v, Map: mapper(h)}, Allow: allows(h.Allow),
		})
	}
	return built, nil
}

// readSecrets reads the secrets of one sender.
func readSecrets(ctx context.Context, env environment, scheme webhook.Scheme, sources []secret.Source) ([]secret.Value, error) {
	return secret.ReadAll(ctx, env, sources, func(v secret.Value) error { return webhook.CheckSecret(scheme, v) })
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
