package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-io/latchkey/internal/access"
)

const (
	provided = static + `provider:
  instances: [c4a7e2f0]
  allow:
  - {serviceIDs: [ServiceId-1], groups: [default], policies: [{service: logs, roles: [Sender], instance: 7a1c}]}
  - {serviceIDs: [ServiceId-1, ServiceId-2]}
  expire: 30d
  onLeak: delete
  prove: {logs: {instance: 7a1c, region: eu-de}}
`
	onlyAllowed = "  - {serviceIDs: [ServiceId-1, ServiceId-2]}\n"
)

func TestProviderOfCustomCredentials(t *testing.T) {
	c, err := Load("latchkey.yaml", []byte(provided))
	if err != nil {
		t.Fatal(err)
	}
	want := &Provider{
		Instances: []string{"c4a7e2f0"},
		Allow: []ProviderAllow{
			{ServiceIDs: []string{"ServiceId-1"}, Groups: []string{"default"}, Policies: []access.Policy{{Service: "logs", Roles: []string{"Sender"}, Instance: "7a1c"}}},
			{ServiceIDs: []string{"ServiceId-1", "ServiceId-2"}},
		},
		Expire: 30 * 24 * time.Hour, OnLeak: "delete", Logs: &LogsProof{Instance: "7a1c", Region: "eu-de"},
	}
	if d := cmp.Diff(want, c.Provider); d != "" {
		t.Error(d)
	}
}

func TestWhatAProviderPermits(t *testing.T) {
	c, err := Load("latchkey.yaml", []byte(strings.Replace(provided, onlyAllowed, "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	var none *Provider
	for name, tc := range map[string]struct {
		p                *Provider
		serviceID, group string
		want             bool
	}{
		"what is named":                {c.Provider, "ServiceId-1", "default", true},
		"another group":                {c.Provider, "ServiceId-1", "0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d", false},
		"another service ID":           {c.Provider, "ServiceId-2", "default", false},
		"no service ID":                {c.Provider, "", "default", false},
		"nothing without a provider":   {none, "ServiceId-1", "default", false},
		"nothing of an empty provider": {&Provider{}, "ServiceId-1", "default", false},
	} {
		if _, got := tc.p.Permits(tc.serviceID, tc.group); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestFaultsOfAProvider(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, want string }{
		"no instance":                  {"  instances: [c4a7e2f0]\n", "", "provider.instances: is missing"},
		"a CRN for an instance":        {"[c4a7e2f0]", "['crn:v1:x']", "the ID (GUID) of a service instance"},
		"nothing allowed":              {provided[strings.LastIndex(provided, "  allow:"):strings.LastIndex(provided, "  expire")], "  allow: []\n", "provider.allow: is an empty list"},
		"a name for a service ID":      {"ServiceId-2", "billing", "the ID of a service ID"},
		"every service ID":             {"[ServiceId-1, ServiceId-2]", `["*"]`, "the ID of a service ID"},
		"a name for a group":           {"[default]", "[team-a]", "the ID of a secret group"},
		"a life that is not":           {"30d", "1d", "must be at least 2d"},
		"an action that there is not":  {"onLeak: delete", "onLeak: shout", "provider.onLeak"},
		"a policy without roles":       {", roles: [Sender]", "", "roles: is missing"},
		"an expression where none is":  {"ServiceId-2", `"${with.id}"`, "which this field does not support"},
		"a proof without its instance": {"{instance: 7a1c, region: eu-de}}", "{region: eu-de}}", "provider.prove.logs.instance: is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(provided, tc.old, tc.new, 1)
			if _, err := Load("latchkey.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q in\n%s", err, tc.want, text)
			}
		})
	}
}
