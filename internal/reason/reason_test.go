package reason

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// Every reason that closes a gate says how far a plan may go, and every block has
// a sentence.
func TestEveryReasonHasARow(t *testing.T) {
	for r, row := range reasons {
		if row.text == "" || strings.HasSuffix(row.text, ".") {
			t.Errorf("%s: the sentence is %q", r, row.text)
		}
		if held := row.kind == Wait || row.kind == Block; held != (row.lets > Nothing) && r != Paused {
			t.Errorf("%s: kind %d lets %d through", r, row.kind, row.lets)
		}
		if (row.fix != "") != (row.kind == Block) {
			t.Errorf("%s: kind %d with the fix %q", r, row.kind, row.fix)
		}
	}
}

func TestEveryReasonHasASentence(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != "Reason" {
			return true
		}
		count++
		value := strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`)
		if Reason(value).Sentence() == "" {
			t.Errorf("%s has no sentence", spec.Names[0].Name)
		}
		return true
	})
	if count < 30 {
		t.Errorf("only %d reasons were found in reason.go", count)
	}
}
