package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/service"
)

const testToken = "bearer-canary-5c1f0e"

// stage is the whole program in-process behind its real HTTP server, on an
// emulator of its own. At the end it looks for every value that was ever
// minted, and for the bearer token, in everything that was logged or answered.
type stage struct {
	t       *testing.T
	parts   *assembly        // of the last replica that was started
	service *service.Service // of the last replica that was started
	config  string           // of that replica
	fix     func()
	cloud   *emulator.Server
	url     string
	said    *record
	env     map[string]string // what instances find beside how the cloud is reached
}

// record is everything that the program logged or answered.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// reset drops what was recorded.
func (r *record) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf.Reset()
}

func newStage(t *testing.T, opts emulator.Options) *stage {
	t.Helper()
	server, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, cloud: server, said: &record{}}
	t.Cleanup(func() {
		s.findCanaries()
		server.Close()
	})
	s.url = s.serve(examples.Emulator)
	return s
}

// wired is one more replica of the program on the same cloud, behind no server.
func (s *stage) wired(yaml string) *assembly {
	s.t.Helper()
	env, log := s.environment(), slog.New(slog.NewJSONHandler(s.said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg, err := config.Load("test.yaml", []byte(yaml))
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := connect(env, log, cfg, "")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(p.cloud.http.CloseIdleConnections)
	return p
}

// environment is what a replica finds in its environment.
func (s *stage) environment() environment {
	ready := s.cloud.Ready()
	env := hookEnv(map[string]string{"LATCHKEY_ENDPOINT": ready.URL, "IBMCLOUD_API_KEY": ready.APIKey, "EVENTS_TOKEN": testToken})
	maps.Copy(env, s.env)
	return func(name string) string { return env[name] }
}

// serve starts one more replica of the program on the same cloud.
func (s *stage) serve(yaml string, tune ...func(*service.Config)) string {
	s.t.Helper()
	s.parts, s.config = s.wired(yaml), yaml
	work, cancel := context.WithCancel(context.Background())
	built, err := s.parts.newService(work, work, s.environment(), tune...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.service = built
	server := httptest.NewServer(built.Handler())
	s.t.Cleanup(func() {
		server.Close()
		cancel()
		built.Drain(context.Background())
	})
	return server.URL
}

// findCanaries fails the test if any value left by a way it must not.
func (s *stage) findCanaries() {
	said := s.said.String()
	values := 0
	for _, k := range s.cloud.State(true).APIKeys {
		if k.Value == "" {
			continue
		}
		values++
		if strings.Contains(said, k.Value) {
			s.t.Errorf("the value of key %s was logged or answered", k.ID)
		}
	}
	if values == 0 {
		s.t.Error("the canary test saw no value at all")
	}
	if strings.Contains(said, testToken) {
		s.t.Error("the bearer token was logged or answered")
	}
}

type reply struct {
	status   int
	header   http.Header
	body     string
	outcomes []result.Outcome
}

func (s *stage) post(url string, e sample.Event, token string) reply {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, url+"/", bytes.NewReader(e.Body))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range e.Header {
		req.Header.Set(name, value)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(s.said, "%v %s", resp.Header, body)
	r := reply{status: resp.StatusCode, header: resp.Header, body: string(body)}
	var many struct{ Outcomes []result.Outcome }
	if json.Unmarshal(body, &many) == nil && len(many.Outcomes) > 0 {
		r.outcomes = many.Outcomes
		return r
	}
	var one result.Outcome
	if json.Unmarshal(body, &one) == nil && one.Result != "" {
		r.outcomes = []result.Outcome{one}
	}
	return r
}

// one posts and expects one outcome with this result.
func (s *stage) one(e sample.Event, token string, want result.Result) result.Outcome {
	s.t.Helper()
	r := s.post(s.url, e, token)
	if len(r.outcomes) != 1 || r.outcomes[0].Result != want {
		s.t.Fatalf("answer %d %s, want one outcome %q", r.status, r.body, want)
	}
	return r.outcomes[0]
}

func (s *stage) project(name string) cloud.ProjectState {
	s.t.Helper()
	p, ok := s.cloud.State(true).Project(name)
	if !ok {
		s.t.Fatalf("no project %s", name)
	}
	return p
}

// data is what consumers in the project read.
func (s *stage) data(project string) map[string]string {
	s.t.Helper()
	for _, sec := range s.project(project).Secrets {
		if sec.Name == "logs-sender" {
			return sec.Data
		}
	}
	return nil
}

// keys are the live keys of a credential, by ID.
func (s *stage) keys(credential string) map[string]cloud.APIKey {
	found := map[string]cloud.APIKey{}
	for _, k := range s.cloud.State(true).APIKeys {
		if strings.HasPrefix(k.Name, credential+".") {
			found[k.ID] = k
		}
	}
	return found
}

func (s *stage) created(name string) (sample.Event, string) {
	p := s.project(name)
	return sample.ProjectCreated(s.cloud.Ready().Account, p.ID, name, s.cloud.Now()), "logs-sender/" + p.ID
}

func TestANewProjectGetsAProvenKeyInItsSecret(t *testing.T) {
	s := newStage(t, emulator.Options{})
	s.cloud.Cloud().AddProject("team-shop", "eu-de")
	e, credential := s.created("team-shop")
	out := s.one(e, testToken, result.Published)
	if out.Credential != credential || out.Key == "" || out.ServiceID == "" {
		t.Errorf("outcome %+v", out)
	}
	data := s.data("team-shop")
	key, ok := s.keys(credential)[out.Key]
	if !ok || data["IAM_API_KEY"] != key.Value || data["IAM_API_KEY_ID"] != out.Key {
		t.Fatalf("the secret does not hold the key %s", out.Key)
	}
	if life := key.ExpiresAt.Sub(key.CreatedAt).Round(time.Hour); life != 90*24*time.Hour {
		t.Errorf("the published key lives %s, want 90 days", life)
	}
	if lines := s.cloud.Lines(); len(lines) != 1 {
		t.Errorf("%d log lines proved the key, want 1", len(lines))
	}
	var actions []string
	for _, st := range out.Steps {
		actions = append(actions, string(st.Action))
	}
	want := []protocol.Action{protocol.CreateIdentity, protocol.GrantPolicy, protocol.Mint, protocol.Prove, protocol.Publish, protocol.Unfuse}
	if fmt.Sprint(actions) != fmt.Sprint(want) {
		t.Errorf("steps %v, want %v", actions, want)
	}
}

func TestTheSameEventAgainChangesNothing(t *testing.T) {
	s := newStage(t, emulator.Options{})
	e, _ := s.created("team-b")
	first := s.one(e, testToken, result.Published)
	changes := len(s.cloud.Events())
	for range 3 {
		if again := s.one(e, testToken, result.Unchanged); again.Key != first.Key {
			t.Errorf("key %s, want %s", again.Key, first.Key)
		}
	}
	if got := len(s.cloud.Events()); got != changes {
		t.Errorf("%d changes were made by repeated events: %+v", got-changes, s.cloud.Events()[changes:])
	}
}

func TestAnAppThatTakesTheKeyFromItsEnvironmentIsRestarted(t *testing.T) {
	s := newStage(t, emulator.Options{})
	e, _ := s.created("team-a")
	out := s.one(e, testToken, result.Published)
	for _, app := range s.project("team-a").Apps {
		marked := strings.Contains(fmt.Sprint(app.Env()), out.Key)
		if app.Name == "shipper" && !marked {
			t.Errorf("app shipper refers to the secret and was not restarted: %v", app.Env())
		}
		if app.Name == "web" && marked {
			t.Error("app web does not refer to the secret and was restarted")
		}
	}
}

func TestAnExpiringSecretIsRotatedAndTheOldKeyEndsByItself(t *testing.T) {
	s := newStage(t, emulator.Options{})
	e, credential := s.created("team-a")
	first := s.one(e, testToken, result.Published)
	s.cloud.Advance(50 * 24 * time.Hour)
	expiring := sample.SecretExpiring(s.cloud.Ready().Account, "logs-sender-team-a", s.cloud.Now())
	second := s.one(expiring, testToken, result.Published)
	if second.Replaced != first.Key || second.Key == first.Key {
		t.Fatalf("outcome %+v", second)
	}
	old := s.keys(credential)[first.Key]
	if left := old.ExpiresAt.Sub(s.cloud.Now()); left < 23*time.Hour || left > 25*time.Hour {
		t.Errorf("the old key ends in %s, want the overlap of 24h", left)
	}
	s.one(expiring, testToken, result.Unchanged)

	s.cloud.Advance(25 * time.Hour)
	tick := s.post(s.url, sample.Tick(s.cloud.Now()), "")
	if tick.status != http.StatusOK {
		t.Fatalf("the tick was answered %d %s", tick.status, tick.body)
	}
	if _, left := s.keys(credential)[first.Key]; left {
		t.Error("the ended key was not cleaned up")
	}
	if n := len(s.keys(credential)); n != 1 {
		t.Errorf("%d keys are left, want 1", n)
	}
}

func TestAStoreThatRefusesLeavesTheOldKeyPublishedAndAlive(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		want   result.Result
	}{
		"with 403":                {http.StatusForbidden, result.Blocked},
		"with a body it dislikes": {http.StatusBadRequest, result.Blocked},
		"with a server error":     {http.StatusInternalServerError, result.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, emulator.Options{})
			e, credential := s.created("team-b")
			first := s.one(e, testToken, result.Published)
			before := s.data("team-b")
			s.cloud.Advance(time.Hour)
			s.cloud.Inject(emulator.Fault{Method: http.MethodPut, Path: "/v2/projects/*/secrets/*", Kind: emulator.FaultStatus, Status: tc.status})
			s.one(sample.Rotate(credential, s.cloud.Now()), testToken, tc.want)
			old := s.keys(credential)[first.Key]
			if got := s.data("team-b"); got["IAM_API_KEY"] != before["IAM_API_KEY"] {
				t.Error("the secret was changed")
			}
			if old.Disabled || old.ExpiresAt.Sub(s.cloud.Now()) < 80*24*time.Hour {
				t.Errorf("the old key was ended: %+v", old.ExpiresAt)
			}
			for id, k := range s.keys(credential) {
				if id != first.Key && k.ExpiresAt.Sub(s.cloud.Now()) > 25*time.Hour {
					t.Errorf("the unpublished key %s has no fuse", id)
				}
			}
			// When the store takes writes again, the same event heals.
			s.cloud.ClearFaults()
			s.cloud.Advance(20 * time.Minute)
			s.one(sample.Rotate(credential, s.cloud.Now()), testToken, result.Published)
			if n := len(s.keys(credential)); n != 3 {
				t.Errorf("%d keys are left, want the new one, the one that ends and the refused one with its fuse", n)
			}
		})
	}
}

