package config

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"
)

// Verify names how a hook's callers show who they are, and where the secrets
// for it are.
type Verify struct {
	Scheme string // github, jira, standardWebhooks, bearer, header, basic
	Header string // of the scheme header
	User   string // of the scheme basic
	// SecretEnv or SecretFile has one name, or two while a secret is changed.
	SecretEnv, SecretFile []string
}

// Hook is one path that a system outside calls, compiled. It is safe for
// concurrent use.
type Hook struct {
	Name   string
	Verify Verify
	Allow  []Allow

	when                  *expression
	kind, subject, moment *template
	data                  *shape
	leaked                *template
}

// Delivery is what a hook's expressions make of a body.
type Delivery struct {
	Type, Subject, Time string
	// Data is made of maps, lists, strings, numbers and booleans; nil: none.
	Data any
	// Leaked gives the value of a key that leaked; nil: the hook has none. It is
	// a closure so that nothing prints it.
	Leaked func() string
}

// ErrUnwanted is what Map returns when the hook's when is false: the delivery
// is not for latchkey, and nothing is wrong.
var ErrUnwanted = errors.New("excluded by when")

// Map evaluates the hook's event. body is what encoding/json gives, header has
// lower-case names. An error names the field and the expression, never a value:
// a body may hold a secret.
func (h *Hook) Map(body any, header map[string]string) (Delivery, error) {
	vars := map[string]any{"body": body, "headers": header}
	if h.when != nil {
		v, err := h.when.evaluate(vars, nil)
		if err != nil {
			return Delivery{}, fmt.Errorf("hooks.%s.event.when: %w", h.Name, err)
		}
		if yes, is := v.Value().(bool); !is || !yes {
			return Delivery{}, fmt.Errorf("hooks.%s: %w", h.Name, ErrUnwanted)
		}
	}
	var d Delivery
	for _, t := range []struct {
		field string
		from  *template
		into  *string
	}{{"type", h.kind, &d.Type}, {"subject", h.subject, &d.Subject}, {"time", h.moment, &d.Time}} {
		if t.from == nil {
			continue
		}
		s, err := t.from.evaluate(vars, nil)
		if err != nil {
			return Delivery{}, fmt.Errorf("hooks.%s.event.%s: %w", h.Name, t.field, err)
		}
		*t.into = s
	}
	if h.data != nil {
		data, err := h.data.evaluate(vars)
		if err != nil {
			return Delivery{}, fmt.Errorf("hooks.%s.event.%w", h.Name, err)
		}
		d.Data = data
	}
	if h.leaked != nil {
		s, err := h.leaked.evaluate(vars, nil)
		if err != nil {
			return Delivery{}, fmt.Errorf("hooks.%s.event.leaked: %w", h.Name, err)
		}
		d.Leaked = func() string { return s }
	}
	return d, nil
}

// The types of our own that a hook can make; see package event.
const ownPrefix = "dev.latchkey."

var ownVerbs = map[string]string{"provision": "provision", "rotate": "rotate", "revoke": "revoke", "sweep": ""}

// hooks reads the mapping from names to hooks.
func (d *decoder) hooks(v value) (hooks []*Hook, patterns []pattern) {
	if !d.kind(v, yaml.MappingNode, "!!map", "a mapping of names to hooks") {
		return nil, nil
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := value{node: v.node.Content[i], path: v.path}
		switch {
		case key.node.Tag == "!!merge":
			continue // refuseReferences has spoken
		case key.node.Kind != yaml.ScalarNode:
			d.fault(key, "a key must be a plain word")
			continue
		}
		name := key.node.Value
		if err := checkName(name); err != nil {
			d.fault(key, "the name of a hook %q %v", shortened(name, maxRepeated), err)
			continue
		}
		if line, twice := lines[name]; twice {
			d.fault(key, "the key %q is there twice; the first is on line %d", name, line)
			continue
		}
		lines[name] = key.node.Line
		if v.node.Content[i+1].Tag == "!!null" {
			key.path = join(v.path, name)
			d.fault(key, "has no value; give it one or leave the key out")
			continue
		}
		h, ps := d.hook(value{node: v.node.Content[i+1], path: join(v.path, name)})
		h.Name = name
		hooks, patterns = append(hooks, h), append(patterns, ps...)
	}
	if len(v.node.Content) == 0 {
		d.fault(v, "is an empty mapping; leave it out if there are no hooks")
	}
	return hooks, patterns
}

