package service

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

const (
	testToken  = "bearer-canary-5c1f0e"
	oldToken   = "bearer-canary-4b0e9d"
	hookSecret = "hook-canary-github-d03f11"
)

// world is what a Service is tested with: a catalog, a reconciler and our
// identity, all of them fakes.
type world struct {
	credentials []port.Credential
	unknown     error // what the catalog could not list
	outcome     func(c port.Credential, ask reconcile.Request) result.Outcome
	unusable    error                // why our login fails
	owners      map[string][2]string // value → key ID, credential

	mu     sync.Mutex
	scopes []catalog.Scope
	asks   map[string][]reconcile.Request // by credential
	log    bytes.Buffer
}

func newWorld() *world {
	return &world{
		asks:        map[string][]reconcile.Request{},
		credentials: []port.Credential{{Name: "logs-sender/a", Entry: "logs-sender"}, {Name: "other", Entry: "other"}},
		outcome: func(c port.Credential, _ reconcile.Request) result.Outcome {
			return result.Outcome{Credential: c.Name, Result: result.Published, Key: "ApiKey-2"}
		},
	}
}

func (w *world) Credentials(_ context.Context, scope catalog.Scope) (found []port.Credential, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scopes = append(w.scopes, scope)
	for _, c := range w.credentials {
		named := len(scope.Names) == 0
		for _, name := range scope.Names {
			named = named || name == c.Name || name == c.Entry
		}
		if named {
			found = append(found, c)
		}
	}
	return found, w.unknown
}