func TestLostAnswersMakeNoSecondKey(t *testing.T) {
	for name, fault := range map[string]emulator.Fault{
		"to the create of the key": {Method: http.MethodPost, Path: "/v1/apikeys", Kind: emulator.FaultLost, Count: 1},
		"truncated, to the create": {Method: http.MethodPost, Path: "/v1/apikeys", Kind: emulator.FaultTruncate, Count: 1},
		"to the policy":            {Method: http.MethodPost, Path: "/v2/policies", Kind: emulator.FaultLost, Count: 1},
		"to the publication":       {Method: http.MethodPost, Path: "/v2/projects/*/secrets", Kind: emulator.FaultLost, Count: 1},
		"to the move of the fuse":  {Method: http.MethodPut, Path: "/v1/apikeys/*", Kind: emulator.FaultLost, Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, emulator.Options{})
			e, credential := s.created("team-b")
			s.cloud.Inject(fault)
			s.post(s.url, e, "")
			s.cloud.Advance(20 * time.Minute)
			r := s.post(s.url, e, testToken)
			if r.status != http.StatusOK {
				t.Fatalf("the second event was answered %d %s", r.status, r.body)
			}
			keys := s.keys(credential)
			if len(keys) != 1 {
				t.Fatalf("%d keys, want exactly one", len(keys))
			}
			for id, k := range keys {
				if s.data("team-b")["IAM_API_KEY_ID"] != id {
					t.Errorf("key %s is not the published one", id)
				}
				if k.ExpiresAt.Sub(k.CreatedAt) < 80*24*time.Hour {
					t.Errorf("key %s still has its fuse", id)
				}
			}
		})
	}
}

