package config

import (
	"cmp"
	"path"
	"strings"

	"github.com/latchkey-io/latchkey/internal/secret"
	"go.yaml.in/yaml/v3"
)

// Events configures which senders may request what.
type Events struct {
	// Callers are the senders that show a token, in file order; default none: events
	// then only trigger a look.
	Callers []Caller
	// Origins lists the DNS names of senders that may send webhooks, or "*" for
	// all; default none. It answers the CloudEvents handshake and does not
	// authenticate.
	Origins []string
}

// Caller is one known sender of events. Its token is in a variable or in a file, or two
// tokens are in two of them during a change.
type Caller struct {
	// Name is the caller's in causes and logs. Where auth is one caller, it is its
	// first variable or the name of its first file.
	Name   string
	Tokens []secret.Source // one, or two during a change
	Allow  []Allow         // default none: the caller may only trigger a look
}

// Jobs configures what a job that was started with an event may request.
type Jobs struct {
	// Allow defaults to that of events where auth is not a list.
	Allow []Allow
}

// events reads the callers. auth is one caller, which events.allow permits its verbs, or
// a list of callers, each with its own allow. shared is events.allow.
func (d *decoder) events(v value) (e Events, shared []Allow, patterns []pattern) {
	list := false
	o := d.object(v,
		field{"auth", false, func(v value) {
			if list = v.node.Kind == yaml.SequenceNode; list {
				var ps []pattern
				e.Callers, ps = d.callers(v)
				patterns = append(patterns, ps...)
				return
			}
			e.Callers = []Caller{d.soleCaller(v)}
		}},
		field{"allow", false, func(v value) {
			var ps []pattern
			shared, ps = d.allow(v)
			patterns = append(patterns, ps...)
		}},
		field{"origins", false, func(v value) { e.Origins = d.words(v, checkOrigin) }},
	)
	if allow, given := o.keys["allow"]; given && list {
		d.fault(allow, "cannot be combined with a list in auth: each caller has its own allow, and jobs have jobs.allow")
		return e, nil, patterns
	}
	if !list {
		for i := range e.Callers {
			e.Callers[i].Allow = shared
		}
	}
	return e, shared, patterns
}

// soleCaller reads a caller that the config does not name.
func (d *decoder) soleCaller(v value) (c Caller) {
	o := d.object(v, d.tokens(&c)...)
	d.exactlyOne(o, "bearerEnv", "bearerFile")
	if len(c.Tokens) > 0 {
		c.Name = cmp.Or(c.Tokens[0].Env, path.Base(c.Tokens[0].File))
	}
	return c
}

// callers reads a list of callers.
func (d *decoder) callers(v value) (callers []Caller, patterns []pattern) {
	lines := map[string]int{}
	d.list(v, func(_ int, item value) {
		var c Caller
		o := d.object(item, append(d.tokens(&c),
			field{"name", true, func(v value) { c.Name = d.word(v, checkName) }},
			field{"allow", true, func(v value) {
				var ps []pattern
				c.Allow, ps = d.allow(v)
				patterns = append(patterns, ps...)
			}},
		)...)
		d.exactlyOne(o, "bearerEnv", "bearerFile")
		if line, twice := lines[c.Name]; twice && c.Name != "" {
			d.fault(o.at("name"), "%q is already the name of the caller on line %d", c.Name, line)
		}
		lines[c.Name] = item.node.Line
		callers = append(callers, c)
	})
	if len(v.node.Content) == 0 {
		d.fault(v, "is an empty list; it needs at least one")
	}
	return callers, patterns
}

// tokens are the fields with a caller's token.
func (d *decoder) tokens(c *Caller) []field {
	return []field{
		{"bearerEnv", false, func(v value) { c.Tokens = d.secretSources(v, checkEnv) }},
		{"bearerFile", false, func(v value) { c.Tokens = d.secretSources(v, checkSecretFile) }},
	}
}

// senderOf returns the part of a path that is a sender's: a hook or a caller of events;
// "" if the path is another's.
func senderOf(at string) string {
	parts := strings.SplitN(at, ".", 3)
	if len(parts) == 3 && (parts[0] == "hooks" || parts[0] == "events") {
		return parts[0] + "." + parts[1]
	}
	return ""
}

// separate rejects a secret that another sender has, too: what one sends would be valid
// for the other. name is a variable or a file.
func (d *decoder) separate(v value, name string) {
	sender := senderOf(v.path)
	if sender == "" {
		return
	}
	if d.senders == nil {
		d.senders = map[string]string{}
	}
	if first, used := d.senders[name]; used && first != sender {
		d.fault(v, "is the secret of %s, too: each sender needs its own", first)
		return
	}
	d.senders[name] = sender
}
