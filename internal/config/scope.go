package config

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// Bounds of every expression. They are far above what real configs need, and
// low enough that no config and no event can keep a replica busy.
const (
	maxExpression = 2048     // characters
	maxNesting    = 40       // levels
	maxResult     = 4096     // bytes of one template's value
	maxText       = 64 << 10 // bytes that a string function reads or returns
	maxPieces     = 1000     // elements that split returns
	interruptStep = 64       // comprehension steps between two readings of the clock
)

// A scope is what the expressions of one part of a config can read and spend.
type scope struct {
	name      string // a kind of part, such as "a rule"; for messages
	variables func() []cel.EnvOption
	cost      uint64        // limit of one evaluation in CEL's units, about one per operation
	time      time.Duration // limit of one evaluation; 0: the cost limit suffices
	// untyped scopes read values without a known type. An expression of type dyn
	// compiles there, and its value is checked after each evaluation.
	untyped bool
	// private scopes read values that may be secrets. Errors never repeat them,
	// and a regular expression must be a literal.
	private bool
	// unknown explains variables of other scopes.
	unknown map[string]string

	once sync.Once
	env  *cel.Env
	err  error
}

// The scopes, with the variables, the cost limit and the time limit of each. All
// have the same string functions and the bounds above.
//
//	scopeWith     with             20,000
//	scopeProject  project          20,000
//	scopeEvent    event, data      20,000          and 1,000,000 for all rules on one event
//	scopeHook     body, headers   100,000  500 ms
var (
	scopeWith = &scope{
		name: "an entry", cost: 20_000,
		variables: func() []cel.EnvOption {
			return []cel.EnvOption{cel.Variable("with", cel.MapType(cel.StringType, cel.StringType))}
		},
		unknown: map[string]string{"project": "project is known only in an entry with forEach: " + CodeEngineProjects},
	}
	scopeProject = &scope{
		name: "an entry with forEach", cost: 20_000,
		variables: func() []cel.EnvOption {
			return []cel.EnvOption{
				cel.Types(cel.NativeTypeFor[Project](cel.NativeTypeAlias("Project"), types.ParseStructTag("cel"))),
				cel.Variable("project", cel.ObjectType("Project")),
			}
		},
		unknown: map[string]string{"with": "with is not known in an entry with forEach"},
	}
	scopeEvent = &scope{
		name: "a rule", cost: 20_000, untyped: true,
		variables: func() []cel.EnvOption {
			return []cel.EnvOption{
				cel.Types(cel.NativeTypeFor[Event](cel.NativeTypeAlias("Event"), types.ParseStructTag("cel"))),
				cel.Variable("event", cel.ObjectType("Event")), cel.Variable("data", cel.DynType),
			}
		},
		unknown: map[string]string{"with": onlyEvent, "project": onlyEvent},
	}
	// A body has up to 1 MiB and comes from another system.
	scopeHook = &scope{
		name: "a hook", cost: 100_000, time: 500 * time.Millisecond, untyped: true, private: true,
		variables: func() []cel.EnvOption {
			return []cel.EnvOption{
				cel.Variable("body", cel.DynType), cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
				cel.OptionalTypes(),
			}
		},
	}
)

const onlyEvent = "a rule can read only event and data"

// environment returns the CEL environment of the scope. It is built when the
// first expression needs it: a config without expressions starts faster.
func (s *scope) environment() (*cel.Env, error) {
	s.once.Do(func() {
		options := []cel.EnvOption{
			cel.ParserExpressionSizeLimit(maxExpression),
			cel.ParserRecursionLimit(maxNesting),
			ext.Strings(ext.StringsVersion(5)), // the first version that counts a text's length as cost
			stringFunctions,
		}
		s.env, s.err = cel.NewEnv(append(options, s.variables()...)...)
	})
	if s.err != nil {
		return nil, fmt.Errorf("preparing CEL for %s: %w", s.name, s.err)
	}
	return s.env, nil
}

// bounded are the functions of ext.Strings.
var bounded = []string{
	"charAt", "format", "indexOf", "join", "lastIndexOf", "lowerAscii", "replace", "reverse", "split", "strings.quote", "substring", "trim", "upperAscii",
}

