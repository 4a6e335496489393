// Package schema describes the config: which keys it has, and which values they take.
// Package config fills the description in from its decoder. This package renders it as
// JSON Schema, and as the rows of docs/configuration.md.
package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Kind is the kind of a YAML value.
type Kind string

// The kinds of values, as JSON Schema calls them.
const (
	Text    Kind = "string"
	Number  Kind = "integer"
	Boolean Kind = "boolean"
	List    Kind = "array"
	Mapping Kind = "object"
)

// A Value is what one place of the config takes: one of its forms.
type Value []Form

// A Form is one form that a value can have.
type Form struct {
	Kind Kind

	// Of a string.
	Must       string   // what it must be; "": any text
	Pattern    string   // regular expression for the whole string; "": none
	Longest    int      // bytes; 0: any
	Words      []string // the only strings; nil: others
	Template   bool     // may contain ${…}, whose result has the rule above
	Expression bool     // a whole expression
	Duration   bool
	Default    string // of a duration

	Only        string // of a boolean: the only value; "": both
	Least, Most int    // of a number

	Item  *Value     // of a list
	Keys  []Key      // of a mapping
	OneOf [][]string // of a mapping: sets of keys, of each of which it has exactly one
	Names *Value     // of a mapping whose keys are names: their values
}

// A Key is a key of a mapping.
type Key struct {
	Name     string
	Path     string // such as credentials[].rotation.after
	Required bool
	Value    Value
	Default  string // as text for a reader; "": see Value
	Meaning  string
}

// Merged joins forms that differ in nothing that matters to a reader.
func (v Value) Merged() Value {
	both := func(only string) bool {
		return slices.ContainsFunc(v, func(f Form) bool { return f.Kind == Boolean && f.Only == only })
	}
	if !both("true") || !both("false") {
		return v
	}
	v = slices.DeleteFunc(v, func(f Form) bool { return f.Kind == Boolean && f.Only == "false" })
	for i := range v {
		if v[i].Kind == Boolean {
			v[i].Only = ""
		}
	}
	return v
}

// JSON returns the JSON Schema of a whole config, draft 2020-12.
func JSON(root Value) ([]byte, error) {
	out := root.schema()
	out["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	out["title"] = "latchkey config, version 1"
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the schema: %w", err)
	}
	return append(data, '\n'), nil
}

type object map[string]any

func (v Value) schema() object {
	if v.any() {
		return object{}
	}
	if len(v) == 1 {
		return v[0].schema()
	}
	forms := make([]object, len(v))
	for i, f := range v {
		forms[i] = f.schema()
	}
	return object{"anyOf": forms}
}

// any reports whether the value can be anything.
func (v Value) any() bool {
	for _, kind := range []Kind{Text, Number, Boolean, List, Mapping} {
		if !slices.ContainsFunc(v, func(f Form) bool { return f.Kind == kind && f.Item == nil && f.Keys == nil && f.Names == nil }) {
			return false
		}
	}
	return true
}

// durationPattern is the form of a duration.
const durationPattern = `^(\d{1,5}d)?(\d{1,6}h)?(\d{1,8}m)?$`

func (f Form) schema() object {
	out := object{"type": f.Kind}
	switch f.Kind {
	case Text:
		f.text(out)
	case Number:
		if f.Most > 0 {
			out["minimum"], out["maximum"] = f.Least, f.Most
		}
	case Boolean:
		if f.Only != "" {
			out["const"] = f.Only == "true"
		}
	case List:
		if f.Item != nil {
			out["items"] = f.Item.schema()
		}
	case Mapping:
		f.mapping(out)
	}
	return out
}

func (f Form) text(out object) {
	out["minLength"] = 1
	if f.Must != "" {
		out["description"] = "must be " + f.Must
	}
	switch {
	case f.Words != nil:
		out["enum"] = f.Words
		delete(out, "description")
	case f.Duration:
		out["pattern"], out["default"] = durationPattern, f.Default
	case f.Pattern != "" && f.Template:
		out["pattern"] = `\$\{|^(?:` + f.Pattern + `)$`
	case f.Pattern != "":
		out["pattern"] = `^(?:` + f.Pattern + `)$`
		if f.Longest > 0 {
			out["maxLength"] = f.Longest
		}
	}
}

func (f Form) mapping(out object) {
	if f.Names != nil {
		out["additionalProperties"] = f.Names.schema()
		return
	}
	if f.Keys == nil {
		return
	}
	properties, required := object{}, []string{}
	for _, k := range f.Keys {
		of := k.Value.schema()
		if about := k.about(); about != "" {
			if rule, ok := of["description"].(string); ok {
				about += ". It " + rule
			}
			of["description"] = about
		}
		properties[k.Name] = of
		if k.Required {
			required = append(required, k.Name)
		}
	}
	out["properties"], out["additionalProperties"] = properties, false
	if len(required) > 0 {
		out["required"] = required
	}
	var all []object
	for _, keys := range f.OneOf {
		one := make([]object, len(keys))
		for i, k := range keys {
			one[i] = object{"required": []string{k}}
		}
		all = append(all, object{"oneOf": one})
	}
	if len(all) > 0 {
		out["allOf"] = all
	}
}

// plain removes the marks of Markdown.
var plain = strings.NewReplacer("`", "", "**", "")

// about returns what an editor shows for the key.
func (k Key) about() string {
	text := k.Meaning
	if i := strings.Index(text, " ([see"); i >= 0 {
		text = text[:i]
	}
	switch fallback := k.fallback(); fallback {
	case "", "required", "see below":
	default:
		text += " (default: " + fallback + ")"
	}
	return plain.Replace(strings.TrimSpace(unlinked(text)))
}

// unlinked replaces each link by its text, or by its target if that is the text.
func unlinked(text string) string {
	before, rest, _ := strings.Cut(text, "[")
	label, rest, link := strings.Cut(rest, "](")
	target, after, closed := strings.Cut(rest, ")")
	switch {
	case !link || !closed || strings.Contains(label, "]"):
		return text
	case strings.HasPrefix(target, label):
		label = "docs/" + target
	}
	return before + label + unlinked(after)
}
