package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/service"
)

// auditEvent is a record of an audit topic as a Kafka subscription of Code
// Engine delivers it.
func auditEvent(account, action, outcome, initiator, project string, at time.Time) sample.Event {
	crn := fmt.Sprintf("crn:v1:bluemix:public:codeengine:eu-de:a/%s:%s::", account, project)
	e := sample.Binary("dev.knative.kafka.event", "/apis/v1/namespaces/demo/kafkasources/audit#audit", at, nil)
	e.Header["ce-id"] = fmt.Sprintf("partition:0/offset:%d", at.UnixMilli())
	e.Header["ce-kafkaheadertype"] = "audit"
	e.Body = sample.Encode(map[string]any{
		"action": action, "outcome": outcome, "eventTime": at.UTC().Format("2006-01-02T15:04:05.00-0700"),
		"initiator": map[string]any{"id": initiator}, "target": map[string]any{"id": crn, "typeURI": "codeengine/project"},
		"observer": map[string]any{"name": "ActivityTracker"}, "requestData": map[string]any{}, "responseData": map[string]any{},
	})
	return e
}

// loginEvent is the record of a login with a key of a service ID. It does not name the
// key.
func loginEvent(iamID, agent, address string, at time.Time) sample.Event {
	e := auditEvent("", "iam-identity.serviceid-apikey.login", "success", iamID, "", at)
	e.Body = sample.Encode(map[string]any{
		"action": "iam-identity.serviceid-apikey.login", "outcome": "success", "eventTime": at.UTC().Format("2006-01-02T15:04:05.00-0700"),
		"initiator": map[string]any{"id": iamID, "host": map[string]any{"address": address, "agent": agent}},
		"target":    map[string]any{"id": "crn:v1:bluemix:public:iam-identity::a/1::serviceid:" + strings.TrimPrefix(iamID, "iam-")},
	})
	return e
}

// batchOf puts events with JSON data into one batch.
func batchOf(events ...sample.Event) sample.Event {
	var list []map[string]any
	for _, e := range events {
		members := map[string]any{}
		if e.Header["ce-id"] == "" { // it is in an envelope
			_ = json.Unmarshal(e.Body, &members)
			delete(members, "notification_id") // no attribute of a CloudEvent has this name
			list = append(list, members)
			continue
		}
		for name, value := range e.Header {
			if attribute, is := strings.CutPrefix(name, "ce-"); is {
				members[attribute] = value
			}
		}
		if len(e.Body) > 0 {
			members["data"] = json.RawMessage(e.Body)
		}
		list = append(list, members)
	}
	return sample.Event{Header: map[string]string{"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}, Body: sample.Encode(list)}
}

func TestABatchIsAnsweredWithTheWorstStatusAndEachOutcome(t *testing.T) {
	s := newStage(t, emulator.Options{})
	now := s.cloud.Now()
	created, credential := s.created("team-a")
	other := sample.Binary("com.acme.order", "/t", now, nil)
	bad := sample.Binary("dev.latchkey.sweep", "/t", now, map[string]any{"colour": "red"})
	demand := sample.Rotate(credential, now.Add(-time.Hour))
	for name, tc := range map[string]struct {
		events []sample.Event
		token  string
		status int
		each   []int
	}{
		"nothing asked":                          {[]sample.Event{other, other}, "", 204, nil},
		"done, and nothing asked":                {[]sample.Event{other, created}, "", 200, []int{204, 200}},
		"one that is malformed":                  {[]sample.Event{bad, created, other}, "", 400, []int{400, 200, 204}},
		"a demand without a token":               {[]sample.Event{created, demand}, "", 401, []int{200, 401}},
		"a demand with a token":                  {[]sample.Event{created, demand}, testToken, 200, []int{200, 200}},
		"the same event twice is answered twice": {[]sample.Event{created, created}, "", 200, []int{200, 200}},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.post(s.url, batchOf(tc.events...), tc.token)
			var parts []struct {
				Event, Detail string
				Status        int
				Outcomes      []result.Outcome
			}
			if r.body != "" {
				if err := json.Unmarshal([]byte(r.body), &parts); err != nil {
					t.Fatalf("%s: %v", r.body, err)
				}
			}
			var each []int
			for i, p := range parts {
				each = append(each, p.Status)
				if p.Event != tc.events[i].ID() || (p.Status == 200 && tc.token != "") != (len(p.Outcomes) == 1) || (p.Status == 400) != (p.Detail != "") {
					t.Errorf("part %d: %+v", i, p)
				}
			}
			if r.status != tc.status || fmt.Sprint(each) != fmt.Sprint(tc.each) || r.header.Get("Ce-Id") != "" {
				t.Errorf("answered %d %v, want %d %v", r.status, each, tc.status, tc.each)
			}
		})
	}
	if n := len(s.keys(credential)); n != 1 {
		t.Errorf("%d keys", n)
	}
}

