package reconcile

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// What a run has read stays as it was: what it did since is the attempt's.
func TestFactsAreNeverWritten(t *testing.T) {
	fset := token.NewFileSet()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, to := range n.Lhs {
					if ofFacts(to) {
						t.Errorf("%s: a fact is written", fset.Position(to.Pos()))
					}
				}
			case *ast.IncDecStmt:
				if ofFacts(n.X) {
					t.Errorf("%s: a fact is written", fset.Position(n.Pos()))
				}
			case *ast.UnaryExpr:
				if n.Op == token.AND && ofFacts(n.X) {
					t.Errorf("%s: the address of a fact is taken", fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

// ofFacts reports whether an expression is a part of a run's facts.
func ofFacts(e ast.Expr) bool {
	for {
		switch x := e.(type) {
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			if in, ok := x.X.(*ast.SelectorExpr); ok && in.Sel.Name == "facts" {
				return true
			}
			e = x.X
		default:
			return false
		}
	}
}
