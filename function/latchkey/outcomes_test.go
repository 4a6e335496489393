package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/service"
)

const sinkToken = "sink-canary-0b7e44"

// listener receives the CloudEvents that latchkey sends.
type listener struct {
	*httptest.Server
	mu     sync.Mutex
	heads  []http.Header
	bodies []string
	status int // to answer with
}

func (s *stage) listener() *listener {
	l := &listener{status: http.StatusNoContent}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			s.t.Error(err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		head := r.Header.Clone()
		if head.Get("Authorization") != "Bearer "+sinkToken {
			s.t.Error("the sink was shown another token")
		}
		head.Del("Authorization")
		fmt.Fprintf(s.said, "%v %s", head, body)
		if l.status >= 300 {
			w.WriteHeader(l.status)
			return
		}
		l.heads, l.bodies = append(l.heads, head), append(l.bodies, string(body))
		w.WriteHeader(l.status)
	}))
	s.t.Cleanup(l.Close)
	return l
}

// types are those of what arrived, without what they have in common.
func (l *listener) types() (types []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.heads {
		types = append(types, strings.TrimPrefix(h.Get("Ce-Type"), "dev.latchkey.credential."))
	}
	return types
}

func (l *listener) answer(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = status
}

// tellingBoth is the example config with both kinds of sinks.
func tellingBoth(url string) string {
	return examples.Emulator + fmt.Sprintf(`
outcomes:
- {url: %q, bearerEnv: SINK_TOKEN}
- eventNotifications: {instance: %s, region: eu-de, source: "5d0f7a3e:api"}
`, url, cloud.NotificationsInstanceID)
}

func TestOutcomesGoToTheirSinks(t *testing.T) {
	s := newStage(t, emulator.Options{})
	l := s.listener()
	env := map[string]string{"LATCHKEY_CONFIG": tellingBoth(l.URL), "SINK_TOKEN": sinkToken}
	created, credential := s.created("team-a")
	if code, out := s.job(jobEnvironment(created)); code != cli.ExitOK {
		t.Fatalf("exit %d, %s", code, out)
	}
	if n := len(l.types()); n != 0 {
		t.Fatal("without sinks something was sent")
	}
	s.cloud.Advance(61 * 24 * time.Hour)
	for _, step := range []struct {
		name, tell string
		prepare    func()
		want       []string
	}{
		{name: "a rotation, and the other project's first key", want: []string{"provisioned", "rotated"}},
		{name: "nothing to do says nothing"},
		{name: "the overlap's end", prepare: func() { s.cloud.Advance(25 * time.Hour) }, want: []string{"retired"}},
	} {
		if step.prepare != nil {
			step.prepare()
		}
		before := len(l.types())
		if code, out := s.job(env); code != cli.ExitOK {
			t.Fatalf("%s: exit %d, %s", step.name, code, out)
		}
		got := l.types()[before:]
		slices.Sort(got)
		if !slices.Equal(got, step.want) {
			t.Errorf("%s: sent %q, want %q", step.name, got, step.want)
		}
	}
	// Both sinks got the same events, and each is whole.
	sent := s.cloud.Cloud().Notifications()
	if len(sent) != len(l.heads) {
		t.Fatalf("%d notifications, %d events", len(sent), len(l.heads))
	}
	for i, n := range sent {
		var fields map[string]any
		if err := json.Unmarshal(n.Body, &fields); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(s.said, "%s", n.Body)
		if !slices.ContainsFunc(l.heads, func(h http.Header) bool { return h.Get("Ce-Id") == fields["id"] && h.Get("Ce-Type") == fields["type"] }) {
			t.Errorf("notification %d is none of the events: %s", i, n.Body)
		}
	}
	for i, h := range l.heads {
		var o result.Outcome
		if err := json.Unmarshal([]byte(l.bodies[i]), &o); err != nil || o.Credential != h.Get("Ce-Subject") || h.Get("Ce-Source") != "/latchkey/example" {
			t.Errorf("event %v with %s", h, l.bodies[i])
		}
		// What comes back to us is not for us.
		back := sample.Event{Header: map[string]string{"Content-Type": "application/json"}, Body: []byte(l.bodies[i])}
		for name := range h {
			if strings.HasPrefix(name, "Ce-") {
				back.Header[name] = h.Get(name)
			}
		}
		if r := s.post(s.url, back, testToken); r.status != http.StatusNoContent {
			t.Errorf("our own event is answered %d %s", r.status, r.body)
		}
	}
	if !strings.Contains(strings.Join(l.bodies, ""), credential) {
		t.Error("the first credential is in no event")
	}
	if strings.Contains(s.said.String(), sinkToken) {
		t.Error("the sink's token was logged or told")
	}
}