func TestABatchDoesNotGetUnknownCallersPastTheirLimit(t *testing.T) {
	s := newStage(t, emulator.Options{})
	url := s.serve(examples.Emulator, oneBurst)
	tick := sample.Tick(s.cloud.Now())
	events := make([]sample.Event, event.MaxBatch)
	for i := range events {
		events[i] = tick
	}
	if r := s.post(url, batchOf(events...), ""); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("answered %d", r.status)
	}
	if r := s.post(url, batchOf(events...), testToken); r.status != http.StatusOK {
		t.Errorf("a known caller is answered %d", r.status)
	}
}

func TestASenderIsToldBeforehandWhetherItsEventsAreWanted(t *testing.T) {
	s := newStage(t, emulator.Options{})
	open := s.serve(strings.Replace(examples.Emulator, "\nevents:\n", "\nevents:\n  origins: [events.example.com]\n", 1))
	ask := func(url, origin string) *http.Response {
		t.Helper()
		req, err := http.NewRequest(http.MethodOptions, url+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("WebHook-Request-Origin", origin)
		req.Header.Set("WebHook-Request-Callback", url+"/consent")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	if r := ask(open, "events.example.com"); r.StatusCode != 200 || r.Header.Get("WebHook-Allowed-Origin") != "events.example.com" ||
		r.Header.Get("WebHook-Allowed-Rate") != "300" || r.Header.Get("Allow") != "POST" {
		t.Errorf("a listed origin: %d %v", r.StatusCode, r.Header)
	}
	for name, r := range map[string]*http.Response{"another origin": ask(open, "evil.example"), "no origins in the config": ask(s.url, "events.example.com")} {
		if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("WebHook-Allowed-Origin") != "" || r.Header.Get("WebHook-Allowed-Rate") != "" {
			t.Errorf("%s: %d %v", name, r.StatusCode, r.Header)
		}
	}
	created, _ := s.created("team-a")
	s.post(s.url, created, "")
}

func TestTheFloodOfAuditEventsTakesNothingFromTheLimitOfLooks(t *testing.T) {
	s := newStage(t, emulator.Options{})
	account, id := s.cloud.Ready().Account, s.project("team-b").ID
	login := auditEvent(account, "iam-identity.serviceid-apikey.login", "success", "iam-ServiceId-1", id, s.cloud.Now())
	pending := auditEvent(account, "codeengine.project.create", "pending", "IBMid-1", id, s.cloud.Now())
	for range 5 * service.CallsBurst / service.CallsPerLook {
		if r := s.post(s.url, login, ""); r.status != http.StatusNoContent {
			t.Fatalf("answered %d", r.status)
		}
	}
	if r := s.post(s.url, pending, ""); r.status != http.StatusNoContent {
		t.Errorf("a pending one is answered %d %s", r.status, r.body)
	}
	created := auditEvent(account, "codeengine.project.create", "success", "IBMid-1", id, s.cloud.Now())
	if out := s.one(created, testToken, result.Published); out.Credential != "logs-sender/"+id {
		t.Errorf("%+v", out)
	}
}

func TestWhatWeDidOurselvesDoesNotCallUs(t *testing.T) {
	s := newStage(t, emulator.Options{})
	created, _ := s.created("team-a")
	s.one(created, testToken, result.Published)
	own := auditEvent(s.cloud.Ready().Account, "codeengine.project.create", "success", s.cloud.Cloud().Minter().IAMID, s.project("team-b").ID, s.cloud.Now())
	if r := s.post(s.url, own, ""); r.status != http.StatusNoContent {
		t.Errorf("answered %d %s", r.status, r.body)
	}
}

// the events of one story, with what each of them may change.
func (s *stage) story() []sample.Event {
	account := s.cloud.Ready().Account
	var events []sample.Event
	for _, name := range []string{"team-a", "team-b"} {
		p := s.project(name)
		events = append(events,
			sample.ProjectCreated(account, p.ID, name, s.cloud.Now()),
			auditEvent(account, "codeengine.project.create", "success", "IBMid-1", p.ID, s.cloud.Now()),
			sample.SecretExpiring(account, "logs-sender-"+name, s.cloud.Now()),
			sample.Rotate("logs-sender/"+p.ID, s.cloud.Now()),
			sample.Binary("dev.latchkey.provision", "/t", s.cloud.Now(), map[string]any{"credential": "logs-sender", "with": map[string]string{"project": p.ID}}),
			sample.Binary("dev.latchkey.sweep", "/t", s.cloud.Now(), map[string]any{"credentials": []string{"logs-sender/" + p.ID}}),
		)
	}
	return append(events, sample.Tick(s.cloud.Now()), sample.Rotate("logs-sender", s.cloud.Now()))
}

func TestReplayedDuplicatedAndReorderedEventsChangeNothingThatTheFirstDidNot(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newStage(t, emulator.Options{})
	first, _ := s.created("team-a")
	s.post(s.url, first, "")
	s.cloud.Advance(24 * time.Hour)
	events := s.story()
	for _, e := range events {
		s.post(s.url, e, testToken)
		s.cloud.Advance(11 * time.Minute) // past the least age: only the demand itself holds a rotation back
	}
	s.cloud.Advance(26 * time.Hour)
	s.sweeps(2) // superseded keys end
	settled, keys := len(s.cloud.Events()), len(s.cloud.State(true).APIKeys)

	for range 3 {
		replay := append(append([]sample.Event{}, events...), events...)
		random.Shuffle(len(replay), func(i, j int) { replay[i], replay[j] = replay[j], replay[i] })
		var g sync.WaitGroup
		for i, e := range replay {
			if i%2 == 0 {
				s.post(s.url, e, testToken)
				continue
			}
			g.Go(func() { s.post(s.url, e, testToken) })
		}
		g.Wait()
		s.post(s.url, batchOf(events[0], events[1], events[3], events[len(events)-1]), testToken)
		s.cloud.Advance(time.Hour)
	}
	if changed := s.cloud.Events()[settled:]; len(changed) > 0 || len(s.cloud.State(true).APIKeys) != keys {
		t.Errorf("%d changes, %d keys before and %d after: %+v", len(changed), keys, len(s.cloud.State(true).APIKeys), changed)
	}
}

func TestEventsInAnyOrderEndInTheSameState(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 4 {
		s := newStage(t, emulator.Options{})
		events := s.story()
		events = append(events, events...)
		random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		var g sync.WaitGroup
		for _, e := range events {
			g.Go(func() { s.post(s.url, e, testToken) })
		}
		g.Wait()
		s.cloud.Advance(20 * time.Minute)
		s.sweeps(1)
		for _, name := range []string{"team-a", "team-b"} {
			keys := s.keys("logs-sender/" + s.project(name).ID)
			if _, published := keys[s.data(name)["IAM_API_KEY_ID"]]; !published || len(keys) != 1 {
				t.Errorf("%s: %d keys, the published one is among them: %v", name, len(keys), published)
			}
		}
	}
}

func TestNoURLOfAnEventIsEverCalled(t *testing.T) {
	var calls atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer trap.Close()
	s := newStage(t, emulator.Options{})
	created, credential := s.created("team-a")
	expiring := sample.SecretExpiring(s.cloud.Ready().Account, "logs-sender-team-a", s.cloud.Now())
	var envelope map[string]any
	if err := json.Unmarshal(expiring.Body, &envelope); err != nil {
		t.Fatal(err)
	}
	data := envelope["data"].(map[string]any)
	for _, name := range []string{"source_instance_api_public_url", "source_instance_api_private_url", "source_instance_dashboard_url", "action_url", "callback"} {
		data[name] = trap.URL + "/" + name
	}
	envelope["source"], envelope["ibmenurl"] = trap.URL, trap.URL
	expiring.Body = sample.Encode(envelope)
	events := []sample.Event{created, expiring, sample.Rotate(credential, s.cloud.Now()), sample.Tick(s.cloud.Now())}
	for i := range events {
		if events[i].Header["ce-id"] == "" {
			continue
		}
		events[i].Header["ce-source"] = trap.URL + "/source"
		events[i].Header["ce-dataschema"] = trap.URL + "/schema"
		events[i].Header["ce-callback"] = trap.URL + "/extension"
	}
	for _, e := range append(events, batchOf(created, events[3])) {
		e.Header["WebHook-Request-Origin"] = "events.example.com"
		e.Header["WebHook-Request-Callback"] = trap.URL + "/consent"
		e.Header["Location"] = trap.URL
		if r := s.post(s.url, e, testToken); r.status >= 300 {
			t.Errorf("answered %d %s", r.status, r.body)
		}
	}
	req, err := http.NewRequest(http.MethodOptions, s.url+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("WebHook-Request-Origin", "events.example.com")
	req.Header.Set("WebHook-Request-Callback", trap.URL)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	s.service.Drain(t.Context())
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls to URLs that events named", n)
	}
}

// expiringEvents is one notification of several secrets.
func expiringEvents(t *testing.T, account string, at time.Time, names ...string) sample.Event {
	t.Helper()
	e := sample.SecretExpiring(account, names[0], at)
	var envelope map[string]any
	if err := json.Unmarshal(e.Body, &envelope); err != nil {
		t.Fatal(err)
	}
	data := envelope["data"].(map[string]any)
	first := data["secrets"].([]any)[0].(map[string]any)
	var secrets []any
	for _, name := range names {
		another := map[string]any{}
		for field, value := range first {
			another[field] = value
		}
		another["secret_name"] = name
		secrets = append(secrets, another)
	}
	data["secrets"] = secrets
	e.Body = sample.Encode(envelope)
	return e
}

func TestOfANotificationOfManySecretsEachIsDoneByItself(t *testing.T) {
	s := newStage(t, emulator.Options{})
	for _, name := range []string{"team-a", "team-b"} {
		created, _ := s.created(name)
		s.one(created, testToken, result.Published)
	}
	s.cloud.Advance(50 * 24 * time.Hour)
	names := []string{"foreign", "logs-sender-team-a", "logs-sender-team-b"}
	for len(names) < 100 {
		names = append(names, fmt.Sprintf("another-%d", len(names)))
	}
	e := expiringEvents(t, s.cloud.Ready().Account, s.cloud.Now(), names...)
	broken := "logs-sender/" + s.project("team-b").ID
	s.cloud.Inject(emulator.Fault{Method: http.MethodPut, Path: "/v2/projects/" + s.project("team-b").ID + "/secrets/*", Kind: emulator.FaultStatus, Status: 500})
	lists := s.cloud.Counter(http.MethodGet, "/v2/projects")
	r := s.post(s.url, e, testToken)
	if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || len(r.outcomes) != 2 {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	for _, o := range r.outcomes {
		if want := map[bool]result.Result{true: result.Failed, false: result.Published}[o.Credential == broken]; o.Result != want {
			t.Errorf("%s: %s, want %s", o.Credential, o.Result, want)
		}
	}
	if n := s.cloud.Counter(http.MethodGet, "/v2/projects") - lists; n == 0 || n > 4 {
		t.Errorf("%d lists of projects for one notification", n)
	}
	s.cloud.ClearFaults()
	s.cloud.Advance(20 * time.Minute)
	r = s.post(s.url, e, testToken) // the sender's next try
	for _, o := range r.outcomes {
		if want := map[bool]result.Result{true: result.Published, false: result.Unchanged}[o.Credential == broken]; o.Result != want {
			t.Errorf("tried again, %s: %s, want %s", o.Credential, o.Result, want)
		}
	}
}

func TestAJobReadsARecordOfKafkaAsTheApplicationDoes(t *testing.T) {
	s := newStage(t, emulator.Options{})
	id := s.project("team-b").ID
	created := auditEvent(s.cloud.Ready().Account, "codeengine.instance.create", "success", "IBMid-1", id, s.cloud.Now())
	if code, out := s.job(jobEnvironment(created)); code != cli.ExitOK || !strings.Contains(out, `"result":"published"`) {
		t.Fatalf("exit %d, %s", code, out)
	}
	s.one(created, testToken, result.Unchanged)
	login := auditEvent(s.cloud.Ready().Account, "iam-identity.serviceid-apikey.login", "success", "IBMid-1", id, s.cloud.Now())
	if code, out := s.job(jobEnvironment(login)); code != cli.ExitOK || out != "" {
		t.Errorf("exit %d, %s", code, out)
	}
}