// stringFunctions bounds the functions of ext.Strings. CEL adds the cost of a
// call only after the call, so a function that makes a long text out of short
// ones needs a bound of its own.
func stringFunctions(env *cel.Env) (*cel.Env, error) {
	all := env.Functions()
	for _, name := range bounded {
		declared := all[name]
		bindings, err := declared.Bindings()
		if err != nil {
			return nil, fmt.Errorf("reading the function %s: %w", name, err)
		}
		var overloads []cel.FunctionOpt
		for _, o := range declared.OverloadDecls() {
			i := slices.IndexFunc(bindings, func(b *functions.Overload) bool { return b.Operator == o.ID() })
			if i < 0 {
				return nil, fmt.Errorf("the function %s has no binding for %s", name, o.ID())
			}
			overload := cel.Overload
			if o.IsMemberFunction() {
				overload = cel.MemberOverload
			}
			overloads = append(overloads, overload(o.ID(), o.ArgTypes(), o.ResultType(), boundedBinding(name, bindings[i])))
		}
		if env, err = cel.Function(name, overloads...)(env); err != nil {
			return nil, fmt.Errorf("bounding the function %s: %w", name, err)
		}
	}
	return env, nil
}

// boundedBinding calls of only with arguments that fit.
func boundedBinding(name string, of *functions.Overload) cel.OverloadOpt {
	switch {
	case of.Unary != nil:
		return cel.UnaryBinding(func(v ref.Val) ref.Val {
			if !fits(name, v) {
				return errTooLong(name)
			}
			return of.Unary(v)
		})
	case of.Binary != nil:
		return cel.BinaryBinding(func(v, w ref.Val) ref.Val {
			if !fits(name, v, w) {
				return errTooLong(name)
			}
			return of.Binary(v, w)
		})
	}
	return cel.FunctionBinding(func(args ...ref.Val) ref.Val {
		if !fits(name, args...) {
			return errTooLong(name)
		}
		return of.Function(args...)
	})
}

const tooLong = "a text is too long or has too many pieces"

func errTooLong(function string) ref.Val { return types.NewErr("%s: "+tooLong, function) }

// fits reports whether a string function may run on args: no text that it reads
// or returns exceeds maxText, and split returns at most maxPieces.
func fits(function string, args ...ref.Val) bool {
	texts := make([]string, len(args))
	sizes := make([]int, len(args))
	for i, v := range args {
		left := maxText
		if !measure(v, &left) {
			return false
		}
		sizes[i] = maxText - left
		if s, ok := v.(types.String); ok {
			texts[i] = string(s)
		}
	}
	switch function {
	case "split":
		return strings.Count(texts[0], texts[1]) < maxPieces
	case "replace":
		from, to := texts[1], texts[2]
		return sizes[0]+strings.Count(texts[0], from)*max(len(to)-len(from), 0) <= maxText
	case "join":
		n := 0
		if l, ok := args[0].(traits.Lister); ok {
			n = int(l.Size().(types.Int))
		}
		return len(args) < 2 || sizes[0]+n*sizes[1] <= maxText
	case "indexOf", "lastIndexOf":
		// The search compares at every position.
		return sizes[0]*sizes[1] <= maxText*maxSearched
	}
	return true
}

// maxSearched bounds a text that is searched for in one of maxText bytes. In
// a shorter text it may be longer.
const maxSearched = 256

// measure subtracts from left the bytes of v as text, and one for each element of
// a list or map. It reports false when none are left.
func measure(v ref.Val, left *int) bool {
	switch v := v.(type) {
	case types.String:
		*left -= len(v)
	case types.Bytes:
		*left -= len(v)
	case traits.Mapper:
		for it := v.Iterator(); *left >= 0 && it.HasNext() == types.True; *left-- {
			key := it.Next()
			_ = measure(key, left) && measure(v.Get(key), left)
		}
	case traits.Lister:
		for it := v.Iterator(); *left >= 0 && it.HasNext() == types.True; *left-- {
			_ = measure(it.Next(), left)
		}
	}
	return *left >= 0
}