func TestInstancesThatRaceEndWithOnePublishedKey(t *testing.T) {
	s := newStage(t, emulator.Options{Latency: 2 * time.Millisecond})
	urls := []string{s.url, s.serve(examples.Emulator), s.serve(examples.Emulator), s.serve(examples.Emulator)}
	e, credential := s.created("team-b")
	var g sync.WaitGroup
	for _, url := range append(urls, urls...) {
		g.Go(func() { s.post(url, e, "") })
	}
	g.Wait()
	s.cloud.Advance(20 * time.Minute)
	s.post(s.url, e, "")
	s.cloud.Advance(20 * time.Minute)
	r := s.post(s.url, e, testToken)
	if r.status != http.StatusOK {
		t.Fatalf("the last event was answered %d %s", r.status, r.body)
	}
	keys := s.keys(credential)
	if len(keys) != 1 || keys[s.data("team-b")["IAM_API_KEY_ID"]].ID == "" {
		t.Errorf("%d keys, want the one that is published", len(keys))
	}
}

func TestBadInputGetsAClearAnswerAndChangesNothing(t *testing.T) {
	s := newStage(t, emulator.Options{})
	long := sample.Binary("dev.latchkey.sweep", "/t", s.cloud.Now(), nil)
	long.Header["Content-Type"] = "application/json"
	long.Body = []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
	without := func(attribute string) sample.Event {
		e := sample.Binary("dev.latchkey.sweep", "/t", s.cloud.Now(), nil)
		delete(e.Header, attribute)
		return e
	}
	bad := sample.Binary("dev.latchkey.sweep", "/t", s.cloud.Now(), nil)
	bad.Header["ce-time"] = "yesterday"
	forged := sample.Binary("dev.latchkey.provision", "/t", s.cloud.Now(), map[string]any{"credential": "logs-sender", "colour": "red"})
	unknown := sample.Rotate("unknown", s.cloud.Now())
	project := s.project("team-a")
	for name, tc := range map[string]struct {
		event  sample.Event
		token  string
		status int
		says   []string
	}{
		"an event without an id":               {without("ce-id"), "", http.StatusBadRequest, []string{"id"}},
		"an event of another version":          {func() sample.Event { e := without(""); e.Header["ce-specversion"] = "0.3"; return e }(), "", http.StatusBadRequest, []string{"specversion", "0.3"}},
		"a time that is none":                  {bad, "", http.StatusBadRequest, []string{"time", "yesterday"}},
		"a body over 1 MiB":                    {long, "", http.StatusRequestEntityTooLarge, []string{"1048576"}},
		"an event of a foreign type":           {sample.Binary("com.acme.order", "/t", s.cloud.Now(), nil), "", http.StatusNoContent, nil},
		"an empty batch":                       {sample.Event{Header: map[string]string{"Content-Type": "application/cloudevents-batch+json"}, Body: []byte("[]")}, "", http.StatusNoContent, nil},
		"a batch in another format":            {sample.Event{Header: map[string]string{"Content-Type": "application/cloudevents-batch+avro"}}, "", http.StatusUnsupportedMediaType, []string{"avro"}},
		"a demand without a token":             {sample.Rotate("logs-sender", s.cloud.Now()), "", http.StatusUnauthorized, nil},
		"a demand with a wrong token":          {sample.Rotate("logs-sender", s.cloud.Now()), "guess", http.StatusUnauthorized, nil},
		"a look with a wrong token":            {sample.Tick(s.cloud.Now()), "guess", http.StatusUnauthorized, nil},
		"data with a field that we don't know": {forged, testToken, http.StatusBadRequest, []string{"colour"}},
		"a credential without a config entry":  {unknown, testToken, http.StatusBadRequest, []string{"unknown"}},
		"a verb that the config does not allow": {sample.Binary("dev.latchkey.revoke", "/t", s.cloud.Now(),
			map[string]any{"credential": "logs-sender/" + project.ID, "keyID": "ApiKey-1"}), testToken, http.StatusForbidden, nil},
		"a project that does not exist": {sample.ProjectCreated(s.cloud.Ready().Account, "0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d", "x", s.cloud.Now()), testToken, http.StatusNoContent, nil},
		"a project that where excludes": {sample.ProjectCreated(s.cloud.Ready().Account, s.project("sandbox").ID, "sandbox", s.cloud.Now()), testToken, http.StatusNoContent, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.post(s.url, tc.event, tc.token)
			if r.status != tc.status {
				t.Errorf("status %d %s, want %d", r.status, r.body, tc.status)
			}
			for _, part := range tc.says {
				if !strings.Contains(r.body, part) {
					t.Errorf("the answer %q does not name %q", r.body, part)
				}
			}
			if tc.status == http.StatusBadRequest && r.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("content type %q", r.header.Get("Content-Type"))
			}
		})
	}
	if changes := s.cloud.Events(); len(changes) != 0 {
		t.Errorf("bad input changed something: %+v", changes)
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	s := newStage(t, emulator.Options{})
	for method, want := range map[string]int{http.MethodPut: 405, http.MethodDelete: 405, http.MethodGet: 200} {
		req, err := http.NewRequest(method, s.url+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", method, resp.StatusCode, want)
		}
	}
}

