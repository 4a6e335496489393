package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// codesOf returns the constants of a package that have the type.
func codesOf(t *testing.T, pkg, kind string) (codes []string) {
	t.Helper()
	files, err := filepath.Glob("../../internal/" + pkg + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if typed, ok := spec.Type.(*ast.Ident); !ok || typed.Name != kind {
				return true
			}
			for _, v := range spec.Values {
				if text, ok := v.(*ast.BasicLit); ok {
					code, err := strconv.Unquote(text.Value)
					if err != nil {
						t.Fatal(err)
					}
					codes = append(codes, code)
				}
			}
			return true
		})
	}
	slices.Sort(codes)
	if len(codes) < 15 {
		t.Fatalf("only %d constants of the type %s were found", len(codes), kind)
	}
	return codes
}

func TestTheOperationsPageListsEveryCode(t *testing.T) {
	const page = "../../docs/operations.md"
	for kind, headers := range map[string][]string{
		"Action": {"action | meaning"},
		"Reason": {"reason of a step | meaning", "reason | cause | fix", "reason | cause |\n", "note | meaning"},
	} {
		listed := map[string]bool{}
		for _, header := range headers {
			for _, row := range docTable(t, page, header) {
				for _, code := range coded(row[0]) {
					listed[code] = true
				}
			}
		}
		for _, code := range codesOf(t, map[string]string{"Action": "protocol", "Reason": "reason"}[kind], kind) {
			if !listed[code] {
				t.Errorf("%s does not list the %s %s", page, kind, code)
			}
			delete(listed, code)
		}
		for code := range listed {
			t.Errorf("%s lists the %s %s, which the code does not have", page, kind, code)
		}
	}
}
