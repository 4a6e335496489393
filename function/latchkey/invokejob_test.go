package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/service"
)

func TestInvokeKeepsCallsApartAndFinishesWhatIsUnderWay(t *testing.T) {
	var together sync.WaitGroup
	together.Add(20)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		together.Done()
		together.Wait() // every call is in flight before one is answered
		body, _ := io.ReadAll(r.Body)
		w.Header().Add("X-Seen", r.Header.Get("X-Id"))
		w.Header().Add("X-Many", "1")
		w.Header().Add("X-Many", "2")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s?%s %s", r.Method, r.URL.Path, r.URL.RawQuery, body)
	})
	var in, out bytes.Buffer
	for i := range 20 {
		id := fmt.Sprint(i)
		line, err := json.Marshal(service.Call{ID: id, Method: "POST", Path: "/a b", Query: "x=%20y", Headers: map[string][]string{"x-id": {id}}, Body: []byte{0, 255, byte(i)}})
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	if err := service.ServeLines(t.Context(), h, &in, &out); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	d := json.NewDecoder(&out)
	for d.More() {
		var r service.Result
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		var i int
		fmt.Sscan(r.ID, &i)
		want := append([]byte("POST /a b?x=%20y "), 0, 255, byte(i))
		if seen[r.ID] || r.Status != http.StatusTeapot || !bytes.Equal(r.Body, want) || r.Headers["X-Seen"][0] != r.ID || len(r.Headers["X-Many"]) != 2 {
			t.Errorf("answer %+v", r)
		}
		seen[r.ID] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d answers, want 20", len(seen))
	}
}

func TestTheFunctionShowsItsPageToWhoShowsTheToken(t *testing.T) {
	s := newStage(t, emulator.Options{})
	ready := s.cloud.Ready()
	env := map[string]string{"LATCHKEY_ENDPOINT": ready.URL, "IBMCLOUD_API_KEY": ready.APIKey, "EVENTS_TOKEN": testToken, "LATCHKEY_CONFIG": examples.Emulator}
	token := map[string][]string{"authorization": {"Bearer " + testToken}}
	for name, tc := range map[string]struct {
		call service.Call
		want int
		part string
	}{
		"the page":               {service.Call{Method: "GET", Path: "/", Headers: map[string][]string{"authorization": token["authorization"], "accept": {"text/html"}}}, 200, "<h1>"},
		"the metrics":            {service.Call{Method: "GET", Path: "/metrics", Headers: token}, 200, "latchkey_build_info"},
		"a caller without token": {service.Call{Method: "GET", Path: "/metrics"}, 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			line, err := json.Marshal(tc.call)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			code := run(t.Context(), []string{"invoke"}, func(name string) string { return env[name] }, bytes.NewReader(append(line, '\n')), &out, s.said)
			var r service.Result
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatalf("exit %d: %s: %v", code, out.String(), err)
			}
			if r.Status != tc.want || !strings.Contains(string(r.Body), tc.part) {
				t.Errorf("status %d, %s", r.Status, r.Body)
			}
		})
	}
}

