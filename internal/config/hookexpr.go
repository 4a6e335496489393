package config

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"go.yaml.in/yaml/v3"
)

// Bounds of a hook's expressions. What they see is up to 1 MiB of somebody
// else's text, so a function that makes long texts out of short ones is bounded
// by itself: CEL counts the cost of a call when it is over.
const (
	maxHookCost   = 100_000 // reading a text costs a tenth of its length
	maxHookTime   = 500 * time.Millisecond
	maxHookText   = 64 << 10
	maxHookPieces = 1000
	maxHookResult = 1 << 20 // bytes of an event's data, roughly
	maxShape      = 16      // levels of data
)

// hookEnv is what the expressions of hooks see: body, headers and CEL's own
// functions, with a few for texts.
var hookEnv = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("body", cel.DynType),
		cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
		cel.OptionalTypes(),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxNesting),
		textFunction("lowerAscii", func(s string) ref.Val { return types.String(asciiCase(s, 'A', 'Z')) }),
		textFunction("upperAscii", func(s string) ref.Val { return types.String(asciiCase(s, 'a', 'z')) }),
		textFunction("trim", func(s string) ref.Val { return types.String(strings.TrimSpace(s)) }),
		cel.Function("split", cel.MemberOverload("hook_split", []*cel.Type{cel.StringType, cel.StringType}, cel.ListType(cel.StringType),
			cel.BinaryBinding(func(s, sep ref.Val) ref.Val {
				text, by := string(s.(types.String)), string(sep.(types.String))
				if len(text) > maxHookText || by == "" || strings.Count(text, by) >= maxHookPieces {
					return types.NewErr("split: the text is too long, or has too many pieces")
				}
				return types.DefaultTypeAdapter.NativeToValue(strings.Split(text, by))
			}))),
		cel.Function("replace", cel.MemberOverload("hook_replace", []*cel.Type{cel.StringType, cel.StringType, cel.StringType}, cel.StringType,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				text, from, to := string(args[0].(types.String)), string(args[1].(types.String)), string(args[2].(types.String))
				if from == "" || len(text)+strings.Count(text, from)*max(len(to)-len(from), 0) > maxHookText {
					return types.NewErr("replace: the text is too long")
				}
				return types.String(strings.ReplaceAll(text, from, to))
			}))),
	)
})

func textFunction(name string, of func(string) ref.Val) cel.EnvOption {
	return cel.Function(name, cel.MemberOverload("hook_"+name, []*cel.Type{cel.StringType}, cel.StringType,
		cel.UnaryBinding(func(s ref.Val) ref.Val {
			text := string(s.(types.String))
			if len(text) > maxHookText {
				return types.NewErr("%s: the text is too long", name)
			}
			return of(text)
		})))
}

func asciiCase(s string, from, to byte) string {
	b := []byte(s)
	for i, c := range b {
		if from <= c && c <= to {
			b[i] = c ^ 0x20
		}
	}
	return string(b)
}

// compileHook checks an expression of a hook. A body has no type before it is
// there, so dyn is taken for any, and checked when it is.
func compileHook(source string, want *cel.Type) (*expression, error) {
	if strings.TrimSpace(source) == "" {
		return nil, errors.New("there is no expression")
	}
	env, err := hookEnv()
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	checked, issues := env.Compile(source)
	if issues.Err() != nil {
		return nil, compileError(issues, scopeHook)
	}
	if got := checked.OutputType(); !want.IsExactType(cel.DynType) && !got.IsExactType(want) && !got.IsExactType(cel.DynType) {
		hint := ""
		if want == cel.StringType {
			hint = "; wrap it in string(…) if that is what you mean"
		}
		return nil, fmt.Errorf("it yields %s and must yield %s%s", got, want, hint)
	}
	if err := literalPatterns(checked.NativeRep()); err != nil {
		return nil, err
	}
	program, err := env.Program(checked, cel.CostTracking(textCost{}), cel.CostLimit(maxHookCost),
		cel.InterruptCheckFrequency(64), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("planning it: %w", err)
	}
	return &expression{source: source, program: program}, nil
}

