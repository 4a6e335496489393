package schema

import (
	"fmt"
	"slices"
	"strings"
)

// The marks in a document between which the rows of a part of the config stand.
const (
	rowsBegin = "<!-- keys of "
	rowsEnd   = "<!-- end of keys -->"
)

// Fill replaces the rows in a document by those of the config. The mark
// "<!-- keys of credentials[] -->" is for all keys below credentials[], except those
// below another mark. The empty path is called "the config".
func Fill(document string, root Value) (string, error) {
	all := root.rows()
	parts := strings.Split(document, rowsBegin)
	var marks []string
	for _, part := range parts[1:] {
		path, _, _ := strings.Cut(part, " -->")
		marks = append(marks, strings.TrimPrefix(path, "the config"))
	}
	var b strings.Builder
	b.WriteString(parts[0])
	for i, part := range parts[1:] {
		head, rest, begun := strings.Cut(part, " -->\n")
		_, tail, ended := strings.Cut(rest, rowsEnd)
		if !begun || !ended {
			return "", fmt.Errorf("filling the rows of %s: there is no %s", head, rowsEnd)
		}
		b.WriteString(rowsBegin + head + " -->\n| key | type | default | meaning |\n|---|---|---|---|\n")
		rows := 0
		for _, k := range all {
			if markOf(k.Path, marks) == marks[i] {
				name := strings.TrimPrefix(strings.TrimPrefix(k.Path, marks[i]), ".")
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, k.kind, k.fallback(), k.Meaning)
				rows++
			}
		}
		if rows == 0 {
			return "", fmt.Errorf("filling the rows of %s: the config has no such keys", head)
		}
		b.WriteString(rowsEnd + tail)
	}
	return b.String(), nil
}

// markOf returns the longest mark that a path is below.
func markOf(path string, marks []string) (longest string) {
	for _, m := range marks {
		below := strings.HasPrefix(path, m+".") || m == ""
		if below && len(m) >= len(longest) {
			longest = m
		}
	}
	return longest
}

// A row is a key with its type.
type row struct {
	Key
	kind string
}

// rows returns all keys below a value, in the decoder's order. A mapping like one
// before refers to that instead of repeating its keys.
func (v Value) rows() (rows []row) {
	first := map[string]string{} // paths of mappings, by what they look like
	var walk func(Value)
	key := func(k Key) {
		r := row{k, k.Value.kind()}
		look := k.Value.look()
		switch path, seen := first[look]; {
		case look == "":
		case seen:
			r.kind += ", as `" + path + "`"
		default:
			first[look] = k.Path
		}
		if slices.ContainsFunc(rows, func(had row) bool { return had.Path == k.Path }) {
			return
		}
		rows = append(rows, r)
		if _, seen := first[look]; look == "" || !seen || first[look] == k.Path {
			walk(k.Value)
		}
	}
	walk = func(v Value) {
		for _, f := range v {
			for _, k := range f.Keys {
				k.Required = v.require(k.Name)
				key(k)
			}
			if f.Item != nil {
				walk(*f.Item)
			}
			if f.Names != nil {
				walk(*f.Names)
			}
		}
	}
	walk(v)
	return rows
}

// require reports whether every form that is a mapping requires the key.
func (v Value) require(key string) bool {
	for _, f := range v {
		if f.Kind == Mapping && !slices.ContainsFunc(f.Keys, func(k Key) bool { return k.Name == key && k.Required }) {
			return false
		}
	}
	return true
}

// look is equal for values with the same keys and types; "" if there are no keys.
func (v Value) look() string {
	var b strings.Builder
	for _, f := range v {
		for _, k := range f.Keys {
			fmt.Fprintf(&b, "%s %t %s{%s} ", k.Name, k.Required, k.Value.kind(), k.Value.look())
		}
		if f.Item != nil {
			b.WriteString(f.Item.look())
		}
	}
	return b.String()
}

// fallback returns the default as a reader sees it.
func (k Key) fallback() string {
	switch {
	case k.Required:
		return "required"
	case k.Default != "":
		return k.Default
	}
	for _, f := range k.Value {
		if f.Duration {
			return "`" + f.Default + "`"
		}
	}
	return "none"
}

// kind returns the type as a reader sees it.
func (v Value) kind() string {
	if v.any() {
		return "any structure, with templates in it"
	}
	var kinds []string
	for _, f := range v {
		kind := f.kind()
		if f.Kind == List && len(kinds) == 1 && kind == "list: "+kinds[0] {
			kind = "a list of them"
		}
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, ", or ")
}

func (f Form) kind() string {
	switch {
	case f.Kind == Mapping:
		return "mapping"
	case f.Kind == List && f.Item != nil && strings.HasPrefix(f.Item.kind(), "mapping"):
		return "list of mappings"
	case f.Kind == List && f.Item != nil:
		return "list: " + f.Item.kind()
	case f.Kind == Number && f.Least == f.Most:
		return fmt.Sprintf("`%d`", f.Least)
	case f.Kind == Number:
		return fmt.Sprintf("number, %d to %d", f.Least, f.Most)
	case f.Kind == Boolean && f.Only != "":
		return "`" + f.Only + "`"
	case f.Kind == Boolean:
		return "boolean"
	case f.Duration:
		return "duration"
	case f.Expression:
		return "CEL"
	case f.Words != nil:
		return "`" + strings.Join(f.Words, "`, `") + "`"
	}
	rule, _, _ := strings.Cut(f.Must, ": ")
	rule, _, _ = strings.Cut(strings.Replace(rule, ", such as", " such as", 1), " such as")
	switch {
	case f.Template && rule != "":
		return "template, " + rule
	case f.Template:
		return "template"
	case rule != "":
		return rule
	}
	return "text"
}
