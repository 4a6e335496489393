package config

import (
	"reflect"
	"strings"
	"testing"
)

// withStore returns a config with one store.
func withStore(store string) string {
	return `version: 1
owner: prod
credentials:
- name: logs-sender
  serviceID: {name: logs-sender, policies: [{service: logs, roles: [Sender]}]}
  stores:
  - ` + strings.ReplaceAll(store, "\n", "\n    ") + "\n"
}

func TestStoresExpand(t *testing.T) {
	token := VaultAuth{TokenEnv: "VAULT_LOGIN"}
	for text, want := range map[string]Store{
		"kubernetes: {namespace: tools, secret: logs.v1, entry: API_KEY}\nrestart: [deployment/web, statefulset/db]": {
			Kubernetes: &KubernetesStore{Namespace: "tools", Secret: "logs.v1", Entry: "API_KEY"},
			Restart:    Restart{Names: []string{"deployment/web", "statefulset/db"}},
		},
		"kubernetes: {preset: logs-agent, kubeconfigEnv: KUBECONFIG_EAST, context: east/admin}": {
			Kubernetes: &KubernetesStore{
				Namespace: "ibm-observe", Secret: "logs-agent", Entry: "IAM_API_KEY", KubeconfigEnv: "KUBECONFIG_EAST", Context: "east/admin",
			},
			Restart: Restart{Names: []string{"daemonset/logs-agent"}},
		},
		"kubernetes: {preset: logs-agent, secret: my-agent, kubeconfigFile: /run/secrets/kubeconfig}\nrestart: true": {
			Kubernetes: &KubernetesStore{Namespace: "ibm-observe", Secret: "my-agent", Entry: "IAM_API_KEY", KubeconfigFile: "/run/secrets/kubeconfig"},
			Restart:    Restart{All: true},
		},
		"kubernetes: {preset: logs-agent}\nrestart: none":     {Kubernetes: &KubernetesStore{Namespace: "ibm-observe", Secret: "logs-agent", Entry: "IAM_API_KEY"}},
		"kubernetes: {preset: logs-agent}\nrestart: announce": {Kubernetes: &KubernetesStore{Namespace: "ibm-observe", Secret: "logs-agent", Entry: "IAM_API_KEY"}, Restart: Restart{Announce: true}},
		"vault: {address: https://vault.example.com:8200, mount: secret, path: team/a, entry: KEY, auth: {tokenEnv: VAULT_LOGIN}}\nrestart: announce": {
			Vault:   &VaultStore{Address: "https://vault.example.com:8200", Mount: "secret", Path: "team/a", Entry: "KEY", Auth: token},
			Restart: Restart{Announce: true},
		},
		"vault: {address: http://127.0.0.1:8200, namespace: a/b, caFile: /etc/ca.pem, mount: kv/two, path: p, entry: KEY, auth: {appRole: {roleID: 1-2, secretIDFile: /run/id}}}": {
			Vault: &VaultStore{Address: "http://127.0.0.1:8200", Namespace: "a/b", CAFile: "/etc/ca.pem", Mount: "kv/two", Path: "p", Entry: "KEY",
				Auth: VaultAuth{AppRole: &VaultAppRole{Mount: "approle", RoleID: "1-2", SecretIDFile: "/run/id"}}},
		},
		"secretsManager: {instance: 7a1c, region: eu-de, name: logs, type: arbitrary, lock: true}": {
			SecretsManager: &SecretsManagerStore{Instance: "7a1c", Region: "eu-de", Name: "logs", Type: "arbitrary", Lock: true},
		},
		"secretsManager: {instance: 7a1c, region: eu-de, name: logs, type: kv, entry: KEY, lock: false}": {
			SecretsManager: &SecretsManagerStore{Instance: "7a1c", Region: "eu-de", Name: "logs", Type: "kv", Entry: "KEY"},
		},
		"vault: {address: https://v, mount: s, path: p, entry: KEY, auth: {kubernetes: {role: latchkey}}}": {
			Vault: &VaultStore{Address: "https://v", Mount: "s", Path: "p", Entry: "KEY",
				Auth: VaultAuth{JWT: &VaultJWT{Mount: "kubernetes", Role: "latchkey", TokenFile: "/var/run/secrets/kubernetes.io/serviceaccount/token"}}},
		},
		"vault: {address: https://v, mount: s, path: p, entry: KEY, auth: {jwt: {mount: ce, role: latchkey, tokenEnv: JWT}}}": {
			Vault: &VaultStore{Address: "https://v", Mount: "s", Path: "p", Entry: "KEY", Auth: VaultAuth{JWT: &VaultJWT{Mount: "ce", Role: "latchkey", TokenEnv: "JWT"}}},
		},
	} {
		t.Run(text, func(t *testing.T) {
			c, err := Load("latchkey.yaml", []byte(withStore(text)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Entries[0].Expand(Input{})
			if err != nil {
				t.Fatal(err)
			}
			want.Required = true
			if !reflect.DeepEqual(got.Stores, []Store{want}) {
				t.Errorf("the store is %+v, %+v, %+v\nwant %+v, %+v, %+v", got.Stores[0].Kubernetes, got.Stores[0].Vault, got.Stores[0].Restart,
					want.Kubernetes, want.Vault, want.Restart)
			}
		})
	}
}

func TestFaultsOfStoresOutsideOfIBMCloud(t *testing.T) {
	const vault = "vault: {address: https://v, mount: s, path: p, entry: KEY, "
	for text, want := range map[string][]string{
		"kubernetes: {secret: a}": {
			"7: credentials[0].stores[0].kubernetes.namespace: is missing", "7: credentials[0].stores[0].kubernetes.entry: is missing"},
		"kubernetes: {preset: log-agent}": {`7: credentials[0].stores[0].kubernetes.preset: "log-agent" must be logs-agent`},
		"kubernetes: {preset: logs-agent, namespace: A, entry: .config}": {
			`7: credentials[0].stores[0].kubernetes.namespace: "A" must be a namespace`, `7: credentials[0].stores[0].kubernetes.entry: ".config" must be an entry`},
		"kubernetes: {preset: logs-agent, kubeconfigEnv: hunter2}":                                                        {"7: credentials[0].stores[0].kubernetes.kubeconfigEnv: the value (not repeated here)"},
		"kubernetes: {preset: logs-agent, kubeconfigEnv: KUBECONFIG, kubeconfigFile: /k}":                                 {"7: credentials[0].stores[0].kubernetes.kubeconfigFile: kubeconfigEnv and kubeconfigFile cannot be combined"},
		"kubernetes: {preset: logs-agent, context: east}":                                                                 {"7: credentials[0].stores[0].kubernetes.context: needs kubeconfigEnv or kubeconfigFile"},
		"kubernetes: {preset: logs-agent}\nrestart: [app/web]":                                                            {`8: credentials[0].stores[0].restart[0]: "app/web" must be daemonset/NAME`},
		"kubernetes: {preset: logs-agent}\nrestart: all":                                                                  {"8: credentials[0].stores[0].restart: \"all\" must be true, none, announce or a list of daemonset/NAME"},
		"kubernetes: {preset: logs-agent}\nvault: {address: https://v, mount: s, path: p, entry: K, auth: {tokenEnv: T}}": {"8: credentials[0].stores[0].vault: kubernetes and vault cannot be combined"},
		"vault: {address: http://vault.example.com, mount: s/, path: ../p, entry: KEY_ID, auth: {}}": {
			`7: credentials[0].stores[0].vault.address: "http://vault.example.com" must start with https://`,
			`7: credentials[0].stores[0].vault.mount: "s/" must be a path`, `7: credentials[0].stores[0].vault.path: "../p" must be a path`,
			`7: credentials[0].stores[0].vault.entry: "KEY_ID" ends in _ID`, "7: credentials[0].stores[0].vault.auth: needs one of tokenEnv, tokenFile, appRole, kubernetes and jwt",
		},
		vault + "auth: {tokenEnv: hvs.hunter2}}":                                 {"7: credentials[0].stores[0].vault.auth.tokenEnv: the value (not repeated here)"},
		vault + "auth: {appRole: {roleID: r}}}":                                  {"7: credentials[0].stores[0].vault.auth.appRole: needs one of secretIDEnv and secretIDFile"},
		vault + "auth: {jwt: {role: r}}}":                                        {"7: credentials[0].stores[0].vault.auth.jwt: needs one of tokenEnv and tokenFile"},
		vault + "auth: {kubernetes: {role: r, tokenEnv: A, tokenFile: /a}}}":     {"7: credentials[0].stores[0].vault.auth.kubernetes.tokenFile: tokenEnv and tokenFile cannot be combined"},
		vault + "auth: {tokenEnv: A, jwt: {role: r, tokenEnv: B}}}":              {"7: credentials[0].stores[0].vault.auth.jwt: tokenEnv and jwt cannot be combined"},
		vault + "auth: {tokenEnv: A}}\nrestart: [deployment/web]":                {`8: credentials[0].stores[0].restart: only consumers`, `8: credentials[0].stores[0].restart[0]: "deployment/web" must be app/NAME`},
		vault + "auth: {tokenEnv: A}}\n- " + vault + "auth: {tokenEnv: B}}\n":    nil,
		"kubernetes: {preset: logs-agent}\n- kubernetes: {preset: logs-agent}\n": nil,
	} {
		t.Run(text, func(t *testing.T) {
			if want == nil { // one place twice, with any login
				text = strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n- ", "\n- ")
				text = strings.Replace(withStore(text), "\n    - ", "\n  - ", 1)
				_, err := Load("latchkey.yaml", []byte(text))
				if err == nil || !strings.Contains(err.Error(), "is the same location as stores[0]") {
					t.Errorf("error %v", err)
				}
				return
			}
			checkFaults(t, withStore(text), want)
		})
	}
}
