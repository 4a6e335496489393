package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAConfigSaysWhatItNeeds(t *testing.T) {
	c, err := Load("c.yaml", []byte(`
version: 1
owner: test
regions: [eu-de]
events: {auth: {bearerFile: /run/token}}
outcomes:
- {url: "https://example.com/sink", bearerEnv: SINK_TOKEN}
credentials:
- name: a
  serviceID: {name: a, policies: [{service: logs, roles: [Sender]}]}
  stores:
  - codeEngine: {project: p, region: eu-de, secret: s, entry: K}
- name: b
  serviceID: {name: b, accessGroups: [senders]}
  stores:
  - file: {path: b.json}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Secret{{At: "events.auth.bearerFile", File: "/run/token"}, {At: "outcomes[0].bearerEnv", Env: "SINK_TOKEN"}}
	if diff := cmp.Diff(want, c.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	var roles []string
	for _, g := range c.Needs().Grants {
		roles = append(roles, g.Role+" on "+g.Service)
	}
	if diff := cmp.Diff([]string{
		"Operator on iam-identity", "Editor on iam-identity", "Sender on logs", "Administrator on logs",
		"Viewer on codeengine", "Writer on codeengine", "Editor on iam-groups",
	}, roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
}