// textCost prices what makes texts and lists by what it makes. CEL prices a +
// only where it knows the types before, and our own functions not at all.
type textCost struct{}

// CallCost is asked after each call.
func (textCost) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	switch function {
	case operators.Add, "lowerAscii", "upperAscii", "trim", "split", "replace", "matches", "contains":
	default:
		return nil // CEL's own price
	}
	cost := uint64(1)
	for _, v := range append(args, result) {
		switch v := v.(type) {
		case types.String:
			cost += uint64(len(v)) / 10
		case types.Bytes:
			cost += uint64(len(v)) / 10
		case traits.Lister:
			if n, ok := v.Size().(types.Int); ok && n > 0 {
				cost += uint64(n)
			}
		}
	}
	return &cost
}

// literalPatterns refuses a regular expression that comes with the body: it
// could be one that takes hours.
func literalPatterns(checked *ast.AST) (err error) {
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "matches" {
			return
		}
		args := e.AsCall().Args()
		if last := args[len(args)-1]; last.Kind() != ast.LiteralKind {
			err = errors.New("the pattern of matches must stand in the expression, not come with the body")
		}
	}))
	return err
}

// run evaluates an expression on a body. The error says what kind of thing went
// wrong and no more: CEL's own may quote the body.
func (x *expression) run(vars map[string]any) (ref.Val, error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxHookTime)
	defer cancel()
	v, _, err := x.program.ContextEval(ctx, vars)
	if err == nil {
		return v, nil
	}
	why := "it fails on this body"
	switch text := err.Error(); {
	case strings.Contains(text, "cost limit exceeded"), ctx.Err() != nil:
		why = "it takes too long on this body"
	case strings.HasPrefix(text, "no such key"):
		why = "the body lacks what it reads"
	case strings.HasPrefix(text, "no such overload"):
		why = "the body has a value of another type than it reads"
	}
	return nil, fmt.Errorf("${%s}: %s", shortened(x.source, maxRepeated), why)
}

// A hookTemplate is a string that may hold expressions over a body.
type hookTemplate struct {
	check func(string) error // nil: event.Decode checks
	parts []part
}

func (d *decoder) hookTemplate(v value, check func(string) error) *hookTemplate {
	t := &hookTemplate{check: check}
	s, ok := d.text(v)
	if !ok {
		return t
	}
	t.parts = d.hookParts(v, s, cel.StringType)
	if literal, ok := t.literal(); ok && check != nil {
		if err := check(literal); err != nil {
			d.fault(v, "%q %v", shortened(literal, maxRepeated), err)
		}
	}
	return t
}

// hookParts takes a string apart and compiles its expressions. whole is the
// type that an expression which is all of the string may yield.
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
		if parts[i].source == "" {
			continue
		}
		x, err := compileHook(parts[i].source, whole)
		if err != nil {
			d.fault(v, "${%s}: %v", parts[i].source, err)
			continue
		}
		parts[i].expression = x
	}
	return parts
}

func (t *hookTemplate) literal() (string, bool) {
	if t == nil || len(t.parts) != 1 || t.parts[0].source != "" {
		return "", false
	}
	return t.parts[0].literal, true
}

func (t *hookTemplate) evaluate(vars map[string]any) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		s := p.literal
		if p.expression != nil {
			v, err := p.expression.run(vars)
			if err != nil {
				return "", err
			}
			text, ok := v.(types.String)
			if !ok {
				return "", fmt.Errorf("${%s}: it yields no string on this body", shortened(p.source, maxRepeated))
			}
			s = string(text)
		}
		if b.Len()+len(s) > maxResult {
			return "", fmt.Errorf("the value is longer than %d bytes", maxResult)
		}
		b.WriteString(s)
	}
	if t.check != nil {
		if err := t.check(b.String()); err != nil {
			return "", fmt.Errorf("the value %w", err)
		}
	}
	return b.String(), nil
}

// A shape is an event's data as the config draws it: a mapping or a list with
// expressions in it, or one expression that yields all.
type shape struct {
	path    string
	fields  []shapeField
	list    []*shape
	isList  bool
	whole   *expression   // any value
	text    *hookTemplate // a string
	literal any
	mapping bool
}

