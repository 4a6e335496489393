package logs_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/logs"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const senderCRN = "crn:v1:bluemix:public:logs::::serviceRole:Sender"

// world is an emulated cloud with one identity that shall send.
type world struct {
	*emulator.Server
	t     *testing.T
	http  *http.Client
	iamID string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	id, _ := s.Cloud().AddIdentity("sender")
	return &world{Server: s, t: t, http: &http.Client{Transport: transport}, iamID: id.IAMID}
}

func (w *world) prove(change ...func(*logs.Config)) error {
	w.t.Helper()
	token, err := w.Cloud().TokenFor(w.iamID)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := logs.Config{HTTP: w.http, Endpoint: w.URL(), Instance: cloud.LogsInstanceID, Region: cloud.LogsInstanceRegion}
	for _, f := range change {
		f(&cfg)
	}
	err = logs.New(cfg).Prove(w.t.Context(), port.Proof{
		Credential: "logs-sender/p", KeyID: "ApiKey-1", Token: secret.New(token.AccessToken),
	})
	if err != nil && strings.Contains(fmt.Sprintf("%+v", err), token.AccessToken) {
		w.t.Errorf("the error holds the token: %v", err)
	}
	return err
}

func TestASenderIsProvenByOneLine(t *testing.T) {
	for _, private := range []bool{false, true} {
		w := newWorld(t)
		w.Cloud().Grant(w.iamID, "logs", senderCRN)
		if err := w.prove(func(c *logs.Config) { c.Private = private }); err != nil {
			t.Fatal(err)
		}
		lines := w.Lines()
		if len(lines) != 1 {
			t.Fatalf("%d lines", len(lines))
		}
		l := lines[0]
		if l.ApplicationName != "latchkey" || l.SubsystemName != "logs-sender/p" || l.Severity != 3 || l.Sender != w.iamID ||
			string(l.Text) != `{"apikey_id":"ApiKey-1","credential":"logs-sender/p","event":"key_proof"}` {
			t.Errorf("line %+v, text %s", l, l.Text)
		}
		if l.Timestamp != "" {
			t.Errorf("timestamp %s", l.Timestamp)
		}
	}
}

func TestAWrongClockFailsNoProof(t *testing.T) {
	for _, ahead := range []time.Duration{-30 * 24 * time.Hour, 30 * 24 * time.Hour} {
		w := newWorld(t)
		w.Cloud().Grant(w.iamID, "logs", senderCRN)
		w.Advance(ahead) // of the clock here
		if err := w.prove(); err != nil || len(w.Lines()) != 1 {
			t.Errorf("the cloud is %s ahead: %d lines, %v", ahead, len(w.Lines()), err)
		}
	}
}

func TestAPolicyWithLagIsNotYetEffective(t *testing.T) {
	w := newWorld(t)
	w.SetLag(time.Minute)
	w.Cloud().Grant(w.iamID, "logs", senderCRN)
	if err := w.prove(); !errors.Is(err, port.ErrNotYet) {
		t.Errorf("within the lag: %v", err)
	}
	w.Advance(time.Minute)
	if err := w.prove(); err != nil {
		t.Errorf("after the lag: %v", err)
	}
}

func TestALineThatIsNotAcceptedIsAnError(t *testing.T) {
	fault := func(f emulator.Fault) func(*world, *logs.Config) {
		return func(w *world, _ *logs.Config) { w.Inject(f) }
	}
	for name, tc := range map[string]struct {
		before func(*world, *logs.Config)
		want   error
	}{
		"a 200 that reports rejected lines": {func(w *world, _ *logs.Config) {
			n := w.Settings()
			n.RejectLogs = true
			w.Set(n)
		}, port.ErrRefused},
		"an instance that does not exist": {func(_ *world, c *logs.Config) {
			c.Instance = "00000000-0000-4000-8000-000000000000"
		}, port.ErrRefused},
		"an instance of another region": {func(_ *world, c *logs.Config) { c.Region = "us-south" }, port.ErrRefused},
		"a server error":                {fault(emulator.Fault{Kind: emulator.FaultStatus, Status: 500}), port.ErrUnavailable},
		"too many requests":             {fault(emulator.Fault{Kind: emulator.FaultStatus, Status: 429}), port.ErrUnavailable},
		"a lost answer":                 {fault(emulator.Fault{Kind: emulator.FaultLost}), port.ErrUnavailable},
		"a bad request":                 {fault(emulator.Fault{Kind: emulator.FaultStatus, Status: 400}), port.ErrRefused},
		"an answer that breaks off": {func(w *world, _ *logs.Config) {
			n := w.Settings()
			n.Switches.LogsSuccessBody = `{"message":"accepted"}`
			w.Set(n)
			w.Inject(emulator.Fault{Kind: emulator.FaultTruncate})
		}, port.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Cloud().Grant(w.iamID, "logs", senderCRN)
			err := w.prove(func(c *logs.Config) { tc.before(w, c) })
			if !errors.Is(err, tc.want) {
				t.Errorf("err = %v, want %v", err, tc.want)
			}
		})
	}
}

func TestA200WithWordsOfRejectionIsRefused(t *testing.T) {
	for body, proven := range map[string]bool{
		"": true, "{}": true, "[]": true, "null": true, "OK": true, `"accepted"`: true,
		`{"accepted": 1, "rejected": 0}`:                          true,
		`{"errors": [], "failed": null, "error": ""}`:             true,
		`{"success": true, "dropped": {}}`:                        true,
		`{"rejected": 1}`:                                         false,
		`{"errors": [{"index": 0}]}`:                              false,
		`{"message": "Not all logs were accepted"}`:               false,
		`{"items": [{"status": "INVALID"}]}`:                      false,
		`"1 line was dropped"`:                                    false,
		"Some logs were rejected":                                 false,
		`{"message": "` + strings.Repeat("x", 1<<17) + `"`:        true, // cut, and no word in what was read
		`{"message": "failed ` + strings.Repeat("x", 1<<17) + `"`: false,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		transport := &http.Transport{}
		err := logs.New(logs.Config{HTTP: &http.Client{Transport: transport}, Endpoint: server.URL + "/", Instance: "i", Region: "r"}).
			Prove(t.Context(), port.Proof{})
		transport.CloseIdleConnections()
		server.Close()
		if proven != (err == nil) || !proven && !errors.Is(err, port.ErrRefused) {
			t.Errorf("body %.60q: %v", body, err)
		}
	}
}

func TestWhatTheInstanceSaysIsQuotedShortAndWithoutTheToken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, "no\nto %s %s", r.Header.Get("Authorization"), strings.Repeat("x", 1000))
	}))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	err := logs.New(logs.Config{HTTP: &http.Client{Transport: transport}, Endpoint: server.URL, Instance: "i", Region: "r"}).
		Prove(t.Context(), port.Proof{Token: secret.New("tok-canary")})
	if s := err.Error(); strings.Contains(s, "canary") || !strings.Contains(s, "no to Bearer [secret] xxx") || len(s) > 400 {
		t.Errorf("err = %s", s)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	reached := false
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	err := logs.New(logs.Config{HTTP: &http.Client{Transport: transport}, Endpoint: server.URL, Instance: "i", Region: "r"}).
		Prove(t.Context(), port.Proof{Token: secret.New("t")})
	if !errors.Is(err, port.ErrUnavailable) || reached {
		t.Errorf("err = %v, followed: %v", err, reached)
	}
}
