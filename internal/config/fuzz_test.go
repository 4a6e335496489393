package config

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// FuzzLoad checks that any text yields either a config or faults, and the same
// result each time. Each fault has a position and a message. Each entry of a config
// always expands to the same valid credential, or returns an error.
func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile(emulatorYAML)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add(static)
	f.Add(hooked)
	f.Add(hooked + "  b: {verify: {basic: {user: a, secretFile: [/a, /b]}}, event: {when: 'body.a', type: x, data: [\"${body}\", 1, {a: ~}], leaked: \"${body.a}\"}}\n")
	f.Add(entryWith("logs-${with.team}", `file: {path: "keys/${with.team}.json"}`, `  where: with.team != "a"`))
	f.Add(entryWith("logs-${project.crn}", `codeEngine: {project: "${project.name}", secret: "${project.status}", entry: "${project.name}"}`, "  forEach: codeengine.projects"))
	f.Add(entryWith("logs-${project.name}", `secretsManager: {instance: "${project.id}", region: "${project.region}", group: "${project.name}", name: "${project.name}", type: kv, entry: "${project.name}"}`, "  forEach: codeengine.projects"))
	f.Add("version: 1\nowner: &a [*a]\n<<: {a: b}\n")
	f.Add("credentials: [{name: a, stores: [{codeEngine: }, ~, {file: []}], rotation: {after: 99999d99999999m}}]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Load("f.yaml", []byte(text))
		again, errAgain := Load("f.yaml", []byte(text))
		var faults, faultsAgain Faults
		if err != nil && !errors.As(err, &faults) || errAgain != nil && !errors.As(errAgain, &faultsAgain) {
			t.Fatalf("the error is %T, not Faults", err)
		}
		if (c == nil) != (len(faults) > 0) {
			t.Fatalf("config %v with %d faults", c, len(faults))
		}
		if !slices.Equal(faults, faultsAgain) {
			t.Fatalf("faults differ between two loads:\n%v\n\n%v", faults, faultsAgain)
		}
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u0085") +
			strings.Count(text, "\u2028") + strings.Count(text, "\u2029") + 1 // all that YAML takes for a line break
		for i, fault := range faults {
			if fault.Line < 1 || fault.Line > lines || fault.Column < 1 || fault.Message == "" || strings.Contains(fault.String(), "\n") {
				t.Errorf("a fault without a place in %d lines: %+v", lines, fault)
			}
			if i > 0 && fault.Line < faults[i-1].Line {
				t.Errorf("line %d comes after line %d", fault.Line, faults[i-1].Line)
			}
		}
		if c == nil {
			return
		}
		for i, e := range c.Entries {
			in := Input{Project: &Project{ID: "p1", Name: "team-blue", Region: "eu-de", Status: "active"}, With: map[string]string{}}
			for _, name := range e.reads {
				in.With[name] = "blue"
			}
			got, err := e.Expand(in)
			gotAgain, errAgain := again.Entries[i].Expand(in)
			if (err == nil) != (errAgain == nil) || !reflect.DeepEqual(got, gotAgain) {
				t.Fatalf("%s expands to\n%+v, %v\nand then to\n%+v, %v", e.Name, got, err, gotAgain, errAgain)
			}
			if err == nil {
				checkCredential(t, e, got)
			}
		}
	})
}

func checkCredential(t *testing.T, e *Entry, c Credential) {
	t.Helper()
	if c.Entry != e.Name || c.Name != e.Name && !strings.HasPrefix(c.Name, e.Name+"/") {
		t.Errorf("entry %q gives %q of %q", e.Name, c.Name, c.Entry)
	}
	if (c.With != nil) != (e.ForEach != "" || e.UsesWith()) {
		t.Errorf("%s carries %v", c.Name, c.With)
	}
	if c.ServiceIDName == "" || strings.Contains(c.ServiceIDName+c.Description, marker) {
		t.Errorf("service ID %q, description %q", c.ServiceIDName, c.Description)
	}
	if len(c.Policies) == 0 || len(c.Stores) == 0 || !slices.ContainsFunc(c.Stores, func(s Store) bool { return s.Required }) {
		t.Errorf("%s lacks a policy or a required store: %+v", c.Name, c)
	}
	for _, s := range c.Stores {
		kinds := 0
		for _, there := range []bool{s.CodeEngine != nil, s.SecretsManager != nil, s.File != nil} {
			if there {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("a store of %s is of two kinds or none: %+v", c.Name, s)
		}
	}
	if r := c.Rotation; r.After < minAfter || r.Overlap < minOverlap || r.After+r.Overlap >= r.Expire {
		t.Errorf("%s rotates by %+v", c.Name, r)
	}
}
