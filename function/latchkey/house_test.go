package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/latchkey-io/latchkey/"

// deps are the packages of this module that a package needs, itself excluded.
func deps(t *testing.T, pkg string) (own, others []string) {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", module+pkg).Output()
	if err != nil {
		t.Fatalf("listing the dependencies of %s: %v", pkg, err)
	}
	for _, p := range strings.Fields(string(out)) {
		switch name, ours := strings.CutPrefix(p, module); {
		case ours && name != pkg:
			own = append(own, name)
		case !ours && strings.Contains(strings.Split(p, "/")[0], "."):
			others = append(others, p)
		}
	}
	return own, others
}

// Dependencies point one way: function/latchkey → adapters → reconcile →
// rotation.
func TestTheHouseHasItsDoorsWhereTheDesignSays(t *testing.T) {
	adapters := []string{"internal/iam", "internal/codeengine", "internal/file", "internal/logs", "internal/kubernetes", "internal/vault"}
	core := []string{"internal/entry", "internal/reconcile", "internal/rotation", "internal/secret"}
	allowed := map[string][]string{
		"internal/rotation":       nil,
		"internal/secret":         nil,
		"internal/entry":          nil,
		"internal/config":         {"internal/entry"},
		"internal/event":          {"internal/rotation"},
		"internal/webhook":        {"internal/event", "internal/rotation", "internal/secret"},
		"internal/reconcile":      {"internal/rotation", "internal/secret"},
		"internal/emulator/cloud": nil,
		"internal/emulator":       {"internal/emulator/cloud"},
	}
	for _, a := range adapters {
		allowed[a] = core
	}
	for pkg, may := range allowed {
		own, _ := deps(t, pkg)
		for _, d := range own {
			if !slices.Contains(may, d) {
				t.Errorf("%s needs %s", pkg, d)
			}
		}
	}
	for _, pure := range []string{"internal/rotation", "internal/secret", "internal/emulator/cloud"} {
		if _, others := deps(t, pure); len(others) > 0 {
			t.Errorf("%s needs more than the standard library: %v", pure, others)
		}
	}
}

func TestTheEmulatedCloudIsPure(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, module+"internal/emulator/cloud").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range strings.Fields(string(out)) {
		if p == "net/http" || p == "os" {
			t.Errorf("internal/emulator/cloud imports %s", p)
		}
	}
}
