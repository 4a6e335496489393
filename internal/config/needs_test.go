package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-io/latchkey/internal/secret"
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
	want := []secret.Source{{At: "events.auth.bearerFile", File: "/run/token", Sender: "events.auth"}, {At: "outcomes[0].bearerEnv", Env: "SINK_TOKEN"}}
	if diff := cmp.Diff(want, c.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

func TestTheRolesThatAConfigNeeds(t *testing.T) {
	store := "\n  stores: [{file: {path: %s.json}}]\n"
	for name, tc := range map[string]struct {
		entries string
		want    []string
	}{
		"a policy on one instance": {
			"- name: a\n  serviceID: {name: a, policies: [{service: logs, roles: [Sender], instance: 7a1c}]}" + store,
			[]string{"Service ID creator on iam-identity", "Sender on logs serviceInstance=7a1c", "Administrator on logs serviceInstance=7a1c"},
		},
		"a policy on one resource group": {
			"- name: a\n  serviceID: {name: a, policies: [{service: logs, roles: [Sender], resourceGroup: r1}]}" + store,
			[]string{"Service ID creator on iam-identity", "Sender on logs resourceGroupId=r1", "Administrator on logs resourceGroupId=r1"},
		},
		"a policy on an instance that an expression names": {
			"- name: a\n  serviceID: {name: 'a-${with.x}', policies: [{service: logs, roles: [Sender], instance: '${with.x}'}]}\n  stores: [{file: {path: 'a-${with.x}.json'}}]\n",
			[]string{"Service ID creator on iam-identity", "Sender on logs", "Administrator on logs"},
		},
		"access groups by ID and by name": {
			"- name: a\n  serviceID: {name: a, accessGroups: [AccessGroupId-1, senders]}" + store,
			[]string{"Service ID creator on iam-identity", "Viewer on iam-groups", "Editor on iam-groups resource=AccessGroupId-1", "Editor on iam-groups"},
		},
		"a service ID that another tool owns": {
			"- name: a\n  serviceID: {id: ServiceId-1, manage: keys}" + store,
			[]string{"Administrator on iam-identity resource=ServiceId-1"},
		},
		"stores": {
			"- name: a\n  serviceID: {id: ServiceId-1, manage: keys}\n  stores:\n  - codeEngine: {project: p, region: eu-de, secret: s, entry: K}\n" +
				"  - secretsManager: {instance: sm1, region: eu-de, name: nn, type: arbitrary}\n  - secretsManager: {instance: sm2, region: eu-de, name: nn, type: arbitrary, lock: true}\n",
			[]string{
				"Administrator on iam-identity resource=ServiceId-1", "Viewer on codeengine", "Writer on codeengine",
				"Writer on secrets-manager serviceInstance=sm1", "Manager on secrets-manager serviceInstance=sm2",
			},
		},
		"secrets of credentials that come to an end": {
			"- name: a\n  keep: false\n  serviceID: {name: a, accessGroups: [AccessGroupId-1]}\n  stores: [{secretsManager: {instance: sm1, region: eu-de, name: aa, type: arbitrary}}]\n" +
				"- name: b\n  serviceID: {name: 'b-${with.x}', accessGroups: [AccessGroupId-1]}\n  stores: [{secretsManager: {instance: sm2, region: eu-de, name: 'bb-${with.x}', type: arbitrary}}]\n" +
				"- name: c\n  serviceID: {name: c, accessGroups: [AccessGroupId-1]}\n  stores: [{secretsManager: {instance: sm3, region: eu-de, name: cc, type: arbitrary}}]\n",
			[]string{
				"Service ID creator on iam-identity", "Viewer on iam-groups", "Editor on iam-groups resource=AccessGroupId-1",
				"Manager on secrets-manager serviceInstance=sm1", "Manager on secrets-manager serviceInstance=sm2", "Writer on secrets-manager serviceInstance=sm3",
			},
		},
		"a provider of custom credentials": {
			"- name: a\n  serviceID: {id: ServiceId-1, manage: keys}" + store + "provider: {instances: [sm1], allow: [{serviceIDs: [ServiceId-2]}]}\n",
			[]string{
				"Administrator on iam-identity resource=ServiceId-1", "SecretTaskUpdater on secrets-manager serviceInstance=sm1",
				"SecretsReader on secrets-manager serviceInstance=sm1", "Administrator on iam-identity resource=ServiceId-2",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := mustLoad(t, "version: 1\nowner: test\nregions: [eu-de]\ncredentials:\n"+strings.ReplaceAll(tc.entries, "%s", "a"))
			var roles []string
			for _, g := range c.Needs().Grants {
				text := g.Role + " on " + g.Service
				if g.Attribute != "" {
					text += " " + g.Attribute + "=" + g.Value
				}
				roles = append(roles, text)
			}
			if diff := cmp.Diff(append([]string{"Viewer on iam-identity"}, tc.want...), roles); diff != "" {
				t.Errorf("roles (-want +got):\n%s", diff)
			}
		})
	}
}
