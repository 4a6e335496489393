package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/latchkey-io/latchkey/"

// packages lists every package under internal and what it may import of the
// others. The table in docs/architecture.md is the same.
var packages = map[string][]string{
	"reason":         {},
	"protocol":       {"reason"},
	"rotation":       {"protocol", "reason"},
	"secret":         {"userfile"},
	"entry":          {},
	"pace":           {},
	"listing":        {},
	"bench":          {},
	"collector":      {},
	"emulator/cloud": {},
	"event/sample":   {},
	"hosts":          {},
	"schema":         {},
	"plural":         {},
	"start":          {},
	"starter":        {},
	"userfile":       {},

	"access":    {},
	"flight":    {},
	"storm":     {},
	"condition": {"protocol", "reason"},
	"marker":    {"protocol", "reason", "secret"},
	"port":      {"access", "keyless", "marker", "offboard", "protocol", "reason", "secret"},
	"fence":     {"access", "keyless", "marker", "port", "protocol", "secret"},
	"observe":   {"access", "fault", "fence", "keyless", "marker", "offboard", "port", "protocol", "reason", "secret"},
	"fault":     {"access", "port", "protocol", "reason"},
	"drift":     {"access", "observe", "port", "protocol", "reason", "result"},
	"result":    {"condition", "marker", "protocol", "reason"},
	"offboard":  {"protocol", "reason"},
	"keyless":   {"protocol", "reason"},
	"format":    {"entry", "secret"},
	"trace":     {"collector"},
	"reconcile": {"access", "condition", "drift", "fault", "fence", "flight", "keyless", "marker", "observe", "offboard", "port", "protocol", "reason", "result", "rotation", "secret", "storm"},
	"upstream":  {"port", "secret", "userfile"},

	"codeengine":     {"entry", "format", "hosts", "keyless", "listing", "port", "protocol", "secret", "upstream"},
	"file":           {"entry", "fence", "format", "port", "secret", "userfile"},
	"kubernetes":     {"entry", "fence", "format", "keyless", "listing", "port", "protocol", "secret", "upstream", "userfile"},
	"secretsmanager": {"entry", "format", "hosts", "listing", "port", "secret", "upstream"},
	"vault":          {"entry", "fence", "format", "port", "secret", "upstream"},
	"iam":            {"access", "keyless", "marker", "port", "protocol", "secret", "upstream", "userfile"},
	"resources":      {"hosts", "upstream"},
	"logs":           {"hosts", "port", "upstream"},
	"proof":          {"hosts", "port", "upstream"},

	"sweep": {"condition", "listing", "pace", "port", "protocol", "reason", "reconcile", "result", "trace"},

	"config":  {"access", "entry", "format", "hosts", "schema", "secret"},
	"event":   {"protocol"},
	"webhook": {"event", "secret"},

	"latest":    {"condition", "result"},
	"evidence":  {"access", "marker", "port", "protocol", "result"},
	"effects":   {"condition", "port", "protocol", "reason", "result"},
	"page":      {"condition", "evidence", "reason", "report"},
	"report":    {"condition", "evidence", "port"},
	"metrics":   {"collector", "condition", "latest", "outcome", "result"},
	"outcome":   {"event", "hosts", "protocol", "reason", "result", "secret"},
	"catalog":   {"codeengine", "offboard", "port", "protocol"},
	"signature": {"userfile"},
	"doctor":    {"access", "catalog", "codeengine", "condition", "iam", "plural", "port", "protocol", "reason", "reconcile", "result", "secret", "webhook"},
	"provider":  {"access", "port", "protocol", "reason", "reconcile", "result", "secretsmanager"},
	"service":   {"catalog", "condition", "event", "evidence", "offboard", "outcome", "pace", "port", "protocol", "reason", "reconcile", "result", "secret", "trace", "webhook"},
	"cli":       {"catalog", "condition", "effects", "event", "evidence", "keyless", "offboard", "page", "plural", "port", "protocol", "reason", "reconcile", "report", "result", "service", "signature", "userfile"},

	"emulator": {"emulator/cloud", "userfile"},
	"verify":   {"emulator/cloud", "secret", "userfile"},
	"rehearse": {"access", "condition", "emulator", "emulator/cloud", "iam", "marker", "port", "protocol", "reason", "reconcile", "result", "secret"},
	"demo":     {"emulator", "event/sample", "reason", "result", "secret"},

	// Used by tests alone.
	"storetest":           {"fence", "format", "port", "secret"},
	"upstream/benttest":   {"port"},
	"kubernetes/kubetest": {"storetest"},
	"vault/vaulttest":     {"storetest"},
	"simulate":            {"access", "emulator/cloud", "fence", "marker", "observe", "offboard", "port", "protocol", "reason", "reconcile", "result", "secret"},
}

// goList runs go list on packages of this module and returns the words of its
// output.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("running go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

