package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// Bounds of one expression. They are far above what naming things takes, and
// low enough that no config and no event can keep an instance busy.
const (
	maxExpression = 2048   // characters
	maxNesting    = 40     // levels
	maxCost       = 20_000 // of one evaluation, in CEL's own units: about one per operation
	maxResult     = 4096   // bytes of one evaluated value
)

// A scope is what the expressions of an entry can see.
type scope int

const (
	scopeWith    scope = iota // with: the parameters of a provision event
	scopeProject              // project: the instance of forEach
	scopeEvent                // event and data: what a rule is applied to
	scopeHook                 // body and headers: what a hook was sent
)

// The environments are built when the first expression needs one: a config
// without expressions starts faster.
var (
	withEnv    = sync.OnceValues(func() (*cel.Env, error) { return newEnv(scopeWith) })
	projectEnv = sync.OnceValues(func() (*cel.Env, error) { return newEnv(scopeProject) })
	eventEnv   = sync.OnceValues(func() (*cel.Env, error) { return newEnv(scopeEvent) })
)

func newEnv(s scope) (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxNesting),
	}
	switch s {
	case scopeProject:
		options = append(options, ext.Strings(ext.StringsVersion(4)),
			cel.Types(cel.NativeTypeFor[Project](cel.NativeTypeAlias("Project"), types.ParseStructTag("cel"))),
			cel.Variable("project", cel.ObjectType("Project")))
	case scopeEvent:
		options = append(options,
			ext.Strings(ext.StringsVersion(5)), // the first that counts the length of a text as cost
			cel.Types(cel.NativeTypeFor[Event](cel.NativeTypeAlias("Event"), types.ParseStructTag("cel"))),
			cel.Variable("event", cel.ObjectType("Event")), cel.Variable("data", cel.DynType))
	default:
		options = append(options, ext.Strings(ext.StringsVersion(4)), cel.Variable("with", cel.MapType(cel.StringType, cel.StringType)))
	}
	return cel.NewEnv(options...)
}

func (s scope) env() (*cel.Env, error) {
	switch s {
	case scopeProject:
		return projectEnv()
	case scopeEvent:
		return eventEnv()
	}
	return withEnv()
}

// An expression is a compiled piece of CEL.
type expression struct {
	source  string
	program cel.Program
	reads   []string // the parameters of with that it reads

	kinds, needs []string // what conjuncts found
}

// compile checks source against the scope and the type that it has to yield.
func compile(source string, s scope, want *cel.Type) (*expression, error) {
	if strings.TrimSpace(source) == "" {
		return nil, errors.New("there is no expression")
	}
	env, err := s.env()
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	checked, issues := env.Compile(source)
	if issues.Err() != nil {
		return nil, compileError(issues, s)
	}
	// What data holds is known only when it is there.
	if got := checked.OutputType(); !got.IsExactType(want) && (s != scopeEvent || !got.IsExactType(cel.DynType)) {
		hint := ""
		if want == cel.StringType {
			hint = "; wrap it in string(…) if that is what you mean"
		}
		return nil, fmt.Errorf("it yields %s and must yield %s%s", got, want, hint)
	}
	var reads []string
	if s == scopeWith {
		if reads, err = parameters(checked.NativeRep()); err != nil {
			return nil, err
		}
	}
	program, err := env.Program(checked, cel.CostTracking(textCost{}), cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("planning it: %w", err)
	}
	kinds, needs := conjuncts(checked.NativeRep().Expr())
	return &expression{source: source, program: program, reads: reads, kinds: kinds, needs: needs}, nil
}

// compileError makes one line of what CEL found. Positions are counted within
// the expression, from 1.
func compileError(issues *cel.Issues, s scope) error {
	var found []string
	for _, e := range issues.Errors() {
		message := e.Message
		switch {
		case s == scopeWith && strings.Contains(message, "reference to 'project'"):
			message = "project is known only in an entry with forEach: " + CodeEngineProjects
		case s == scopeEvent && strings.Contains(message, "reference to 'with'"), s == scopeEvent && strings.Contains(message, "reference to 'project'"):
			message = "a rule knows event and data, nothing else"
		case s == scopeProject && strings.Contains(message, "reference to 'with'"):
			message = "with is not known in an entry with forEach"
		case strings.HasPrefix(message, "Syntax error: "):
			// The rest lists every token that CEL has.
			message, _, _ = strings.Cut(message, " expecting ")
		}
		at := fmt.Sprintf("at character %d", max(e.Location.Column()+1, 1))
		if e.Location.Line() > 1 {
			at += fmt.Sprintf(" of line %d", e.Location.Line())
		}
		found = append(found, at+": "+message)
		if len(found) == 3 {
			break // what follows a syntax error is mostly noise
		}
	}
	return errors.New(strings.Join(found, "; "))
}

