package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/secret"
	"go.yaml.in/yaml/v3"

	"github.com/latchkey-io/latchkey/internal/entry"
)

// maxMessage is how many characters a fault has, as it may repeat a value.
const maxMessage = 600

// A decoder walks the YAML and collects faults. A method that reads a value adds
// a fault and returns a harmless result, so that one run finds all faults.
type decoder struct {
	file   string
	faults Faults

	secrets     []secret.Source
	kubeconfigs []Kubeconfig
	senders     map[string]string // by the variable or file of their secret
	templates   []*template       // of the entry being read, not yet compiled
	all         []*template       // of the config

	probed map[*yaml.Node]*probe // while the config is described, nil otherwise
}

// A value is a YAML node and its path.
type value struct {
	node *yaml.Node
	path string
}

// maxFaults is how many faults a config can have. A config with more is no config.
const maxFaults = 1000

// fault adds a fault of v, as one line of limited length. Faults beyond the maximum
// are left out, and the last one says so.
func (d *decoder) fault(v value, format string, args ...any) {
	switch {
	case d.probed != nil:
		if p := d.probed[v.node]; p != nil {
			p.rejected = true
		}
		return
	case len(d.faults) > maxFaults:
		return
	case len(d.faults) == maxFaults:
		format, args = "there are more than %d faults; correct these first", []any{maxFaults}
	}
	message := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	f := Fault{File: d.file, Line: 1, Column: 1, Path: v.path, Message: shortened(message, maxMessage)}
	if v.node != nil {
		f.Line, f.Column = max(v.node.Line, 1), max(v.node.Column, 1)
	}
	d.faults = append(d.faults, f)
}

// A field is a key that a mapping may have, and the reader of its value.
type field struct {
	key      string
	required bool
	read     func(value)
}

// An object is a mapping after reading.
type object struct {
	value
	keys    map[string]value // values by key
	strange bool             // has unknown keys
}

// at returns the value of key, or the mapping if the key is absent.
func (o object) at(key string) value {
	if v, ok := o.keys[key]; ok {
		return v
	}
	return o.value
}

