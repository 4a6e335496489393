package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withSinks is the static config with two sinks, from line 23.
const withSinks = static + `outcomes:
- {url: https://events.example.com/in, bearerEnv: SINK_TOKEN}
- eventNotifications: {instance: 9f27b3d4, region: eu-de, source: 5d0f:api}
`

func TestSinksOfOutcomes(t *testing.T) {
	c, err := Load("latchkey.yaml", []byte(withSinks))
	if err != nil {
		t.Fatal(err)
	}
	want := []Outcome{
		{URL: "https://events.example.com/in", BearerEnv: "SINK_TOKEN"},
		{Notifications: &Notifications{Instance: "9f27b3d4", Region: "eu-de", Source: "5d0f:api"}},
	}
	if d := cmp.Diff(want, c.Outcomes); d != "" {
		t.Error(d)
	}
}

func TestFaultsOfOutcomes(t *testing.T) {
	const sink = "https://events.example.com/in"
	for name, tc := range map[string]struct{ old, new, want string }{
		"plain http on loopback":       {sink, "http://127.0.0.1:8080/in", ""},
		"plain http by name":           {sink, "http://localhost:8080", ""},
		"plain http elsewhere":         {sink, "http://canary.example.com", "must start with https://"},
		"a password in the URL":        {sink, "https://u:canary@example.com", "must not have a user or password"},
		"no URL":                       {sink, "canary", "must be a URL such as"},
		"no host":                      {sink, "https://:443/", "must be a URL such as"},
		"a fragment":                   {sink, sink + "#canary", "must not have a fragment"},
		"a token instead of its place": {"SINK_TOKEN", "canary-token", "must be the name of an environment variable"},
		"a token for our own service":  {"5d0f:api}", "5d0f:api}\n  bearerEnv: SINK_TOKEN", "latchkey uses its own identity"},
		"a CRN for an instance":        {"9f27b3d4", "crn:v1:x", "the ID (GUID) of a service instance"},
		"no source":                    {", source: 5d0f:api", "", "source: is missing"},
		"one sink twice":               {"- eventNotifications: {instance: 9f27b3d4, region: eu-de, source: 5d0f:api}", "- {url: " + sink + "}", "repeats the sink on line"},
		"neither":                      {"url: https://events.example.com/in, ", "", "needs one of url and eventNotifications"},
		"another kind":                 {"url: " + sink, "kafka: x", `unknown key "kafka"`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(withSinks, tc.old, tc.new, 1)
			_, err := Load("latchkey.yaml", []byte(text))
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("%v\n%s", err, text)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%v, want %q", err, tc.want)
			case err != nil && strings.Contains(err.Error(), "canary"):
				t.Errorf("a fault repeats what may be secret: %v", err)
			}
		})
	}
}
