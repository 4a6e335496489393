package emulator_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestStartRefusesOtherThanLoopback(t *testing.T) {
	for address, want := range map[string]error{
		"0.0.0.0:0": emulator.ErrNotLoopback, ":0": emulator.ErrNotLoopback, "192.0.2.1:0": emulator.ErrNotLoopback,
		"[::]:0": emulator.ErrNotLoopback, "example.com:0": emulator.ErrNotLoopback,
		"127.0.0.1:0": nil, "localhost:0": nil, "127.9.9.9:0": nil,
	} {
		t.Run(address, func(t *testing.T) {
			s, err := emulator.Start(emulator.Options{Listen: address})
			if !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
			if err == nil {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if _, err := emulator.Start(emulator.Options{Faults: []emulator.Fault{{Kind: "explode"}}}); err == nil {
		t.Error("a malformed fault is accepted")
	}
}

func TestReadyLine(t *testing.T) {
	w := newWorld(t)
	b, err := json.Marshal(w.Ready())
	if err != nil {
		t.Fatal(err)
	}
	var line map[string]any
	if err := json.Unmarshal(b, &line); err != nil {
		t.Fatal(err)
	}
	if line["url"] != w.URL() || line["account"] != "5f1d0a7e4b6c4d2f9e8a7b6c5d4e3f21" ||
		line["logs"] != "7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10" || len(line["apikey"].(string)) != 44 {
		t.Errorf("ready %s", b)
	}
	var names []string
	for _, p := range line["projects"].([]any) {
		names = append(names, p.(map[string]any)["name"].(string)+" "+p.(map[string]any)["region"].(string))
	}
	if got := strings.Join(names, ", "); got != "team-a eu-de, team-b us-south, sandbox eu-de" {
		t.Errorf("projects %s", got)
	}
	if other := newWorld(t); other.Ready().APIKey == w.Ready().APIKey {
		t.Error("two emulators have the same key")
	}
}

func TestClockControl(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct{ body, want string }{
		{`{"advance":"1920h"}`, "2027-02-12T10:00:30Z"},
		{`{"advance":"-1h"}`, "2027-02-12T09:00:30Z"},
		{`{"set":"2030-01-01T00:00:00Z"}`, "2030-01-01T00:00:00Z"},
	} {
		r, body := w.raw("POST", "/emulator/clock", test.body)
		if r.StatusCode != 200 || body["now"] != test.want {
			t.Errorf("%s: %d %v, want %s", test.body, r.StatusCode, body, test.want)
		}
	}
	r, body := w.raw("GET", "/emulator/clock", "")
	if body["now"] != "2030-01-01T00:00:00Z" || r.Header.Get("Date") != "Tue, 01 Jan 2030 00:00:00 GMT" {
		t.Errorf("clock %v, Date %s", body, r.Header.Get("Date"))
	}
	r, _ = w.raw("GET", "/v1/apikeys", "")
	if r.StatusCode != 401 || r.Header.Get("Date") != "Tue, 01 Jan 2030 00:00:00 GMT" {
		t.Errorf("Date %q on a refusal", r.Header.Get("Date"))
	}
	for _, body := range []string{`{}`, `{"advance":"1h","set":"2030-01-01T00:00:00Z"}`, `{"advance":"soon"}`, `{"forward":"1h"}`} {
		if r, _ := w.raw("POST", "/emulator/clock", body); r.StatusCode != 400 {
			t.Errorf("%s: status %d", body, r.StatusCode)
		}
	}
}

func TestSettingsControl(t *testing.T) {
	w := newWorld(t)
	r, body := w.raw("POST", "/emulator/settings", `{"lag":"5s","keyLag":"1s","projectDelay":"20s","switches":{"staleIdentityStatus":412}}`)
	if r.StatusCode != 200 || body["keyLag"] != "1s" || body["listLag"] != "5s" || body["policyLag"] != "5s" || body["projectDelay"] != "20s" {
		t.Errorf("settings %d %v", r.StatusCode, body)
	}
	got := w.Settings()
	if got.Switches.StaleIdentityStatus != 412 || got.Switches.StaleCodeEngineStatus != 412 || got.PolicyLag.Duration != 5*time.Second {
		t.Errorf("settings %+v", got)
	}
	for _, bad := range []string{`{"lags":"5s"}`, `{"lag":5}`, `{"latency":"-1s"}`, `{"switches":{"unknown":1}}`} {
		if r, _ := w.raw("POST", "/emulator/settings", bad); r.StatusCode != 400 {
			t.Errorf("%s: status %d", bad, r.StatusCode)
		}
	}
	if w.Settings() != got {
		t.Error("a refused change had an effect")
	}
	sid := w.newServiceID("s")
	done(w.identity.UpdateServiceID(w.identity.NewUpdateServiceIDOptions(*sid.ID, "*").SetName("n")))(t)
	_, _, err := w.identity.UpdateServiceID(w.identity.NewUpdateServiceIDOptions(*sid.ID, *sid.EntityTag).SetName("late"))
	refused(t, err, 412, "conflict")
}

func TestFaultControl(t *testing.T) {
	w := newWorld(t)
	if r, _ := w.raw("POST", "/emulator/faults", `{"method":"GET","path":"/v1/apikeys/*","kind":"status","status":500}`); r.StatusCode != 200 {
		t.Fatalf("status %d", r.StatusCode)
	}
	r, _ := w.raw("GET", "/v1/apikeys/ApiKey-1", "")
	if r.StatusCode != 500 {
		t.Errorf("with the fault: status %d", r.StatusCode)
	}
	if got := w.Faults(); len(got) != 1 || got[0].Status != 500 {
		t.Errorf("faults %+v", got)
	}
	list, err := w.http.Get(w.URL() + "/emulator/faults")
	if err != nil {
		t.Fatal(err)
	}
	var seen []struct{ Seen int }
	if err := json.NewDecoder(list.Body).Decode(&seen); err != nil || len(seen) != 1 || seen[0].Seen != 1 {
		t.Errorf("faults %v, %v", seen, err)
	}
	list.Body.Close()
	if r, _ := w.raw("POST", "/emulator/faults", `{"kind":"status","status":500,"extra":1}`); r.StatusCode != 400 {
		t.Errorf("an unknown field: status %d", r.StatusCode)
	}
	req, _ := http.NewRequest("DELETE", w.URL()+"/emulator/faults", nil)
	del, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	del.Body.Close()
	if r, _ := w.raw("GET", "/v1/apikeys/ApiKey-1", ""); r.StatusCode != 401 {
		t.Errorf("without the fault: status %d", r.StatusCode)
	}
}

func TestCounters(t *testing.T) {
	w := newWorld(t)
	w.ResetCounters()
	sid := w.newServiceID("s")
	key := w.newKey(*sid.IamID, "k")
	for range 2 {
		done(w.identity.GetAPIKey(w.identity.NewGetAPIKeyOptions(*key.ID)))(t)
	}
	w.raw("GET", "/nowhere", "")
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"POST", "/v1/serviceids", 1}, {"POST", "/v1/apikeys", 1}, {"GET", "/v1/apikeys/{id}", 2}, {"GET", "/v1/*", 2},
		{"*", "/v1/*", 4}, {"DELETE", "/v1/apikeys/{id}", 0}, {"POST", "/identity/token", 0},
	} {
		if got := w.Counter(test.method, test.path); got != test.want {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, got, test.want)
		}
	}
	_, body := w.raw("GET", "/emulator/counters", "")
	if body["GET /v1/apikeys/{id}"] != 2.0 || body["GET *"] != 1.0 || len(body) != 4 {
		t.Errorf("counters %v", body)
	}
	w.raw("DELETE", "/emulator/counters", "")
	if n := len(w.Counters()); n != 0 {
		t.Errorf("%d counters after the reset", n)
	}
}

func TestEventsNameTheirActor(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	stranger := w.stranger()
	_, err := stranger.identity.DeleteServiceID(w.identity.NewDeleteServiceIDOptions(*sid.ID))
	refused(t, err, 403, "forbidden")
	w.Inject(emulator.Fault{Method: "DELETE", Kind: "status", Status: 500, Effect: ptr(true)})
	if _, err := w.identity.DeleteServiceID(w.identity.NewDeleteServiceIDOptions(*sid.ID)); err == nil {
		t.Error("the fault did not play")
	}
	events := w.Events()
	if len(events) != 3 {
		t.Fatalf("events %+v", events)
	}
	minter := w.Cloud().Minter().IAMID
	made, denied, faulty := events[0], events[1], events[2]
	if made.Actor != minter || made.Method != "POST" || made.Status != 201 || made.ID != *sid.ID || !made.Time.Equal(start) {
		t.Errorf("creation %+v", made)
	}
	if denied.Actor == minter || denied.Status != 403 || denied.Path != "/v1/serviceids/"+*sid.ID {
		t.Errorf("refusal %+v", denied)
	}
	if faulty.Status != 204 || faulty.Fault != "status" {
		t.Errorf("faulty deletion %+v", faulty)
	}
}

func TestValuesAreShownOnRequestOnly(t *testing.T) {
	log := &logBuffer{}
	w := newWorldWith(t, emulator.Options{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	value := strings.Repeat("canary-", 7)
	sid := w.newServiceID("s")
	done(w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("k", *sid.IamID).SetApikey(value)))(t)
	done(w.identity.GetAPIKeysDetails(w.identity.NewGetAPIKeysDetailsOptions().SetIamAPIKey(value)))(t)
	_, _, err := w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions("k", *sid.IamID).SetApikey(value))
	refused(t, err, 409, "conflict")
	if strings.Contains(err.Error(), value) {
		t.Error("the refusal has the value")
	}
	w.token(value)
	w.Cloud().PutSecret(w.teamA(), "logs-sender", map[string]string{"IAM_API_KEY": value})
	text := func(path string) string {
		r, err := w.http.Get(w.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(decode(t, r))
		return string(b)
	}
	for _, path := range []string{"/emulator/state", "/emulator/settings", "/emulator/counters"} {
		if strings.Contains(text(path), value) {
			t.Errorf("%s has the value", path)
		}
	}
	if n := strings.Count(text("/emulator/state?values=true"), value); n != 2 {
		t.Errorf("the state with values has it %d times", n)
	}
	events, _ := json.Marshal(w.Events())
	if strings.Contains(string(events), value) || strings.Contains(log.String(), value) {
		t.Error("events or log have the value")
	}
	if !strings.Contains(log.String(), "/v1/apikeys") {
		t.Error("the log has no calls")
	}
}

func TestUnknownPathsAreNotEmulated(t *testing.T) {
	w := newWorld(t)
	for _, call := range []string{"GET /", "GET /v1/activity/accounts/x/report", "PATCH /v1/apikeys/x", "POST /v2/projects/x/fleets", "GET /api/v1/secrets", "GET /api/v2/endpoints", "GET /v1/apikeys/a/b/c"} {
		method, path, _ := strings.Cut(call, " ")
		r, body := w.raw(method, path, "", "Authorization", w.bearer())
		if r.StatusCode != 501 || body["status_code"] != 501.0 || len(body["errors"].([]any)) != 1 {
			t.Errorf("%s: %d %v", call, r.StatusCode, body)
		}
	}
	if r, body := w.raw("GET", "/emulator/nothing", ""); r.StatusCode != 404 || body["error"] == "" {
		t.Errorf("an unknown control: %d %v", r.StatusCode, body)
	}
	if r, _ := w.raw("GET", "/emulator/state", "", "Host", "evil.example.com"); r.StatusCode != 403 {
		t.Errorf("the control API under a foreign name: status %d", r.StatusCode)
	}
}

func TestRequestsThatTheSDKsWouldNotSend(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	for name, test := range map[string]struct {
		method, path, body string
		headers            []string
		want               int
	}{
		"broken JSON":                {"POST", "/v1/apikeys", `{`, nil, 400},
		"a field of the wrong type":  {"POST", "/v1/apikeys", `{"name":1}`, nil, 400},
		"another content type":       {"POST", "/v1/apikeys", `{}`, []string{"Content-Type", "text/plain"}, 400},
		"a name that is missing":     {"POST", "/v1/serviceids", `{"account_id":"` + cloud.AccountID + `"}`, nil, 400},
		"an account that is missing": {"POST", "/v1/serviceids", `{"name":"n"}`, nil, 400},
		"an unknown field":           {"POST", "/v1/serviceids", `{"name":"n","account_id":"` + cloud.AccountID + `","new":1}`, nil, 201},
		"a policy that grants nothing": {"POST", "/v2/policies", `{"type":"access","subject":{"attributes":[{"key":"iam_id","operator":"stringEquals","value":"` + *sid.IamID +
			`"}]},"resource":{"attributes":[{"key":"accountId","operator":"stringEquals","value":"` + cloud.AccountID + `"},{"key":"serviceName","operator":"stringEquals","value":"logs"}]}}`, nil, 400},
		"a page of no number":       {"GET", "/v1/apikeys?pagesize=many", "", nil, 400},
		"a token without scheme":    {"GET", "/v1/apikeys", "", []string{"Authorization", w.token(w.Ready().APIKey)}, 401},
		"a body of more than 8 MiB": {"POST", "/v1/apikeys", strings.Repeat(" ", 8<<20+1), nil, 413},
	} {
		t.Run(name, func(t *testing.T) {
			headers := append([]string{"Authorization", w.bearer()}, test.headers...)
			r, body := w.raw(test.method, test.path, test.body, headers...)
			if r.StatusCode != test.want {
				t.Errorf("status %d, want %d: %v", r.StatusCode, test.want, body)
			}
		})
	}
}

func TestUnencryptedHTTP2(t *testing.T) {
	w := newWorld(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	r, err := (&http.Client{Transport: transport}).Get(w.URL() + "/emulator/clock")
	if err != nil {
		t.Fatal(err)
	}
	if decode(t, r)["now"] != "2026-11-24T10:00:30Z" || r.ProtoMajor != 2 {
		t.Errorf("HTTP/%d", r.ProtoMajor)
	}
	w.Inject(emulator.Fault{Kind: "lost"})
	if r, err := (&http.Client{Transport: transport}).Post(w.URL()+"/v1/apikeys", "application/json", strings.NewReader("{}")); err == nil {
		r.Body.Close()
		t.Error("a lost answer arrived")
	}
}

func TestCloseTwice(t *testing.T) {
	s, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := http.Get(s.URL() + "/emulator/clock"); err == nil {
		t.Error("a closed emulator answers")
	}
}

func TestReadsByPostAreNoChanges(t *testing.T) {
	w := newWorld(t)
	token := "Bearer " + w.token(w.Ready().APIKey)
	w.raw("POST", "/v1/accounts/"+cloud.AccountID+"/limits/identity", `{"profiles":true}`, "Authorization", token)
	w.raw("POST", "/v1/activity/accounts/"+cloud.AccountID+"/report", "", "Authorization", token)
	if events := w.Events(); len(events) != 0 {
		t.Errorf("events %+v", events)
	}
}
