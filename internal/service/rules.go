package service

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/latchkey-io/latchkey/internal/event"
)

// Rules are the config's rules for events that latchkey does not know by itself.
type Rules interface {
	// Ignores reports whether no rule can match an event of this type with these
	// data. It does not decode them, so a rule may not match even if it is false.
	Ignores(kind string, data []byte) bool
	// For returns the rules that may match the event. They share one budget of
	// evaluation cost.
	For(e event.Event) []Rule
}

// Rule is one rule, ready for one event.
type Rule interface {
	// Label names the rule in messages, such as "rules[0] (line 12)".
	Label() string
	// Apply returns the request that the rule makes of the event's data. The
	// error is ErrNoMatch, or an UndecidedError when data that it reads is
	// absent. Any other error describes a fault of the event.
	Apply(data any) (event.Request, error)
}

// ErrNoMatch says that the rule does not match the event.
var ErrNoMatch = errors.New("the rule does not match")

// UndecidedError is the cause why a rule could not be decided. The rule then does
// not match.
type UndecidedError struct{ Cause error }

// Error returns the cause's text.
func (e *UndecidedError) Error() string { return e.Cause.Error() }

// maxRequests is how many requests one event can make.
const maxRequests = 200

// Interpreter finds what events request, by built-in senders and by rules.
type Interpreter struct {
	Reader event.Reader
	// Rules may be nil.
	Rules Rules
}

// ignores reports whether no rule matches an event, without decoding it.
func (in *Interpreter) ignores(kind string, data []byte) bool {
	return in.Rules == nil || in.Rules.Ignores(kind, data)
}

// Interpret returns what the event requests. notes contains the cause
// of each rule that could not be decided. The error wraps one of package event's.
func (in *Interpreter) Interpret(e event.Event) (requests []event.Request, notes []string, err error) {
	requests, err = in.Reader.Interpret(e)
	if err != nil && !errors.Is(err, event.ErrNotForUs) {
		return nil, nil, err
	}
	// A rule on our own types could make an outcome request the next one.
	if in.Rules == nil || event.Own(e.Type()) {
		return requests, nil, err
	}
	rules := in.Rules.For(e)
	if len(rules) == 0 {
		return requests, nil, err
	}
	values, derr := event.Data(e)
	if derr != nil {
		return nil, nil, derr
	}
	for _, data := range values {
		for _, r := range rules {
			req, aerr := r.Apply(data)
			var undecided *UndecidedError
			switch {
			case errors.As(aerr, &undecided):
				notes = append(notes, aerr.Error())
				continue
			case errors.Is(aerr, ErrNoMatch):
				continue
			case aerr != nil:
				return nil, notes, fmt.Errorf("%w: %w", event.ErrMalformed, aerr)
			case in.Reader.Ours(e, data):
				continue // our own work must not trigger us
			}
			if req.Verb == event.Rotate {
				newer, nerr := in.Reader.Newer(e)
				if nerr != nil {
					return nil, notes, nerr
				}
				newer.Credentials = req.Credentials
				req = newer
			}
			req.Cause, req.Sender = event.Cause(e), r.Label()
			if slices.ContainsFunc(requests, func(q event.Request) bool { return reflect.DeepEqual(q, req) }) {
				continue // another record has requested it
			}
			if len(requests) == maxRequests {
				return nil, notes, fmt.Errorf("%w: one event requests more than %d things", event.ErrMalformed, maxRequests)
			}
			requests = append(requests, req)
		}
	}
	if len(requests) > 0 {
		err = nil
	}
	return requests, notes, err
}
