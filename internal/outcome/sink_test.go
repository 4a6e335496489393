package outcome

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

const canary = "canary-7d1f20c4"

func receiver(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, body []byte)) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		answer(w, r, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func TestAnEventIsACloudEventInBinaryMode(t *testing.T) {
	o := blockedBy("logs-sender/grün 100%", reason.KeyCap)
	e := newEvent("/latchkey/p", o, time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC))
	var got http.Header
	var data []byte
	s := receiver(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		got, data = r.Header, body
		if r.Method != http.MethodPost || r.URL.String() != "/in?token="+canary {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	sink := NewHTTP(HTTPConfig{URL: s.URL + "/in?token=" + canary, Bearer: secret.New("b-" + canary), HTTP: s.Client()})
	if err := sink.Deliver(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": e.ID, "Ce-Source": "/latchkey/p", "Ce-Type": "dev.latchkey.credential.blocked",
		"Ce-Subject": "logs-sender/gr%C3%BCn%20100%25", "Ce-Time": "2026-11-24T10:00:00Z", "Content-Type": "application/json",
		"Authorization": "Bearer b-" + canary,
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
	var back result.Outcome
	if err := json.Unmarshal(data, &back); err != nil || back.Credential != o.Credential || back.Reason != o.Reason {
		t.Errorf("data %s", data)
	}
	if strings.Contains(sink.Name(), canary) {
		t.Errorf("the name %s has the query", sink.Name())
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		header string
		fine   bool
		again  bool
		after  time.Duration
	}{
		"200 is fine":                      {status: 200, fine: true},
		"204 is fine":                      {status: 204, fine: true},
		"400 is final":                     {status: 400},
		"401 is final: the token is wrong": {status: 401},
		"a redirect is not followed":       {status: 307},
		"404 is final":                     {status: 404},
		"413 is final":                     {status: 413},
		"408 is worth a retry":             {status: 408, again: true},
		"429 says when":                    {status: 429, header: "17", again: true, after: 17 * time.Second},
		"500 is worth a retry":             {status: 500, again: true},
		"502 is worth a retry":             {status: 502, again: true},
		"504 is worth a retry":             {status: 504, again: true},
		"503 may say when":                 {status: 503, header: "nonsense", again: true},
		"a past date asks for no wait":     {status: 503, header: "Tue, 24 Nov 2020 10:00:00 GMT", again: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := receiver(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) {
				w.Header().Set("Location", "/elsewhere")
				if tc.header != "" {
					w.Header().Set("Retry-After", tc.header)
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, canary)
			})
			client := s.Client()
			client.CheckRedirect = stay
			err := NewHTTP(HTTPConfig{URL: s.URL, HTTP: client}).Deliver(t.Context(), newEvent("/latchkey/p", blockedBy("a", reason.KeyCap), time.Now()))
			var asked *pause
			errors.As(err, &asked)
			if (err == nil) != tc.fine || errors.Is(err, ErrAgain) != tc.again || (asked != nil && asked.after != tc.after) {
				t.Errorf("%v, %+v", err, asked)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("the answer is quoted: %v", err)
			}
		})
	}
}

// A receiver may take the connection and answer too late, or in the middle of an answer.
func TestASlowReceiverIsRetriedAndKeepsNoConnection(t *testing.T) {
	for name, begin := range map[string]bool{"no answer": false, "an answer that never ends": true} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan struct{})
			s := receiver(t, func(w http.ResponseWriter, r *http.Request, _ []byte) {
				if begin {
					w.WriteHeader(http.StatusBadGateway)
					_ = http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
				close(gone)
			})
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			err := NewHTTP(HTTPConfig{URL: s.URL, HTTP: s.Client()}).Deliver(ctx, newEvent("/latchkey/p", blockedBy("a", reason.KeyCap), time.Now()))
			if !errors.Is(err, ErrAgain) {
				t.Errorf("%v", err)
			}
			<-gone // the receiver sees that latchkey has left
		})
	}
}

func TestAnUnreachableSinkIsRetriedWithoutQuotingItsQuery(t *testing.T) {
	s := receiver(t, func(http.ResponseWriter, *http.Request, []byte) {})
	s.Close()
	err := NewHTTP(HTTPConfig{URL: s.URL + "/in?token=" + canary, HTTP: &http.Client{}}).Deliver(t.Context(), newEvent("/latchkey/p", blockedBy("a", reason.KeyCap), time.Now()))
	if !errors.Is(err, ErrAgain) || strings.Contains(err.Error(), canary) {
		t.Errorf("%v", err)
	}
}

func TestANotificationThatIsTooLongGoesWithoutItsData(t *testing.T) {
	var got []byte
	s := receiver(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		got = body
		if r.URL.Path != "/event-notifications/v1/instances/7a1c/notifications" {
			t.Errorf("path %s", r.URL.Path)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	sink := NewNotifications(NotificationsConfig{Instance: "7a1c", Region: "eu-de", Source: "src", Endpoint: s.URL, HTTP: s.Client()})
	for name, big := range map[string]bool{"as it is": false, "too long": true} {
		o := blockedBy("a", reason.KeyCap)
		o.Message = strings.Repeat("ü", 4000)
		if big {
			o.Error = strings.Repeat("x", largest)
		}
		if err := sink.Deliver(t.Context(), newEvent("/latchkey/p", o, time.Now())); err != nil {
			t.Fatal(name, err)
		}
		var n notification
		if err := json.Unmarshal(got, &n); err != nil {
			t.Fatal(name, err)
		}
		if len(got) > largest || (n.Data == nil) != big || len(n.Long) > 2048 || !strings.HasSuffix(n.Long, "…") ||
			n.SourceID != "src" || n.Severity != "HIGH" || n.SpecVersion != "1.0" || bytes.ContainsRune(got, '\uFFFD') {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

func TestTheAddressOfEventNotifications(t *testing.T) {
	for private, want := range map[bool]string{
		false: "https://eu-de.event-notifications.cloud.ibm.com/event-notifications/v1/instances/7a1c/notifications",
		true:  "https://private.eu-de.event-notifications.cloud.ibm.com/event-notifications/v1/instances/7a1c/notifications",
	} {
		s := NewNotifications(NotificationsConfig{Instance: "7a1c", Region: "eu-de", Private: private})
		if s.url != want || s.Name() != "eventNotifications/eu-de/7a1c" {
			t.Errorf("%s is at %s", s.Name(), s.url)
		}
	}
}
