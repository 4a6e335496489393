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
	if _, err := starter.Config(a); err == nil || errors.Unwrap(err) == nil || !strings.Contains(err.Error(), "Cloud Logs") {
		t.Error(err)
	}
}
