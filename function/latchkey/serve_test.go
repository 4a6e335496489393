package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/service"
)

// serving runs the serve command until its context ends, as the platform's
// SIGTERM does, and returns its address and exit code.
func (s *stage) serving(ctx context.Context) (url string, exit <-chan int) {
	s.t.Helper()
	ready := s.cloud.Ready()
	env := map[string]string{"LATCHKEY_ENDPOINT": ready.URL, "IBMCLOUD_API_KEY": ready.APIKey, "EVENTS_TOKEN": testToken, "LATCHKEY_CONFIG": examples.Emulator}
	read, write := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"serve", "--listen", "127.0.0.1:0"}, func(name string) string { return env[name] }, nil, s.said, write)
		write.Close()
	}()
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(io.TeeReader(read, s.said))
		for lines.Scan() {
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				address <- line.Address
			}
		}
		close(address)
	}()
	a, ok := <-address
	if !ok {
		s.t.Fatalf("serve ended at once: %s", s.said)
	}
	return "http://" + a, done
}

func TestSIGTERMWaitsForWorkThatIsUnderWay(t *testing.T) {
	s := newStage(t, emulator.Options{Latency: 20 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	url, exit := s.serving(ctx)
	e, credential := s.created("team-b")
	replied := make(chan reply, 1)
	go func() { replied <- s.post(url, e, testToken) }()
	if err := until(t.Context(), 10*time.Second, func() bool { return s.cloud.Counter(http.MethodPost, "/v1/serviceids*") > 0 }); err != nil {
		t.Fatal(err)
	}
	stop()
	if r := <-replied; r.status != http.StatusOK || len(r.outcomes) != 1 || r.outcomes[0].Key == "" {
		t.Errorf("the event under way was answered %d %s", r.status, r.body)
	}
	if code := <-exit; code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
	if n := len(s.keys(credential)); n != 1 {
		t.Errorf("%d keys, want 1", n)
	}
	if _, err := http.Get(url + "/healthz"); err == nil {
		t.Error("it still serves")
	}
}

func TestReadyOnlyWhenOurIdentityWorks(t *testing.T) {
	s := newStage(t, emulator.Options{})
	s.cloud.Inject(emulator.Fault{Method: http.MethodPost, Path: "/identity/token", Kind: emulator.FaultStatus, Status: 503})
	get := func(path string) int {
		resp, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := get("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("without a token /readyz is %d", got)
	}
	if got := get("/healthz"); got != http.StatusNoContent {
		t.Errorf("/healthz is %d", got)
	}
	s.cloud.ClearFaults()
	// A failed login counts for a second.
	if err := until(t.Context(), 10*time.Second, func() bool { return get("/readyz") == http.StatusNoContent }); err != nil {
		t.Errorf("with a token /readyz is %d", get("/readyz"))
	}
	e, _ := s.created("team-a")
	s.one(e, testToken, "published")
}

func TestAnAnswerComesInTimeAndTheWorkGoesOn(t *testing.T) {
	first := func(s *stage) sample.Event {
		_, credential := s.created("team-b")
		return sample.Rotate(credential, s.cloud.Now())
	}
	another := func(s *stage) sample.Event {
		e, _ := s.created("team-b")
		s.one(e, testToken, result.Published)
		s.cloud.Advance(time.Hour)
		return first(s)
	}
	for name, tc := range map[string]struct {
		event  func(s *stage) sample.Event
		token  string
		status int
		keys   int
		broken bool // IAM takes no changes of keys
	}{
		"a look is answered 202": {func(s *stage) sample.Event { e, _ := s.created("team-b"); return e }, "", http.StatusAccepted, 1, false},
		"a demand for a first key is answered 202 once the service ID is there: a sweep finds it": {first, testToken, http.StatusAccepted, 1, false},
		"a demand for another key is written down before the answer":                              {another, testToken, http.StatusAccepted, 2, false},
		"a demand that cannot be written down is answered 503: the sender keeps it":               {another, testToken, http.StatusServiceUnavailable, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, emulator.Options{})
			_, credential := s.created("team-b")
			e := tc.event(s)
			url := s.serve(examples.Emulator, func(c *service.Config) { c.AnswerWithin = 500 * time.Millisecond })
			before := false
			s.cloud.Inject(emulator.Fault{Method: http.MethodPost, Path: "/v1/apikeys", Kind: emulator.FaultHang, Effect: &before})
			if tc.broken {
				s.cloud.Inject(emulator.Fault{Method: http.MethodPut, Path: "/v1/apikeys/*", Kind: emulator.FaultStatus, Status: 500})
			}
			r := s.post(url, e, tc.token)
			if r.status != tc.status {
				t.Errorf("answered %d %s", r.status, r.body)
			}
			if tc.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			if tc.token != "" && r.status == http.StatusAccepted && (len(r.outcomes) != 1 || r.outcomes[0].Credential != credential) {
				t.Errorf("202 does not name the credential: %s", r.body)
			}
			s.cloud.ClearFaults()
			s.service.Drain(t.Context())
			if data := s.data("team-b"); data["IAM_API_KEY"] == "" || len(s.keys(credential)) != tc.keys {
				t.Errorf("the work did not go on: %d keys", len(s.keys(credential)))
			}
			s.cloud.Advance(time.Hour)
			s.sweep()
			s.cloud.Advance(time.Hour)
			if s.sweep(); len(s.keys(credential)) != tc.keys {
				t.Errorf("what was met already was met again: %d keys", len(s.keys(credential)))
			}
		})
	}
}

// oneBurst limits unknown callers to one burst, whatever the machine's pace.
func oneBurst(c *service.Config) { c.Calls = rate.NewLimiter(0, service.CallsBurst) }

func TestUnknownCallersAreLimited(t *testing.T) {
	s := newStage(t, emulator.Options{})
	url := s.serve(examples.Emulator, oneBurst)
	e := sample.Binary("dev.latchkey.sweep", "/t", s.cloud.Now(), map[string]any{"credentials": []string{"logs-sender/" + s.project("team-a").ID}})
	limited, known := 0, 0
	for range 2 * service.CallsBurst / service.CallsPerLook {
		r := s.post(url, e, "")
		if r.status == http.StatusTooManyRequests && r.header.Get("Retry-After") != "" {
			limited++
		}
		if r = s.post(url, e, testToken); r.status == http.StatusOK {
			known++
		}
	}
	if limited == 0 || known != 2*service.CallsBurst/service.CallsPerLook {
		t.Errorf("%d unknown callers were limited, %d of %d known ones were served", limited, known, 2*service.CallsBurst/service.CallsPerLook)
	}
	created, _ := s.created("team-a")
	s.post(s.url, created, testToken)
}

func TestAHealthCheckNeedsNoBodyAndGivesNothingAway(t *testing.T) {
	s := newStage(t, emulator.Options{})
	resp, err := http.Get(s.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || strings.Contains(body.String(), s.cloud.Ready().Account) {
		t.Errorf("%d %s", resp.StatusCode, body.String())
	}
	created, _ := s.created("team-a")
	s.post(s.url, created, "")
}
