package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"go.yaml.in/yaml/v3"
)

// Bounds of rules.
const (
	maxRules = 100
	// maxEventCost is the cost that all rules together may spend on one event, in
	// CEL's units. The scope bounds one evaluation.
	maxEventCost = 1_000_000
)

// Event holds the attributes of an event as the expressions of rules see them. An
// absent attribute is empty.
type Event struct {
	ID              string         `cel:"id"`
	Source          string         `cel:"source"`
	SpecVersion     string         `cel:"specversion"`
	Type            string         `cel:"type"`
	Subject         string         `cel:"subject"`
	Time            time.Time      `cel:"time"`
	DataContentType string         `cel:"datacontenttype"`
	DataSchema      string         `cel:"dataschema"`
	Extensions      map[string]any `cel:"extensions"`
}

// Verbs of rules.
const (
	VerbProvision = "provision" // create a credential that does not exist yet
	VerbRotate    = "rotate"    // replace its key by a newer one
	VerbRevoke    = "revoke"    // revoke a leaked key
	VerbSweep     = "sweep"     // look at credentials
)

// A Rule maps an event of an unknown type to a request. It is safe for concurrent
// use.
type Rule struct {
	Name string // such as rules[0]
	Line int    // line in the config, from 1
	Verb string // one of the verbs above

	at      value
	when    *expression
	kinds   []string    // types that it can match; nil: any
	needs   []string    // texts that the data of a matching event contains
	targets []*template // none: sweep all credentials
	with    []parameter
	key     *template
	contain bool
}

// A parameter of a provision request.
type parameter struct {
	name  string
	at    value
	value *template
}

// Asked is the request that a rule makes from an event.
type Asked struct {
	Verb        string            // one of the verbs above
	Credentials []string          // entries or credentials; empty: a sweep of all
	With        map[string]string // parameters of a provision request
	KeyID       string            // key to revoke
	Containment bool              // disable the key before revoking it; default false
}

// Errors of Apply for an event that a rule does not match.
var (
	// ErrNoMatch is returned if when is false.
	ErrNoMatch = errors.New("the rule does not match")
	// ErrUndecided is returned if when fails, for example because it reads a field
	// that the event lacks. It wraps ErrNoMatch.
	ErrUndecided = fmt.Errorf("%w: its condition failed", ErrNoMatch)
)

// Budget counts the cost that rules have spent on one event. The zero Budget is
// ready to use.
type Budget struct{ spent uint64 }

// Ignores reports whether the rule cannot match an event of this type with this raw
// data. It does not parse the data, so the rule may not match even if Ignores
// returns false.
func (r *Rule) Ignores(kind string, data []byte) bool {
	if r.kinds != nil && !slices.Contains(r.kinds, kind) {
		return true
	}
	// JSON can spell a plain text differently only with an escape.
	return len(r.needs) > 0 && !bytes.Contains(data, []byte(`\u`)) &&
		slices.ContainsFunc(r.needs, func(s string) bool { return !bytes.Contains(data, []byte(s)) })
}

// Apply returns the request that the rule makes from the event. data is nil, bool,
// int64, float64, string, []any or map[string]any, or []byte if it is not text. The
// error wraps ErrNoMatch, or names the field that cannot be evaluated, or reports that
// the cost limit is exceeded.
func (r *Rule) Apply(e Event, data any, budget *Budget) (Asked, error) {
	vars := map[string]any{"event": e, "data": data}
	matched, err := r.when.evaluate(vars, budget)
	switch {
	case errors.Is(err, errTooCostly):
		return Asked{}, fmt.Errorf("applying %s: when: %w", r.Name, err)
	case err != nil:
		return Asked{}, fmt.Errorf("applying %s: %w: %w", r.Name, ErrUndecided, err)
	case matched != types.True:
		return Asked{}, fmt.Errorf("applying %s: %w", r.Name, ErrNoMatch)
	}
	x := ruling{rule: r, vars: vars, budget: budget}
	a := Asked{Verb: r.Verb, Containment: r.contain}
	for _, t := range r.targets {
		a.Credentials = append(a.Credentials, x.text(t))
	}
	if r.Verb == VerbProvision && len(r.with) > 0 {
		a.With = map[string]string{}
		for _, p := range r.with {
			a.With[p.name] = x.text(p.value)
		}
	}
	if r.key != nil {
		a.KeyID = x.text(r.key)
	}
	if x.err != nil {
		return Asked{}, fmt.Errorf("applying %s: %w", r.Name, x.err)
	}
	return a, nil
}

// A ruling evaluates one rule's templates and records the first error.
type ruling struct {
	rule   *Rule
	vars   map[string]any
	budget *Budget
	err    error
}

func (x *ruling) text(t *template) string {
	if x.err != nil {
		return ""
	}
	s, err := t.evaluate(x.vars, x.budget)
	if err != nil {
		x.err = fmt.Errorf("%s: %w", strings.TrimPrefix(t.at.path, x.rule.at.path+"."), err)
	}
	return s
}

