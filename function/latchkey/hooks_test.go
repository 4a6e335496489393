package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/service"
)

// The secrets of the hooks in tests.
const (
	snowToken    = "hook-canary-servicenow-7c1e"
	jiraSecret   = "hook-canary-jira-52ab90"
	githubSecret = "hook-canary-github-d03f11"
	alertsSecret = "hook-canary-alerts-4e77b2"
)

// hookedStage serves the example with the hooks.
func hookedStage(t *testing.T) *stage {
	t.Helper()
	server, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, cloud: server, said: &record{}}
	t.Cleanup(func() {
		s.findCanaries()
		if strings.Contains(s.said.String(), "hook-canary") {
			t.Error("a hook's secret was logged or answered")
		}
		server.Close()
	})
	s.url = s.serve(examples.HooksEmulator)
	return s
}

func payload(t *testing.T, name string) string {
	t.Helper()
	b, err := examples.Hooks.ReadFile("hooks/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func signature(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// call posts to a hook; header is name, value, name, value.
func (s *stage) call(hook, body string, header ...string) reply {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.url+"/hooks/"+hook, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(s.said, "%v %s", resp.Header, text)
	return reply{status: resp.StatusCode, header: resp.Header, body: string(text), outcomes: outcomesIn(string(text))}
}

func (s *stage) github(event, body string) reply {
	return s.call("github", body, "X-GitHub-Event", event, "X-Hub-Signature-256", signature(githubSecret, body))
}

func (s *stage) jira(at time.Time) reply {
	body := strings.Replace(payload(s.t, "jira-transition.json"), "1795514400123", fmt.Sprint(at.UnixMilli()), 1)
	return s.call("jira", body, "X-Hub-Signature", signature(jiraSecret, body))
}

func (r reply) published(t *testing.T, credential string) result.Outcome {
	t.Helper()
	if r.status != http.StatusOK || len(r.outcomes) != 1 || r.outcomes[0].Result != result.Published || r.outcomes[0].Credential != credential {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	o := r.outcomes[0]
	if o.Key == "" || len(o.Stores) == 0 || o.Stores[0].Key != o.Key || o.Next.IsZero() {
		t.Errorf("the ticket does not learn what was done: %s", r.body)
	}
	return o
}

// changes counts what IAM and the stores were told to change.
func (s *stage) changes() int { return len(s.cloud.Events()) }

func TestTheRecipesOfTheHooks(t *testing.T) {
	s := hookedStage(t)

	approved := payload(t, "servicenow-approved.json")
	first := s.call("servicenow", approved, "X-Latchkey-Token", snowToken).published(t, "app-sender/shop")
	if r := s.call("servicenow", strings.Replace(approved, `"approved"`, `"requested"`, 1), "X-Latchkey-Token", snowToken); r.status != http.StatusNoContent {
		t.Errorf("a request that is not approved: %d %s", r.status, r.body)
	}

	s.github("repository", payload(t, "github-repository.json")).published(t, "app-sender/shop-web")
	if r := s.github("ping", `{"zen":"Design for failure.","hook_id":1}`); r.status != http.StatusNoContent {
		t.Errorf("GitHub's first call: %d %s", r.status, r.body)
	}

	s.cloud.Advance(time.Hour)
	at := s.cloud.Now()
	rotated := s.jira(at).published(t, "app-sender/shop")
	if rotated.Replaced != first.Key || rotated.ReplacedEnds.IsZero() {
		t.Errorf("rotated %+v", rotated)
	}

	// Everything comes once more, at once and much later.
	for range 2 {
		before := s.changes()
		for name, r := range map[string]reply{
			"ServiceNow": s.call("servicenow", approved, "X-Latchkey-Token", snowToken),
			"GitHub":     s.github("repository", payload(t, "github-repository.json")),
			"Jira":       s.jira(at),
		} {
			if r.status != http.StatusOK || len(r.outcomes) != 1 || r.outcomes[0].Result != result.Unchanged {
				t.Errorf("%s, repeated: %d %s", name, r.status, r.body)
			}
		}
		if n := s.changes() - before; n != 0 {
			t.Errorf("repeated deliveries changed %d things", n)
		}
		s.cloud.Advance(time.Hour)
	}
}

func TestATicketLearnsWhyNothingIsDone(t *testing.T) {
	s := hookedStage(t)
	created, _ := s.created("team-b")
	s.post(s.url, created, "")
	s.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "app-sender-shop", Description: "foreign"})
	r := s.call("servicenow", payload(t, "servicenow-approved.json"), "X-Latchkey-Token", snowToken)
	if len(r.outcomes) != 1 || r.outcomes[0].Credential != "app-sender/shop" || r.outcomes[0].Result != result.Blocked || r.outcomes[0].Reason == "" || r.outcomes[0].Message == "" {
		t.Errorf("answered %d %s", r.status, r.body)
	}
}

func TestATicketLearnsWhatGoesOn(t *testing.T) {
	s := hookedStage(t)
	patient := s.url
	s.url = s.serve(examples.HooksEmulator, func(c *service.Config) { c.AnswerWithin = 500 * time.Millisecond })
	before := false
	s.cloud.Inject(emulator.Fault{Method: http.MethodPost, Path: "/v1/apikeys", Kind: emulator.FaultHang, Effect: &before})
	approved := payload(t, "servicenow-approved.json")
	r := s.call("servicenow", approved, "X-Latchkey-Token", snowToken)
	if r.status != http.StatusAccepted || len(r.outcomes) != 1 || r.outcomes[0].Credential != "app-sender/shop" || r.outcomes[0].Result != result.InProgress {
		t.Errorf("answered %d %s", r.status, r.body)
	}
	s.cloud.ClearFaults()
	s.service.Drain(t.Context())
	s.url = patient
	if r = s.call("servicenow", approved, "X-Latchkey-Token", snowToken); r.status != http.StatusOK || len(r.outcomes) != 1 || r.outcomes[0].Key == "" {
		t.Errorf("asked again it answers %d %s", r.status, r.body)
	}
}

// alert is GitHub's, with the value that the relay adds.
func alert(t *testing.T, value string) string {
	return strings.Replace(payload(t, "github-alert.json"), `"number": 42,`, fmt.Sprintf(`"number": 42, "secret": %q,`, value), 1)
}

func TestALeakedKeyIsFoundByItsValue(t *testing.T) {
	s := hookedStage(t)
	o := s.call("servicenow", payload(t, "servicenow-approved.json"), "X-Latchkey-Token", snowToken).published(t, "app-sender/shop")
	key := s.keys("app-sender/shop")[o.Key]
	send := func(value string) reply {
		body := alert(t, value)
		return s.call("github-alerts", body, "X-Hub-Signature-256", signature(alertsSecret, body))
	}
	s.cloud.Advance(time.Hour)
	as := payload(t, "github-alert.json")
	if r := s.call("github-alerts", as, "X-Hub-Signature-256", signature(alertsSecret, as)); r.status != http.StatusBadRequest || !strings.Contains(r.body, "body.alert.secret") {
		t.Errorf("GitHub's own alert, which has no value, is answered %d %s", r.status, r.body)
	}
	for range 2 { // the second time there is no such key any more
		if r := send(key.Value); r.status != http.StatusOK && r.status != http.StatusNoContent {
			t.Errorf("answered %d %s", r.status, r.body)
		}
	}
	if k, lives := s.keys("app-sender/shop")[o.Key]; lives && !k.Disabled {
		t.Errorf("the leaked key lives on: %+v", k.ID)
	}
	if said := s.said.String(); !strings.Contains(said, `"msg":"key leaked"`) || !strings.Contains(said, o.Key) {
		t.Error("it was not said which key leaked")
	}
	before := s.changes()
	for name, value := range map[string]string{
		"an unknown one":   strings.Repeat("Zz9_", 11),
		"another owner's":  s.cloud.Ready().APIKey,
		"not even a value": "x\r\nIAM-ApiKey: y",
		"an empty one":     "",
	} {
		if r := send(value); r.status != http.StatusNoContent {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if n := s.changes() - before; n != 0 {
		t.Errorf("values that are not ours changed %d things", n)
	}
	s.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v1/apikeys/details", Kind: emulator.FaultStatus, Status: 503})
	if r := send(strings.Repeat("Zz9_", 11)); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("while IAM is down: %d %s", r.status, r.body)
	}
	s.cloud.ClearFaults()
}

func TestWhatAHookAnswersToWhom(t *testing.T) {
	s := hookedStage(t)
	s.call("servicenow", payload(t, "servicenow-approved.json"), "X-Latchkey-Token", snowToken).published(t, "app-sender/shop")
	before, calls := s.changes(), s.cloud.Counter("*", "*")
	repository := payload(t, "github-repository.json")
	good := signature(githubSecret, repository)
	for name, tc := range map[string]struct {
		hook, body string
		header     []string
		status     int
	}{
		"an unknown hook":                  {"unknown", repository, []string{"X-Hub-Signature-256", good}, 404},
		"a path below a hook":              {"github/x", repository, []string{"X-Hub-Signature-256", good}, 404},
		"no name":                          {"", repository, nil, 404},
		"no signature":                     {"github", repository, nil, 401},
		"a signature of another body":      {"github", repository + " ", []string{"X-Hub-Signature-256", good}, 401},
		"another hook's secret":            {"github", repository, []string{"X-Hub-Signature-256", signature(jiraSecret, repository)}, 401},
		"the bearer token of /events":      {"github", repository, []string{"Authorization", "Bearer " + testToken}, 401},
		"no signature, and broken JSON":    {"github", `{"a":`, nil, 401},
		"signed, and broken JSON":          {"github", `{"a":`, []string{"X-Hub-Signature-256", signature(githubSecret, `{"a":`)}, 400},
		"signed, and what it reads lacks":  {"github", `{"action":"created"}`, []string{"X-GitHub-Event", "repository", "X-Hub-Signature-256", signature(githubSecret, `{"action":"created"}`)}, 400},
		"signed, and compressed":           {"github", repository, []string{"Content-Encoding", "gzip", "X-Hub-Signature-256", good}, 415},
		"signed, and a form":               {"github", repository, []string{"Content-Type", "application/x-www-form-urlencoded", "X-Hub-Signature-256", good}, 415},
		"a body that is too large":         {"github", strings.Repeat(" ", 1<<20) + repository, []string{"X-Hub-Signature-256", good}, 413},
		"too large, and not even a claim":  {"github", strings.Repeat(" ", 1<<20) + repository, nil, 401},
		"a body that nests without an end": {"github", strings.Repeat("[", 5000), []string{"X-Hub-Signature-256", signature(githubSecret, strings.Repeat("[", 5000))}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.call(tc.hook, tc.body, tc.header...)
			if r.status != tc.status {
				t.Errorf("answered %d %s, want %d", r.status, r.body, tc.status)
			}
			if (r.status == 401 || r.status == 404) && r.body != "" {
				t.Errorf("it tells %q", r.body)
			}
		})
	}
	resp, err := http.Get(s.url + "/hooks/github")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != http.MethodPost {
		t.Errorf("GET is answered %d", resp.StatusCode)
	}
	if n, c := s.changes()-before, s.cloud.Counter("*", "*")-calls; n != 0 || c != 0 {
		t.Errorf("they made %d calls to IBM Cloud, and changed %d things", c, n)
	}
}

func TestAHookMayAskOnlyWhatItIsAllowed(t *testing.T) {
	server, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, cloud: server, said: &record{}}
	t.Cleanup(func() { s.findCanaries(); server.Close() })
	s.url = s.serve(holesHead + static("c", place1) + static("d", place2) + `hooks:
  any:
    verify: {github: {secretEnv: GITHUB_SECRET}}
    event: {type: "${body.type}", time: "${body.time}", data: "${body.data}"}
    allow: [{verbs: [provision], credentials: ["*"]}, {verbs: [rotate], credentials: [c]}]
`)
	ask := func(kind, credential string) reply {
		b, err := json.Marshal(map[string]any{"type": kind, "time": s.cloud.Now().Format(time.RFC3339), "data": map[string]any{"credential": credential}})
		if err != nil {
			t.Fatal(err)
		}
		return s.call("any", string(b), "X-Hub-Signature-256", signature(githubSecret, string(b)))
	}
	s.post(s.url, sample.Tick(s.cloud.Now()), "")
	s.cloud.Advance(time.Hour)
	for _, tc := range []struct {
		kind, credential string
		status           int
	}{
		{"dev.latchkey.provision", "c", 200}, {"dev.latchkey.provision", "d", 200},
		{"dev.latchkey.rotate", "d", 403}, {"dev.latchkey.rotate", "c", 200},
		{"com.acme.order", "c", 204},
	} {
		if r := ask(tc.kind, tc.credential); r.status != tc.status || r.status == 403 && r.body != "" {
			t.Errorf("%s %s: %d %s, want %d", tc.kind, tc.credential, r.status, r.body, tc.status)
		}
	}
	revoke := `{"type":"dev.latchkey.revoke","time":"` + s.cloud.Now().Format(time.RFC3339) + `","data":{"credential":"c","keyID":"ApiKey-1"}}`
	calls := s.cloud.Counter("*", "*")
	if r := s.call("any", revoke, "X-Hub-Signature-256", signature(githubSecret, revoke)); r.status != 403 || r.body != "" || s.cloud.Counter("*", "*") != calls {
		t.Errorf("a verb that is not named: %d %s", r.status, r.body)
	}
}