func TestEveryPackageImportsOnlyWhatTheArchitectureAllows(t *testing.T) {
	// Every import is printed after its package: package>import.
	const format = `{{$p := .ImportPath}}{{$p}}>{{range .Imports}} {{$p}}>{{.}}{{end}}`
	for _, pair := range goList(t, "-f", format, module+"internal/...") {
		path, dep, _ := strings.Cut(pair, ">")
		name := strings.TrimPrefix(path, module+"internal/")
		may, known := packages[name]
		if !known {
			t.Errorf("package internal/%s is not listed here: say what it may import", name)
		}
		if other, ours := strings.CutPrefix(dep, module+"internal/"); ours && !slices.Contains(may, other) {
			t.Errorf("internal/%s imports internal/%s", name, other)
		}
	}
	for name := range packages {
		if _, err := os.Stat("../../internal/" + name); err != nil {
			t.Errorf("package internal/%s is listed and does not exist", name)
		}
	}
}

// docTable returns the cells of the table in a document whose header row starts
// with the text.
func docTable(t *testing.T, file, header string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n| "+header)
	if !found {
		t.Fatalf("%s has no table that starts with %q", file, header)
	}
	_, rest, _ = strings.Cut(rest, "|---|\n") // the end of the line below the header
	for line := range strings.SplitSeq(rest, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		rows = append(rows, strings.Split(strings.Trim(line, "| "), " | "))
	}
	return rows
}

// coded returns the pieces of a text that are in backticks.
func coded(text string) (out []string) {
	for i, piece := range strings.Split(text, "`") {
		if i%2 == 1 {
			out = append(out, piece)
		}
	}
	return out
}

const architecture = "../../docs/architecture.md"

func TestTheArchitectureListsWhatEveryPackageMayImport(t *testing.T) {
	listed := map[string]bool{}
	for _, row := range docTable(t, architecture, "package | may import") {
		for _, name := range coded(row[0]) {
			if may := coded(row[1]); !slices.Equal(may, packages[name]) {
				t.Errorf("%s: %s may import %v, in the test %v", architecture, name, may, packages[name])
			}
			listed[name] = true
		}
	}
	for name := range packages {
		if !listed[name] {
			t.Errorf("%s does not list internal/%s", architecture, name)
		}
	}
}

func TestTheArchitectureListsEveryFileOfPackageMain(t *testing.T) {
	var listed []string
	for _, row := range docTable(t, architecture, "file | holds") {
		listed = append(listed, coded(row[0])...)
	}
	slices.Sort(listed)
	files := goList(t, "-f", `{{join .GoFiles "\n"}}{{"\n"}}{{join .IgnoredGoFiles "\n"}}`, module+"function/latchkey")
	files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	slices.Sort(files)
	if !slices.Equal(listed, files) {
		t.Errorf("%s lists %v, want %v", architecture, listed, files)
	}
}

func TestTheArchitectureListsEveryFileThatASecretLeaves(t *testing.T) {
	var listed, files []string
	for _, row := range docTable(t, architecture, "file | what leaves") {
		listed = append(listed, coded(row[0])...)
	}
	tools := []string{"secret", "demo", "rehearse", "simulate", "storetest", "kubernetes/kubetest", "vault/vaulttest"} // the last six expose test values only
	for _, path := range goList(t, "-f", `{{$d := .ImportPath}}{{range .GoFiles}}{{$d}}/{{.}} {{end}}`, module+"internal/...", module+"function/latchkey") {
		name := strings.TrimPrefix(path, module)
		if slices.Contains(tools, strings.TrimPrefix(filepath.Dir(name), "internal/")) {
			continue
		}
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), ".Expose") {
			files = append(files, name)
		}
	}
	slices.Sort(listed)
	slices.Sort(files)
	if !slices.Equal(listed, files) {
		t.Errorf("%s lists %v, want %v", architecture, listed, files)
	}
}

func TestTheCoreNeedsOnlyTheStandardLibrary(t *testing.T) {
	for _, name := range []string{"protocol", "reason", "rotation", "secret", "emulator/cloud"} {
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

// Compiling the expressions of our own packages took a third of the initialization.
func TestNoExpressionIsCompiledBeforeItIsUsed(t *testing.T) {
	early := regexp.MustCompile(`(?m)^(?:var )?\s*\w+\s+= regexp\.MustCompile`)
	for _, file := range goList(t, "-deps", "-tags", "production", "-f", `{{if .Module}}{{if .Module.Main}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}
{{end}}{{end}}{{end}}`, module+"function/latchkey") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if at := early.Find(text); at != nil {
			t.Errorf("%s: %s: use sync.OnceValue", file, at)
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

func TestEveryAdapterHasATableOfBentAnswers(t *testing.T) {
	noAdapters := []string{"sweep"} // it sends nothing to an upstream
	for name, may := range packages {
		if !slices.Contains(may, "upstream") || slices.Contains(noAdapters, name) {
			continue
		}
		dir := "../../internal/" + name
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		has := false
		for _, f := range files {
			if strings.HasSuffix(f.Name(), "_test.go") {
				text, err := os.ReadFile(filepath.Join(dir, f.Name()))
				if err != nil {
					t.Fatal(err)
				}
				has = has || strings.Contains(string(text), "\nfunc TestBentAnswers(t *testing.T) {\n")
			}
		}
		if !has {
			t.Errorf("internal/%s has no TestBentAnswers: see internal/upstream/benttest", name)
		}
	}
}
