package config

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// conjuncts returns conditions that an event must meet for a checked expression to be
// true: the types that event.type is compared with, and texts that must occur in
// data. It reads only comparisons joined by &&, so the expression is never true
// without them.
func conjuncts(e ast.Expr) (kinds, needs []string) {
	if e.Kind() != ast.CallKind {
		return nil, nil
	}
	call := e.AsCall()
	switch args := call.Args(); call.FunctionName() {
	case operators.LogicalAnd:
		for _, arg := range args {
			k, n := conjuncts(arg)
			needs = append(needs, n...)
			if kinds == nil {
				kinds = k
			}
		}
	case operators.Equals:
		for i := range args {
			text, ok := textOf(args[1-i])
			switch {
			case !ok:
			case isEventType(args[i]):
				kinds = []string{text}
			case rooted(args[i], "data") && plainText(text):
				needs = append(needs, text)
			}
		}
	case operators.In:
		if !isEventType(args[0]) || args[1].Kind() != ast.ListKind {
			break
		}
		for _, element := range args[1].AsList().Elements() {
			text, ok := textOf(element)
			if !ok {
				return nil, nil
			}
			kinds = append(kinds, text)
		}
	}
	return kinds, needs
}

func textOf(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().Value().(string)
	return s, ok
}

func isEventType(e ast.Expr) bool {
	return e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly() && e.AsSelect().FieldName() == "type" && rooted(e.AsSelect().Operand(), "event") &&
		e.AsSelect().Operand().Kind() == ast.IdentKind
}

// rooted reports whether e is name, name.field, name["field"] and so on.
func rooted(e ast.Expr, name string) bool {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent() == name
	case ast.SelectKind:
		return !e.AsSelect().IsTestOnly() && rooted(e.AsSelect().Operand(), name)
	case ast.CallKind:
		call := e.AsCall()
		return call.FunctionName() == operators.Index && len(call.Args()) == 2 && rooted(call.Args()[0], name)
	}
	return false
}

// plainText reports whether JSON contains s verbatim, unless it uses \u escapes.
func plainText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r > '~' || slices.Contains([]rune{'"', '\\', '/'}, r)
	})
}
