package config

import (
	"slices"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// A new version of ext.Strings must not bring a function without a bound.
func TestEveryStringFunctionIsBounded(t *testing.T) {
	env, err := cel.NewCustomEnv(ext.Strings(ext.StringsVersion(5)))
	if err != nil {
		t.Fatal(err)
	}
	for name := range env.Functions() {
		if !slices.Contains(bounded, name) {
			t.Errorf("%s has no bound", name)
		}
	}
}

// All scopes have the same functions with the same bounds.
func TestBoundsOfStringFunctions(t *testing.T) {
	long := strings.Repeat("a", maxText)
	words := make([]string, 100)
	for i := range words {
		words[i] = long[:1000]
	}
	vars := map[string]any{"long": long, "over": long + "a", "words": words, "half": long[:maxText/2], "pieces": strings.Repeat(",", maxPieces-1)}
	for source, ok := range map[string]bool{
		`long.lowerAscii() == long`:             true,
		`over.lowerAscii() == long`:             false,
		`over.trim() == ""`:                     false,
		`over.reverse() == ""`:                  false,
		`strings.quote(over) == ""`:             false,
		`over.substring(1) == long`:             false,
		`half.replace("a", "bb").size() > 0`:    true,
		`half.replace("a", "bbb").size() > 0`:   false,
		`"abc".replace("", "-") == "-a-b-c-"`:   true,
		`half.replace("", half).size() > 0`:     false,
		`half.replace("a", "bbb", 1) != half`:   false, // the bound does not read the limit
		`pieces.split(",").size() == 1000`:      true,
		`(pieces + ",").split(",").size() > 0`:  false,
		`"abc".split("").size() == 3`:           true,
		`half.split("").size() > 0`:             false,
		`words.join("").size() > 0`:             false,
		`["a", "b"].join(", ") == "a, b"`:       true,
		`["a", "b", "c"].join(half).size() > 0`: false,
		`"%s %d".format(["a", 1]) == "a 1"`:     true,
		`"%s".format([words]).size() > 0`:       false,
		`long.indexOf("ab") == -1`:              true,
		`long.indexOf(half + "b") == -1`:        false,
		`long.lastIndexOf(half + "b") == -1`:    false,
	} {
		for _, s := range []*scope{scopeWith, scopeProject, scopeEvent, scopeHook} {
			env, err := s.environment()
			if err != nil {
				t.Fatal(err)
			}
			env, err = env.Extend(cel.Variable("long", cel.StringType), cel.Variable("over", cel.StringType), cel.Variable("half", cel.StringType),
				cel.Variable("pieces", cel.StringType), cel.Variable("words", cel.ListType(cel.StringType)))
			if err != nil {
				t.Fatal(err)
			}
			checked, issues := env.Compile(source)
			if issues.Err() != nil {
				t.Fatal(issues.Err())
			}
			program, err := env.Program(checked)
			if err != nil {
				t.Fatal(err)
			}
			switch v, _, err := program.Eval(vars); {
			case ok && (err != nil || v != types.True):
				t.Errorf("%s in %s: %v, %v", source, s.name, v, err)
			case !ok && (err == nil || !strings.Contains(err.Error(), "too long")):
				t.Errorf("%s in %s is not bounded: %v, %v", source, s.name, v, err)
			}
		}
	}
}