func TestAVerifiedSenderIsLimitedAndOthersDoNotCount(t *testing.T) {
	s := hookedStage(t)
	s.call("servicenow", payload(t, "servicenow-approved.json"), "X-Latchkey-Token", snowToken).published(t, "app-sender/shop")
	for range 30 {
		if r := s.call("jira", "{}", "X-Hub-Signature", signature(githubSecret, "{}")); r.status != http.StatusUnauthorized {
			t.Fatalf("answered %d", r.status)
		}
	}
	for range 3 * 60 {
		if r := s.github("ping", "{}x"); r.status == http.StatusTooManyRequests {
			break
		}
	}
	if r := s.github("ping", "{}"); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("a sender without an end is answered %d", r.status)
	}
	if r := s.jira(s.cloud.Now()); r.status == http.StatusTooManyRequests {
		t.Error("those who are refused used up the sender's share")
	}
}

// The platform gives the raw body and the headers in its own spelling; the
// answers are the application's.
func TestTheFunctionTakesDeliveriesToo(t *testing.T) {
	s := hookedStage(t)
	approved, repository := payload(t, "servicenow-approved.json"), payload(t, "github-repository.json")
	var in, out bytes.Buffer
	for id, c := range map[string]service.Call{
		"ok":   {Path: "/hooks/servicenow", Headers: map[string][]string{"X-Latchkey-Token": {snowToken}}, Body: []byte(approved)},
		"raw":  {Path: "/hooks/github", Headers: map[string][]string{"X-Github-Event": {"repository"}, "X-Hub-Signature-256": {signature(githubSecret, repository)}}, Body: []byte(repository)},
		"bad":  {Path: "/hooks/github", Headers: map[string][]string{"X-Hub-Signature-256": {signature(githubSecret, repository)}}, Body: []byte(repository + "\n")},
		"none": {Path: "/hooks/none", Body: []byte("{}")},
		"long": {Path: "/hooks/servicenow", Headers: map[string][]string{"X-Latchkey-Token": {snowToken}}, Body: bytes.Repeat([]byte(" "), 2<<20)},
	} {
		c.ID, c.Method = id, "POST"
		line, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	ready := s.cloud.Ready()
	env := hookEnv(map[string]string{"LATCHKEY_ENDPOINT": ready.URL, "IBMCLOUD_API_KEY": ready.APIKey, "EVENTS_TOKEN": testToken, "LATCHKEY_CONFIG": examples.HooksEmulator})
	if code := run(t.Context(), []string{"invoke"}, func(name string) string { return env[name] }, &in, io.MultiWriter(&out, s.said), s.said); code != cli.ExitOK {
		t.Fatalf("exit %d", code)
	}
	want := map[string]int{"ok": 200, "raw": 200, "bad": 401, "none": 404, "long": 413}
	d := json.NewDecoder(&out)
	for d.More() {
		var r service.Result
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Status != want[r.ID] {
			t.Errorf("%s is answered %d %s, want %d", r.ID, r.Status, r.Body, want[r.ID])
		}
		delete(want, r.ID)
	}
	if len(want) != 0 {
		t.Errorf("not answered: %v", want)
	}
}

func TestAHookWithoutItsSecretDoesNotStart(t *testing.T) {
	cfg, err := config.Load("test.yaml", []byte(examples.HooksEmulator))
	if err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string]map[string]string{
		"none is set":     {},
		"one is not set":  {"SERVICENOW_TOKEN": snowToken, "JIRA_SECRET": jiraSecret},
		"one is too weak": {"SERVICENOW_TOKEN": snowToken, "JIRA_SECRET": "hook-canary", "GITHUB_SECRET": githubSecret, "GITHUB_ALERTS_SECRET": alertsSecret},
	} {
		if hooks, err := newHooks(t.Context(), func(name string) string { return env[name] }, cfg.Hooks, time.Now); err == nil || hooks != nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// hookEnv adds the secrets of the hooks.
func hookEnv(env map[string]string) map[string]string {
	env["SERVICENOW_TOKEN"], env["JIRA_SECRET"] = snowToken, jiraSecret
	env["GITHUB_SECRET"], env["GITHUB_ALERTS_SECRET"] = githubSecret, alertsSecret
	return env
}
