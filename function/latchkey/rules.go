package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/event"
)

// interpreter says what events ask for: by what is built in, and by the rules
// of the config.
type interpreter struct {
	reader event.Reader
	rules  []*config.Rule
}

// passing reports whether a record of Kafka asks nothing, without decoding it.
func (in *interpreter) passing(kind string, data []byte) bool {
	return !slices.ContainsFunc(in.rules, func(r *config.Rule) bool { return !r.Ignores(kind, data) })
}

// interpret gives what the event asks for. The notes say of rules that they
// could not be decided, and why. The error is that of the reader.
func (in *interpreter) interpret(e event.Event) (requests []event.Request, notes []string, err error) {
	requests, err = in.reader.Interpret(e)
	if err != nil && !errors.Is(err, event.ErrNotForUs) {
		return nil, nil, err
	}
	// Rules on our own types could make an outcome ask for the next one.
	rules := slices.DeleteFunc(slices.Clone(in.rules), func(r *config.Rule) bool { return event.Own(e.Type()) || r.Ignores(e.Type(), e.Data()) })
	if len(rules) == 0 {
		return requests, nil, err
	}
	values, derr := event.Data(e)
	if derr != nil {
		return nil, nil, derr
	}
	seen := config.Event{
		ID: e.ID(), Source: e.Source(), SpecVersion: e.SpecVersion(), Type: e.Type(), Subject: e.Subject(), Time: e.Time(),
		DataContentType: e.DataContentType(), DataSchema: e.DataSchema(), Extensions: e.Extensions(),
	}
	var budget config.Budget
	for _, data := range values {
		for _, r := range rules {
			asked, aerr := r.Apply(seen, data, &budget)
			switch {
			case errors.Is(aerr, config.ErrUndecided):
				notes = append(notes, aerr.Error())
				continue
			case errors.Is(aerr, config.ErrNoMatch):
				continue
			case aerr != nil:
				return nil, notes, fmt.Errorf("%w: %w", event.ErrMalformed, aerr)
			case in.reader.Ours(e, data):
				continue // our own work must not call us
			}
			req, rerr := in.request(e, r, asked)
			if rerr != nil {
				return nil, notes, rerr
			}
			if slices.ContainsFunc(requests, func(q event.Request) bool { return reflect.DeepEqual(q, req) }) {
				continue // another record has asked for it
			}
			if len(requests) == mostRequests {
				return nil, notes, fmt.Errorf("%w: one event asks for more than %d things", event.ErrMalformed, mostRequests)
			}
			requests = append(requests, req)
		}
	}
	if len(requests) > 0 {
		err = nil
	}
	return requests, notes, err
}

// mostRequests is how many things one event can ask for.
const mostRequests = 200

// request is what a rule asks, as an event of our own would ask it.
func (in *interpreter) request(e event.Event, r *config.Rule, asked config.Asked) (event.Request, error) {
	var req event.Request
	switch asked.Verb {
	case config.VerbProvision:
		req = event.Request{Verb: event.Provision, With: asked.With}
	case config.VerbRotate:
		newer, err := in.reader.Newer(e)
		if err != nil {
			return event.Request{}, err
		}
		req = newer
	case config.VerbRevoke:
		req = event.Request{Verb: event.Revoke, KeyID: asked.KeyID, Contain: asked.Containment}
	default:
		req = event.Request{Verb: event.Look}
	}
	req.Credentials, req.Cause, req.Sender = asked.Credentials, event.Cause(e), fmt.Sprintf("%s (line %d)", r.Name, r.Line)
	return req, nil
}

// looks is what an unknown caller's event may ask when it asks for several
// things: the demands of rules are left out beside a look. An event that demands
// and nothing else stays as it is, to be refused.
func looks(requests []event.Request) []event.Request {
	isLook := func(q event.Request) bool { return !q.NeedsAuth() || q.Secret != "" }
	if !slices.ContainsFunc(requests, isLook) {
		return requests
	}
	return slices.DeleteFunc(requests, func(q event.Request) bool { return !isLook(q) })
}