func (w *world) Unknown(names []string, found []port.Credential) (unknown []string) {
	for _, name := range names {
		if !slices.ContainsFunc(found, func(c port.Credential) bool { return name == c.Name || name == c.Entry }) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

func (w *world) Sweep(_ context.Context, credentials []port.Credential, ask reconcile.Request) (s result.Sweep) {
	for _, c := range credentials {
		w.mu.Lock()
		w.asks[c.Name] = append(w.asks[c.Name], ask)
		w.mu.Unlock()
		s.Outcomes = append(s.Outcomes, w.outcome(c, ask))
	}
	return s
}

func (w *world) Self(context.Context) (string, error) { return "iam-ServiceId-self", nil }
func (w *world) Usable(context.Context) error         { return w.unusable }
func (w *world) Owner(_ context.Context, v secret.Value) (keyID, credential string, err error) {
	o, ok := w.owners[v.Expose()]
	if !ok {
		return "", "", fmt.Errorf("looking up: %w", port.ErrNotFound)
	}
	return o[0], o[1], nil
}

// allow permits verbs for the credentials of entries.
type allow struct{ verbs, entries string }

func (a allow) Has(verb string) bool { return strings.Contains(a.verbs, verb) }
func (a allow) Permits(verb, entry, _ string) bool {
	return a.Has(verb) && strings.Contains(a.entries, entry)
}
func (a allow) PermitsSome(verb, entry string) bool { return a.Permits(verb, entry, "") }

// service builds a Service on the world, with a bearer token and one hook in
// GitHub's scheme that may do what the token may.
func (w *world) service(t *testing.T, tune ...func(*Config)) *Service {
	t.Helper()
	allowed := []Allow{allow{"provision rotate revoke", "logs-sender"}}
	v, err := webhook.NewVerifier(webhook.Options{Scheme: "github", Secrets: []secret.Value{secret.New(hookSecret)}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Sweeper: w, Catalog: w, Identity: w, Now: func() time.Time { return now }, Version: "latchkey v1",
		Log:    slog.New(slog.NewJSONHandler(&locked{w: &w.log, mu: &w.mu}, nil)),
		Events: Events{Callers: []Caller{{Name: "desk", Tokens: []secret.Value{secret.New(testToken), secret.New(oldToken)}, Allow: allowed}}, Jobs: allowed},
		Hooks: []Hook{{Allow: allowed, Hook: &webhook.Hook{Name: "github", Verifier: v, Map: func(body any, _ map[string]string) (webhook.Parts, error) {
			fields, _ := body.(map[string]any)
			if fields["credential"] == nil && fields["leaked"] == nil {
				return webhook.Parts{}, event.ErrNotForUs
			}
			p := webhook.Parts{Type: "dev.latchkey.rotate", Time: now.Format(time.RFC3339), Data: map[string]any{"credential": fields["credential"]}}
			if value, ok := fields["leaked"].(string); ok {
				p.Type, p.Data, p.Leaked = "dev.latchkey.revoke", nil, secret.New(value)
			}
			return p, nil
		}}}},
	}
	for _, f := range tune {
		f(&cfg)
	}
	work, cancel := context.WithCancel(context.Background())
	s := New(work, cfg)
	t.Cleanup(func() {
		s.Drain(context.Background())
		cancel()
		w.mu.Lock()
		defer w.mu.Unlock()
		if strings.Contains(w.log.String(), "canary") {
			t.Errorf("a secret was logged:\n%s", w.log.String())
		}
	})
	return s
}

// locked is a writer for several goroutines.
type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// answered is what a caller gets.
type answered struct {
	*httptest.ResponseRecorder
}

// outcomes reads the body.
func (a answered) outcomes(t *testing.T) []result.Outcome {
	t.Helper()
	var many struct{ Outcomes []result.Outcome }
	if err := json.Unmarshal(a.Body.Bytes(), &many); err != nil {
		t.Fatalf("%s: %v", a.Body, err)
	}
	if len(many.Outcomes) > 0 {
		return many.Outcomes
	}
	var one result.Outcome
	if err := json.Unmarshal(a.Body.Bytes(), &one); err != nil {
		t.Fatalf("%s: %v", a.Body, err)
	}
	return []result.Outcome{one}
}

func post(s *Service, path string, e sample.Event, header ...string) answered {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(e.Body))
	for name, value := range e.Header {
		r.Header.Set(name, value)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return answered{w}
}

func withToken(token string) []string { return []string{"Authorization", "Bearer " + token} }

func signature(body string) string {
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestWhoMayRequestWhat(t *testing.T) {
	rotate := sample.Rotate("logs-sender/a", now)
	for name, tc := range map[string]struct {
		event  sample.Event
		header []string
		status int
		runs   int // reconciled credentials
	}{
		"a tick without a token checks every credential":             {sample.Tick(now), nil, 200, 2},
		"a demand without a token is refused":                        {rotate, nil, 401, 0},
		"a demand with a wrong token is refused":                     {rotate, withToken("bearer-canary-wrong"), 401, 0},
		"a demand with the token in another scheme":                  {rotate, []string{"Authorization", "Basic " + testToken}, 401, 0},
		"a demand with the old of two tokens is met":                 {rotate, withToken(oldToken), 200, 1},
		"a demand with the token is met":                             {rotate, withToken(testToken), 200, 1},
		"a demand for a credential that is not permitted":            {sample.Rotate("other", now), withToken(testToken), 403, 0},
		"a demand for a credential that does not exist":              {sample.Rotate("none", now), withToken(testToken), 400, 0},
		"an event of an unknown type":                                {sample.Binary("com.acme.order", "/t", now, nil), nil, 204, 0},
		"a notice of Secrets Manager without a token is only a look": {sample.SecretExpiring("a0", "logs-sender/a", now), nil, 200, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			a := post(w.service(t), "/", tc.event, tc.header...)
			if a.Code != tc.status || (a.Code == 401 || a.Code == 403) && a.Body.Len() > 0 {
				t.Errorf("answered %d %s, want %d", a.Code, a.Body, tc.status)
			}
			if len(w.asks) != tc.runs {
				t.Errorf("%d credentials were reconciled, want %d", len(w.asks), tc.runs)
			}
		})
	}
}

func TestEachCallerMayRequestItsOwn(t *testing.T) {
	w := newWorld()
	s := w.service(t, func(c *Config) {
		c.Events = Events{
			Callers: []Caller{
				{Name: "desk", Tokens: []secret.Value{secret.New("desk-canary-0123456789")}, Allow: []Allow{allow{"rotate", "logs-sender"}}},
				{Name: "scanner", Tokens: []secret.Value{secret.New("scanner-canary-0123456")}, Allow: []Allow{allow{"revoke", "logs-sender"}}},
			},
			Jobs: []Allow{allow{"rotate", "other"}},
		}
	})
	rotate := sample.Rotate("logs-sender/a", now)
	for token, want := range map[string]int{"desk-canary-0123456789": 200, "scanner-canary-0123456": 403, "desk-canary-012345678": 401, "": 401} {
		if a := post(s, "/", rotate, withToken(token)...); a.Code != want {
			t.Errorf("with the token %q a rotation is answered %d, want %d", token, a.Code, want)
		}
	}
	if cause := w.asks["logs-sender/a"][0].Cause; !strings.Contains(cause, "by bearer desk") {
		t.Errorf("the cause is %q", cause)
	}
	header := http.Header{}
	for name, value := range rotate.Header {
		header.Set(name, value)
	}
	if a := s.Answer(t.Context(), header, rotate.Body, true); a.Status != 403 {
		t.Errorf("a job that may rotate others is answered %d", a.Status)
	}
	other := sample.Rotate("other", now)
	if a := s.Answer(t.Context(), header, other.Body, true); a.Status != 200 {
		t.Errorf("a job that may rotate it is answered %d", a.Status)
	}
	if a := s.Answer(t.Context(), header, other.Body, false); a.Status != 401 {
		t.Errorf("a job that a timer started is answered %d", a.Status)
	}
}

func TestANoticeWithATokenDemandsANewerKeyOnlyWhereTheDateIsNotOurs(t *testing.T) {
	w := newWorld()
	w.credentials = []port.Credential{
		{Name: "logs-sender/a", Entry: "logs-sender", Stores: []port.Store{datedSecret("shop")}},
		{Name: "logs-sender/b", Entry: "logs-sender", ServiceIDName: "shop"},
	}
	if a := post(w.service(t), "/", sample.SecretExpiring("a0", "shop", now), withToken(testToken)...); a.Code != 200 {
		t.Fatalf("answered %d %s", a.Code, a.Body)
	}
	if got := w.scopes[0].Secrets; len(got) != 1 || got[0] != "shop" {
		t.Errorf("scope %+v", w.scopes[0])
	}
	if ask := w.asks["logs-sender/a"]; len(ask) != 1 || !ask[0].Trigger.NewerThan.IsZero() {
		t.Errorf("the secret with our date: %+v, want a look", ask)
	}
	if ask := w.asks["logs-sender/b"]; len(ask) != 1 || ask[0].Trigger.NewerThan.IsZero() {
		t.Errorf("the secret with another date: %+v, want a demand", ask)
	}
}

// datedSecret is a store in a secret whose date is our key's.
type datedSecret string

func (s datedSecret) Secret() string                                  { return string(s) }
func (datedSecret) Dates() bool                                       { return true }
func (s datedSecret) Name() string                                    { return string(s) }
func (datedSecret) Guarded() bool                                     { return false }
func (datedSecret) Read(context.Context) (port.Entry, error)          { return port.Entry{}, nil }
func (datedSecret) Publish(context.Context, port.Entry, string) error { return nil }

func TestTheStatusSaysHowARequestEnded(t *testing.T) {
	ends := func(r result.Result, kept bool) func(port.Credential, reconcile.Request) result.Outcome {
		return func(c port.Credential, _ reconcile.Request) result.Outcome {
			return result.Outcome{Credential: c.Name, Result: r, Recorded: kept}
		}
	}
	for name, tc := range map[string]struct {
		outcome func(port.Credential, reconcile.Request) result.Outcome
		unknown error
		status  int
	}{
		"done":                                  {ends(result.Published, true), nil, 200},
		"a demand in progress that is recorded": {ends(result.InProgress, true), nil, 202},
		"a demand in progress that would be lost": {ends(result.InProgress, false), nil, 503},
		"blocked, and the demand is recorded":     {ends(result.Blocked, true), nil, 202},
		"blocked, and the demand would be lost":   {ends(result.Blocked, false), nil, 503},
		"a step failed":                           {ends(result.Failed, false), nil, 503},
		"IAM did not answer":                      {ends(result.Published, true), errors.New("IAM is down"), 503},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.outcome, w.unknown = tc.outcome, tc.unknown
			a := post(w.service(t), "/", sample.Rotate("logs-sender/a", now), withToken(testToken)...)
			if a.Code != tc.status {
				t.Errorf("answered %d %s, want %d", a.Code, a.Body, tc.status)
			}
			if a.Code == 503 && a.Header().Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			if got := a.outcomes(t); len(got) != 1 || got[0].Credential != "logs-sender/a" || a.Header().Get("Ce-Subject") != "logs-sender/a" {
				t.Errorf("outcomes %+v, headers %v", got, a.Header())
			}
		})
	}
}

func TestTheCallerAndTheSubjectAreInTheOutcomeAndTheCause(t *testing.T) {
	w := newWorld()
	s := w.service(t)
	rotate := sample.Binary("dev.latchkey.rotate", "https://user:pass@desk.example/?token=x", now, map[string]any{"credential": "logs-sender/a"})
	rotate.Header["ce-subject"], rotate.Header["ce-ticket"] = "CHG0042", "INC7"
	a := post(s, "/events", rotate, withToken(testToken)...)
	if a.Code != 200 {
		t.Fatalf("answered %d %s", a.Code, a.Body)
	}
	var o result.Outcome
	if err := json.Unmarshal(a.Body.Bytes(), &o); err != nil {
		t.Fatal(err)
	}
	want := result.Cause{Caller: "bearer desk", Type: "dev.latchkey.rotate", Source: "https://desk.example/", Event: rotate.Header["ce-id"], Subject: "CHG0042", Ticket: "INC7"}
	if o.Cause == nil || *o.Cause != want {
		t.Errorf("%+v, want %+v", o.Cause, want)
	}
	if cause := w.asks["logs-sender/a"][0].Cause; cause != want.String() || !strings.Contains(cause, "CHG0042 ticket INC7 by bearer desk") {
		t.Errorf("asked because of %q", cause)
	}
	log := w.log.String()
	if !strings.Contains(log, `"subject":"CHG0042"`) || !strings.Contains(log, `"ticket":"INC7"`) || !strings.Contains(log, `"caller":"bearer desk"`) || strings.Contains(log, "pass") {
		t.Errorf("logged %s", log)
	}
	look := sample.Binary("dev.latchkey.sweep", "/t", now, map[string]any{"credentials": []string{"other"}})
	post(s, "/events", look)
	if cause := w.asks["other"][0].Cause; !strings.Contains(cause, "unauthenticated") {
		t.Errorf("asked because of %q", cause)
	}
}

func TestASweepWithOneUnknownNameDoesNothing(t *testing.T) {
	w := newWorld()
	slip := sample.Binary("dev.latchkey.sweep", "/t", now, map[string]any{"credentials": []string{"other", "othre"}})
	if a := post(w.service(t), "/events", slip, withToken(testToken)...); a.Code != 400 || !strings.Contains(a.Body.String(), "othre") || strings.Contains(a.Body.String(), `"other"`) {
		t.Errorf("answered %d %s", a.Code, a.Body)
	}
	if len(w.asks) != 0 {
		t.Errorf("asked %v", w.asks)
	}
}

func TestARevocationNamesAKeyThatIAMDoesNotHave(t *testing.T) {
	w := newWorld()
	w.outcome = func(c port.Credential, _ reconcile.Request) result.Outcome {
		return result.Outcome{Credential: c.Name, Result: result.Unchanged, Leaked: result.LeakedGone, Recorded: true}
	}
	revoke := sample.Binary("dev.latchkey.revoke", "/t", now, map[string]any{"credential": "logs-sender/a", "keyID": "ApiKey-9"})
	if a := post(w.service(t), "/events", revoke, withToken(testToken)...); a.Code != 200 || !strings.Contains(a.Body.String(), "IAM has no key ApiKey-9") {
		t.Errorf("answered %d %s", a.Code, a.Body)
	}
}

func TestARevocationOfAKeyOfNoCredentialIsRefused(t *testing.T) {
	w := newWorld()
	w.outcome = func(c port.Credential, _ reconcile.Request) result.Outcome {
		return result.Outcome{Credential: c.Name, Result: result.Unchanged, Leaked: result.LeakedElsewhere}
	}
	revoke := sample.Binary("dev.latchkey.revoke", "/t", now, map[string]any{"credential": "logs-sender/a", "keyID": "ApiKey-9"})
	if a := post(w.service(t), "/events", revoke, withToken(testToken)...); a.Code != 400 || !strings.Contains(a.Body.String(), "ApiKey-9") {
		t.Errorf("answered %d %s", a.Code, a.Body)
	}
	if ask := w.asks["logs-sender/a"]; len(ask) != 1 || ask[0].Trigger.Leaked != "ApiKey-9" || ask[0].Trigger.Contain {
		t.Errorf("asked %+v", ask)
	}
}

func TestAnAnswerComesInTimeAndTheWorkGoesOn(t *testing.T) {
	for name, tc := range map[string]struct {
		event  sample.Event
		record bool // the run records the demand before it ends
		status int
	}{
		"a look is answered 202":                           {sample.Tick(now), false, 202},
		"a demand that is recorded is answered 202":        {sample.Rotate("logs-sender/a", now), true, 202},
		"a demand that would be lost is answered with 503": {sample.Rotate("logs-sender/a", now), false, 503},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			release, finished := make(chan struct{}), make(chan struct{}, 2)
			w.outcome = func(c port.Credential, ask reconcile.Request) result.Outcome {
				if tc.record {
					ask.Recorded(c.Name)
				}
				<-release
				finished <- struct{}{}
				return result.Outcome{Credential: c.Name, Result: result.Published}
			}
			s := w.service(t, func(c *Config) { c.AnswerWithin = 40 * time.Millisecond })
			a := post(s, "/", tc.event, withToken(testToken)...)
			if a.Code != tc.status {
				t.Errorf("answered %d %s, want %d", a.Code, a.Body, tc.status)
			}
			close(release)
			<-finished
		})
	}
}

