package service

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/trace"
)

// Allow lets a known caller request verbs for credentials; config.Allow does.
type Allow interface {
	// Has reports whether the verb is allowed for some credential.
	Has(verb string) bool
	// Permits reports whether the verb is allowed for the credential, which the
	// config entry yields.
	Permits(verb, entry, credential string) bool
	// PermitsSome reports whether the verb may be allowed for some credential of
	// the entry, which is named by a pattern.
	PermitsSome(verb, entry string) bool
}

// caller is the sender of a request and what it may request.
type caller struct {
	name   string
	known  bool          // it presented a valid token or signature
	hidden bool          // no token over HTTP: its answers have no content
	tick   bool          // it is the platform's timer, as far as the header shows
	calls  *atomic.Int64 // counts those of its run, if not nil
	paid   int           // of them, before the run
	owes   bool          // its run waits until the debt of all callers without a token is paid
	allow  []Allow
	within time.Duration // how long it waits for an answer
	cause  result.Cause
	span   *trace.Span // of the request, or nil
}

// causeOf returns what the runs of an event are requested by.
func causeOf(e event.Event, from caller) result.Cause {
	return result.Cause{
		Caller: from.name, Type: e.Type(), Source: event.WithoutSecrets(e.Source()), Event: e.ID(), Subject: event.WithoutSecrets(e.Subject()),
		Ticket: event.WithoutSecrets(event.Ticket(e)),
	}.Clean()
}

// may reports whether the caller may request the verb for any credential.
func (c caller) may(verb event.Verb) bool {
	return slices.ContainsFunc(c.allow, func(a Allow) bool { return a.Has(string(verb)) })
}

// permitted splits credentials by whether the caller may request the verb for
// them.
func (c caller) permitted(verb event.Verb, all []port.Credential) (allowed []port.Credential, refused int) {
	for _, credential := range all {
		if slices.ContainsFunc(c.allow, func(a Allow) bool { return a.Permits(string(verb), credential.Entry, credential.Name) }) {
			allowed = append(allowed, credential)
		} else {
			refused++
		}
	}
	return allowed, refused
}

// authenticate compares the bearer token with every caller's, each in constant time. A
// request without a token is from an unknown caller, which is nil; one with a wrong
// token is refused.
func (s *Service) authenticate(r *http.Request) (from *Caller, ok bool) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		return nil, true
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	shown := secret.New(strings.TrimSpace(token))
	if len(header) > 1 || !strings.EqualFold(scheme, "bearer") || shown.Empty() {
		return nil, false
	}
	from = s.holder(shown)
	return from, from != nil
}

// holder returns the caller whose token it is, or nil.
func (s *Service) holder(token secret.Value) (from *Caller) {
	for i, c := range s.cfg.Events.Callers {
		for _, t := range c.Tokens {
			if t.Equal(token) {
				from = &s.cfg.Events.Callers[i]
			}
		}
	}
	return from
}

// authorize returns the requests that the caller may make. An unknown caller's
// event keeps its looks; a notification about a secret becomes one. refused is
// the status of the answer when the event must be refused, else 0.
func (s *Service) authorize(requests []event.Request, from caller) (allowed []event.Request, refused int) {
	cause := requests[0].Cause
	if !from.known {
		all := len(requests)
		if requests = looks(requests); len(requests) < all {
			s.cfg.Log.Warn("skipping demands of rules: they need an authenticated caller", "cause", cause)
		}
	}
	for i, req := range requests {
		if req.Undated {
			s.cfg.Log.Info("only looking: the notice tells no expiry date that a key could serve", "secret", req.Secret, "cause", cause)
		}
		switch {
		case !req.NeedsAuth():
		case from.known && from.may(req.Verb):
		case from.known:
			s.cfg.Log.Warn("refusing event: the caller may not request this verb", "verb", string(req.Verb), "cause", cause)
			return nil, http.StatusForbidden
		case req.Secret == "":
			s.cfg.Log.Warn("refusing event: the verb needs an authenticated caller", "verb", string(req.Verb), "cause", cause)
			return nil, http.StatusUnauthorized
		default:
			requests[i] = event.Request{Verb: event.Look, Secret: req.Secret, Cause: req.Cause}
		}
	}
	return requests, 0
}

// looks drops the demands of rules beside a look. Requests without a look stay
// as they are, to be refused.
func looks(requests []event.Request) []event.Request {
	isLook := func(q event.Request) bool { return !q.NeedsAuth() || q.Secret != "" }
	if !slices.ContainsFunc(requests, isLook) {
		return requests
	}
	return slices.DeleteFunc(requests, func(q event.Request) bool { return !isLook(q) })
}

// tooMany is the answer to a caller without a token that requests too much.
func tooMany() Answer { return Answer{Status: http.StatusTooManyRequests, retry: 1} }
