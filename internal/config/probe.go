package config

import (
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/schema"
)

// Keys returns what Load accepts. It runs the decoder on probes: values of each
// kind, in the place of each value of a config. So a new field of the decoder is
// described without another table.
func Keys() schema.Value {
	d := &decoder{probed: map[*yaml.Node]*probe{}}
	return d.describe("", func(v value) { d.config(v) })
}

// A probe is a value that the decoder reads to find out whether it accepts it.
type probe struct {
	form     schema.Form
	accepted bool
	rejected bool     // by a fault after its kind was accepted
	asked    []string // keys that decide about others
	assumed  string   // the asked key that the probe has; "": none
}

func (p *probe) ask(key string) bool {
	if !slices.Contains(p.asked, key) {
		p.asked = append(p.asked, key)
	}
	return p.assumed == key
}

// probes are the kinds of values that a config can have.
var probes = []struct {
	kind      schema.Kind
	node      yaml.Kind
	tag, text string
}{
	{schema.Text, yaml.ScalarNode, "!!str", ""},
	{schema.Number, yaml.ScalarNode, "!!int", "1"},
	{schema.Boolean, yaml.ScalarNode, "!!bool", "true"},
	{schema.Boolean, yaml.ScalarNode, "!!bool", "false"},
	{schema.List, yaml.SequenceNode, "!!seq", ""},
	{schema.Mapping, yaml.MappingNode, "!!map", ""},
}

// describe returns the forms that a reader accepts at a path.
func (d *decoder) describe(path string, read func(value)) (forms schema.Value) {
	for _, try := range probes {
		left := []string{""}
		for i := 0; i < len(left); i++ {
			node := &yaml.Node{Kind: try.node, Tag: try.tag, Value: try.text}
			p := &probe{form: schema.Form{Kind: try.kind}, assumed: left[i]}
			if try.kind == schema.Boolean {
				p.form.Only = try.text
			}
			d.probed[node] = p
			read(value{node: node, path: path})
			if i == 0 {
				left = append(left, p.asked...)
			}
			// A string, list or mapping is rejected for its content only.
			if p.accepted && (!p.rejected || try.kind != schema.Boolean) {
				forms = append(forms, p.form)
			}
		}
	}
	return forms.Merged()
}

func (d *decoder) describeKeys(v value, p *probe, fields []field) {
	for _, f := range fields {
		path := join(v.path, f.key)
		about := meaningOf(path)
		p.form.Keys = append(p.form.Keys, schema.Key{
			Name: f.key, Path: path, Required: f.required || f.key == p.assumed,
			Value: d.describe(path, f.read), Default: about.fallback, Meaning: about.text,
		})
	}
}

// describeRule gets the rule of a string from the error for a string that breaks every
// rule.
func (d *decoder) describeRule(v value, check func(string) error) {
	p := d.probed[v.node]
	if p == nil || check == nil {
		return
	}
	var broken *entry.RuleError
	if errors.As(check("\x00"), &broken) {
		p.form.Must, p.form.Pattern, p.form.Longest, p.form.Words = broken.Must, broken.Pattern, broken.Longest, broken.Words
	}
}

func (d *decoder) describeTemplate(v value, check func(string) error) {
	if p := d.probed[v.node]; p != nil {
		p.form.Template = true
		d.describeRule(v, check)
	}
}

func (d *decoder) describeNumber(v value, least, most int) {
	if p := d.probed[v.node]; p != nil {
		p.form.Least, p.form.Most = least, most
	}
}

// source reads a whole expression.
func (d *decoder) source(v value) (string, bool) {
	if p := d.probed[v.node]; p != nil {
		p.form.Expression = true
	}
	return d.text(v)
}

// meaningOf returns the meaning of a key: that of the longest part at the end of its
// path that has one.
func meaningOf(path string) meaning {
	for at := path; ; {
		if m, ok := meanings()[at]; ok {
			return m
		}
		_, rest, more := strings.Cut(at, ".")
		if !more {
			return meaning{}
		}
		at = rest
	}
}
