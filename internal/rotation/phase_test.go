package rotation

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/reason"
)

// The package comment draws the phases. It has the same names as the code.
func TestTheDrawingAndTheCodeHaveTheSamePhases(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "phase.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	coded := []string{"foreign"}
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Phase" {
				coded = append(coded, strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`))
			}
		}
		return true
	})
	doc, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	text := doc.Doc.Text()
	life := text[strings.Index(text, "# The life of a key"):strings.Index(text, "The fuse is the short expiry")]
	listed := []string{}
	for _, m := range regexp.MustCompile(`(?m)^\t([a-z]+)  +[a-z]`).FindAllStringSubmatch(life, -1) {
		listed = append(listed, m[1])
	}
	drawing := life[:strings.Index(life, "rival        no store")]
	for _, phase := range coded {
		if !regexp.MustCompile(`\b` + phase + `\b`).MatchString(drawing) {
			t.Errorf("the drawing lacks %s", phase)
		}
	}
	slices.Sort(coded)
	slices.Sort(listed)
	if !slices.Equal(coded, listed) {
		t.Errorf("the comment lists %q, the code has %q", listed, coded)
	}
	gates := regexp.MustCompile(`(?m)^\t(unpaused|trusted|unblocked|visible|quiet) `).FindAllString(text, -1)
	if len(gates) != 5 {
		t.Errorf("the comment lists the gates %q", gates)
	}
}

// No rule passes while the config pauses the credential.
func TestNoRuleBehindAGateIsLetThrough(t *testing.T) {
	for _, rule := range append(append(slices.Clone(standard), removing...), adoption...) {
		if rule.needs == reason.Nothing {
			t.Errorf("%q passes although the config pauses the credential", rule.name)
		}
	}
}
