package config

import (
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Defaults of optional fields.
const (
	defaultSweepEvery = time.Hour
	defaultAfter      = 60 * 24 * time.Hour
	defaultExpire     = 90 * 24 * time.Hour
	defaultOverlap    = 24 * time.Hour
	defaultOnLeak     = "disable"
	defaultOnDisabled = "replace"

	defaultQuiet = 7 * 24 * time.Hour
	defaultWait  = 24 * time.Hour

	defaultForcedPerHour = 60
	minForcedPerHour     = 10
	maxForcedPerHour     = 10_000
)

// A draft holds positions in the file, for the checks between fields.
type draft struct {
	root     object
	allow    []Allow // events.allow
	patterns []pattern
	entries  []*entryDraft
	rules    []*Rule
}

type pattern struct {
	at   value
	text string
}

type entryDraft struct {
	*Entry
	object   object
	rotation object // without keys if the entry has none

	givenAt, adoptAt, formerlyAt value
}

// config reads the root. To add a key, add its field here or below: the faults for
// unknown keys and missing values follow from the fields.
func (d *decoder) config(v value) *Config {
	c := &Config{Endpoints: Public, SweepEvery: defaultSweepEvery, ForcedPerHour: defaultForcedPerHour}
	var f draft
	f.root = d.object(v,
		field{"version", true, d.version},
		field{"owner", true, func(v value) { c.Owner = d.word(v, checkName) }},
		field{"identity", false, func(v value) {
			d.object(v,
				field{"profile", !d.has(v, "formerly"), func(v value) { c.Identity.Profile = d.word(v, checkProfile) }},
				field{"formerly", false, func(v value) { c.Identity.Formerly = d.formerLogins(v) }},
			)
		}},
		field{"account", false, func(v value) { c.Account = d.word(v, checkAccount) }},
		field{"regions", false, func(v value) { c.Regions = d.words(v, entry.CheckRegion) }},
		field{"endpoints", false, func(v value) { c.Endpoints = d.word(v, oneOf(Public, Private)) }},
		field{"sweepEvery", false, func(v value) { c.SweepEvery = d.duration(v, defaultSweepEvery) }},
		field{"forcedPerHour", false, func(v value) { c.ForcedPerHour = d.number(v, minForcedPerHour, maxForcedPerHour) }},
		field{"paused", false, func(v value) { c.Paused = d.truth(v) }},
		field{"events", false, func(v value) {
			events, shared, patterns := d.events(v)
			c.Events, f.allow, f.patterns = events, shared, append(f.patterns, patterns...)
		}},
		field{"jobs", false, func(v value) {
			d.object(v, field{"allow", true, func(v value) {
				allow, patterns := d.allow(v)
				c.Jobs.Allow, f.patterns = allow, append(f.patterns, patterns...)
			}})
		}},
		field{"rules", false, func(v value) { f.rules = d.rules(v) }},
		field{"hooks", false, func(v value) {
			hooks, patterns := d.hooks(v)
			c.Hooks, f.patterns = hooks, append(f.patterns, patterns...)
		}},
		field{"outcomes", false, func(v value) { c.Outcomes = d.outcomes(v) }},
		field{"provider", false, func(v value) { c.Provider = d.provider(v) }},
		field{"credentials", true, func(v value) {
			d.list(v, func(_ int, item value) { f.entries = append(f.entries, d.entry(item)) })
			if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
				d.fault(v, "is an empty list; it needs at least one")
			}
		}},
	)
	if _, ok := f.root.keys["jobs"]; !ok {
		c.Jobs.Allow = f.allow
	}
	for _, e := range f.entries {
		e.paused = e.paused || c.Paused
		c.Entries = append(c.Entries, e.Entry)
	}
	c.Rules = f.rules
	if d.probed == nil {
		d.across(c, f)
	}
	return c
}

// allow reads the permissions of the senders of one source.
func (d *decoder) allow(v value) (allow []Allow, patterns []pattern) {
	d.list(v, func(_ int, item value) {
		var a Allow
		d.object(item,
			field{"verbs", true, func(v value) { a.Verbs = d.words(v, oneOf("provision", "rotate", "revoke", "deprovision")) }},
			field{"credentials", true, func(v value) {
				a.Credentials = d.words(v, checkPattern)
				for _, n := range v.node.Content {
					if slices.Contains(a.Credentials, n.Value) {
						patterns = append(patterns, pattern{at: value{node: n, path: v.path}, text: n.Value})
					}
				}
			}},
		)
		allow = append(allow, a)
	})
	return allow, patterns
}