func TestUnknownCallersSeeNothingOfTheAccount(t *testing.T) {
	named := func(names ...string) sample.Event {
		return sample.Binary("dev.latchkey.sweep", "/t", now, map[string]any{"credentials": names})
	}
	batch := sample.Event{Header: map[string]string{"Content-Type": "application/cloudevents-batch+json"},
		Body: sample.Encode([]map[string]any{{"specversion": "1.0", "id": "1", "source": "/t", "type": "dev.latchkey.sweep"}})}
	for name, tc := range map[string]struct {
		result result.Result
		event  sample.Event
		status int
	}{
		"a look that published":                  {result.Published, named("other"), 200},
		"a look at what is blocked":              {result.Blocked, named("other"), 200},
		"a look at a credential that is unknown": {result.Published, named("none"), 200},
		"a look at everything":                   {result.Blocked, sample.Tick(now), 200},
		"a batch":                                {result.Blocked, batch, 200},
		"a look that failed":                     {result.Failed, named("other"), 503},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.outcome = func(c port.Credential, _ reconcile.Request) result.Outcome {
				return result.Outcome{Credential: c.Name, Result: tc.result, Key: "ApiKey-2", Message: "store s", Error: "reading"}
			}
			a := post(w.service(t), "/", tc.event)
			if a.Code != tc.status || strings.Contains(a.Body.String(), "other") || strings.Contains(a.Body.String(), "ApiKey") || a.Header().Get("Ce-Subject") != "" {
				t.Errorf("answered %d %v %s, want %d without content", a.Code, a.Header(), a.Body, tc.status)
			}
		})
	}
}