// object reads a mapping. Each field may occur once; other keys are faults.
func (d *decoder) object(v value, fields ...field) object {
	o := object{value: v, keys: map[string]value{}}
	if !d.kind(v, yaml.MappingNode, "!!map", "a mapping of keys to values") {
		return o
	}
	if p := d.probed[v.node]; p != nil {
		d.describeKeys(v, p, fields)
		o.strange = true
		return o
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := v.node.Content[i]
		if key.Tag == "!!merge" {
			continue // rejectReferences has added a fault
		}
		at := value{node: key, path: v.path}
		if key.Kind != yaml.ScalarNode {
			d.fault(at, "a key must be a string")
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
			d.fault(at, "the key %q occurs twice; the first is on line %d", key.Value, first.node.Line)
			continue
		}
		child := value{node: v.node.Content[i+1], path: at.path}
		o.keys[key.Value] = child
		if child.node.Tag == "!!null" {
			// The position of an absent value is arbitrary; its key's is not.
			d.fault(at, "has no value; set one or remove the key")
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

// suggestion returns the known key that is near the wrong one, or all of them.
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

// separators removes what may separate words.
var separators = strings.NewReplacer("_", "", "-", "")

// near reports whether two words differ only in case, separators, a final s, or
// one letter that is wrong, missing, extra or swapped.
func near(a, b string) bool {
	if len(a) > 40 {
		return false
	}
	a, b = strings.ToLower(separators.Replace(a)), strings.ToLower(separators.Replace(b))
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
	if p := d.probed[v.node]; p != nil {
		item := d.describe(v.path+"[]", func(v value) { read(0, v) })
		p.form.Item = &item
		return
	}
	for i, n := range v.node.Content {
		item := value{node: n, path: fmt.Sprintf("%s[%d]", v.path, i)}
		if n.Tag == "!!null" {
			// The position of an absent value is arbitrary.
			d.fault(value{node: v.node, path: item.path}, "has no value")
			continue
		}
		read(i, item)
	}
}

// mapping reads a mapping whose keys are names that the config chooses. what starts a
// fault about a name.
func (d *decoder) mapping(v value, want, what string, check func(string) error, read func(name string, key, item value)) {
	if !d.kind(v, yaml.MappingNode, "!!map", want) {
		return
	}
	if p := d.probed[v.node]; p != nil {
		item := d.describe(join(v.path, "NAME"), func(v value) { read("NAME", v, v) })
		p.form.Names = &item
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := value{node: v.node.Content[i], path: v.path}
		name := key.node.Value
		switch line, twice := lines[name]; {
		case key.node.Tag == "!!merge":
			continue // rejectReferences has added a fault
		case key.node.Kind != yaml.ScalarNode:
			d.fault(key, "a key must be a string")
			continue
		case check(name) != nil:
			d.fault(key, "%s%q %v", what, shortened(name, maxRepeated), check(name))
			continue
		case twice:
			d.fault(key, "the key %q occurs twice; the first is on line %d", name, line)
			continue
		}
		lines[name] = key.node.Line
		key.path = join(v.path, name)
		item := value{node: v.node.Content[i+1], path: key.path}
		if item.node.Tag == "!!null" {
			d.fault(key, "has no value; set one or remove the key")
			continue
		}
		read(name, key, item)
	}
}

// text reads a string. A value that YAML reads as a number or boolean is a fault.
func (d *decoder) text(v value) (string, bool) {
	if !d.kind(v, yaml.ScalarNode, "!!str", "a string") || d.probed != nil {
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
	d.describeRule(v, check)
	s, ok := d.text(v)
	switch {
	case !ok:
		return ""
	case strings.Contains(s, "${"):
		d.fault(v, "%q is an expression, which this field does not support", s)
		return ""
	}
	if err := check(s); err != nil {
		d.fault(v, "%q %v", s, err)
		return ""
	}
	return s
}

// words reads a list of one or more different words.
func (d *decoder) words(v value, check func(string) error) (words []string) {
	d.list(v, func(_ int, item value) {
		s := d.word(item, check)
		switch {
		case s == "":
		case slices.Contains(words, s):
			d.fault(item, "%q is listed twice", s)
		default:
			words = append(words, s)
		}
	})
	if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
		d.fault(v, "is an empty list; it needs at least one")
	}
	return words
}

// oneOf returns a check for one of the known words.
func oneOf(known ...string) func(string) error { return oneWord(listed(known, "or"), known...) }

// oneWord returns a check for one of the known words, which must describes.
func oneWord(must string, known ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(known, s) {
			return nil
		}
		return &entry.RuleError{Must: must, Words: known}
	}
}

// truth reads a boolean.
func (d *decoder) truth(v value) bool {
	if !d.kind(v, yaml.ScalarNode, "!!bool", "true or false") {
		return false
	}
	return strings.EqualFold(v.node.Value, "true")
}

// version reads the version of the config format, which is 1.
func (d *decoder) version(v value) {
	d.describeNumber(v, 1, 1)
	if d.kind(v, yaml.ScalarNode, "!!int", "the number 1") && v.node.Value != "1" {
		d.fault(v, "%s is not supported; this latchkey reads version 1", v.node.Value)
	}
}

// number reads a whole number from least to most.
func (d *decoder) number(v value, least, most int) int {
	d.describeNumber(v, least, most)
	if !d.kind(v, yaml.ScalarNode, "!!int", fmt.Sprintf("a whole number from %d to %d", least, most)) {
		return least
	}
	n, err := strconv.Atoi(v.node.Value)
	if err != nil || n < least || n > most {
		d.fault(v, "%s is not a whole number from %d to %d", v.node.Value, least, most)
		return least
	}
	return n
}

// duration reads days, hours and minutes. After a fault it returns the fallback, so
// that later checks do not add a fault for the same value.
func (d *decoder) duration(v value, fallback time.Duration) time.Duration {
	if !d.kind(v, yaml.ScalarNode, "!!str", "a duration in d, h and m, such as 90d or 1d12h") {
		return fallback
	}
	if p := d.probed[v.node]; p != nil {
		p.form.Duration, p.form.Default = true, Days(fallback)
		return fallback
	}
	t, err := parseDuration(v.node.Value)
	if err != nil {
		d.fault(v, "%q %v", v.node.Value, err)
		return fallback
	}
	return t
}

// kind reports whether v has the wanted kind, and adds a fault if not. The fault
// names the kind found, not the content, which may be a misplaced secret.
func (d *decoder) kind(v value, kind yaml.Kind, tag, want string) bool {
	if v.node.Kind == yaml.AliasNode {
		return false // rejectReferences has added a fault
	}
	if v.node.Kind == kind && v.node.ShortTag() == tag {
		if p := d.probed[v.node]; p != nil {
			p.accepted = true
		}
		return true
	}
	found := map[string]string{
		"!!map": "a mapping", "!!seq": "a list", "!!str": "a string", "!!bool": "a boolean", "!!int": "a number",
		"!!float": "a number", "!!null": "nothing", "!!timestamp": "a date",
	}[v.node.ShortTag()]
	if found == "" {
		found = "a value with a custom tag (!…)"
	}
	hint := ""
	if tag == "!!str" && v.node.Kind == yaml.ScalarNode && found != "nothing" {
		hint = "; quote it to make it a string"
		if strings.HasPrefix(want, "a duration") {
			hint = ""
		}
	}
	d.fault(v, "must be %s, not %s%s", want, found, hint)
	return false
}