// secretSource reads the name of an environment variable or file that holds
// a secret.
func (d *decoder) secretSource(v value, check func(string) error) secret.Source {
	name := d.unrepeated(v, check)
	if name == "" {
		return secret.Source{}
	}
	d.separate(v, name)
	return d.addSecret(v.path, name)
}

// unrepeated reads text that may be a secret by mistake: a fault does not repeat it.
func (d *decoder) unrepeated(v value, check func(string) error) string {
	d.describeRule(v, check)
	s, ok := d.text(v)
	if !ok {
		return ""
	}
	if err := check(s); err != nil {
		d.fault(v, "the value (not repeated here) %v; a config never contains the secret itself", err)
		return ""
	}
	return s
}

// exactlyOne requires that an object has exactly one of the keys.
func (d *decoder) exactlyOne(o object, keys ...string) {
	if p := d.probed[o.node]; p != nil {
		p.form.OneOf = append(p.form.OneOf, keys)
	}
	if o.node.Kind != yaml.MappingNode || o.strange {
		return // has a fault already
	}
	var found []string
	for _, k := range keys {
		if _, ok := o.keys[k]; ok {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 0:
		d.fault(o.value, "needs one of %s", listed(keys, "and"))
	case len(found) > 1:
		d.fault(o.at(found[1]), "%s cannot be combined; choose one", listed(found, "and"))
	}
}

func (d *decoder) entry(v value) *entryDraft {
	e := &entryDraft{Entry: &Entry{Line: v.node.Line, path: v.path, OnGone: GoneKeep, OnSameName: SameNameSuffix, Keep: true, Offboarding: Offboarding{Quiet: defaultQuiet, Wait: defaultWait}}}
	e.Rotation = Rotation{After: defaultAfter, Expire: defaultExpire, Overlap: defaultOverlap, OnLeak: defaultOnLeak, OnDisabled: defaultOnDisabled}
	e.rotation = object{value: v}
	d.templates = nil
	var where string
	e.object = d.object(v,
		field{"name", true, func(v value) { e.Name = d.word(v, checkName) }},
		field{"forEach", false, func(v value) { e.ForEach = d.word(v, oneOf(CodeEngineProjects)) }},
		field{"where", false, func(v value) { where, _ = d.source(v) }},
		field{"paused", false, func(v value) { e.paused = d.truth(v) }},
		field{"owner", false, func(v value) { d.ownerOf(v, e) }},
		field{"overwrite", false, func(v value) { e.overwrite = d.truth(v) }},
		field{"adopt", false, func(v value) { d.adoption(v, e) }},
		field{"formerly", false, func(v value) { d.formerly(v, e) }},
		field{"onGone", false, func(v value) { e.OnGone = d.word(v, oneOf(GoneKeep, GoneRevoke, GoneRetire)) }},
		field{"keep", false, func(v value) { e.Keep = d.truth(v) }},
		field{"deprovision", false, func(v value) { d.offboarding(v, &e.Offboarding) }},
		field{"mode", false, func(v value) { e.keyless = d.word(v, oneOf(ModeKey, ModeKeyless)) == ModeKeyless }},
		field{"trust", false, func(v value) { e.trust = d.trust(v) }},
		field{"onSameName", false, func(v value) { e.OnSameName = d.word(v, oneOf(SameNameSuffix, SameNameWait)) }},
		field{"serviceID", true, func(v value) { d.serviceID(v, e) }},
		field{"rotation", false, func(v value) { e.rotation = d.rotation(v, &e.Rotation) }},
		field{"prove", false, func(v value) { e.prove = d.prove(v) }},
		field{"stores", true, func(v value) { e.stores = d.stores(v) }},
	)
	s := scopeWith
	if _, ok := e.object.keys["forEach"]; ok {
		s = scopeProject
	}
	d.defaultRegions(e.stores, s)
	d.compileTemplates(s)
	if where != "" {
		d.where(e, where, s)
	}
	e.reads = d.parametersRead(e.Entry)
	d.renderOnce(e)
	return e
}

func (d *decoder) where(e *entryDraft, source string, s *scope) {
	x, err := compile(source, s, cel.BoolType)
	if err != nil {
		hint := ""
		if strings.Contains(source, "${") {
			hint = " (where is a whole expression: write it without ${…})"
		}
		d.fault(e.object.at("where"), "%q: %v%s", source, err, hint)
		return
	}
	e.where = x
}

// parametersRead returns the parameters that the entry's expressions read.
func (d *decoder) parametersRead(e *Entry) []string {
	var names []string
	if e.where != nil {
		names = append(names, e.where.reads...)
	}
	for _, t := range d.templates {
		for _, p := range t.parts {
			if p.expression != nil {
				names = append(names, p.expression.reads...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (d *decoder) rotation(v value, r *Rotation) object {
	return d.object(v,
		field{"after", false, func(v value) { r.After = d.duration(v, defaultAfter) }},
		field{"expire", false, func(v value) { r.Expire = d.duration(v, defaultExpire) }},
		field{"overlap", false, func(v value) { r.Overlap = d.duration(v, defaultOverlap) }},
		field{"onLeak", false, func(v value) { r.OnLeak = d.word(v, oneOf("none", "disable", "delete")) }},
		field{"onDisabled", false, func(v value) { r.OnDisabled = d.word(v, oneOf("replace", "block")) }},
	)
}

func (d *decoder) offboarding(v value, o *Offboarding) {
	d.object(v,
		field{"quiet", false, func(v value) { o.Quiet = d.duration(v, defaultQuiet) }},
		field{"wait", false, func(v value) { o.Wait = d.duration(v, defaultWait) }},
	)
}

func (d *decoder) stores(v value) (ss []storeTemplate) {
	d.list(v, func(_ int, item value) {
		s := storeTemplate{at: item, required: true}
		var restart *value
		o := d.object(item,
			field{"codeEngine", false, func(v value) { s.codeEngine = d.codeEngine(v) }},
			field{"secretsManager", false, func(v value) { s.secretsManager = d.secretsManager(v) }},
			field{"file", false, func(v value) {
				s.file = &fileTemplate{}
				d.object(v, field{"path", true, func(v value) { s.file.path = d.template(v, checkPath) }})
			}},
			field{"kubernetes", false, func(v value) { s.kubernetes = d.kubernetes(v) }},
			field{"vault", false, func(v value) { s.vault = d.vault(v) }},
			field{"restart", false, func(v value) {
				if restart = &v; d.probed != nil {
					d.restart(v, checkConsumer, "consumers")
				}
			}},
			field{"required", false, func(v value) { s.required = d.truth(v) }},
			field{"readBack", false, func(v value) { s.readBack = d.truth(v) }},
			field{"format", false, func(v value) { s.format = d.format(v) }},
			field{"entries", false, func(v value) { s.entries = d.entries(v) }},
		)
		d.exactlyOne(o, "codeEngine", "secretsManager", "file", "kubernetes", "vault")
		d.restarts(&s, restart)
		d.formats(&s, o)
		ss = append(ss, s)
	})
	switch {
	case v.node.Kind != yaml.SequenceNode:
	case len(v.node.Content) == 0:
		d.fault(v, "is an empty list; a credential needs at least one store")
	case !slices.ContainsFunc(ss, func(s storeTemplate) bool { return s.required }):
		d.fault(v, "has no required store; remove required: false from at least one")
	}
	return ss
}

func (d *decoder) codeEngine(v value) *codeEngineTemplate {
	c := &codeEngineTemplate{at: v}
	d.object(v,
		field{"project", true, func(v value) { c.project = d.template(v, entry.CheckProject) }},
		field{"region", false, func(v value) { c.region = d.template(v, entry.CheckRegion) }},
		field{"secret", true, func(v value) { c.secret = d.template(v, entry.CheckSecret) }},
		field{"entry", false, func(v value) { c.entry = d.template(v, entry.CheckEntry) }}, // required by registry
	)
	return c
}

// defaultRegions sets the region of Code Engine stores to the project's.
func (d *decoder) defaultRegions(ss []storeTemplate, s *scope) {
	for _, store := range ss {
		c := store.codeEngine
		if c == nil || c.region != nil || c.at.node.Kind != yaml.MappingNode {
			continue
		}
		at := value{node: c.at.node, path: join(c.at.path, "region")}
		if s == scopeWith {
			d.fault(at, "is missing; it has a default only with forEach: %s", CodeEngineProjects)
			continue
		}
		c.region = &template{at: at, check: entry.CheckRegion, parts: []part{{source: "project.region"}}}
		d.templates = append(d.templates, c.region)
	}
}

// restart reads true, false, none, announce or a list of consumers.
func (d *decoder) restart(v value, check func(string) error, kinds string) (r restartTemplate) {
	switch {
	case v.node.Kind == yaml.SequenceNode:
		d.list(v, func(_ int, item value) { r.names = append(r.names, d.template(item, check)) })
		if len(v.node.Content) == 0 {
			d.fault(v, "is an empty list; write none to restart nothing")
		}
	case v.node.ShortTag() == "!!bool" && v.node.Kind == yaml.ScalarNode:
		r.all = d.truth(v)
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!str":
		must := "true, none, announce or a list of " + kinds
		r.announce = d.word(v, oneWord(must, "none", "announce")) == "announce"
	case v.node.Kind != yaml.AliasNode:
		d.fault(v, "must be true, none, announce or a list of %s", kinds)
	}
	return r
}
