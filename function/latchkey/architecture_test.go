package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/latchkey-io/latchkey/"

// core are the packages that every adapter may import.
var core = []string{"reconcile", "rotation", "secret"}

// packages lists every package under internal and what it may import of the
// others. Imports point one way: function/latchkey → service, catalog, provider,
// doctor → adapters → reconcile → rotation. Only function/latchkey imports config.
var packages = map[string][]string{
	"rotation":  {},
	"secret":    {},
	"entry":     {},
	"reconcile": {"rotation", "secret"},

	"upstream":       {"reconcile", "rotation", "secret"},
	"codeengine":     append([]string{"entry", "upstream"}, core...),
	"file":           append([]string{"entry", "upstream"}, core...),
	"iam":            append([]string{"upstream"}, core...),
	"kubernetes":     append([]string{"entry", "upstream"}, core...),
	"logs":           append([]string{"upstream"}, core...),
	"secretsmanager": append([]string{"entry", "upstream"}, core...),
	"vault":          append([]string{"entry", "upstream"}, core...),
	"outcome":        append([]string{"event"}, core...),

	"config":       {"entry", "secret"},
	"event":        {"rotation"},
	"event/sample": {},
	"webhook":      {"event", "rotation", "secret"},

	"catalog":  append([]string{"codeengine", "entry", "upstream"}, core...),
	"doctor":   append([]string{"catalog", "codeengine", "entry", "upstream"}, core...),
	"provider": append([]string{"secretsmanager", "entry", "upstream"}, core...),
	"service":  append([]string{"catalog", "codeengine", "entry", "event", "outcome", "upstream", "webhook"}, core...),

	"emulator":       {"emulator/cloud"},
	"emulator/cloud": {},
	"demo":           append([]string{"emulator", "emulator/cloud", "event/sample"}, core...),

	// Used by tests alone.
	"kubernetes/kubetest": append([]string{"kubernetes", "entry", "storetest", "upstream"}, core...),
	"vault/vaulttest":     append([]string{"vault", "entry", "storetest", "upstream"}, core...),
	"storetest":           core,
	"simulate":            append([]string{"emulator/cloud"}, core...),
}

// goList runs go list on packages of this module.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("running go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

func TestEveryPackageImportsOnlyWhatTheArchitectureAllows(t *testing.T) {
	for _, path := range goList(t, module+"internal/...") {
		name := strings.TrimPrefix(path, module+"internal/")
		may, known := packages[name]
		if !known {
			t.Errorf("package internal/%s is not listed here: say what it may import", name)
			continue
		}
		for _, dep := range goList(t, "-deps", path) {
			other, ours := strings.CutPrefix(dep, module+"internal/")
			if ours && other != name && !slices.Contains(may, other) {
				t.Errorf("internal/%s imports internal/%s", name, other)
			}
		}
	}
	for name := range packages {
		if _, err := os.Stat("../../internal/" + name); err != nil {
			t.Errorf("package internal/%s is listed and does not exist", name)
		}
	}
}

func TestTheCoreNeedsOnlyTheStandardLibrary(t *testing.T) {
	for _, name := range []string{"rotation", "secret", "emulator/cloud"} {
		for _, dep := range goList(t, "-deps", module+"internal/"+name) {
			if strings.Contains(strings.Split(dep, "/")[0], ".") && !strings.HasPrefix(dep, module) {
				t.Errorf("internal/%s imports %s", name, dep)
			}
		}
	}
}

func TestTheEmulatedCloudIsPure(t *testing.T) {
	for _, p := range goList(t, "-f", `{{join .Imports "\n"}}`, module+"internal/emulator/cloud") {
		if p == "net/http" || p == "os" {
			t.Errorf("internal/emulator/cloud imports %s", p)
		}
	}
}

func TestAProductionBuildCarriesNoEmulator(t *testing.T) {
	for _, dep := range goList(t, "-deps", "-tags", "production", module+"function/latchkey") {
		name := strings.TrimPrefix(dep, module+"internal/")
		if name == "demo" || strings.HasPrefix(name, "emulator") || name == "event/sample" {
			t.Errorf("a production build imports internal/%s", name)
		}
	}
}

// A long file of package main does more than wire.
func TestPackageMainOnlyWires(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(text), "\n"); lines > 330 {
			t.Errorf("%s has %d lines, want at most 330", f.Name(), lines)
		}
	}
}
