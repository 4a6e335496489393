package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// A template is a string of the config that may contain `${…}`. Load applies the
// check to a literal, and each evaluation applies it to the result.
type template struct {
	at    value
	check func(string) error // nil: any value
	parts []part
}

// A part is literal text or, if source is set, an expression.
type part struct {
	literal    string
	source     string
	expression *expression
}

// template reads a string that may contain expressions. compileTemplates compiles
// them once the scope of the entry is known.
func (d *decoder) template(v value, check func(string) error) *template {
	d.describeTemplate(v, check)
	t := &template{at: v, check: check}
	d.all = append(d.all, t)
	s, ok := d.text(v)
	if !ok {
		return t
	}
	parts, err := split(s)
	if err != nil {
		d.fault(v, "%q %v", s, err)
		return t
	}
	t.parts = parts
	if !d.checkLiteral(t) {
		t.parts = nil
	}
	if t.varies() {
		d.templates = append(d.templates, t)
	}
	return t
}

// hookTemplate reads a string that may contain expressions over a body.
func (d *decoder) hookTemplate(v value, check func(string) error) *template {
	d.describeTemplate(v, check)
	t := &template{at: v, check: check}
	if s, ok := d.text(v); ok {
		t.parts = d.hookParts(v, s, cel.StringType)
		d.checkLiteral(t)
	}
	return t
}

// hookParts splits a string and compiles its expressions. whole is the type that
// an expression must yield if it is the entire string. Faults do not repeat the
// string: it may be a secret by mistake.
func (d *decoder) hookParts(v value, s string, whole *cel.Type) []part {
	parts, err := split(s)
	if err != nil {
		d.fault(v, "%v", err)
		return nil
	}
	if len(parts) > 1 {
		whole = cel.StringType
	}
	for i := range parts {
		d.compilePart(v, &parts[i], scopeHook, whole)
	}
	return parts
}

// compileTemplates compiles the templates that the entry has gathered.
func (d *decoder) compileTemplates(s *scope) {
	for _, t := range d.templates {
		for i := range t.parts {
			d.compilePart(t.at, &t.parts[i], s, cel.StringType)
		}
	}
}

func (d *decoder) compilePart(at value, p *part, s *scope, want *cel.Type) {
	if p.source == "" {
		return
	}
	x, err := compile(p.source, s, want)
	if err != nil {
		d.fault(at, "${%s}: %v", p.source, err)
		return
	}
	p.expression = x
}

// checkLiteral reports false if the template is a literal that fails its check.
func (d *decoder) checkLiteral(t *template) bool {
	literal, ok := t.literal()
	if !ok || t.check == nil {
		return true
	}
	if err := t.check(literal); err != nil {
		d.fault(t.at, "%q %v", literal, err)
		return false
	}
	return true
}

// literal returns the string of a template without expressions.
func (t *template) literal() (string, bool) {
	if t == nil {
		return "", false
	}
	if len(t.parts) == 1 && t.parts[0].source == "" {
		return t.parts[0].literal, true
	}
	return "", false
}

// varies reports whether the template contains an expression.
func (t *template) varies() bool {
	return t != nil && slices.ContainsFunc(t.parts, func(p part) bool { return p.source != "" })
}

// key is equal for two templates that always yield the same.
func (t *template) key() string {
	var b strings.Builder
	if t != nil {
		for _, p := range t.parts {
			fmt.Fprintf(&b, "%q${%q}", p.literal, p.source)
		}
	}
	return b.String()
}

// evaluate returns the template's string, checked. It charges the cost to budget,
// unless that is nil.
func (t *template) evaluate(vars map[string]any, budget *Budget) (string, error) {
	if t == nil {
		return "", nil
	}
	var b strings.Builder
	secretive := false
	for _, p := range t.parts {
		s := p.literal
		if p.expression != nil {
			secretive = secretive || p.expression.scope.private
			v, err := p.expression.evaluate(vars, budget)
			if err != nil {
				return "", fmt.Errorf("evaluating ${%s}: %w", shortened(p.source, maxRepeated), err)
			}
			text, ok := v.(types.String)
			if !ok {
				return "", fmt.Errorf("evaluating ${%s}: it yields %s, not string", shortened(p.source, maxRepeated), v.Type().TypeName())
			}
			s = string(text)
		}
		if b.Len()+len(s) > maxResult {
			return "", fmt.Errorf("the value is longer than %d bytes", maxResult)
		}
		b.WriteString(s)
	}
	s := b.String()
	if t.check == nil {
		return s, nil
	}
	switch err := t.check(s); {
	case err == nil:
		return s, nil
	case secretive:
		return "", fmt.Errorf("the value %w", err)
	default:
		return "", fmt.Errorf("%q %w", shortened(s, maxRepeated), err)
	}
}

// split splits a string at its expressions. `$${` is a literal `${`.
func split(s string) ([]part, error) {
	var parts []part
	var literal strings.Builder
	for len(s) > 0 {
		switch {
		case strings.HasPrefix(s, "$${"):
			literal.WriteString("${")
			s = s[len("$${"):]
		case strings.HasPrefix(s, "${"):
			source, rest, ok := cutExpression(s[len("${"):])
			if !ok {
				return nil, errors.New("has a ${ without a }; write $${ for a plain ${")
			}
			if strings.TrimSpace(source) == "" {
				return nil, errors.New("has an empty expression ${}; write $${} for a plain ${}")
			}
			if literal.Len() > 0 {
				parts = append(parts, part{literal: literal.String()})
				literal.Reset()
			}
			parts = append(parts, part{source: source})
			s = rest
		default:
			literal.WriteByte(s[0])
			s = s[1:]
		}
	}
	if literal.Len() > 0 {
		parts = append(parts, part{literal: literal.String()})
	}
	return parts, nil
}

// cutExpression finds the } that ends an expression. It skips a } that closes a {,
// is inside a string, or is inside a comment.
func cutExpression(s string) (source, rest string, ok bool) {
	depth := 0
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\'':
			raw := i > 0 && (s[i-1] == 'r' || s[i-1] == 'R')
			n := stringLength(s[i:], raw)
			if n == 0 {
				return "", "", false
			}
			i += n
		case strings.HasPrefix(s[i:], "//"):
			end := strings.IndexByte(s[i:], '\n')
			if end < 0 {
				return "", "", false
			}
			i += end + 1
		case c == '}' && depth == 0:
			return s[:i], s[i+1:], true
		default:
			switch c {
			case '{':
				depth++
			case '}':
				depth--
			}
			i++
		}
	}
	return "", "", false
}

// stringLength returns the length of the CEL string at the start of s, or 0 if it
// does not end.
func stringLength(s string, raw bool) int {
	quote := s[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s, triple) {
		quote = triple
	}
	for i := len(quote); i < len(s); i++ {
		if s[i] == '\\' && !raw {
			i++
			continue
		}
		if strings.HasPrefix(s[i:], quote) {
			return i + len(quote)
		}
	}
	return 0
}