// rules reads the rules. checkRules checks their targets once the entries are
// known.
func (d *decoder) rules(v value) (rules []*Rule) {
	d.list(v, func(i int, item value) { rules = append(rules, d.rule(i, item)) })
	switch {
	case v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0:
		d.fault(v, "is an empty list; remove the key if there are no rules")
	case len(rules) > maxRules:
		d.fault(v, "has %d rules; the maximum is %d", len(rules), maxRules)
	}
	return rules
}

func (d *decoder) rule(i int, v value) *Rule {
	r := &Rule{Name: fmt.Sprintf("rules[%d]", i), Line: v.node.Line, at: v}
	d.templates = nil
	var when string
	target := func(verb string) func(value) {
		return func(v value) {
			r.Verb = verb
			r.targets = []*template{d.template(v, checkTarget)}
		}
	}
	o := d.object(v,
		field{"when", true, func(v value) { when, _ = d.source(v) }},
		field{VerbProvision, false, func(v value) {
			r.Verb = VerbProvision
			if s := d.word(v, checkName); s != "" {
				r.targets = []*template{{at: v, check: checkName, parts: []part{{literal: s}}}}
			}
		}},
		field{VerbRotate, false, target(VerbRotate)},
		field{VerbRevoke, false, target(VerbRevoke)},
		field{VerbSweep, false, func(v value) {
			r.Verb = VerbSweep
			d.sweepTargets(v, r)
		}},
		field{"with", false, func(v value) { r.with = d.with(v) }},
		field{"key", false, func(v value) { r.key = d.template(v, checkKeyID) }},
		field{"containment", false, func(v value) { r.contain = d.truth(v) }},
	)
	d.exactlyOne(o, VerbProvision, VerbRotate, VerbRevoke, VerbSweep)
	for key, verb := range map[string]string{"with": VerbProvision, "key": VerbRevoke, "containment": VerbRevoke} {
		if at, ok := o.keys[key]; ok && r.Verb != "" && r.Verb != verb {
			d.fault(at, "belongs to %s, not to %s", verb, r.Verb)
		}
	}
	if at, ok := o.keys[VerbRevoke]; ok && r.key == nil {
		if _, ok := o.keys["key"]; !ok {
			d.fault(at, `needs key: the ID of the key to revoke, such as key: "${data.keyID}"`)
		}
	}
	d.compileTemplates(scopeEvent)
	if when != "" {
		x, err := compile(when, scopeEvent, cel.BoolType)
		if err != nil {
			hint := ""
			if strings.Contains(when, "${") {
				hint = " (when is a whole expression: write it without ${…})"
			}
			d.fault(o.at("when"), "%q: %v%s", when, err, hint)
		} else {
			r.when = x
			r.kinds, r.needs = x.kinds, x.needs
		}
	}
	return r
}

// sweepTargets reads a list of names, or ["*"] for all credentials.
func (d *decoder) sweepTargets(v value, r *Rule) {
	if n := v.node; n.Kind == yaml.SequenceNode && len(n.Content) == 1 && n.Content[0].Value == "*" {
		return
	}
	d.list(v, func(_ int, item value) { r.targets = append(r.targets, d.template(item, checkTarget)) })
	if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
		d.fault(v, `is an empty list; write ["*"] for all credentials`)
	}
}

// with reads the parameters of a provision request: a mapping with arbitrary keys.
func (d *decoder) with(v value) (ps []parameter) {
	d.mapping(v, "a mapping of parameters to values", "", checkParameter, func(name string, key, item value) {
		ps = append(ps, parameter{name: name, at: key, value: d.template(item, checkIdentifier)})
	})
	return ps
}

// checkRules checks that the targets of rules exist and that each provision request sets
// every parameter.
func (d *decoder) checkRules(rules []*Rule, entries []*entryDraft) {
	known := map[string]*entryDraft{}
	for _, e := range entries {
		known[e.Name] = e
	}
	for _, r := range rules {
		for _, t := range r.targets {
			if len(t.parts) == 0 {
				continue // has a fault already
			}
			name, rest, slash := strings.Cut(t.parts[0].literal, "/")
			if t.varies() && !slash {
				d.fault(t.at, "the entry must be literal: write NAME/${…}")
				continue
			}
			e, ok := known[name]
			switch {
			case !ok:
				d.fault(t.at, "%q is not a credential of this config", name)
			case slash && e.ForEach == "" && !e.UsesWith():
				d.fault(t.at, "%q yields a single credential: write it without a slash", name)
			case r.Verb == VerbProvision:
				d.checkWith(r, t, e)
			case slash && rest == "" && len(t.parts) == 1:
				d.fault(t.at, "needs a value after the slash")
			}
		}
	}
}

func (d *decoder) checkWith(r *Rule, t *template, e *entryDraft) {
	wanted := e.reads
	if e.ForEach != "" {
		wanted = []string{"project"}
	}
	for _, p := range r.with {
		if !slices.Contains(wanted, p.name) {
			takes := "takes no parameters"
			if len(wanted) > 0 {
				takes = "takes " + listed(wanted, "and")
			}
			d.fault(p.at, "%s %s", e.Name, takes)
		}
	}
	if e.ForEach != "" {
		return // without a project it provisions all
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(r.with, func(p parameter) bool { return p.name == name }) {
			d.fault(t.at, "%s needs the parameter %s; set it in with", e.Name, name)
		}
	}
}
