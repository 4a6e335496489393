package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

// What one hook may ask for. Deliveries that are not verified don't count: they
// would shut the sender out.
const (
	deliveriesPerSecond = 10
	deliveriesBurst     = 60
)

// hook is one source of its own: who it is, what it may ask for, and how often.
type hook struct {
	*webhook.Hook
	allow      []config.Allow
	deliveries *rate.Limiter
}

// leaks finds out whose key a leaked value is.
type leaks interface {
	// Owner returns the ID of the key that has the value, and the credential
	// that it is of. reconcile.ErrNotFound: no key of ours has it.
	Owner(ctx context.Context, v secret.Value) (keyID, credential string, err error)
}

// hooks builds the hooks of the config with their secrets.
func (p *process) hooks(cfg *config.Config, now func() time.Time) (map[string]*hook, error) {
	built := map[string]*hook{}
	for _, h := range cfg.Hooks {
		secrets, err := p.hookSecrets(h.Verify)
		if err != nil {
			return nil, fmt.Errorf("reading hooks.%s.verify: %w", h.Name, err)
		}
		v, err := webhook.NewVerifier(webhook.Options{
			Scheme: webhook.Scheme(h.Verify.Scheme), Header: h.Verify.Header, User: h.Verify.User, Secrets: secrets, Now: now,
		})
		if err != nil {
			return nil, fmt.Errorf("reading hooks.%s.verify: %w", h.Name, err)
		}
		built[h.Name] = &hook{
			Hook:  &webhook.Hook{Name: h.Name, Verifier: v, Map: mapper(h)},
			allow: h.Allow, deliveries: rate.NewLimiter(deliveriesPerSecond, deliveriesBurst),
		}
	}
	return built, nil
}

// hookSecrets reads what the config names. A place that is named has to have a
// secret: a hook that lost one is not a hook with the other.
func (p *process) hookSecrets(v config.Verify) (secrets []secret.Value, err error) {
	for _, name := range v.SecretEnv {
		s := p.env(name)
		if s == "" {
			return nil, fmt.Errorf("secretEnv: %s is not set", name)
		}
		secrets = append(secrets, secret.New(s))
	}
	for _, name := range v.SecretFile {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("secretFile: %w", err)
		}
		s := strings.TrimSpace(string(data))
		if s == "" {
			return nil, fmt.Errorf("secretFile: %s is empty", name)
		}
		secrets = append(secrets, secret.New(s))
	}
	return secrets, nil
}

// mapper hands the config's expressions to a hook.
func mapper(h *config.Hook) func(any, map[string]string) (webhook.Parts, error) {
	return func(body any, header map[string]string) (webhook.Parts, error) {
		d, err := h.Map(body, header)
		switch {
		case errors.Is(err, config.ErrUnwanted):
			return webhook.Parts{}, fmt.Errorf("%w: %w", event.ErrNotForUs, err)
		case err != nil:
			return webhook.Parts{}, fmt.Errorf("%w: %w", event.ErrMalformed, err)
		}
		return webhook.Parts{Type: d.Type, Subject: d.Subject, Time: d.Time, Data: d.Data, Leaked: secret.Value(d.Leaked)}, nil
	}
}

// deliver answers one call of a hook. A caller is told nothing until it is
// known; the order of the checks is what keeps a flood of others cheap.
func (d *desk) deliver(w http.ResponseWriter, r *http.Request) {
	h, there := d.hooks[r.PathValue("name")]
	if !there {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	claim, err := h.Verifier.Claim(r.Header)
	if err != nil {
		d.turnAway(w, h)
		return
	}
	body, release, err := d.intake.read(w, r)
	defer release()
	switch {
	case errors.Is(err, errBodyLarge):
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	case errors.Is(err, errBodySlow):
		w.WriteHeader(http.StatusRequestTimeout)
		return
	case errors.Is(err, errBusy):
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !claim.Holds(body) {
		d.turnAway(w, h)
		return
	}
	if !h.deliveries.Allow() {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	e, leaked, err := h.Event(claim, r.Header, body)
	if err != nil {
		if !errors.Is(err, event.ErrNotForUs) {
			d.log.Warn("delivery refused", "hook", h.Name, "error", err.Error())
		}
		d.refuse(err).write(w)
		return
	}
	who := caller{known: true, allow: h.allow, patience: answerNotification}
	if leaked != nil {
		d.revokeLeaked(r.Context(), h, e, leaked, who).write(w)
		return
	}
	d.act(r.Context(), e, who).write(w)
}

// turnedAway counts those who showed nothing right.
type turnedAway struct {
	count atomic.Int64
	tell  rate.Sometimes
}

// turnAway says no and nothing else. A flood of them makes one line a second.
func (d *desk) turnAway(w http.ResponseWriter, h *hook) {
	d.strangers.count.Add(1)
	d.strangers.tell.Do(func() {
		d.log.Warn("deliveries refused: no or wrong signature", "hook", h.Name, "so many since the last line", d.strangers.count.Swap(0))
	})
	w.WriteHeader(http.StatusUnauthorized)
	// Who sends many at once over one connection does not keep the others
	// waiting for a whole slice of the processor.
	runtime.Gosched()
}

// revokeLeaked makes a demand to revoke the key that has the leaked value. The
// value goes to IAM and nowhere else. A key that is not ours is nobody's
// business here.
func (d *desk) revokeLeaked(ctx context.Context, h *hook, e event.Event, leaked secret.Value, who caller) answer {
	ctx, cancel := context.WithTimeout(ctx, who.patience)
	defer cancel()
	keyID, credential, err := d.leaks.Owner(ctx, leaked)
	switch {
	case errors.Is(err, reconcile.ErrNotFound):
		d.log.Info("leaked value is of no key of ours", "hook", h.Name, "event", e.ID())
		return answer{status: http.StatusNoContent}
	case err != nil:
		d.log.Warn("leaked value could not be looked up", "hook", h.Name, "event", e.ID(), "error", err.Error())
		return answer{status: http.StatusServiceUnavailable, retry: 10}
	}
	d.log.Warn("key leaked", "hook", h.Name, "event", e.ID(), "key", keyID, "credential", credential)
	fields := map[string]any{}
	if len(e.Data()) > 0 {
		if err := json.Unmarshal(e.Data(), &fields); err != nil {
			return d.refuse(fmt.Errorf("%w: data of a revocation is an object", event.ErrMalformed))
		}
	}
	if fields == nil {
		fields = map[string]any{}
	}
	fields["credential"], fields["keyID"] = credential, keyID
	if err := e.SetData("application/json", fields); err != nil {
		panic("encoding a demand: " + err.Error()) // strings and what was decoded
	}
	return d.act(ctx, e, who)
}