func (d *decoder) hook(v value) (*Hook, []pattern) {
	h := &Hook{}
	var patterns []pattern
	var made object
	o := d.object(v,
		field{"verify", true, func(v value) { h.Verify = d.verify(v) }},
		field{"event", true, func(v value) { made = d.hookEvent(v, h) }},
		field{"allow", false, func(v value) { h.Allow, patterns = d.allow(v) }},
	)
	if made.node == nil || made.strange || o.strange {
		return h, patterns
	}
	kind, literal := h.kind.literal()
	verb, known := ownVerbs[strings.TrimPrefix(kind, ownPrefix)]
	switch {
	case !literal || !strings.HasPrefix(kind, ownPrefix):
	case !known:
		d.fault(made.at("type"), "%q is none of latchkey's types; it has %sprovision, rotate, revoke and sweep", kind, ownPrefix)
	case verb != "" && !slices.ContainsFunc(h.Allow, func(a Allow) bool { return slices.Contains(a.Verbs, verb) }):
		d.fault(value{node: o.node, path: join(v.path, "allow")}, "does not allow %s to any credential, so each delivery would be refused", verb)
	}
	if h.leaked != nil && kind != ownPrefix+"revoke" {
		d.fault(made.at("leaked"), "is for the type %srevoke only: it says which key to revoke", ownPrefix)
	}
	return h, patterns
}

func (d *decoder) hookEvent(v value, h *Hook) object {
	o := d.object(v,
		field{"when", false, func(v value) {
			source, ok := d.text(v)
			if !ok {
				return
			}
			x, err := compile(source, scopeHook, cel.BoolType)
			if err != nil {
				d.fault(v, "%v", err)
			}
			h.when = x
		}},
		field{"type", true, func(v value) { h.kind = d.hookTemplate(v, checkEventType) }},
		field{"subject", false, func(v value) { h.subject = d.hookTemplate(v, nil) }},
		field{"time", false, func(v value) { h.moment = d.hookTemplate(v, nil) }},
		field{"data", false, func(v value) { h.data = d.shape(v, 0) }},
		field{"leaked", false, func(v value) {
			h.leaked = d.hookTemplate(v, nil)
			if _, literal := h.leaked.literal(); literal {
				// It may be a key's value, so it is not repeated.
				d.fault(v, "must be an expression: a key's value never stands in a config")
			}
		}},
	)
	return o
}

func checkEventType(s string) error {
	if s != strings.TrimSpace(s) || len(s) > 200 || !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
		return errors.New("must be the type of an event, such as com.acme.ticket")
	}
	return nil
}

// verify reads the one scheme of a hook.
func (d *decoder) verify(v value) (out Verify) {
	secrets := []field{
		{"secretEnv", false, func(v value) { out.SecretEnv = d.secretPlaces(v, checkEnv) }},
		{"secretFile", false, func(v value) { out.SecretFile = d.secretPlaces(v, checkSecretFile) }},
	}
	scheme := func(name string, more ...field) field {
		return field{name, false, func(v value) {
			out.Scheme = name
			o := d.object(v, append(more, secrets...)...)
			d.exactlyOne(o, "secretEnv", "secretFile")
		}}
	}
	o := d.object(v,
		scheme("github"), scheme("jira"), scheme("standardWebhooks"), scheme("bearer"),
		scheme("header", field{"name", true, func(v value) { out.Header = d.word(v, checkHeader) }}),
		scheme("basic", field{"user", true, func(v value) { out.User = d.word(v, checkUser) }}),
	)
	d.exactlyOne(o, "github", "jira", "standardWebhooks", "bearer", "header", "basic")
	return out
}

var checkHeaderForm = form(`[A-Za-z][A-Za-z0-9-]{0,63}`, "the name of a header, such as X-Api-Key")

// checkHeader keeps to headers that a sender chooses freely.
func checkHeader(s string) error {
	switch textproto.CanonicalMIMEHeaderKey(s) {
	case "Host", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Connection", "Trailer", "User-Agent":
		return errors.New("is a header with a meaning of its own; a secret needs another")
	}
	return checkHeaderForm(s)
}

func checkUser(s string) error {
	if strings.Contains(s, ":") {
		return errors.New("must have no colon: it ends the user in the header")
	}
	return line(128)(s)
}

// secretPlaces reads the name of a place, or a list of two: the new secret and
// the old one, while the sender changes over.
func (d *decoder) secretPlaces(v value, check func(string) error) (places []string) {
	if v.node.Kind != yaml.SequenceNode {
		if s := d.secretPlace(v, check); s != "" {
			places = append(places, s)
		}
		return places
	}
	d.list(v, func(_ int, item value) {
		switch s := d.secretPlace(item, check); {
		case s == "":
		case slices.Contains(places, s):
			d.fault(item, "is there twice")
		default:
			places = append(places, s)
		}
	})
	if n := len(v.node.Content); n == 0 || n > 2 {
		d.fault(v, "has %d secrets; a hook has one, or two while it is changed", n)
	}
	return places
}
