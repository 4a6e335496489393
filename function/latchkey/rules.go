package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/service"
)

// ruleset gives the config's rules to the service.
type ruleset []*config.Rule

// newRuleset returns nil when the config has none.
func newRuleset(configured []*config.Rule) service.Rules {
	if len(configured) == 0 {
		return nil
	}
	return ruleset(configured)
}

// Ignores satisfies service.Rules.
func (rs ruleset) Ignores(kind string, data []byte) bool {
	return !slices.ContainsFunc(rs, func(r *config.Rule) bool { return !r.Ignores(kind, data) })
}

// For satisfies service.Rules.
func (rs ruleset) For(e event.Event) (out []service.Rule) {
	seen := config.Event{
		ID: e.ID(), Source: e.Source(), SpecVersion: e.SpecVersion(), Type: e.Type(), Subject: e.Subject(), Time: e.Time(),
		DataContentType: e.DataContentType(), DataSchema: e.DataSchema(), Extensions: e.Extensions(),
	}
	budget := new(config.Budget)
	for _, r := range rs {
		if !r.Ignores(e.Type(), e.Data()) {
			out = append(out, rule{r, seen, budget})
		}
	}
	return out
}

// rule is one rule with the event that it is applied to.
type rule struct {
	*config.Rule
	event  config.Event
	budget *config.Budget
}

// Label satisfies service.Rule.
func (r rule) Label() string { return fmt.Sprintf("%s (line %d)", r.Name, r.Line) }

// Apply satisfies service.Rule.
func (r rule) Apply(data any) (event.Request, error) {
	asked, err := r.Rule.Apply(r.event, data, r.budget)
	switch {
	case errors.Is(err, config.ErrUndecided):
		return event.Request{}, &service.UndecidedError{Cause: err}
	case errors.Is(err, config.ErrNoMatch):
		return event.Request{}, service.ErrNoMatch
	case err != nil:
		return event.Request{}, err
	}
	req := event.Request{Verb: event.Look, Credentials: asked.Credentials}
	switch asked.Verb {
	case config.VerbProvision:
		req.Verb, req.With = event.Provision, asked.With
	case config.VerbRotate:
		req.Verb = event.Rotate
	case config.VerbRevoke:
		req.Verb, req.KeyID, req.Contain = event.Revoke, asked.KeyID, asked.Containment
	}
	return req, nil
}
