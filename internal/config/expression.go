package config

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// An expression is a compiled piece of CEL.
type expression struct {
	source  string
	scope   *scope
	program cel.Program
	reads   []string // the parameters of with that it reads

	kinds, needs []string // what conjuncts found
}

// compile checks source against the scope and against the type that it must
// yield. The type dyn stands for any.
func compile(source string, s *scope, want *cel.Type) (*expression, error) {
	if strings.TrimSpace(source) == "" {
		return nil, errors.New("there is no expression")
	}
	env, err := s.environment()
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(source)
	if issues.Err() != nil {
		return nil, compileError(issues, s)
	}
	got := checked.OutputType()
	if !want.IsExactType(cel.DynType) && !got.IsExactType(want) && (!s.untyped || !got.IsExactType(cel.DynType)) {
		fix := ""
		if want == cel.StringType {
			fix = "; wrap it in string(…) to convert it"
		}
		return nil, fmt.Errorf("it yields %s and must yield %s%s", got, want, fix)
	}
	x := &expression{source: source, scope: s}
	switch native := checked.NativeRep(); s {
	case scopeWith:
		x.reads, err = parameters(native)
	case scopeEvent:
		x.kinds, x.needs = conjuncts(native.Expr())
	case scopeHook:
		err = literalPatterns(native)
	}
	if err != nil {
		return nil, err
	}
	options := []cel.ProgramOption{cel.CostTracking(textCost{}), cel.CostLimit(s.cost), cel.EvalOptions(cel.OptOptimize)}
	if s.time > 0 {
		options = append(options, cel.InterruptCheckFrequency(interruptStep))
	}
	if x.program, err = env.Program(checked, options...); err != nil {
		return nil, fmt.Errorf("planning it: %w", err)
	}
	return x, nil
}

// compileError returns CEL's errors on one line. Positions are within the
// expression and start at 1.
func compileError(issues *cel.Issues, s *scope) error {
	var found []string
	for _, e := range issues.Errors() {
		message := e.Message
		for variable, explanation := range s.unknown {
			if strings.Contains(message, "reference to '"+variable+"'") {
				message = explanation
			}
		}
		if strings.HasPrefix(message, "Syntax error: ") {
			message, _, _ = strings.Cut(message, " expecting ") // the rest lists every token of CEL
		}
		at := fmt.Sprintf("at character %d", max(e.Location.Column()+1, 1))
		if e.Location.Line() > 1 {
			at += fmt.Sprintf(" of line %d", e.Location.Line())
		}
		found = append(found, at+": "+message)
		if len(found) == 3 {
			break // after a syntax error the other errors seldom help
		}
	}
	return errors.New(strings.Join(found, "; "))
}

// parameters lists the parameters that a checked expression reads from with. They
// name the credential and are written into its marker, so they must be known before
// any value is: only with.NAME and with["NAME"] are accepted.
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
			return nil, errors.New(`with can only be read as with.NAME or with["NAME"]: the parameters name the credential, so each is required`)
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

// literalPatterns rejects a regular expression that is not a literal: one from a
// body could take hours.
func literalPatterns(checked *ast.AST) (err error) {
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "matches" {
			return
		}
		args := e.AsCall().Args()
		if last := args[len(args)-1]; last.Kind() != ast.LiteralKind {
			err = errors.New("the pattern of matches must be a literal")
		}
	}))
	return err
}

// textCost prices functions that make texts and lists by the sizes of their
// arguments and results. CEL prices + only where it knows the types at compile
// time, and format and strings.quote not at all.
type textCost struct{}

// CallCost returns the cost of a call that has been made, or nil for CEL's own
// price.
func (textCost) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	switch function {
	case operators.Add, "lowerAscii", "upperAscii", "trim", "split", "replace", "format", "strings.quote", "matches", "contains":
	default:
		return nil
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

// Reasons why an evaluation stops.
var (
	errTooCostly = errors.New("cost limit exceeded")
	errTooSlow   = errors.New("time limit exceeded")
)

// evaluate runs the expression on the variables of its scope. It charges the
// cost to budget, unless that is nil. In a private scope the error repeats no
// value: CEL's own errors may quote one.
func (x *expression) evaluate(vars map[string]any, budget *Budget) (ref.Val, error) {
	if budget != nil && budget.spent >= maxEventCost {
		return nil, errTooCostly
	}
	ctx, run := context.Background(), x.program.Eval
	if x.scope.time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, x.scope.time)
		defer cancel()
		run = func(vars any) (ref.Val, *cel.EvalDetails, error) { return x.program.ContextEval(ctx, vars) }
	}
	result, details, err := run(vars)
	if budget != nil && details != nil {
		if c := details.ActualCost(); c != nil {
			budget.spent += *c
		}
	}
	switch {
	case err == nil:
		return result, nil
	case strings.Contains(err.Error(), "cost limit exceeded"):
		if budget != nil {
			budget.spent = max(budget.spent, x.scope.cost)
		}
		return nil, errTooCostly
	case ctx.Err() != nil:
		return nil, errTooSlow
	case x.scope.private:
		return nil, private(err)
	}
	return nil, err
}

// private replaces an error of CEL that may quote a body.
func private(err error) error {
	switch text := err.Error(); {
	case strings.HasPrefix(text, "no such key"):
		return errors.New("the body lacks a field that it reads")
	case strings.HasPrefix(text, "no such overload"):
		return errors.New("the body has a value of another type than it expects")
	case strings.Contains(text, tooLong):
		return errors.New(tooLong)
	}
	return errors.New("it fails on this body")
}
