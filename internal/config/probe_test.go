package config

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/latchkey-io/latchkey/internal/schema"
)

// make generate sets it.
var generate = flag.Bool("generate", false, "write the tables of docs/configuration.md")

// sameFile compares a file with what it has to contain, or writes it.
func sameFile(t *testing.T, name string, want []byte) {
	t.Helper()
	if *generate {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if is, err := os.ReadFile(name); err != nil || !bytes.Equal(is, want) {
		t.Errorf("%s is out of date (%v): run make generate", name, err)
	}
}

func TestTheDocumentationIsUpToDate(t *testing.T) {
	const doc = "../../docs/configuration.md"
	is, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	filled, err := schema.Fill(string(is), Keys())
	if err != nil {
		t.Fatal(err)
	}
	sameFile(t, doc, []byte(filled))
}

func TestEveryKeyHasAMeaningAndEveryMeaningAKey(t *testing.T) {
	unused := meanings()
	var walk func(schema.Value)
	walk = func(v schema.Value) {
		for _, f := range v {
			for _, k := range f.Keys {
				if k.Meaning == "" {
					t.Errorf("%s has no meaning in meanings", k.Path)
				}
				for at, more := k.Path, true; more; _, at, more = strings.Cut(at, ".") {
					if _, found := meanings()[at]; found {
						delete(unused, at)
						break
					}
				}
				walk(k.Value)
			}
			for _, below := range []*schema.Value{f.Item, f.Names} {
				if below != nil {
					walk(*below)
				}
			}
		}
	}
	walk(Keys())
	for path := range unused {
		t.Errorf("meanings has %s, which is no key", path)
	}
}

// compiled is the JSON Schema, as a public library understands it.
var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	text, err := schema.JSON(Keys())
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("latchkey.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("latchkey.json")
})

// validator returns the check of a config's text against the JSON Schema.
func validator(t *testing.T) func(text string) error {
	t.Helper()
	compiled, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) error {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			return err
		}
		return compiled.Validate(v)
	}
}

func TestTheSchemaAcceptsTheExamples(t *testing.T) {
	check := validator(t)
	files, err := filepath.Glob("../../deploy/examples/*.yaml")
	hooks, _ := filepath.Glob("../../deploy/examples/hooks/*.yaml")
	if err != nil || len(files) < 2 || len(hooks) == 0 {
		t.Fatal(files, hooks, err)
	}
	for _, name := range slices.Concat(files, hooks) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(string(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// make build writes it there.
		first, _, _ := strings.Cut(string(text), "\n")
		at, ok := strings.CutPrefix(first, "# yaml-language-server: $schema=")
		if want := "../../deploy/latchkey.schema.json"; !ok || filepath.Join(filepath.Dir(name), at) != filepath.FromSlash(want) {
			t.Errorf("%s starts with %q, want the line that names %s", name, first, want)
		}
	}
}

func TestTheSchemaAndTheDecoderRejectTheSame(t *testing.T) {
	check := validator(t)
	if err := check(static); err != nil {
		t.Fatalf("a config without faults: %v", err)
	}
	for _, c := range []struct{ fault, old, new string }{
		{"an unknown key", "owner:", "ownr:"},
		{"a missing key", "owner: example\n", ""},
		{"another version", "version: 1", "version: 2"},
		{"a name in upper case", "owner: example", "owner: Example"},
		{"a number for a string", "owner: example", "owner: 1"},
		{"a region that is none", "regions: [eu-de]", "regions: [Frankfurt]"},
		{"a string for a list", "regions: [eu-de]", "regions: eu-de"},
		{"a duration that is none", "after: 60d", "after: 2 months"},
		{"a number for a duration", "after: 60d", "after: 60"},
		{"an unknown word", "restart: true", "restart: all"},
		{"an unknown verb", "[provision]", "[create]"},
		{"two stores in one item", "file: {path: /keys/logs.json}", "file: {path: /keys/logs.json}\n    vault: {}"},
		{"a store of no kind", "- file: {path: /keys/logs.json}", "- required: false"},
		{"a service ID by ID without manage", "    name: logs-sender\n    description: Sends logs\n    policies:\n    - {service: logs, roles: [Sender], instance: 7a1c}", "    id: ServiceId-1"},
		{"a service ID by name and ID", "    name: logs-sender\n    description", "    id: ServiceId-1\n    name: logs-sender\n    description"},
		{"no proof of the token", "  prove:\n", "  prove:\n    token: false\n"},
		{"a variable in lower case", "EVENTS_TOKEN", "events_token"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			text := strings.Replace(static, c.old, c.new, 1)
			if text == static {
				t.Fatal("the table replaces nothing")
			}
			if _, err := Load("latchkey.yaml", []byte(text)); err == nil {
				t.Error("the decoder accepts it")
			}
			if check(text) == nil {
				t.Error("the schema accepts it")
			}
		})
	}
}
