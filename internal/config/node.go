package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxMessage bounds what a fault says, as it may repeat a value.
const maxMessage = 600

// A decoder walks the YAML and collects faults. Its methods that read a value
// report a fault and go on with a harmless result, so that one run finds all.
type decoder struct {
	file   string
	faults Faults

	templates []*template // of the entry being read, not yet compiled
}

// A value is a YAML node and the way to it.
type value struct {
	node *yaml.Node
	path string
}

// fault records what is wrong with v, in one line of a length that people read.
func (d *decoder) fault(v value, format string, args ...any) {
	message := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	f := Fault{File: d.file, Line: 1, Column: 1, Path: v.path, Message: shortened(message, maxMessage)}
	if v.node != nil {
		f.Line, f.Column = max(v.node.Line, 1), max(v.node.Column, 1)
	}
	d.faults = append(d.faults, f)
}

// A field is a key that a mapping may have, and what to do with its value.
type field struct {
	key      string
	required bool
	read     func(value)
}

// An object is a mapping that was read.
type object struct {
	value
	keys    map[string]value // the values that it has, by key
	strange bool             // it has unknown keys as well
}

// at is where to point for key: its value, or the mapping if it has none.
func (o object) at(key string) value {
	if v, ok := o.keys[key]; ok {
		return v
	}
	return o.value
}

// object reads a mapping: each field at most once, nothing but the fields.
func (d *decoder) object(v value, fields ...field) object {
	o := object{value: v, keys: map[string]value{}}
	if !d.kind(v, yaml.MappingNode, "!!map", "a mapping of keys to values") {
		return o
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := v.node.Content[i]
		if key.Tag == "!!merge" {
			continue // refuseReferences has spoken
		}
		at := value{node: key, path: v.path}
		if key.Kind != yaml.ScalarNode {
			d.fault(at, "a key must be a plain word")
			continue
		}
		n := slices.IndexFunc(fields, func(f field) bool { return f.key == key.Value })
		if n < 0 {
			o.strange = true
			d.fault(at, "unknown key %q; %s", key.Value, suggestion(key.Value, fields))
			continue
		}
		at.path = join(v.path, key.Value)
		if first, twice := o.keys[key.Value]; twice {
			d.fault(at, "the key %q is there twice; the first is on line %d", key.Value, first.node.Line)
			continue
		}
		child := value{node: v.node.Content[i+1], path: at.path}
		o.keys[key.Value] = child
		if child.node.Tag == "!!null" {
			// The node of an absent value may lie anywhere; its key does not.
			d.fault(at, "has no value; give it one or leave the key out")
			continue
		}
		fields[n].read(child)
	}
	for _, f := range fields {
		if _, ok := o.keys[f.key]; f.required && !ok {
			d.fault(value{node: v.node, path: join(v.path, f.key)}, "is missing")
		}
	}
	return o
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// suggestion names the known key that a wrong one is near to, or all of them.
func suggestion(wrong string, fields []field) string {
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
		if near(wrong, f.key) {
			return fmt.Sprintf("did you mean %q?", f.key)
		}
	}
	return "known here: " + strings.Join(known, ", ")
}

// near is true for words that differ in case, in separators, in an s at the
// end, or by one letter that is wrong, missing, extra or swapped.
func near(a, b string) bool {
	if len(a) > 40 {
		return false
	}
	fold := strings.NewReplacer("_", "", "-", "")
	a, b = strings.ToLower(fold.Replace(a)), strings.ToLower(fold.Replace(b))
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	swapped := len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
	return len(a) <= 1 && len(b) <= 1 || swapped
}

// list reads a sequence.
func (d *decoder) list(v value, read func(i int, item value)) {
	if !d.kind(v, yaml.SequenceNode, "!!seq", "a list") {
		return
	}
	for i, n := range v.node.Content {
		item := value{node: n, path: fmt.Sprintf("%s[%d]", v.path, i)}
		if n.Tag == "!!null" {
			// Without a value the node has no place of its own to be trusted.
			d.fault(value{node: v.node, path: item.path}, "has no value")
			continue
		}
		read(i, item)
	}
}

// text reads a string; what YAML takes for a number or a boolean is a fault.
func (d *decoder) text(v value) (string, bool) {
	if !d.kind(v, yaml.ScalarNode, "!!str", "a string") {
		return "", false
	}
	if strings.TrimSpace(v.node.Value) == "" {
		d.fault(v, "is empty")
		return "", false
	}
	return v.node.Value, true
}

// word reads a string without expressions that passes check.
func (d *decoder) word(v value, check func(string) error) string {
	s, ok := d.text(v)
	switch {
	case !ok:
		return ""
	case strings.Contains(s, "${"):
		d.fault(v, "%q is an expression; this field takes none", s)
		return ""
	}
	if err := check(s); err != nil {
		d.fault(v, "%q %v", s, err)
		return ""
	}
	return s
}

// words reads a list of different words, at least one.
func (d *decoder) words(v value, check func(string) error) (words []string) {
	d.list(v, func(_ int, item value) {
		s := d.word(item, check)
		switch {
		case s == "":
		case slices.Contains(words, s):
			d.fault(item, "%q is there twice", s)
		default:
			words = append(words, s)
		}
	})
	if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
		d.fault(v, "is an empty list; it needs at least one")
	}
	return words
}

// oneOf is the check of a word out of a few.
func oneOf(known ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(known, s) {
			return nil
		}
		return fmt.Errorf("must be %s", listed(known, "or"))
	}
}

// truth reads a boolean.
func (d *decoder) truth(v value) bool {
	if !d.kind(v, yaml.ScalarNode, "!!bool", "true or false") {
		return false
	}
	return strings.EqualFold(v.node.Value, "true")
}

// version reads the version of the config's form, which is 1 so far.
func (d *decoder) version(v value) {
	if d.kind(v, yaml.ScalarNode, "!!int", "the number 1") && v.node.Value != "1" {
		d.fault(v, "%s is not a version that this latchkey reads; it reads 1", v.node.Value)
	}
}

// duration reads days, hours and minutes. A fault gives the fallback, so that
// the checks between fields don't complain about a value nobody wrote.
func (d *decoder) duration(v value, fallback time.Duration) time.Duration {
	if !d.kind(v, yaml.ScalarNode, "!!str", "a duration in d, h and m, such as 90d or 1d12h") {
		return fallback
	}
	t, err := parseDuration(v.node.Value)
	if err != nil {
		d.fault(v, "%q %v", v.node.Value, err)
		return fallback
	}
	return t
}

// kind reports a fault unless v is what the field wants. The fault names what
// was found, not its content, which may be a secret in the wrong place.
func (d *decoder) kind(v value, kind yaml.Kind, tag, want string) bool {
	if v.node.Kind == yaml.AliasNode {
		return false // refuseReferences has spoken
	}
	if v.node.Kind == kind && v.node.ShortTag() == tag {
		return true
	}
	found := map[string]string{
		"!!map": "a mapping", "!!seq": "a list", "!!str": "a string", "!!bool": "a boolean", "!!int": "a number",
		"!!float": "a number", "!!null": "nothing", "!!timestamp": "a date",
	}[v.node.ShortTag()]
	if found == "" {
		found = "a value with a tag (!…) of its own"
	}
	hint := ""
	if tag == "!!str" && v.node.Kind == yaml.ScalarNode && found != "nothing" {
		hint = "; quote it if it is meant as a string"
		if strings.HasPrefix(want, "a duration") {
			hint = ""
		}
	}
	d.fault(v, "must be %s, not %s%s", want, found, hint)
	return false
}