type shapeField struct {
	name string
	of   *shape
}

func (d *decoder) shape(v value, depth int) *shape {
	at := strings.Index(v.path, ".event.")
	s := &shape{path: v.path[at+len(".event."):]}
	if depth > maxShape {
		d.fault(v, "nests deeper than %d", maxShape)
		return s
	}
	switch v.node.Kind {
	case yaml.MappingNode:
		s.mapping = true
		seen := map[string]bool{}
		for i := 0; i+1 < len(v.node.Content); i += 2 {
			key := v.node.Content[i]
			if key.Tag == "!!merge" {
				continue
			}
			if key.Kind != yaml.ScalarNode || seen[key.Value] {
				d.fault(value{node: key, path: v.path}, "a key must be a plain word, and there once")
				continue
			}
			seen[key.Value] = true
			s.fields = append(s.fields, shapeField{key.Value, d.shape(value{node: v.node.Content[i+1], path: join(v.path, key.Value)}, depth+1)})
		}
	case yaml.SequenceNode:
		s.isList = true
		d.list(v, func(_ int, item value) { s.list = append(s.list, d.shape(item, depth+1)) })
	case yaml.ScalarNode:
		d.shapeScalar(v, s)
	}
	return s
}

func (d *decoder) shapeScalar(v value, s *shape) {
	switch v.node.ShortTag() {
	case "!!str":
		parts := d.hookParts(v, v.node.Value, cel.DynType)
		if len(parts) == 1 && parts[0].source != "" {
			s.whole = parts[0].expression
			return
		}
		s.text = &hookTemplate{parts: parts}
	case "!!bool", "!!int", "!!float", "!!null":
		if err := v.node.Decode(&s.literal); err != nil {
			d.fault(v, "can't be read")
		}
	default:
		d.fault(v, "must be a string, a number, true or false; quote it if it is meant as a string")
	}
}

func (s *shape) evaluate(vars map[string]any) (any, error) {
	left := maxHookResult
	return s.fill(vars, &left)
}

// fill makes the value; left is how much more of it there may be.
func (s *shape) fill(vars map[string]any, left *int) (any, error) {
	switch {
	case s.mapping:
		out := make(map[string]any, len(s.fields))
		for _, f := range s.fields {
			v, err := f.of.fill(vars, left)
			if err != nil {
				return nil, err
			}
			out[f.name] = v
		}
		return out, nil
	case s.isList:
		out := make([]any, 0, len(s.list))
		for _, of := range s.list {
			v, err := of.fill(vars, left)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case s.whole != nil:
		v, err := s.whole.run(vars)
		if err == nil {
			var out any
			if out, err = plain(v, left, 0); err == nil {
				return out, nil
			}
		}
		return nil, fmt.Errorf("%s: %w", s.path, err)
	case s.text != nil:
		t, err := s.text.evaluate(vars)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.path, err)
		}
		return t, nil
	}
	return s.literal, nil
}

// plain is a CEL value as encoding/json takes it.
func plain(v ref.Val, left *int, depth int) (any, error) {
	if *left -= 8; *left < 0 || depth > 2*maxNesting {
		return nil, errors.New("what it makes of the body is too large")
	}
	switch v := v.(type) {
	case types.String:
		*left -= len(v)
		return string(v), nil
	case types.Bool, types.Int, types.Uint, types.Double:
		return v.Value(), nil
	case types.Null:
		return nil, nil
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano), nil
	case *types.Optional:
		if !v.HasValue() {
			return nil, nil
		}
		return plain(v.GetValue(), left, depth+1)
	case traits.Mapper:
		out := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, ok := key.(types.String)
			if !ok {
				return nil, errors.New("it makes a map with keys that are no strings")
			}
			*left -= len(name)
			item, err := plain(v.Get(key), left, depth+1)
			if err != nil {
				return nil, err
			}
			out[string(name)] = item
		}
		return out, nil
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			item, err := plain(it.Next(), left, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, item)
		}
		return out, nil
	}
	return nil, errors.New("it makes a value that JSON does not have")
}