func TestIAMThatIsDownIsTryAgain(t *testing.T) {
	s := newStage(t, emulator.Options{})
	e, _ := s.created("team-b")
	s.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v1/serviceids*", Kind: emulator.FaultStatus, Status: 503})
	r := s.post(s.url, e, testToken)
	if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("answer %d %v %s", r.status, r.header, r.body)
	}
	if n := len(s.cloud.Events()); n != 0 {
		t.Errorf("%d changes were made blindly", n)
	}
}

func TestAGranteeThatHoldsLessIsBlockedWithTheRole(t *testing.T) {
	s := newStage(t, emulator.Options{})
	minter := s.cloud.Cloud().Minter()
	s.cloud.Cloud().Revoke(minter.IAMID, "logs")
	s.cloud.Cloud().Grant(minter.IAMID, "logs", "crn:v1:bluemix:public:iam::::role:Administrator")
	e, credential := s.created("team-b")
	r := s.post(s.url, e, testToken)
	if r.status != http.StatusAccepted || len(r.outcomes) != 1 || r.outcomes[0].Reason != reason.PolicyWeaker {
		t.Fatalf("answer %d %s", r.status, r.body)
	}
	if !strings.Contains(r.body, "Sender") {
		t.Errorf("the answer does not name the role: %s", r.body)
	}
	if n := len(s.keys(credential)); n != 0 {
		t.Errorf("%d keys were minted without their policy", n)
	}
	s.cloud.Cloud().Grant(minter.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	s.one(e, testToken, result.Published)
}

func TestLagIsWaitedForAndNeverTakenForAbsence(t *testing.T) {
	s := newStage(t, emulator.Options{Lag: 700 * time.Millisecond})
	e, credential := s.created("team-b")
	out := s.one(e, testToken, result.Published)
	s.one(e, testToken, result.Unchanged)
	if keys := s.keys(credential); len(keys) != 1 || keys[out.Key].ID == "" {
		t.Errorf("%d keys, want the published one", len(keys))
	}
}

// Two instances that provision at once may make two service IDs: names are not
// unique. The one whose key is published stays, whichever is lower.
func TestOfTwoServiceIDsTheOneWhoseKeyIsPublishedStays(t *testing.T) {
	s := newStage(t, emulator.Options{})
	e, credential := s.created("team-b")
	m := marker.Marker{Owner: "example", Credential: credential, With: map[string]string{"project": s.project("team-b").ID}}
	lower := ownServiceID(s.cloud.Cloud(), cloud.NewServiceID{Name: "logs-sender-team-b", AccountID: s.cloud.Ready().Account, Description: m.Text()})
	s.cloud.Advance(time.Hour)
	higher := ownServiceID(s.cloud.Cloud(), cloud.NewServiceID{Name: "logs-sender-team-b", AccountID: s.cloud.Ready().Account, Description: m.Text()})
	s.cloud.Cloud().Grant(higher.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	key := ownKey(s.cloud.Cloud(), cloud.NewAPIKey{
		IAMID: higher.IAMID, AccountID: s.cloud.Ready().Account, Name: marker.KeyName(credential, s.cloud.Now(), "0a1b"),
		Description: marker.Marker{Owner: "example", Credential: credential}.Text(), ExpiresAt: cloud.FormatTime(s.cloud.Now().Add(90 * 24 * time.Hour)),
	})
	note := fmt.Sprintf(`{"owner":"example","created":%q,"iam_id":%q}`, s.cloud.Now().UTC().Truncate(time.Minute).Format(time.RFC3339), higher.IAMID)
	s.cloud.Cloud().PutSecret(s.project("team-b").ID, "logs-sender", map[string]string{"IAM_API_KEY": key.Value, "IAM_API_KEY_ID": key.ID, "IAM_API_KEY_LATCHKEY": note})

	out := s.one(e, testToken, result.Changed)
	if out.Key != key.ID || out.ServiceID != higher.ID || len(out.Steps) != 1 || out.Steps[0].Action != protocol.RemoveDuplicate || out.Steps[0].Target != lower.ID {
		t.Errorf("outcome %+v, want only %s removed", out, lower.ID)
	}
	s.one(e, testToken, result.Unchanged)
}
