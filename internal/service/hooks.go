package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

// Limits of one hook. Deliveries that fail verification do not count: they would
// shut the sender out.
const (
	deliveriesPerSecond = 10
	deliveriesBurst     = 60
)

// Hook is one path under /hooks/, and what its caller may request.
type Hook struct {
	*webhook.Hook
	Allow []Allow
}

type hook struct {
	Hook
	deliveries *rate.Limiter
}

// delivery answers POST /hooks/NAME. The answer to an unverified caller has no
// body. The header is checked before the body is read, so most invalid requests
// cost little.
func (s *Service) delivery(w http.ResponseWriter, r *http.Request) {
	h, there := s.hooks[r.PathValue("name")]
	if !there {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	s.counted("hook "+h.Name, func(w http.ResponseWriter, r *http.Request) { s.deliver(w, r, h) }).ServeHTTP(w, r)
}

// deliver answers a delivery to a hook.
func (s *Service) deliver(w http.ResponseWriter, r *http.Request, h *hook) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	claim, err := h.Verifier.Claim(r.Header)
	if err != nil {
		s.refused.answer(w, r)
		return
	}
	body, release, err := s.bodies.read(w, r, webhook.MaxBody)
	defer func() { release() }()
	if err != nil {
		writeUnread(w, err)
		return
	}
	if !claim.Holds(body) {
		release() // before the caller is slowed down
		release = func() {}
		s.refused.answer(w, r)
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
			s.cfg.Log.Warn("refusing delivery", "hook", h.Name, "error", err.Error())
		}
		refuse(err).write(w)
		return
	}
	if claim.Signed {
		if e, err = s.repeats.delivery(h.Name, e, s.cfg.Now()); err != nil {
			s.cfg.Log.Warn("refusing delivery", "hook", h.Name, "error", err.Error())
			refuse(err).write(w)
			return
		}
	}
	from := caller{name: "hook " + h.Name, known: true, allow: h.Allow, within: answerNotification}
	if leaked != nil {
		s.revokeLeaked(r.Context(), h, e, leaked, from).write(w)
		return
	}
	s.handle(r.Context(), e, from).write(w)
}

// revokeLeaked turns a leaked value into the demand to revoke its key. The value
// goes to IAM and nowhere else. A key that is not ours is ignored.
func (s *Service) revokeLeaked(ctx context.Context, h *hook, e event.Event, leaked secret.Value, from caller) Answer {
	ctx, cancel := context.WithTimeout(ctx, from.within)
	defer cancel()
	keyID, credential, err := s.cfg.Identity.Owner(ctx, leaked)
	switch {
	case errors.Is(err, port.ErrNotFound):
		s.cfg.Log.Info("leaked value belongs to no key of ours", "hook", h.Name, "event", event.Clip(e.ID()))
		return Answer{Status: http.StatusNoContent}
	case err != nil:
		s.cfg.Log.Warn("looking up leaked value failed", "hook", h.Name, "event", event.Clip(e.ID()), "error", err.Error())
		return Answer{Status: http.StatusServiceUnavailable, retry: 10}
	}
	s.cfg.Log.Warn("key leaked", "hook", h.Name, "event", event.Clip(e.ID()), "key", keyID, "credential", credential)
	fields := map[string]any{}
	if len(e.Data()) > 0 {
		if err := json.Unmarshal(e.Data(), &fields); err != nil {
			return refuse(fmt.Errorf("%w: data of a revocation is an object", event.ErrMalformed))
		}
	}
	if fields == nil {
		fields = map[string]any{}
	}
	fields["credential"], fields["keyID"] = credential, keyID
	if err := e.SetData("application/json", fields); err != nil {
		panic("encoding a demand: " + err.Error()) // strings and what was decoded
	}
	return s.handle(ctx, e, from)
}