func TestALineThatIsNoCallIsAnswered400(t *testing.T) {
	var out bytes.Buffer
	if err := service.ServeLines(t.Context(), http.NotFoundHandler(), strings.NewReader("{\n"), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"status":400`) {
		t.Errorf("answer %s", out.String())
	}
}

// job runs one job with an environment, and returns its exit code and what it
// printed.
func (s *stage) job(env map[string]string) (int, string) {
	s.t.Helper()
	ready := s.cloud.Ready()
	all := map[string]string{
		"LATCHKEY_ENDPOINT": ready.URL, "IBMCLOUD_API_KEY": ready.APIKey, "EVENTS_TOKEN": testToken,
		"LATCHKEY_CONFIG": examples.Emulator, "CE_PROJECT_ID": "p", "CE_REGION": "eu-de", "CE_JOB": "latchkey",
	}
	for name, value := range env {
		all[name] = value
	}
	var out bytes.Buffer
	code := run(context.Background(), []string{"job"}, func(name string) string { return all[name] }, nil, io.MultiWriter(&out, s.said), s.said)
	return code, out.String()
}

// jobEnvironment is how Code Engine hands an event to a job.
func jobEnvironment(e sample.Event) map[string]string {
	if e.Header["ce-id"] == "" { // Event Notifications hands over its envelope
		return map[string]string{"ibmendata": string(e.Body)}
	}
	env := map[string]string{"CE_DATA": string(e.Body)}
	for name, value := range e.Header {
		switch attribute, is := strings.CutPrefix(name, "ce-"); {
		case is:
			env["CE_"+strings.ToUpper(attribute)] = value
		case name == "Content-Type":
			env["CONTENT_TYPE"] = value
		}
	}
	return env
}

func TestTheJobTakesItsEventFromTheEnvironment(t *testing.T) {
	s := newStage(t, emulator.Options{})
	created, credential := s.created("team-b")
	code, out := s.job(jobEnvironment(created))
	if code != cli.ExitOK || !strings.Contains(out, `"result":"published"`) {
		t.Fatalf("exit %d, %s", code, out)
	}
	s.cloud.Advance(50 * 24 * time.Hour)
	expiring := sample.SecretExpiring(s.cloud.Ready().Account, "logs-sender-team-b", s.cloud.Now())
	for _, want := range []string{`"result":"published"`, `"result":"unchanged"`} { // the platform may start a job again
		if code, out = s.job(map[string]string{"ibmendata": string(expiring.Body)}); code != cli.ExitOK || !strings.Contains(out, want) {
			t.Fatalf("exit %d, %s, want %s", code, out, want)
		}
	}
	if n := len(s.keys(credential)); n != 2 {
		t.Errorf("%d keys, want the new one and the one that ends", n)
	}
	if code, out = s.job(map[string]string{"CE_ID": "1", "CE_SOURCE": "/me", "CE_SPECVERSION": "1.0", "CE_TYPE": "dev.latchkey.sweep", "JOB_INDEX": "1", "JOB_ARRAY_SIZE": "2"}); code != cli.ExitOK || out != "" {
		t.Errorf("an index other than 0 acted on an event: exit %d, %s", code, out)
	}
}

// Kafka hands a record that is a CloudEvent on as it is, so a writer of
// the topic chooses the type: a job's event is no more trusted than a call
// without a token.
func TestAJobsEventCanOnlyMakeLatchkeyLook(t *testing.T) {
	s := newStage(t, emulator.Options{})
	created, credential := s.created("team-b")
	if code, out := s.job(jobEnvironment(created)); code != cli.ExitOK || !strings.Contains(out, `"result":"published"`) {
		t.Fatalf("exit %d, %s", code, out)
	}
	s.cloud.Advance(time.Hour)
	changes := len(s.cloud.Events())
	if code, out := s.job(jobEnvironment(sample.Rotate(credential, s.cloud.Now()))); code != cli.ExitOK || out != "" {
		t.Errorf("exit %d, %s", code, out)
	}
	if n := len(s.cloud.Events()) - changes; n != 0 {
		t.Errorf("a demand in the environment changed %d things", n)
	}
	if !strings.Contains(s.said.String(), "needs an authenticated caller") {
		t.Error("nothing was recorded")
	}
	// Event Notifications starts a job with an authorization of its own.
	if code, out := s.job(map[string]string{"ibmendata": string(sample.Notified(sample.Rotate(credential, s.cloud.Now())))}); code != cli.ExitOK || !strings.Contains(out, `"result":"published"`) {
		t.Errorf("by Event Notifications: exit %d, %s", code, out)
	}
}

func TestAnEventThatWillNeverBeRightDoesNotMakeTheJobFail(t *testing.T) {
	s := newStage(t, emulator.Options{})
	code, out := s.job(map[string]string{"CE_ID": "1", "CE_SOURCE": "/me", "CE_SPECVERSION": "0.3", "CE_TYPE": "dev.latchkey.sweep"})
	if code != cli.ExitOK || !strings.Contains(out, "specversion") {
		t.Errorf("exit %d, %s", code, out)
	}
	created, _ := s.created("team-b")
	s.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v1/serviceids*", Kind: emulator.FaultStatus, Status: 503})
	if code, out = s.job(jobEnvironment(created)); code != cli.ExitTryAgain {
		t.Errorf("IAM is down: exit %d, %s, want %d", code, out, cli.ExitTryAgain)
	}
	s.cloud.ClearFaults()
	if code, out = s.job(jobEnvironment(created)); code != cli.ExitOK {
		t.Errorf("exit %d, %s", code, out)
	}
}

func TestEveryCredentialIsInExactlyOneShareOfAJobsArray(t *testing.T) {
	s := newStage(t, emulator.Options{})
	for i := range 6 {
		s.cloud.Cloud().AddProject(fmt.Sprintf("team-%d", i), "eu-de")
	}
	seen := map[string]int{}
	for index := range 3 {
		code, out := s.job(map[string]string{"JOB_INDEX": fmt.Sprint(index), "JOB_ARRAY_SIZE": "3"})
		if code != cli.ExitOK {
			t.Fatalf("index %d: exit %d, %s", index, code, out)
		}
		for _, o := range outcomesIn(out) {
			seen[o.Credential]++
			if o.Result != result.Published {
				t.Errorf("%s: %s", o.Credential, o.Result)
			}
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d credentials were looked at, want 8", len(seen))
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s is in %d shares", name, n)
		}
	}
}

func outcomesIn(out string) []result.Outcome {
	var many struct{ Outcomes []result.Outcome }
	if json.Unmarshal([]byte(out), &many) == nil && len(many.Outcomes) > 0 {
		return many.Outcomes
	}
	var one result.Outcome
	if json.Unmarshal([]byte(out), &one) == nil && one.Credential != "" {
		return []result.Outcome{one}
	}
	return nil
}

func TestATickInAFunctionCarriesNoCredentialAndStillSweeps(t *testing.T) {
	s := newStage(t, emulator.Options{})
	var in, out bytes.Buffer
	tick := sample.Tick(s.cloud.Now())
	headers := map[string][]string{}
	for name, value := range tick.Header {
		headers[http.CanonicalHeaderKey(name)] = []string{value}
	}
	if err := json.NewEncoder(&in).Encode(service.Call{ID: "1", Method: "POST", Path: "/", Headers: headers}); err != nil {
		t.Fatal(err)
	}
	ready := s.cloud.Ready()
	env := map[string]string{"LATCHKEY_ENDPOINT": ready.URL, "IBMCLOUD_API_KEY": ready.APIKey, "EVENTS_TOKEN": testToken, "LATCHKEY_CONFIG": examples.Emulator}
	code := run(t.Context(), []string{"invoke"}, func(name string) string { return env[name] }, &in, io.MultiWriter(&out, s.said), s.said)
	var r service.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || code != cli.ExitOK || r.Status != http.StatusOK || r.ID != "1" {
		t.Fatalf("exit %d, answer %d, %v", code, r.Status, err)
	}
	if s.data("team-a") == nil || s.data("team-b") == nil || len(r.Body) > 0 {
		t.Errorf("team-a has %d entries, team-b %d, and the answer is %q", len(s.data("team-a")), len(s.data("team-b")), r.Body)
	}
}
