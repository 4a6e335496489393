// Package observe has no code: it tests the files beside it.
package observe

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/result"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type rule struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(read(t, "alerts.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	return file.Groups[0].Rules
}

func TestEachAlertFiresInOneTestAndIsSilentInAnother(t *testing.T) {
	var file struct {
		Tests []struct {
			Cases []struct {
				Name     string `yaml:"alertname"`
				Expected []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(read(t, "alerts.test.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, c := range test.Cases {
			fires[c.Name] = fires[c.Name] || len(c.Expected) > 0
			silent[c.Name] = silent[c.Name] || len(c.Expected) == 0
		}
	}
	for _, r := range rules(t) {
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s: a test in which it fires: %t, one in which it is silent: %t", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}
}

func TestEachAlertHasASeverityAndARunbook(t *testing.T) {
	page := string(read(t, "../../docs/operations.md"))
	for _, r := range rules(t) {
		if want := "docs/operations.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
			t.Errorf("%s: %v %v, want the runbook %s", r.Alert, r.Labels, r.Annotations, want)
		}
		if !strings.Contains(page, "\n### "+r.Alert+"\n") {
			t.Errorf("docs/operations.md has no section %s", r.Alert)
		}
	}
}

var metric = regexp.MustCompile(`latchkey_[a-z_]+`)

func TestRulesAndDashboardUseMetricsThatExist(t *testing.T) {
	documented := metric.FindAllString(string(read(t, "../../docs/observe.md")), -1)
	for _, name := range []string{"alerts.yaml", "alerts.test.yaml", "dashboard.json"} {
		for _, used := range metric.FindAllString(string(read(t, name)), -1) {
			used = strings.TrimSuffix(used, "_bucket")
			if !slices.Contains(documented, used) {
				t.Errorf("%s uses %s, which docs/observe.md does not have", name, used)
			}
		}
	}
	var dashboard struct {
		Panels []struct {
			Title, Description string
			Targets            []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, "dashboard.json"), &dashboard); err != nil || len(dashboard.Panels) == 0 {
		t.Fatalf("%d panels, %v", len(dashboard.Panels), err)
	}
	for _, p := range dashboard.Panels {
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("the panel %q lacks something: %+v", p.Title, p)
		}
	}
}

func TestTheOtherSystemsHaveTheSameAlerts(t *testing.T) {
	var logs, topics []struct{ Name string }
	for name, into := range map[string]any{"cloud-logs.json": &logs, "event-notifications.json": &topics} {
		if err := json.Unmarshal(read(t, name), into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	known := func(name string) bool {
		return slices.ContainsFunc(rules(t), func(r rule) bool { return r.Alert == name })
	}
	if len(logs) != len(rules(t)) {
		t.Errorf("Cloud Logs has %d alerts, want %d", len(logs), len(rules(t)))
	}
	for _, a := range append(logs, topics...) {
		if !known(a.Name) {
			t.Errorf("%s is no alert of Prometheus", a.Name)
		}
	}
}

var (
	ofType = regexp.MustCompile(`^\$\.type == 'dev\.latchkey\.credential\.([a-z-]+)'$`)
	ofData = regexp.MustCompile(`^\$\.data\.([A-Za-z]+) == '([a-z-]+)'$`)
)

// An outcome event has the fields by which the rules of topics select, with these values.
func TestTheRulesOfTopicsSelectByWhatAnEventHas(t *testing.T) {
	var topics []struct {
		Name  string
		Rules []struct {
			Type string `json:"event_type_filter"`
			Data string `json:"notification_filter"`
		}
	}
	if err := json.Unmarshal(read(t, "event-notifications.json"), &topics); err != nil {
		t.Fatal(err)
	}
	types := string(read(t, "../../docs/events.md"))
	values := map[string][]string{"condition": nil, "leakedKey": {string(result.LeakedAlive)}}
	for _, c := range condition.Worst {
		values["condition"] = append(values["condition"], string(c))
	}
	data, err := json.Marshal(result.Outcome{Condition: condition.Expired, Leaked: result.LeakedAlive})
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		for _, r := range topic.Rules {
			if m := ofType.FindStringSubmatch(r.Type); m == nil || !strings.Contains(types, "`"+m[1]+"`") {
				t.Errorf("%s selects the type %s", topic.Name, r.Type)
			}
			if r.Data == "" {
				continue
			}
			if m := ofData.FindStringSubmatch(r.Data); m == nil || !slices.Contains(values[m[1]], m[2]) || !strings.Contains(string(data), `"`+m[1]+`":`) {
				t.Errorf("%s selects the data %s", topic.Name, r.Data)
			}
		}
	}
}