// telling is one more replica, whose outcomes go to a sink.
func (s *stage) telling(l *listener) string {
	s.t.Helper()
	s.env = map[string]string{"SINK_TOKEN": sinkToken}
	url := s.serve(tellingBoth(l.URL))
	p := s.parts
	s.t.Cleanup(func() { p.closeOutcomes(context.Background(), 0) })
	return url
}

func TestABlockIsToldOnceUntilItIsMended(t *testing.T) {
	s := newStage(t, emulator.Options{})
	l := s.listener()
	url := s.telling(l)
	tick := func() { s.post(url, sample.Tick(s.cloud.Now()), "") }
	tick() // first keys
	settled := func(want ...string) {
		t.Helper()
		s.parts.outcomes.Flush(t.Context())
		got := l.types()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("sent %q, want %q", got, want)
		}
	}
	settled("provisioned", "provisioned")
	id := s.keyIdentity(s.publishedKey())
	s.withoutPolicy(id, true)
	for range 3 {
		tick()
	}
	settled("provisioned", "provisioned", "blocked")
	s.withoutPolicy(id, false)
	tick()
	settled("provisioned", "provisioned", "blocked", "repaired")
	s.withoutPolicy(id, true)
	tick()
	settled("provisioned", "provisioned", "blocked", "repaired", "blocked")
}

func TestASinkThatIsDownHoldsNoAnswerUp(t *testing.T) {
	s := newStage(t, emulator.Options{})
	l := s.listener()
	l.answer(http.StatusServiceUnavailable)
	url := s.telling(l)
	r := s.post(url, sample.Tick(s.cloud.Now()), testToken)
	if r.status != http.StatusOK || len(r.outcomes) != 2 {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	if n := len(l.types()); n != 0 {
		t.Errorf("%d were taken", n)
	}
	l.answer(http.StatusOK)
	s.parts.outcomes.Flush(t.Context())
	if got := l.types(); !slices.Equal(got, []string{"provisioned", "provisioned"}) {
		t.Errorf("when the sink was there again it got %q", got)
	}
	l.answer(http.StatusServiceUnavailable)
	s.cloud.Advance(61 * 24 * time.Hour)
	s.post(url, sample.Tick(s.cloud.Now()), "")
	s.parts.closeOutcomes(t.Context(), 10*time.Millisecond)
	lost := 0
	for _, n := range s.parts.outcomes.Dropped() {
		lost += n
	}
	if lost < 2 || !strings.Contains(s.said.String(), "outcomes were not delivered") {
		t.Errorf("%d were lost, and the log says %t", lost, strings.Contains(s.said.String(), "not delivered"))
	}
}

func TestASinkWithoutItsTokenDoesNotStart(t *testing.T) {
	s := newStage(t, emulator.Options{})
	s.post(s.url, sample.Tick(s.cloud.Now()), "") // some value for the canaries' sake
	code, _ := s.job(map[string]string{"LATCHKEY_CONFIG": tellingBoth("https://events.example.com")})
	if code != cli.ExitError || !strings.Contains(s.said.String(), "reading outcomes[0].bearerEnv: SINK_TOKEN is not set") {
		t.Errorf("exit %d", code)
	}
}

func TestAFunctionsCallWaitsForItsOutcomes(t *testing.T) {
	s := newStage(t, emulator.Options{})
	l := s.listener()
	s.telling(l)
	e := sample.Tick(s.cloud.Now())
	line, err := json.Marshal(service.Call{ID: "1", Method: http.MethodPost, Path: "/", Headers: headersOf(e), Body: e.Body})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := service.ServeLines(t.Context(), s.service.Flushing(s.service.Handler()), bytes.NewReader(append(line, '\n')), &out); err != nil {
		t.Fatal(err)
	}
	var answered service.Result
	if err := json.Unmarshal(out.Bytes(), &answered); err != nil {
		t.Fatal(err)
	}
	if got := l.types(); answered.Status != http.StatusOK || len(got) != 2 {
		t.Errorf("answered %d after %q were delivered", answered.Status, got)
	}
}

func headersOf(e sample.Event) map[string][]string {
	h := map[string][]string{}
	for name, value := range e.Header {
		h[name] = []string{value}
	}
	return h
}
