package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/demo"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// The lines that the demo prints work as they stand.
func TestTheDemosLinesForHooks(t *testing.T) {
	s := hookedStage(t)
	created, credential := s.created("team-b")
	s.post(s.url, created, "")
	s.cloud.Advance(time.Hour)
	hooks, err := demo.NewHooks()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range hooks.Environment() {
		if name, value, _ := strings.Cut(e, "="); name == "" || len(value) < 16 {
			t.Errorf("%s has a secret of %d characters", name, len(value))
		}
	}
	env := hookEnv(map[string]string{})
	hooks.ServiceNow, hooks.Jira, hooks.GitHub = secret.New(env["SERVICENOW_TOKEN"]), secret.New(env["JIRA_SECRET"]), secret.New(env["GITHUB_SECRET"])
	sent := 0
	for _, line := range hooks.Lines(s.url, credential, s.cloud.Now()) {
		rest, is := strings.CutPrefix(line, "curl -s "+s.url+"/hooks/")
		if !is {
			continue
		}
		quoted := strings.Split(rest, "'") // outside, inside, outside, …
		if len(quoted)%2 != 1 {
			t.Fatalf("a quote is open in %s", line)
		}
		name, _, _ := strings.Cut(quoted[0], " ")
		var header []string
		for i := 1; i < len(quoted)-2; i += 2 {
			key, value, _ := strings.Cut(quoted[i], ": ")
			header = append(header, key, value)
		}
		body := quoted[len(quoted)-2]
		if r := s.call(name, body, header...); r.status != http.StatusOK || len(r.outcomes) != 1 || r.outcomes[0].Result != "published" {
			t.Errorf("%s is answered %d %s", name, r.status, r.body)
		}
		sent++
	}
	if sent != 3 {
		t.Errorf("%d lines, want one for each system", sent)
	}
}