func TestEventsOfOthersDoNotKeepTheTimerOut(t *testing.T) {
	s := newWorld().service(t, oneBurst)
	for range 3 * looksBurst {
		if a := post(s, "/", sample.Binary("com.acme.order", "/t", now, nil)); a.Code != http.StatusNoContent {
			t.Fatalf("an event that requests nothing is answered %d", a.Code)
		}
		post(s, "/", sample.Binary("dev.latchkey.sweep", "/t", now, map[string]any{"credentials": []string{"other"}}))
	}
	for range 2 * looksBurst {
		if a := post(s, "/", sample.Tick(now)); a.Code != http.StatusOK {
			t.Fatalf("a tick is answered %d", a.Code)
		}
	}
}

func TestATimersHeaderFreesNoOtherEventFromTheLimit(t *testing.T) {
	s := newWorld().service(t, oneBurst)
	e := sample.Event{Header: map[string]string{"Content-Type": "application/cloudevents+json", "ce-type": "dev.knative.sources.ping"},
		Body: []byte(`{"specversion":"1.0","id":"1","source":"/t","type":"dev.latchkey.sweep","data":{"credentials":["other"]}}`)}
	limited := 0
	for range 2 * looksBurst {
		if post(s, "/", e).Code == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited != looksBurst {
		t.Errorf("%d of %d looks were limited, want %d", limited, 2*looksBurst, looksBurst)
	}
}

func TestAFailedLoginIsNotTriedByEachRequest(t *testing.T) {
	w := newWorld()
	w.unusable = errors.New("IAM answers 400")
	s := w.service(t, oneBurst)
	at, tried := now, 0
	s.login.now = func() time.Time { return at }
	s.login.usable = func(context.Context) error { tried++; return w.unusable }
	ready := func() int {
		a := httptest.NewRecorder()
		s.Handler().ServeHTTP(a, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		return a.Code
	}
	for i := range 600 { // a minute
		at = now.Add(time.Duration(i) * 100 * time.Millisecond)
		if code := ready(); code != http.StatusServiceUnavailable {
			t.Fatalf("readyz: %d", code)
		}
		if a := post(s, "/", sample.Tick(now)); a.Code != http.StatusServiceUnavailable {
			t.Fatalf("a tick is answered %d", a.Code)
		}
	}
	if tried > 11 {
		t.Errorf("%d logins in a minute", tried)
	}
	if len(w.asks) > 0 {
		t.Errorf("reconciled %v without a login", w.asks)
	}
	at, w.unusable = at.Add(loginPauseMost), nil
	if code := ready(); code != http.StatusNoContent {
		t.Errorf("readyz after the login works: %d", code)
	}
}

func TestUnknownCallersAreLimitedAndKnownOnesAreNot(t *testing.T) {
	w := newWorld()
	s := w.service(t, oneBurst)
	e := sample.Binary("dev.latchkey.sweep", "/t", now, map[string]any{"credentials": []string{"other"}})
	limited := 0
	for range 2 * looksBurst {
		if a := post(s, "/", e); a.Code == http.StatusTooManyRequests && a.Header().Get("Retry-After") != "" {
			limited++
		}
		if a := post(s, "/", e, withToken(testToken)...); a.Code != http.StatusOK {
			t.Fatalf("a known caller is answered %d", a.Code)
		}
	}
	if limited != looksBurst {
		t.Errorf("%d of %d unknown callers were limited, want %d", limited, 2*looksBurst, looksBurst)
	}
}

func TestRoutesThatTakeNoEvent(t *testing.T) {
	w := newWorld()
	s := w.service(t)
	get := func(method, path string) answered {
		a := answered{httptest.NewRecorder()}
		s.Handler().ServeHTTP(a, httptest.NewRequest(method, path, nil))
		return a
	}
	if a := get("GET", "/"); a.Code != 200 || strings.Contains(a.Body.String(), "latchkey v1") {
		t.Errorf("GET / without a token: %d %s", a.Code, a.Body)
	}
	if a := get("PUT", "/events"); a.Code != 405 || a.Header().Get("Allow") != "POST" {
		t.Errorf("PUT /events: %d %v", a.Code, a.Header())
	}
	for path, want := range map[string]int{"/healthz": 204, "/readyz": 204, "/hooks/none": 404, "/hooks/github": 405} {
		if a := get("GET", path); a.Code != want {
			t.Errorf("GET %s: %d, want %d", path, a.Code, want)
		}
	}
	w.unusable = errors.New("no login")
	if a := get("GET", "/readyz"); a.Code != 503 || a.Header().Get("Retry-After") == "" {
		t.Errorf("GET /readyz without a login: %d %v", a.Code, a.Header())
	}
}

func TestALeakedValueRevokesItsKey(t *testing.T) {
	w := newWorld()
	w.owners = map[string][2]string{"value-canary-1": {"ApiKey-7", "logs-sender/a"}}
	s := w.service(t)
	send := func(value string) answered {
		body := `{"leaked":"` + value + `"}`
		return post(s, "/hooks/github", sample.Event{Header: map[string]string{"Content-Type": "application/json"}, Body: []byte(body)}, "X-Hub-Signature-256", signature(body))
	}
	if a := send("value-canary-1"); a.Code != 200 {
		t.Errorf("answered %d %s", a.Code, a.Body)
	}
	if ask := w.asks["logs-sender/a"]; len(ask) != 1 || ask[0].Trigger.Leaked != "ApiKey-7" {
		t.Errorf("asked %+v", ask)
	}
	if a := send("value-canary-2"); a.Code != 204 {
		t.Errorf("a value of no key of ours is answered %d", a.Code)
	}
}

// The outcomes of a sweep are printed one by one, and are what the body of an answer is.
func TestAPrintedAnswerIsItsBody(t *testing.T) {
	one := result.Outcome{Credential: "a", Result: result.Unchanged, Message: "<ok>", Next: time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)}
	for name, a := range map[string]Answer{
		"nothing":       {},
		"a problem":     {Status: http.StatusBadRequest, Problem: "no"},
		"one outcome":   {Outcomes: []result.Outcome{one}},
		"many outcomes": {Outcomes: []result.Outcome{one, {Credential: "b"}, one}},
	} {
		var printed bytes.Buffer
		if err := a.Print(&printed); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, body := a.Render(); printed.String() != string(body) {
			t.Errorf("%s: printed\n%s\nand the body is\n%s", name, &printed, body)
		}
	}
}