// parameters lists what a checked expression reads from with. The names make
// the instance's name and go into its marker, so they must be known before any
// value is: with.NAME and with["NAME"] are read, other uses of with refused.
func parameters(checked *ast.AST) ([]string, error) {
	var names []string
	allowed := map[int64]bool{} // uses of with that read one known parameter
	var uses []int64
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			if sel := e.AsSelect(); isWith(sel.Operand()) && !sel.IsTestOnly() {
				names = append(names, sel.FieldName())
				allowed[sel.Operand().ID()] = true
			}
		case ast.CallKind:
			call := e.AsCall()
			if call.FunctionName() != operators.Index || len(call.Args()) != 2 || !isWith(call.Args()[0]) {
				return
			}
			if key := call.Args()[1]; key.Kind() == ast.LiteralKind {
				if name, ok := key.AsLiteral().Value().(string); ok {
					names = append(names, name)
					allowed[call.Args()[0].ID()] = true
				}
			}
		case ast.IdentKind:
			if isWith(e) {
				uses = append(uses, e.ID())
			}
		}
	}))
	for _, id := range uses {
		if !allowed[id] {
			return nil, errors.New(`with can only be read as with.NAME or with["NAME"]: the parameters name the instance, so each is required`)
		}
	}
	for _, name := range names {
		if err := checkParameter(name); err != nil {
			return nil, fmt.Errorf("the parameter %q %w", name, err)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func isWith(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == "with" }

// evaluate runs the expression on the variables of its scope.
func (x *expression) evaluate(vars map[string]any) (any, error) {
	result, _, err := x.program.Eval(vars)
	if err != nil {
		return nil, err
	}
	return result.Value(), nil
}

// A template is a string of the config that may hold `${…}`. Its check is
// applied to a literal by Load and to what comes out by Expand.
type template struct {
	at    value
	check func(string) error
	parts []part
}

// A part is literal text or, if source is set, an expression.
type part struct {
	literal    string
	source     string
	expression *expression
}

// template reads a string that may hold expressions. They are compiled by
// compileTemplates, once the scope of the entry is known.
func (d *decoder) template(v value, check func(string) error) *template {
	t := &template{at: v, check: check}
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
	if literal, ok := t.literal(); ok {
		if err := check(literal); err != nil {
			d.fault(v, "%q %v", literal, err)
			t.parts = nil
		}
		return t
	}
	d.templates = append(d.templates, t)
	return t
}

// compileTemplates compiles what the entry has gathered.
func (d *decoder) compileTemplates(s scope) {
	for _, t := range d.templates {
		for i := range t.parts {
			p := &t.parts[i]
			if p.source == "" {
				continue
			}
			x, err := compile(p.source, s, cel.StringType)
			if err != nil {
				d.fault(t.at, "${%s}: %v", p.source, err)
				continue
			}
			p.expression = x
		}
	}
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

// varies is true if the template holds an expression.
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

// evaluate gives the template's string for one instance, checked.
func (t *template) evaluate(vars map[string]any) (string, error) {
	return t.evaluateWith(func(x *expression) (any, error) { return x.evaluate(vars) })
}

func (t *template) evaluateWith(run func(*expression) (any, error)) (string, error) {
	if t == nil {
		return "", nil
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.source == "" {
			b.WriteString(p.literal)
			continue
		}
		v, err := run(p.expression)
		if err != nil {
			return "", fmt.Errorf("evaluating ${%s}: %w", p.source, err)
		}
		s, ok := v.(string)
		if !ok {
			return "", fmt.Errorf("evaluating ${%s}: it yields %T, not a string", p.source, v)
		}
		if b.Len()+len(s) > maxResult {
			return "", fmt.Errorf("evaluating ${%s}: the value is longer than %d bytes", p.source, maxResult)
		}
		b.WriteString(s)
	}
	s := b.String()
	if err := t.check(s); err != nil {
		return "", fmt.Errorf("%q %w", shortened(s, maxRepeated), err)
	}
	return s, nil
}

// split takes a string apart at its expressions. `$${` is a literal `${`.
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
				return nil, errors.New("has a ${ without its }; write $${ for a plain ${")
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

// cutExpression finds the } that ends an expression: not one that closes a {
// of the expression, stands in one of its strings, or in a comment.
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

// stringLength measures the CEL string that s starts with, or returns 0 if it
// has no end.
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
