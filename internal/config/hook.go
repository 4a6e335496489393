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

	"github.com/latchkey-io/latchkey/internal/secret"
)

// Verify configures how a hook authenticates its callers.
type Verify struct {
	Scheme string // github, jira, standardWebhooks, bearer, header, basic
	Header string // the header's name, for the scheme header
	User   string // the user, for the scheme basic
	// Secrets are where the secret is, or the two during a change.
	Secrets []secret.Source
}

// Hook is one webhook, compiled. It is safe for concurrent use.
type Hook struct {
	Name   string // last part of the path /hooks/NAME
	Verify Verify
	Allow  []Allow // default none: deliveries only trigger a look

	when                          *expression
	kind, subject, moment, ticket *template
	data                          *shape
	leaked                        *template
}

// Delivery is the event that a hook makes from a body.
type Delivery struct {
	Type, Subject string       // attributes of the event; Subject may be ""
	Time          string       // RFC 3339; "": none
	Ticket        string       // reference of the ticket that asks; "": none
	Data          any          // maps, lists, strings, numbers and booleans; nil: none
	Leaked        secret.Value // value of a leaked key; nil: none
}

// ErrUnwanted is returned by Map when the hook's when is false. It is not
// a failure.
var ErrUnwanted = errors.New("excluded by when")

// Map evaluates the hook's event. body is a value as encoding/json decodes it; header
// has lower-case names. An error names the field and the expression and never
// repeats a value, since a body may contain a secret.
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
	}{{"type", h.kind, &d.Type}, {"subject", h.subject, &d.Subject}, {"time", h.moment, &d.Time}, {"ticket", h.ticket, &d.Ticket}} {
		if t.from == nil {
			continue
		}
		s, err := t.from.evaluate(vars, nil)
		if err != nil {
			return Delivery{}, fmt.Errorf("hooks.%s.event.%s: %w", h.Name, t.field, err)
		}
		*t.into = s
	}
	d.Ticket = cleaned(d.Ticket, maxTicket)
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
		d.Leaked = secret.New(s)
	}
	return d, nil
}

// latchkey's own event types and the verbs that they need; see package event.
const ownPrefix = "dev.latchkey."

var ownVerbs = map[string]string{"provision": "provision", "rotate": "rotate", "revoke": "revoke", "deprovision": "deprovision", "sweep": ""}

// hooks reads the mapping from names to hooks.
func (d *decoder) hooks(v value) (hooks []*Hook, patterns []pattern) {
	d.mapping(v, "a mapping of names to hooks", "the name of a hook ", checkName, func(name string, _, item value) {
		h, ps := d.hook(item)
		h.Name = name
		hooks, patterns = append(hooks, h), append(patterns, ps...)
	})
	if v.node.Kind == yaml.MappingNode && len(v.node.Content) == 0 {
		d.fault(v, "is an empty mapping; remove the key if there are no hooks")
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
		d.fault(made.at("type"), "%q is not a type of latchkey; it has %sprovision, rotate, revoke, deprovision and sweep", kind, ownPrefix)
	case verb != "" && !slices.ContainsFunc(h.Allow, func(a Allow) bool { return slices.Contains(a.Verbs, verb) }):
		d.fault(value{node: o.node, path: join(v.path, "allow")}, "does not allow %s on any credential, so every delivery would be rejected", verb)
	}
	if h.leaked != nil && kind != ownPrefix+"revoke" {
		d.fault(made.at("leaked"), "is only for the type %srevoke: it identifies the key to revoke", ownPrefix)
	}
	return h, patterns
}

func (d *decoder) hookEvent(v value, h *Hook) object {
	o := d.object(v,
		field{"when", false, func(v value) {
			source, ok := d.source(v)
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
		field{"ticket", false, func(v value) { h.ticket = d.hookTemplate(v, nil) }},
		field{"data", false, func(v value) { h.data = d.shape(v, 0) }},
		field{"leaked", false, func(v value) {
			h.leaked = d.hookTemplate(v, nil)
			if _, literal := h.leaked.literal(); literal {
				// The fault does not repeat it: it may be a key's value.
				d.fault(v, "must be an expression: a config never contains a key's value")
			}
		}},
	)
	return o
}

// maxTicket bounds the reference of a ticket, in characters.
const maxTicket = 60

func checkEventType(s string) error {
	if s != strings.TrimSpace(s) || len(s) > 200 || !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
		return errors.New("must be the type of an event, such as com.acme.ticket")
	}
	return nil
}

// verify reads the scheme of a hook.
func (d *decoder) verify(v value) (out Verify) {
	secrets := []field{
		{"secretEnv", false, func(v value) { out.Secrets = d.secretSources(v, checkEnv) }},
		{"secretFile", false, func(v value) { out.Secrets = d.secretSources(v, checkSecretFile) }},
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

// checkHeader rejects headers that HTTP itself uses.
func checkHeader(s string) error {
	switch textproto.CanonicalMIMEHeaderKey(s) {
	case "Host", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Connection", "Trailer", "User-Agent":
		return errors.New("is a standard header of HTTP; a secret needs another")
	}
	return checkHeaderForm(s)
}

func checkUser(s string) error {
	if strings.Contains(s, ":") {
		return errors.New("must not contain a colon, which separates user and password")
	}
	return line(128)(s)
}

// secretSources reads one secret source, or a list of two during a change of
// secrets: the new one and the old one.
func (d *decoder) secretSources(v value, check func(string) error) (sources []secret.Source) {
	if v.node.Kind != yaml.SequenceNode {
		if s := d.secretSource(v, check); s.At != "" {
			sources = append(sources, s)
		}
		return sources
	}
	d.list(v, func(_ int, item value) {
		s := d.secretSource(item, check)
		same := func(other secret.Source) bool { return s.Env == other.Env && s.File == other.File }
		switch {
		case s.At == "":
		case slices.ContainsFunc(sources, same):
			d.fault(item, "is listed twice")
		default:
			sources = append(sources, s)
		}
	})
	if n := len(v.node.Content); n == 0 || n > 2 {
		d.fault(v, "has %d secrets; a sender has one, or two during a change", n)
	}
	return sources
}
