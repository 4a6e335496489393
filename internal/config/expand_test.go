package config

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// entryWith returns a config with one entry and adds lines to that entry.
func entryWith(serviceIDName, store string, lines ...string) string {
	return fmt.Sprintf(`version: 1
owner: example
regions: [eu-de]
credentials:
- name: logs-sender
  serviceID:
    name: %s
    policies: [{service: logs, roles: [Sender]}]
  stores:
  - %s
%s`, serviceIDName, store, strings.Join(lines, "\n"))
}

func TestParametersNameTheInstance(t *testing.T) {
	c := mustLoad(t, entryWith(`logs-${with.team}-${with["stage"]}`, `file: {path: "keys/${with.team}/${with.stage.lowerAscii()}.json"}`))
	e := c.Entries[0]
	if !e.UsesWith() {
		t.Error("UsesWith is false for an entry that reads with")
	}
	in := Input{With: map[string]string{"team": "blue", "stage": "PROD", "unused": "never mind [latchkey"}}
	got, err := e.Expand(in)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "logs-sender/PROD.blue" {
		t.Errorf("name %q; want the values in the order of the parameters' names", got.Name)
	}
	if diff := cmp.Diff(map[string]string{"team": "blue", "stage": "PROD"}, got.With); diff != "" {
		t.Errorf("with (-want +got):\n%s", diff)
	}
	if got.ServiceIDName != "logs-blue-PROD" || got.Stores[0].File.Path != "keys/blue/prod.json" {
		t.Errorf("service ID %q, path %q", got.ServiceIDName, got.Stores[0].File.Path)
	}

	if with, ok := e.Parameters(got.Name); !ok || !cmp.Equal(with, got.With) {
		t.Errorf("the name %s has the parameters %v, %t", got.Name, with, ok)
	}
	for _, name := range []string{"logs-sender", "logs-sender/PROD", "logs-sender/PROD.blue.x"} {
		if with, ok := e.Parameters(name); ok {
			t.Errorf("the name %s has the parameters %v", name, with)
		}
	}

	// The contents of the marker expand to the same credential.
	again, err := e.Expand(Input{With: got.With})
	if diff := cmp.Diff(got, again); err != nil || diff != "" {
		t.Errorf("expanding from the marker: %v (-want +got):\n%s", err, diff)
	}
}

