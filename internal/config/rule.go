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

// Bounds of what rules may cost.
const (
	maxRules = 100
	// maxEventCost bounds what all rules together spend on one event, in CEL's
	// own units; one evaluation is bounded by its scope.
	maxEventCost = 1_000_000
)

// Event is an event as the expressions of rules see it, beside its data. What
// an event does not have is empty.
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

// Verbs that a rule can give an event.
const (
	VerbProvision = "provision"
	VerbRotate    = "rotate"
	VerbRevoke    = "revoke"
	VerbSweep     = "sweep"
)

// A Rule makes an event that latchkey does not know by itself ask for
// something. It is safe for concurrent use.
type Rule struct {
	Name string // rules[0]
	Line int    // where it starts in the text
	Verb string

	at      value
	when    *expression
	kinds   []string    // the types that it can match; nil: any
	needs   []string    // what the data of an event that it matches contains
	targets []*template // none: a sweep of everything
	with    []parameter
	key     *template
	contain bool
}

// A parameter of a provision.
type parameter struct {
	name  string
	at    value
	value *template
}

// Asked is what a rule asks for because of an event.
type Asked struct {
	Verb        string
	Credentials []string // entries or instances; of a sweep none is all
	With        map[string]string
	KeyID       string // of a revoke
	Containment bool
}

// What Apply says instead of asking.
var (
	// ErrNoMatch: when is false.
	ErrNoMatch = errors.New("the rule does not match")
	// ErrUndecided: when reads what the event does not have. It wraps
	// ErrNoMatch.
	ErrUndecided = fmt.Errorf("%w: it cannot be decided", ErrNoMatch)
)

// Budget is what rules may still spend on one event. The zero Budget is a fresh
// one.
type Budget struct{ spent uint64 }

// Ignores reports whether the rule cannot match an event of this type with this
// data, as it came: told without reading the data. False says nothing.
func (r *Rule) Ignores(kind string, data []byte) bool {
	if r.kinds != nil && !slices.Contains(r.kinds, kind) {
		return true
	}
	// Only an escape spells a plain text in another way.
	return len(r.needs) > 0 && !bytes.Contains(data, []byte(`\u`)) &&
		slices.ContainsFunc(r.needs, func(s string) bool { return !bytes.Contains(data, []byte(s)) })
}

// Apply says what the rule asks because of the event; data is what JSON makes
// of the data: nil, bool, int64, float64, string, []any and map[string]any, or
// []byte. The error is ErrNoMatch, or says which field cannot be filled in, or
// that the budget is spent.
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

// A ruling evaluates one rule's templates and keeps the first error.
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

// rules reads the rules; what they ask for is checked by checkRules, once the
// credentials are known.
func (d *decoder) rules(v value) (rules []*Rule) {
	d.list(v, func(i int, item value) { rules = append(rules, d.rule(i, item)) })
	switch {
	case v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0:
		d.fault(v, "is an empty list; leave the key out")
	case len(rules) > maxRules:
		d.fault(v, "has %d rules; the most is %d", len(rules), maxRules)
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
		field{"when", true, func(v value) { when, _ = d.text(v) }},
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
			d.fault(at, `needs key beside it: the ID of the key to end, such as key: "${data.keyID}"`)
		}
	}
	d.compileTemplates(scopeEvent)
	if when != "" {
		x, err := compile(when, scopeEvent, cel.BoolType)
		if err != nil {
			hint := ""
			if strings.Contains(when, "${") {
				hint = " (when is an expression as a whole and needs no ${…})"
			}
			d.fault(o.at("when"), "%q: %v%s", when, err, hint)
		} else {
			r.when = x
			r.kinds, r.needs = x.kinds, x.needs
		}
	}
	return r
}

// sweepTargets reads a list of names, or of "*" alone, which is everything.
func (d *decoder) sweepTargets(v value, r *Rule) {
	if n := v.node; n.Kind == yaml.SequenceNode && len(n.Content) == 1 && n.Content[0].Value == "*" {
		return
	}
	d.list(v, func(_ int, item value) { r.targets = append(r.targets, d.template(item, checkTarget)) })
	if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
		d.fault(v, `is an empty list; for everything write ["*"]`)
	}
}

// with reads the parameters of a provision: a mapping whose keys are free.
func (d *decoder) with(v value) (ps []parameter) {
	if !d.kind(v, yaml.MappingNode, "!!map", "a mapping of parameters to values") {
		return nil
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := v.node.Content[i]
		at := value{node: key, path: join(v.path, key.Value)}
		switch {
		case key.Tag == "!!merge":
			continue // refuseReferences has spoken
		case key.Kind != yaml.ScalarNode || checkParameter(key.Value) != nil:
			d.fault(value{node: key, path: v.path}, "%q %v", key.Value, checkParameter(key.Value))
			continue
		case slices.ContainsFunc(ps, func(p parameter) bool { return p.name == key.Value }):
			d.fault(at, "is there twice")
			continue
		}
		ps = append(ps, parameter{name: key.Value, at: at, value: d.template(value{node: v.node.Content[i+1], path: at.path}, checkIdentifier)})
	}
	return ps
}

// checkRules wants what rules ask for among the credentials, and each parameter
// of an instance given.
func (d *decoder) checkRules(rules []*Rule, entries []*entryDraft) {
	known := map[string]*entryDraft{}
	for _, e := range entries {
		known[e.Name] = e
	}
	for _, r := range rules {
		for _, t := range r.targets {
			if len(t.parts) == 0 {
				continue // its fault is recorded
			}
			name, rest, instance := strings.Cut(t.parts[0].literal, "/")
			if t.varies() && !instance {
				d.fault(t.at, "the entry has to stand there as it is: write NAME/${…}")
				continue
			}
			e, ok := known[name]
			switch {
			case !ok:
				d.fault(t.at, "%q is no credential of this config", name)
			case instance && e.ForEach == "" && !e.UsesWith():
				d.fault(t.at, "%q is one credential and has no instances", name)
			case r.Verb == VerbProvision:
				d.checkWith(r, t, e)
			case instance && rest == "" && len(t.parts) == 1:
				d.fault(t.at, "has no instance after the slash")
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
		return // without the project, all of them
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(r.with, func(p parameter) bool { return p.name == name }) {
			d.fault(t.at, "%s needs the parameter %s; give it in with", e.Name, name)
		}
	}
}
