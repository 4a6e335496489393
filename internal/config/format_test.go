package config

import (
	"strings"
	"testing"
)

const (
	ceStore   = "codeEngine: {project: p, region: eu-de, secret: s, entry: KEY}\n"
	kubeStore = "kubernetes: {namespace: n, secret: s, entry: KEY}\n"
	smStore   = "secretsManager: {instance: i, region: eu-de, name: logs, type: "
)

func TestFormatsExpand(t *testing.T) {
	for store, want := range map[string]string{
		ceStore + "format: raw":                               "",
		ceStore + "format: json":                              "stores[0] as json",
		ceStore + "format: {env: API_KEY}":                    "stores[0] as env",
		ceStore + "format: {properties: sasl password}":       "stores[0] as properties",
		ceStore + "format: {jaas: token}":                     "stores[0] as jaas",
		ceStore + "format: {template: 'key {{.Value}}'}":      "stores[0] as template",
		kubeStore + "format: {dockerconfigjson: de.icr.io/x}": "stores[0] as dockerconfigjson",
		"kubernetes: {namespace: n, secret: s, entry: .dockerconfigjson}\nformat: {dockerconfigjson: de.icr.io}": "stores[0] as dockerconfigjson",
		"codeEngine: {project: p, region: eu-de, secret: s}\nformat: {registry: 'us.icr.io:443'}":                "stores[0] as registry",
		smStore + "arbitrary}\nformat: json": "stores[0] as json",
		smStore + "kv, entry: KEY}\nentries:\n- {entry: ID, format: {template: '{{.ID}}'}}\n- {entry: RAW}": "stores[0] with entry ID as template, with entry RAW as raw",
		"file: {path: f.properties}\nformat: {properties: apikey}":                                          "stores[0] as properties",
	} {
		c, err := Load("latchkey.yaml", []byte(withStore(store)))
		if err != nil {
			t.Errorf("%s: %v", store, err)
			continue
		}
		if got := strings.Join(c.Entries[0].formats(), "; "); got != want {
			t.Errorf("%s: %q, want %q", store, got, want)
		}
		if _, err := c.Entries[0].Expand(Input{}); err != nil {
			t.Errorf("%s: expanding: %v", store, err)
		}
	}
}

func TestFaultsOfFormats(t *testing.T) {
	const at = "credentials[0].stores[0]."
	for store, want := range map[string][]string{
		ceStore + "format: yaml":                                          {"8: " + at + `format: "yaml" must be raw or json`},
		ceStore + "format: {env: A, jaas: b}":                             {"8: " + at + "format.jaas: env and jaas cannot be combined"},
		ceStore + "format: {env: 1A}":                                     {"8: " + at + `format.env: "1A" must be the name of a variable`},
		ceStore + "format: {template: hello}":                             {"8: " + at + "format: must contain {{.Value}}"},
		ceStore + "format:\n  template: |\n    first\n    {{.Values}}":    {"11: " + at + "format.template: the template can't render: reads .Values; known are .Value,"},
		ceStore + "format: {template: '{{.Account}} {{.Value}}'}":         {"8: " + at + "format: reads .Account, so the config needs account"},
		ceStore + "format: {template: '{{.Project.ID}} {{.Value}}'}":      {"8: " + at + "format: reads .Project, which only"},
		ceStore + "format: {registry: de.icr.io}":                         {"7: " + at + "codeEngine.entry: cannot be combined with the format registry"},
		kubeStore + "format: {registry: de.icr.io}":                       {"8: " + at + "format: registry is the format of a codeEngine secret"},
		"codeEngine: {project: p, region: eu-de, secret: s}":              {"7: " + at + "codeEngine.entry: is missing"},
		"kubernetes: {namespace: n, secret: s, entry: .dockerconfigjson}": {"7: " + at + `kubernetes.entry: ".dockerconfigjson" needs format: {dockerconfigjson: SERVER}`},
		ceStore + "entries: [{entry: KEY}]":                               {"8: " + at + "entries[0].entry: is the same location as stores[0]"},
		ceStore + "entries: [{entry: OTHER_ID}]":                          {"8: " + at + `entries[0].entry: "OTHER_ID" ends in _ID`},
		ceStore + "entries: [{entry: B, format: {registry: de.icr.io}}]":  {"8: " + at + "entries[0].format: registry is the format of a whole secret"},
		ceStore + "entries: [{format: json}]":                             {"8: " + at + "entries[0].entry: is missing"},
		smStore + "arbitrary}\nentries: [{entry: B}]":                     {"8: " + at + "entries: needs a store that has several entries"},
		"file: {path: f}\nentries: [{entry: B}]":                          {"8: " + at + "entries: needs a store that has several entries"},
	} {
		t.Run(store, func(t *testing.T) { checkFaults(t, withStore(store), want) })
	}
}