func TestExpandErrorsNameEntryFieldAndValue(t *testing.T) {
	project := func(change func(*Project)) Input {
		p := &Project{ID: "p1", Name: "team-blue", Region: "eu-de", ResourceGroup: "rg", CRN: "crn:v1", Status: "active"}
		if change != nil {
			change(p)
		}
		return Input{Project: p}
	}
	with := func(pairs ...string) Input {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return Input{With: m}
	}
	const each = "  forEach: codeengine.projects"
	tests := map[string]struct {
		text string
		in   Input
		want string
	}{
		"a missing parameter": {
			entryWith("logs-${with.team}", `file: {path: "keys/${with.stage}.json"}`), with("team", "blue"),
			`expanding logs-sender: the parameter "stage" is missing; the entry reads stage and team`,
		},
		"no parameters at all": {
			entryWith("logs-${with.team}", `file: {path: "keys/${with.team}.json"}`), Input{},
			`expanding logs-sender: the parameter "team" is missing`,
		},
		"a parameter that climbs": {
			entryWith("logs-${with.team}", `file: {path: "keys/${with.team}.json"}`), with("team", "../etc"),
			`expanding logs-sender: the parameter "team": the value "../etc" must be letters, digits, _ and -`,
		},
		"a parameter with a dot, which separates values": {
			entryWith("logs-${with.team}", `file: {path: "keys/${with.team}.json"}`), with("team", "a.b"),
			`expanding logs-sender: the parameter "team": the value "a.b" must be`,
		},
		"an empty parameter": {
			entryWith("logs-${with.team}", `file: {path: "keys/${with.team}.json"}`), with("team", ""),
			`expanding logs-sender: the parameter "team": the value "" must be`,
		},
		"a long parameter is not repeated in full": {
			entryWith("logs-${with.team}", `file: {path: "keys/${with.team}.json"}`), with("team", strings.Repeat("x", 70000)),
			`expanding logs-sender: the parameter "team": the value "` + strings.Repeat("x", 80) + `…` + strings.Repeat("x", 40) + `" must be`,
		},
		"parameters that are too long together": {
			entryWith("logs-${with.a}", `file: {path: "keys/${with.a}${with.b}${with.c}.json"}`),
			with("a", strings.Repeat("a", 60), "b", strings.Repeat("b", 60), "c", strings.Repeat("c", 60)),
			`expanding logs-sender: the parameters a, b and c have 182 characters together; the maximum is 128`,
		},
		"no project": {
			entryWith("logs-${project.name}", `file: {path: "keys/${project.id}.json"}`, each), Input{},
			`expanding logs-sender: an entry with forEach: codeengine.projects needs a project`,
		},
		"a project's ID that is none": {
			entryWith("logs-${project.name}", `file: {path: "keys/${project.id}.json"}`, each), project(func(p *Project) { p.ID = "a/b" }),
			`expanding logs-sender: the project's ID "a/b" must be`,
		},
		"a project's name that forges a marker": {
			entryWith("logs-${project.name}", `file: {path: "keys/${project.id}.json"}`, each), project(func(p *Project) { p.Name = "[latchkey v=1]" }),
			`expanding logs-sender/p1: serviceID.name: "logs-[latchkey v=1]" must not contain [latchkey`,
		},
		"a service ID name that is too long": {
			entryWith("logs-${project.name}", `file: {path: "keys/${project.id}.json"}`, each), project(func(p *Project) { p.Name = strings.Repeat("n", 251) }),
			`expanding logs-sender/p1: serviceID.name: "logs-nnn`,
		},
		"a project's name that chooses a directory": {
			entryWith("logs-${project.name}", `file: {path: "keys/${project.name}.json"}`, each), project(func(p *Project) { p.Name = "a/b" }),
			`expanding logs-sender/p1: stores[0].file.path: "keys/a/b.json" has a slash that comes from an expression`,
		},
		"a project's name that climbs": {
			entryWith("logs-${project.id}", `file: {path: "keys/${project.name}/key"}`, each), project(func(p *Project) { p.Name = ".." }),
			`expanding logs-sender/p1: stores[0].file.path: "keys/../key" must be a path without`,
		},
		"a region that would leave the host name": {
			entryWith("logs-${project.id}", `codeEngine: {project: "${project.id}", secret: a, entry: K}`, each), project(func(p *Project) { p.Region = "eu-de.evil.example/" }),
			`expanding logs-sender/p1: stores[0].codeEngine.region: "eu-de.evil.example/" must be a region`,
		},
		"a secret's name with capitals": {
			entryWith("logs-${project.id}", `codeEngine: {project: "${project.id}", secret: "${project.name}", entry: K}`, each), project(func(p *Project) { p.Name = "Team" }),
			`expanding logs-sender/p1: stores[0].codeEngine.secret: "Team" must be a secret's name`,
		},
		"an entry that is a companion's": {
			entryWith("logs-${project.id}", `codeEngine: {project: "${project.id}", secret: a, entry: "${project.name}"}`, each), project(func(p *Project) { p.Name = "KEY_ID" }),
			`expanding logs-sender/p1: stores[0].codeEngine.entry: "KEY_ID" ends in _ID`,
		},
		"an application's name that is none": {
			entryWith("logs-${project.id}", `codeEngine: {project: "${project.id}", secret: a, entry: K}`, `    restart: ["app/${project.name}"]`, each), project(func(p *Project) { p.Name = "My App" }),
			`expanding logs-sender/p1: stores[0].restart[0]: "app/My App" must be app/NAME`,
		},
		"an expression that fails": {
			entryWith("logs-${project.name.split('-')[2]}", `file: {path: "keys/${project.id}.json"}`, each), project(nil),
			`expanding logs-sender/p1: serviceID.name: evaluating ${project.name.split('-')[2]}: index out of bounds`,
		},
		"a condition that fails": {
			entryWith("logs-${project.name}", `file: {path: "keys/${project.id}.json"}`, each, "  where: project.name.split('-')[2] == 'x'"), project(nil),
			`expanding logs-sender/p1: where: evaluating "project.name.split('-')[2] == 'x'": index out of bounds`,
		},
		"an expression that would never end": {
			entryWith("logs-${project.name}", `file: {path: "keys/${project.id}.json"}`, each,
				`  where: "[1,2,3,4,5,6,7,8].all(a, [1,2,3,4,5,6,7,8].all(b, [1,2,3,4,5,6,7,8].all(c, [1,2,3,4,5,6,7,8].all(d, [1,2,3,4,5,6,7,8].all(e, a+b+c+d+e > 0)))))"`), project(nil),
			`expanding logs-sender/p1: where: evaluating "[1,2,3`,
		},
		"an instance that becomes empty": {
			strings.Replace(entryWith("logs-${project.id}", `file: {path: "keys/${project.id}.json"}`, each), "roles: [Sender]", `roles: [Sender], instance: "${project.resourceGroup}"`, 1), project(func(p *Project) { p.ResourceGroup = "" }),
			`expanding logs-sender/p1: serviceID.policies[0].instance: "" must be the ID (GUID)`,
		},
		"two stores at one place": {
			entryWith("logs-${project.id}", `codeEngine: {project: "${project.id}", secret: a, entry: K}`, `  - codeEngine: {project: "${project.name}", region: eu-de, secret: a, entry: K}`, each), project(nil),
			`expanding logs-sender/p1: stores[1]: the entry "K" of the secret "a" in project "p1" in eu-de is already the location of stores[0]`,
		},
		"two stores that become one secret of Secrets Manager": {
			entryWith("logs-${project.id}", `secretsManager: {instance: 7a1c, region: eu-de, name: "x-${project.id}", type: kv, entry: K}`, `  - secretsManager: {instance: 7a1c, region: eu-de, group: other, name: "x-${string(project.id)}", type: kv, entry: K}`, each), project(nil),
			`expanding logs-sender/p1: stores[1]: the entry "K" of the kv secret "x-p1" of the Secrets Manager instance 7a1c in eu-de is already the location of stores[0]`,
		},
		"a secret's name that an expression spoils": {
			entryWith("logs-${project.id}", `secretsManager: {instance: 7a1c, region: eu-de, name: "${project.name}", type: arbitrary}`, each), project(func(p *Project) { p.Name = "a b" }),
			`expanding logs-sender/p1: stores[0].secretsManager.name: "a b" must be the name of a secret`,
		},
		"a logs proof that no policy opens": {
			strings.Replace(entryWith("logs-${project.id}", `file: {path: "keys/${project.id}.json"}`, each, `  prove: {logs: {instance: "${project.id}", region: eu-de}}`), "roles: [Sender]", `roles: [Sender], instance: "${project.status}"`, 1), project(nil),
			`expanding logs-sender/p1: prove.logs.instance: no policy for logs covers "p1"`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := mustLoad(t, test.text)
			got, err := c.Entries[0].Expand(test.in)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			identity := Credential{Name: got.Name, Entry: got.Entry, With: got.With, Rotation: got.Rotation}
			if diff := cmp.Diff(identity, got); diff != "" {
				t.Errorf("something came with the error:\n%s", diff)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestPausedByTheEntryOrByAll(t *testing.T) {
	text := entryWith("logs", `file: {path: keys/a.json}`)
	for name, test := range map[string]struct {
		text string
		want bool
	}{
		"neither":    {text, false},
		"the entry":  {text + "  paused: true\n", true},
		"the config": {"paused: true\n" + text, true},
		"both":       {"paused: true\n" + text + "  paused: true\n", true},
	} {
		got, err := mustLoad(t, test.text).Entries[0].Expand(Input{})
		if err != nil || got.Paused != test.want {
			t.Errorf("paused by %s: %v, %v; want %v", name, got.Paused, err, test.want)
		}
	}
}

func TestOverwriteAndAdopt(t *testing.T) {
	text := entryWith("logs", `file: {path: keys/a.json}`)
	for line, want := range map[string]Credential{
		"overwrite: true":  {Overwrite: true},
		"overwrite: false": {},
		"adopt: ApiKey-1":  {AdoptKey: "ApiKey-1"},
		"adopt: false":     {},
	} {
		got, err := mustLoad(t, text+"  "+line+"\n").Entries[0].Expand(Input{})
		if err != nil || got.Overwrite != want.Overwrite || got.AdoptKey != want.AdoptKey {
			t.Errorf("%s: overwrite %t, adopt %q, %v", line, got.Overwrite, got.AdoptKey, err)
		}
	}
}

func TestRestarts(t *testing.T) {
	for text, want := range map[string]Restart{
		"":                            {},
		"restart: none":               {},
		"restart: false":              {},
		"restart: true":               {All: true},
		"restart: [app/one, app/two]": {Names: []string{"app/one", "app/two"}},
	} {
		c := mustLoad(t, entryWith("logs", "codeEngine: {project: p, region: eu-de, secret: a, entry: K}", "    "+text))
		got, err := c.Entries[0].Expand(Input{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Stores[0].Restart); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestPermits(t *testing.T) {
	a := Allow{Verbs: []string{"provision", "rotate"}, Credentials: []string{"logs-sender", "metrics/*", "trace-*"}}
	for _, test := range []struct {
		verb, entry, instance string
		want                  bool
	}{
		{"rotate", "logs-sender", "logs-sender/p1", true},
		{"rotate", "logs-sender", "logs-sender", true},
		{"revoke", "logs-sender", "logs-sender", false},
		{"rotate", "logs-sender2", "logs-sender2/p1", false},
		{"rotate", "metrics", "metrics/p1", true},
		{"rotate", "metrics", "metrics", false},
		{"rotate", "metrics", "metrics/a.b", true},
		{"provision", "trace-eu", "trace-eu/p1", true},
		{"", "logs-sender", "logs-sender", false},
	} {
		if got := a.Permits(test.verb, test.entry, test.instance); got != test.want {
			t.Errorf("Permits(%q, %q, %q) is %v", test.verb, test.entry, test.instance, got)
		}
	}
	if !(Allow{Verbs: []string{"revoke"}, Credentials: []string{"*"}}).Permits("revoke", "any", "any/thing") {
		t.Error("* does not permit everything")
	}
	if (Allow{}).Permits("rotate", "any", "any") {
		t.Error("the zero Allow permits something")
	}
}

func TestSplit(t *testing.T) {
	for text, want := range map[string][]part{
		"plain":                 {{literal: "plain"}},
		"a${b}c":                {{literal: "a"}, {source: "b"}, {literal: "c"}},
		"${a}${b}":              {{source: "a"}, {source: "b"}},
		"$${a}":                 {{literal: "${a}"}},
		"$$${a}":                {{literal: "$${a}"}},
		"$a {b} $":              {{literal: "$a {b} $"}},
		`${{"a": "}"}["a"]}x`:   {{source: `{"a": "}"}["a"]`}, {literal: "x"}},
		`${'it\'s }'}x`:         {{source: `'it\'s }'`}, {literal: "x"}},
		`${r'\'}x`:              {{source: `r'\'`}, {literal: "x"}},
		`${"""a"}"""}x`:         {{source: `"""a"}"""`}, {literal: "x"}},
		"${a // not yet: }\n}x": {{source: "a // not yet: }\n"}, {literal: "x"}},
		"ü${project.name}":      {{literal: "ü"}, {source: "project.name"}},
	} {
		got, err := split(text)
		if err != nil {
			t.Errorf("splitting %q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(part{})); diff != "" {
			t.Errorf("splitting %q (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{"${", "${a", "${'a}", "${{a}", "${a // }", "${}", "${ \n}"} {
		if got, err := split(text); err == nil {
			t.Errorf("splitting %q gives %+v", text, got)
		}
	}
}

func TestDurations(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "24h": day, "1d12h": 36 * time.Hour, "5m": 5 * time.Minute, "1d1h1m": day + time.Hour + time.Minute, "0h": 0,
	} {
		got, err := parseDuration(text)
		if err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
		if again, err := parseDuration(Days(got)); err != nil || again != got {
			t.Errorf("%v is written as %q and read as %v, %v", got, Days(got), again, err)
		}
	}
	for _, text := range []string{"", "d", "90", "1.5d", "1h1d", "1w", "1d ", "+1d", "-1d", "999999d", "٣d"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// The service expands from many goroutines; run with -race.
func TestExpandConcurrently(t *testing.T) {
	c := mustLoad(t, entryWith("logs-${project.name}", `file: {path: "keys/${project.id}.json"}`, "  forEach: codeengine.projects", `  where: project.name != "out"`))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 50 {
				name := fmt.Sprintf("team-%d", i)
				got, err := c.Entries[0].Expand(Input{Project: &Project{ID: name, Name: name}})
				if err != nil || got.ServiceIDName != "logs-"+name {
					t.Errorf("%s: %q, %v", name, got.ServiceIDName, err)
				}
				if _, err := c.Entries[0].Expand(Input{Project: &Project{ID: "out", Name: "out"}}); !errors.Is(err, ErrExcluded) {
					t.Errorf("out: %v", err)
				}
			}
		})
	}
	all.Wait()
}

func TestAServiceIDNameOfAProjectsOwnIsShortEnough(t *testing.T) {
	const project = "1a2b3c4d-0000-4000-8000-000000000001"
	for name, want := range map[string]string{
		"team":                   "team-1a2b3c4d",
		strings.Repeat("é", 255): strings.Repeat("é", 246) + "-1a2b3c4d",
	} {
		if got := ownName(name, project); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := ownName("team", "p1"); got != "team-p1" {
		t.Errorf("%q", got)
	}
}

func TestACredentialThatWaitsForItsNameHasNoOther(t *testing.T) {
	text := entryWith("logs-${project.name}", `file: {path: "keys/${project.id}.json"}`, "  forEach: codeengine.projects")
	in := Input{Project: &Project{ID: "1a2b3c4d-1", Name: "team", Region: "eu-de", Status: "active"}}
	for setting, want := range map[string]string{"": "logs-team-1a2b3c4d", "  onSameName: suffix\n": "logs-team-1a2b3c4d", "  onSameName: wait\n": ""} {
		c := mustLoad(t, strings.Replace(text, "  forEach:", "  forEach: codeengine.projects\n"+setting+"#", 1))
		got, err := c.Entries[0].Expand(in)
		if err != nil || got.OwnName != want {
			t.Errorf("%q: %q, %v; want %q", setting, got.OwnName, err, want)
		}
	}
}
