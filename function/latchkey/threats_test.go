package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each defence in the threat model names the tests that show it. A test that is
// renamed or deleted must not leave a claim without evidence.
func TestTheThreatModelNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	exist := testsOfTheRepository(t)
	rows := 0
	for at, line := range strings.Split(string(page), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), "|")
		if len(cells) != 3 || strings.HasPrefix(line, "|---") || strings.Contains(line, "| tests |") {
			continue
		}
		rows++
		named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`").FindAllStringSubmatch(cells[2], -1)
		if len(named) == 0 {
			t.Errorf("line %d names no test: %s", at+1, line)
		}
		for _, name := range named {
			if !exist[name[1]] {
				t.Errorf("line %d names %s, which no package has", at+1, name[1])
			}
		}
	}
	if rows < 20 {
		t.Errorf("found %d rows with tests; the page must list each way in", rows)
	}
}

// testsOfTheRepository returns the names of all tests and fuzz targets.
func testsOfTheRepository(t *testing.T) map[string]bool {
	t.Helper()
	names, declared := map[string]bool{}, regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range declared.FindAllStringSubmatch(string(text), -1) {
			names[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestTheSecurityPageGivesAReasonForEachDirectDependency(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	direct := map[string]bool{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if module, _, _ := strings.Cut(strings.TrimPrefix(line, "\t"), " "); strings.HasPrefix(line, "\t") && !strings.HasSuffix(line, "// indirect") {
			direct[module] = true
		}
	}
	if len(direct) == 0 {
		t.Fatal("go.mod has no direct dependency")
	}
	for _, row := range docTable(t, "../../docs/security.md", "module | why |") {
		for _, module := range coded(row[0]) {
			if !direct[module] {
				t.Errorf("the page lists %s, which is no direct dependency", module)
			}
			delete(direct, module)
		}
	}
	for module := range direct {
		t.Errorf("the page does not list %s", module)
	}
}
