package starter_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/starter"
)

var least = starter.Answers{Owner: "prod-eu", Regions: []string{"eu-de"}, LogsInstance: "7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10"}

func TestAConfigLoadsWhateverTheAccountHas(t *testing.T) {
	full := least
	full.Profile, full.Regions, full.LogsRegion, full.Prefix, full.EventsEnv = "latchkey", []string{"eu-de", "us-south"}, "us-south", "team-", "EVENTS_TOKEN"
	for i := range 30 {
		full.Found.Projects = append(full.Found.Projects, starter.Project{Name: fmt.Sprintf("team-%d\nowner: other", i), Region: "eu-de"})
		full.Found.Logs = append(full.Found.Logs, starter.Instance{GUID: fmt.Sprint("guid-", i), Name: "logs\nowner: other", Region: "eu-de"})
		full.Found.Keys = append(full.Found.Keys, starter.Key{ID: fmt.Sprint("ApiKey-", i), Name: "a\u2028b: c", Of: "ServiceId-1"})
	}
	for name, a := range map[string]starter.Answers{"the least": least, "everything": full} {
		text, err := starter.Config(a)
		if err != nil {
			t.Fatal(name, err)
		}
		c, err := config.Load("latchkey.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s:\n%v\n%s", name, err, text)
			continue
		}
		if c.Owner != "prod-eu" || c.Identity.Profile != a.Profile || len(c.Regions) != len(a.Regions) || len(c.Entries) != 1 {
			t.Errorf("%s: %+v", name, c)
		}
		if strings.Contains(text, "and 10 more") != (len(a.Found.Keys) > 0) {
			t.Errorf("%s: what is left out is not counted\n%s", name, text)
		}
	}
}

func TestAMissingAnswerIsNamed(t *testing.T) {
	a := least
	a.LogsInstance = ""
	if _, err := starter.Config(a); err == nil || errors.Unwrap(err) == nil || !strings.Contains(err.Error(), "Cloud Logs instance is missing: pass --logs-instance") {
		t.Error(err)
	}
}

func TestTheOnlyCloudLogsInstanceIsTheAnswer(t *testing.T) {
	one, two := starter.Instance{GUID: "1", Name: "a", Region: "us-south"}, starter.Instance{GUID: "2", Name: "b", Region: "eu-de"}
	for name, tc := range map[string]struct {
		found                          []starter.Instance
		given, typed, instance, region string
		asked                          bool
	}{
		"one instance is taken with its region":         {found: []starter.Instance{one}, instance: "1", region: "us-south"},
		"of two, the question lists both":               {found: []starter.Instance{one, two}, typed: "2", asked: true, instance: "2", region: "eu-de"},
		"a flag is not replaced":                        {found: []starter.Instance{one}, given: "3", instance: "3"},
		"without an instance the question is as before": {typed: "4", asked: true, instance: "4"},
	} {
		t.Run(name, func(t *testing.T) {
			a := starter.Answers{Owner: "prod-eu", Regions: []string{"eu-de"}, LogsInstance: tc.given}
			asked := ""
			err := a.Ask(func(to *string, question, _ string) error {
				if *to == "" {
					*to, asked = tc.typed, question
				}
				return nil
			}, func(starter.Answers) (starter.Found, error) { return starter.Found{Logs: tc.found}, nil })
			if err != nil || a.LogsInstance != tc.instance || a.LogsRegion != tc.region {
				t.Errorf("%+v, %v", a, err)
			}
			if (asked != "") != tc.asked || tc.asked && strings.Count(asked, "found:") != len(tc.found) {
				t.Errorf("asked %q", asked)
			}
		})
	}
}
