package service

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/result"
)

// showing adds a page and metrics that say what they are.
func showing(cfg *Config) {
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	}
	cfg.Pages, cfg.Metrics = say("a page"), say("metrics")
}

func onLoopback(cfg *Config) {
	showing(cfg)
	cfg.Local = true
}

func TestWhoSeesThePagesAndTheMetrics(t *testing.T) {
	const events = "POST CloudEvents here.\n"
	for name, tc := range map[string]struct {
		tune   func(*Config)
		path   string
		header []string // and "Host" and "From", the address of the caller
		status int
		body   string // "" is any
	}{
		"the page with the token":                       {showing, "/", withToken(testToken), 200, "a page"},
		"the page with the token as a password":         {showing, "/", []string{"Authorization", basic(testToken)}, 200, "a page"},
		"a credential's page with the token":            {showing, "/credentials/logs-sender/a", withToken(testToken), 200, "a page"},
		"the metrics with the token":                    {showing, "/metrics", withToken(testToken), 200, "metrics"},
		"a stranger learns where events go":             {showing, "/", nil, 200, events},
		"a wrong token shows nothing":                   {showing, "/", withToken("bearer-canary-wrong"), 200, events},
		"a browser is asked for the token":              {showing, "/", []string{"Accept", "text/html,*/*"}, 401, ""},
		"a browser with a wrong password is asked":      {showing, "/", []string{"Accept", "text/html", "Authorization", basic("bearer-canary-wrong")}, 401, ""},
		"a stranger gets no credential's page":          {showing, "/credentials/logs-sender/a", nil, 401, ""},
		"a stranger gets no metrics":                    {showing, "/metrics", nil, 401, ""},
		"the local caller of a local service":           {onLoopback, "/metrics", []string{"Host", "127.0.0.1:8080", "From", "127.0.0.1:4711"}, 200, "metrics"},
		"the same by the name localhost and IPv6":       {onLoopback, "/", []string{"Host", "localhost:8080", "From", "[::1]:4711"}, 200, "a page"},
		"a local caller with a wrong token":             {onLoopback, "/metrics", []string{"Host", "localhost", "From", "127.0.0.1:4711", "Authorization", "Bearer canary"}, 401, ""},
		"a local caller of a public service":            {showing, "/metrics", []string{"Host", "127.0.0.1:8080", "From", "127.0.0.1:4711"}, 401, ""},
		"a page of another site that asks a local one":  {onLoopback, "/metrics", []string{"Host", "evil.example", "From", "127.0.0.1:4711"}, 401, ""},
		"a caller behind a local proxy":                 {onLoopback, "/metrics", []string{"Host", "localhost", "From", "127.0.0.1:4711", "X-Forwarded-For", "203.0.113.7"}, 401, ""},
		"one behind a proxy that tells a real address":  {onLoopback, "/metrics", []string{"Host", "localhost", "From", "127.0.0.1:4711", "X-Real-IP", "203.0.113.7"}, 401, ""},
		"one behind a content network":                  {onLoopback, "/metrics", []string{"Host", "localhost", "From", "127.0.0.1:4711", "True-Client-IP", "203.0.113.7"}, 401, ""},
		"a local Prometheus":                            {onLoopback, "/metrics", []string{"Host", "localhost", "From", "127.0.0.1:4711", "X-Prometheus-Scrape-Timeout-Seconds", "10"}, 200, "metrics"},
		"a caller of another machine":                   {onLoopback, "/metrics", []string{"Host", "localhost", "From", "203.0.113.7:4711"}, 401, ""},
		"without a page, the known caller sees a build": {nil, "/", withToken(testToken), 200, "latchkey v1\n" + events},
	} {
		t.Run(name, func(t *testing.T) {
			var tune []func(*Config)
			if tc.tune != nil {
				tune = append(tune, tc.tune)
			}
			r := httptest.NewRequest(http.MethodGet, tc.path, nil)
			for pair := range slices.Chunk(tc.header, 2) {
				switch pair[0] {
				case "Host":
					r.Host = pair[1]
				case "From":
					r.RemoteAddr = pair[1]
				default:
					r.Header.Set(pair[0], pair[1])
				}
			}
			w := httptest.NewRecorder()
			newWorld().service(t, tune...).Handler().ServeHTTP(w, r)
			if w.Code != tc.status || tc.body != "" && w.Body.String() != tc.body {
				t.Errorf("answered %d %q, want %d %q", w.Code, w.Body, tc.status, tc.body)
			}
			if asked := w.Header().Get("WWW-Authenticate") != ""; asked != (tc.status == 401) {
				t.Errorf("asked for the token: %t", asked)
			}
		})
	}
}

func basic(password string) string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth("anyone", password)
	return r.Header.Get("Authorization")
}

func TestEachAnswerIsCountedOnceByItsSource(t *testing.T) {
	var counted []string
	count := func(cfg *Config) {
		showing(cfg)
		cfg.Answered = func(source string, status int) { counted = append(counted, source+" "+strconv.Itoa(status)) }
	}
	w := newWorld()
	s := w.service(t, count)
	post(s, "/", sample.Tick(now))
	post(s, "/events", sample.Rotate("other", now), withToken(testToken)...)
	post(s, "/events", sample.Rotate("logs-sender/a", now))
	post(s, "/hooks/github", sample.Tick(now))
	post(s, "/hooks/none", sample.Tick(now))
	s.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	want := []string{"events 200", "events 403", "events 401", "hook github 401", "page 401"}
	if !slices.Equal(counted, want) {
		t.Errorf("counted %q, want %q", counted, want)
	}
}

func TestASweepIsReportedOnceHoweverManyAskForIt(t *testing.T) {
	w := newWorld()
	var swept []result.Sweep
	s := w.service(t, func(cfg *Config) { cfg.Swept = func(r result.Sweep) { swept = append(swept, r) } })
	post(s, "/", sample.Tick(now))
	post(s, "/", sample.Rotate("logs-sender/a", now), withToken(testToken)...)
	if len(swept) != 1 || len(swept[0].Outcomes) != 2 {
		t.Errorf("reported %+v", swept)
	}
}
