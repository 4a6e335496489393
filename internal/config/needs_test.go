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

func TestTheServersThatAConfigNeeds(t *testing.T) {
	const head = "version: 1\nowner: test\n"
	entry := func(more, stores string) string {
		return "credentials:\n- name: a\n" + more + "  serviceID: {name: 'a%s', accessGroups: [g]}\n  stores: [" + stores + "]\n"
	}
	static := func(more, stores string) string { return strings.ReplaceAll(entry(more, stores), "%s", "") }
	each := func(stores string) string {
		return strings.ReplaceAll(entry("  forEach: codeengine.projects\n", stores), "%s", "-${project.name}")
	}
	with := func(more, stores string) string {
		return strings.ReplaceAll(entry(more, stores), "%s", "-${with.x}")
	}
	const file = "{file: {path: a.json}}"
	for name, tc := range map[string]struct {
		config string
		want   []string // beside IAM
	}{
		"only a file":          {static("", file), nil},
		"regions are searched": {"regions: [eu-de, us-south]\n" + static("", file), []string{"api.eu-de.codeengine.cloud.ibm.com:443 regions[0]", "api.us-south.codeengine.cloud.ibm.com:443 regions[1]"}},
		"a project of forEach is in a region that is searched": {
			"regions: [eu-de]\n" + each("{codeEngine: {project: '${project.id}', region: '${project.region}', secret: s, entry: K}}"),
			[]string{"api.eu-de.codeengine.cloud.ibm.com:443 regions[0]"},
		},
		"a project in another region": {static("", "{codeEngine: {project: p, region: eu-es, secret: s, entry: K}}"), []string{"api.eu-es.codeengine.cloud.ibm.com:443 credentials[0].stores[0].codeEngine"}},
		"a region that an expression names": {
			with("", "{codeEngine: {project: 'p-${with.x}', region: '${with.x}', secret: s, entry: K}}"),
			[]string{"api.*.codeengine.cloud.ibm.com:443 credentials[0].stores[0].codeEngine"},
		},
		"an instance that an expression names": {
			with("", "{secretsManager: {instance: 'a1-${with.x}', region: eu-de, name: 'n-${with.x}', type: arbitrary}}"),
			[]string{"a1-*.eu-de.secrets-manager.appdomain.cloud:443 credentials[0].stores[0].secretsManager"},
		},
		"clusters": {
			static("", "{kubernetes: {namespace: n, secret: s, entry: K}}, {kubernetes: {namespace: n, secret: s, entry: K, kubeconfigEnv: EAST}}"),
			[]string{"kubernetes.default.svc:443 credentials[0].stores[0].kubernetes", "the API server of the kubeconfig EAST credentials[0].stores[1].kubernetes"},
		},
		"a vault with a port and one without": {
			static("", "{vault: {address: 'https://v.example.com:8200', mount: m, path: p, entry: K, auth: {tokenEnv: V}}}, {vault: {address: 'https://w.example.com', mount: m, path: p, entry: K, auth: {tokenEnv: V}}}"),
			[]string{"v.example.com:8200 credentials[0].stores[0].vault", "w.example.com:443 credentials[0].stores[1].vault"},
		},
		"proofs": {
			with("  prove:\n    logs: {instance: 7a1c, region: eu-de}\n    http: [{url: 'https://api.example.com:8443/${with.x}'}, {url: 'https://api.example.com/'}, {containerRegistry: {region: eu-gb, image: 'ns/repo:1'}}]\n",
				"{file: {path: 'a-${with.x}.json'}}"),
			[]string{
				"7a1c.ingress.eu-de.logs.cloud.ibm.com:443 credentials[0].prove.logs", "api.example.com:8443 credentials[0].prove.http[0].url",
				"api.example.com:443 credentials[0].prove.http[1].url", "uk.icr.io:443 credentials[0].prove.http[2].containerRegistry",
			},
		},
		"a server is listed once, for the first that needs it": {
			"outcomes: [{url: 'https://e.example.com/a'}, {url: 'https://e.example.com/b'}, {url: 'http://127.0.0.1/c'}]\n" + static("", file),
			[]string{"e.example.com:443 outcomes[0].url", "127.0.0.1:80 outcomes[2].url"},
		},
		"a provider, which learns the region from its task": {
			"provider: {instances: [5f2a], allow: [{serviceIDs: [ServiceId-2]}], prove: {logs: {instance: 7a1c, region: eu-de}}}\n" + static("", file),
			[]string{"5f2a.*.secrets-manager.appdomain.cloud:443 provider.instances[0]", "7a1c.ingress.eu-de.logs.cloud.ibm.com:443 provider.prove.logs"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range mustLoad(t, head+tc.config).Needs().Endpoints {
				got = append(got, e.String()+" "+e.For)
			}
			if diff := cmp.Diff(append([]string{"iam.cloud.ibm.com:443 identity"}, tc.want...), got); diff != "" {
				t.Errorf("servers (-want +got):\n%s", diff)
			}
		})
	}
	c := mustLoad(t, head+"endpoints: private\nregions: [eu-de]\n"+static("", file))
	if got := c.Needs().Endpoints; got[0].Host != "private.iam.cloud.ibm.com" || got[1].Host != "api.private.eu-de.codeengine.cloud.ibm.com" {
		t.Errorf("private: %v", got)
	}
}
