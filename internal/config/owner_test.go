package config

import (
	"strings"
	"testing"
)

func TestACredentialMayHaveAnOwner(t *testing.T) {
	load := func(owner string) (*Config, error) {
		return Load("c.yaml", []byte("{version: 1, owner: o, regions: [eu-de], credentials: [{name: a, forEach: codeengine.projects, "+owner+
			"serviceID: {name: 's-${project.name}', policies: [{service: logs, roles: [Sender]}]}, stores: [{codeEngine: {project: '${project.id}', secret: s, entry: E}}]}]}"))
	}
	in := Input{Project: &Project{ID: "15916d85-0a6b-4b8e-9a61-0d6f5f1e2c3d", Name: "team-a", Region: "eu-de", Status: "active"}}
	for name, tt := range map[string]struct{ owner, want string }{
		"none":                              {"", ""},
		"a person":                          {"owner: ops@example.com, ", "ops@example.com"},
		"a team by the name of the project": {`owner: "${project.name}@example.com", `, "team-a@example.com"},
		"one that an expression makes too long is cut": {`owner: "${\"` + strings.Repeat("é", 200) + `\"}", `, strings.Repeat("é", maxOwner-1) + "…"},
	} {
		cfg, err := load(tt.owner)
		if err != nil {
			t.Fatal(name, err)
		}
		c, err := cfg.Entries[0].Expand(in)
		if err != nil || c.Owner != tt.want {
			t.Errorf("%s: %q, %v; want %q", name, c.Owner, err, tt.want)
		}
	}
	for _, wrong := range []string{"owner: " + strings.Repeat("a", maxOwner+1) + ", ", `owner: "a\nb", `, "owner: [a], ", `owner: "${project.nope}", `} {
		if _, err := load(wrong); err == nil || !strings.Contains(err.Error(), "owner") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
