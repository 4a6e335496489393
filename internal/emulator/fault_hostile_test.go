package emulator_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestHostileAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		fault  emulator.Fault
		status int
		header string // with its value
		body   string // a part of it; "" means that it is empty
		made   int
	}{
		"a gateway answers 404 with HTML":          {emulator.Fault{Kind: "html"}, 404, "Content-Type: text/html", "<html>", 0},
		"a gateway answers with any status":        {emulator.Fault{Kind: "html", Status: 503, RetryAfter: "3"}, 503, "Retry-After: 3", "503 Service Unavailable", 0},
		"a gateway answers 200 with HTML":          {emulator.Fault{Kind: "html", Status: 200}, 200, "Content-Type: text/html", "<html>", 0},
		"a gateway hides an answer":                {emulator.Fault{Kind: "html", Effect: ptr(true)}, 404, "Content-Type: text/html", "<html>", 1},
		"a redirect leads to a login page":         {emulator.Fault{Kind: "redirect"}, 302, "Location: https://login.example.com/", "302 Found", 0},
		"a redirect may lead anywhere":             {emulator.Fault{Kind: "redirect", Status: 307, Location: "http://127.0.0.1:1/"}, 307, "Location: http://127.0.0.1:1/", "307", 0},
		"a proxy wants a password":                 {emulator.Fault{Kind: "proxy"}, 407, `Proxy-Authenticate: Basic realm="proxy"`, "407 Proxy", 0},
		"an empty answer is a 200":                 {emulator.Fault{Kind: "empty"}, 200, "Content-Length: 0", "", 0},
		"an empty 404":                             {emulator.Fault{Kind: "empty", Status: 404}, 404, "Content-Type: ", "", 0},
		"an empty answer may have had its effect":  {emulator.Fault{Kind: "empty", Effect: ptr(true)}, 200, "Content-Type: ", "", 1},
		"an answer may be two hours in the future": {emulator.Fault{Kind: "date", Skew: emulator.Duration{Duration: 2 * time.Hour}}, 201, "Date: Tue, 24 Nov 2026 12:00:30 GMT", "{", 1},
		"an answer may be a day in the past":       {emulator.Fault{Kind: "date", Skew: emulator.Duration{Duration: -24 * time.Hour}}, 201, "Date: Mon, 23 Nov 2026 10:00:30 GMT", "{", 1},
		"the clock jumps before the call":          {emulator.Fault{Kind: "jump", Skew: emulator.Duration{Duration: 10 * time.Minute}}, 201, "Date: Tue, 24 Nov 2026 10:10:30 GMT", `"created_at":"2026-11-24T10:10+0000"`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.fault.Path, test.fault.Count = "/v1/serviceids", 1
			w.Inject(test.fault)
			follow := w.http.CheckRedirect
			w.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			defer func() { w.http.CheckRedirect = follow }()
			r, err := w.post(t.Context(), "x")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			body, _ := io.ReadAll(r.Body)
			field, value, _ := strings.Cut(test.header, ": ")
			if r.StatusCode != test.status || r.Header.Get(field) != value {
				t.Errorf("status %d with %s %q, want %d and %q", r.StatusCode, field, r.Header.Get(field), test.status, value)
			}
			if !strings.Contains(string(body), test.body) || test.body == "" && len(body) > 0 {
				t.Errorf("body %q", body)
			}
			if w.made("x") != test.made {
				t.Errorf("%d made, want %d", w.made("x"), test.made)
			}
		})
	}
}

func TestAClockThatJumpedStays(t *testing.T) {
	w := newWorld(t)
	w.Inject(emulator.Fault{Kind: "jump", Count: 1, Skew: emulator.Duration{Duration: -time.Hour}})
	w.newServiceID("a")
	if got := w.Now().Sub(start); got != -time.Hour {
		t.Errorf("the clock is off by %s", got)
	}
	w.newServiceID("b")
	if got := w.Now().Sub(start); got != -time.Hour {
		t.Errorf("the clock is off by %s", got)
	}
}

func TestARegionThatIsDown(t *testing.T) {
	w := newWorld(t)
	projects := w.Ready().Projects // eu-de, us-south, eu-de
	w.raw("POST", "/emulator/faults", `{"kind":"down","region":"eu-de"}`)
	const other = "00000000-1111-4222-8333-444444444444"
	w.Cloud().AddSecretsInstance(other, "us-south")
	for _, test := range []struct {
		name, path, host string
		down             bool
	}{
		{"a project of the region is down", "/v2/projects/" + projects[0].ID, "", true},
		{"a project of another region answers", "/v2/projects/" + projects[1].ID, "", false},
		{"the host of the region is down", "/v2/projects", "api.eu-de.codeengine.cloud.ibm.com", true},
		{"the private host of the region is down", "/v2/projects", "api.private.eu-de.codeengine.cloud.ibm.com", true},
		{"the host of another region answers", "/v2/projects", "api.us-south.codeengine.cloud.ibm.com", false},
		{"its instance of Secrets Manager is down", "/api/v2/secrets", "", true},
		{"an instance of another region answers", "/api/v2/secrets", other + ".us-south.secrets-manager.appdomain.cloud", false},
		{"Cloud Logs is down", "/logs/v1/singles", cloud.LogsInstanceID + ".ingress.eu-de.logs.cloud.ibm.com", true},
		{"IAM answers", "/v1/serviceids?account_id=" + cloud.AccountID, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			headers := []string{"Authorization", w.bearer()}
			if test.host != "" {
				headers = append(headers, "Host", test.host)
			}
			method := "GET"
			if strings.HasPrefix(test.path, "/logs") {
				method = "POST"
			}
			r, err := w.send(method, test.path, "", headers...)
			if err == nil {
				r.Body.Close()
			}
			if (err != nil) != test.down {
				t.Errorf("error %v", err)
			}
		})
	}
	w.raw("DELETE", "/emulator/faults", "")
	if r, _ := w.raw("GET", "/v2/projects/"+projects[0].ID, "", "Authorization", w.bearer()); r.StatusCode != 200 {
		t.Errorf("the region that is up again: status %d", r.StatusCode)
	}
}

func TestFaultsThatMakeNoSenseAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a redirect with a status of success":    `{"kind":"redirect","status":200}`,
		"an HTML page with a status of progress": `{"kind":"html","status":100}`,
		"a date without a skew":                  `{"kind":"date"}`,
		"a jump without a skew":                  `{"kind":"jump"}`,
		"a jump that performs nothing":           `{"kind":"jump","skew":"1h","effect":false}`,
		"a region that is down and works":        `{"kind":"down","effect":true}`,
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := emulator.ParseFaults([]byte(text)); err == nil {
				t.Errorf("parsed to %+v", got)
			}
		})
	}
	for _, k := range emulator.FaultKinds() {
		full := `{"kind":"` + k.Name + `","delay":"1s","skew":"1h"` + map[bool]string{true: `,"status":503`}[k.Name == "status"] + "}"
		if _, err := emulator.ParseFaults([]byte(full)); err != nil || k.Meaning == "" {
			t.Errorf("kind %s: %v", k.Name, err)
		}
	}
}
