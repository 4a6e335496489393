package service

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

// desk is a clock and a hook whose body has a time, or none.
func desk(t *testing.T, w *world) (s *Service, clock *time.Time, send func(body string) answered) {
	t.Helper()
	at := now
	s = w.service(t, func(c *Config) {
		c.Now = func() time.Time { return at }
		c.Hooks[0].Map = func(body any, _ map[string]string) (webhook.Parts, error) {
			fields, _ := body.(map[string]any)
			p := webhook.Parts{Type: "dev.latchkey.rotate", Data: map[string]any{"credential": "logs-sender/a"}}
			p.Time, _ = fields["time"].(string)
			return p, nil
		}
	})
	return s, &at, func(body string) answered {
		return post(s, "/hooks/github", sample.Event{Header: map[string]string{"Content-Type": "application/json"}, Body: []byte(body)}, "X-Hub-Signature-256", signature(body))
	}
}

func TestASignedDeliveryThatComesAgainDemandsNothingNew(t *testing.T) {
	w := newWorld()
	_, clock, send := desk(t, w)
	for _, body := range []string{`{"n":1}`, `{"n":1}`, `{"n":2}`} {
		if a := send(body); a.Code != http.StatusOK {
			t.Fatalf("answered %d %s", a.Code, a.Body)
		}
		*clock = clock.Add(time.Hour)
	}
	asks := w.asks["logs-sender/a"]
	if len(asks) != 3 || !asks[1].Trigger.NewerThan.Equal(now) || !asks[2].Trigger.NewerThan.Equal(now.Add(2*time.Hour)) {
		t.Errorf("asked %+v, want the second time that of the first, and the third its own", asks)
	}
}

func TestASignedDeliveryHasAMaximumAge(t *testing.T) {
	w := newWorld()
	_, clock, send := desk(t, w)
	body := fmt.Sprintf(`{"time":%q}`, now.Format(time.RFC3339))
	*clock = now.Add(maxAge)
	if a := send(body); a.Code != http.StatusOK {
		t.Errorf("answered %d %s", a.Code, a.Body)
	}
	*clock = now.Add(maxAge + time.Second)
	if a := send(body); a.Code != http.StatusBadRequest || !strings.Contains(a.Body.String(), "more than 24h0m0s ago") || len(w.asks["logs-sender/a"]) != 1 {
		t.Errorf("a day later it is answered %d %s", a.Code, a.Body)
	}
}

func TestARevocationIsNeverTooOld(t *testing.T) {
	w := newWorld()
	s, clock, _ := desk(t, w)
	s.hooks["github"].Map = func(any, map[string]string) (webhook.Parts, error) {
		return webhook.Parts{Type: event.TypeRevoke, Time: now.Format(time.RFC3339), Data: map[string]any{"credential": "logs-sender/a", "keyID": "ApiKey-1"}}, nil
	}
	*clock = now.Add(10 * maxAge)
	a := post(s, "/hooks/github", sample.Event{Header: map[string]string{"Content-Type": "application/json"}, Body: []byte("{}")}, "X-Hub-Signature-256", signature("{}"))
	if ask := w.asks["logs-sender/a"]; len(ask) != 1 || ask[0].Trigger.Leaked != "ApiKey-1" {
		t.Errorf("answered %d %s, asked %+v", a.Code, a.Body, ask)
	}
}

// configured is a world whose config has every name.
type configured struct{ *world }

func (configured) Unknown([]string, []port.Credential) []string { return nil }

func TestARepeatedEventDoesNotProvisionAgainWhatWasDeleted(t *testing.T) {
	w := newWorld()
	w.credentials = []port.Credential{{Name: "logs-sender/a", Entry: "logs-sender"}}
	s := w.service(t, func(c *Config) { c.Catalog = configured{w} })
	provision := func(id string, at time.Time) answered {
		e := sample.Binary("dev.latchkey.provision", "/desk", at, map[string]any{"credential": "logs-sender", "with": map[string]string{"app": "a"}})
		e.Header["ce-id"] = id
		return post(s, "/", e, withToken(testToken)...)
	}
	last := func() bool { return w.scopes[len(w.scopes)-1].Provision }

	failed := w.outcome
	w.outcome = func(c port.Credential, _ reconcile.Request) result.Outcome {
		return result.Outcome{Credential: c.Name, Result: result.Failed}
	}
	if a := provision("1", now); a.Code != http.StatusServiceUnavailable || !last() {
		t.Errorf("while a step fails: %d %s", a.Code, a.Body)
	}
	w.outcome = failed
	if a := provision("1", now); a.Code != http.StatusOK || !last() {
		t.Errorf("after a failure, the event that comes again is answered %d %s", a.Code, a.Body)
	}
	if a := provision("1", now); a.Code != http.StatusOK || last() {
		t.Errorf("after it is done, the event is answered %d %s, want a look", a.Code, a.Body)
	}
	w.credentials = nil // its service ID is deleted
	if a := provision("1", now); a.Code != http.StatusBadRequest || last() || !strings.Contains(a.Body.String(), "send a new event") {
		t.Errorf("after the service ID is deleted, the event is answered %d %s", a.Code, a.Body)
	}
	if provision("2", now); !last() {
		t.Error("a new event does not provision")
	}
	if a := provision("3", now.Add(-maxAge-time.Second)); a.Code != http.StatusBadRequest {
		t.Errorf("an event of yesterday is answered %d %s", a.Code, a.Body)
	}
}

func TestRepeatsAreForgottenAfterADayAndBounded(t *testing.T) {
	r := newRepeats()
	deliver := func(id string, at time.Time) time.Time {
		e, err := event.Decode(http.Header{"Ce-Id": {id}, "Ce-Source": {"/s"}, "Ce-Type": {"x"}, "Ce-Specversion": {"1.0"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		e, err = r.delivery("desk", e, at)
		if err != nil {
			t.Fatal(err)
		}
		return e.Time()
	}
	for i := range mostRepeats + 100 {
		deliver(fmt.Sprint(i), now)
	}
	if n := len(r.first); n > mostRepeats+1 || n != len(r.order) {
		t.Errorf("%d events are remembered, in an order of %d", n, len(r.order))
	}
	last := fmt.Sprint(mostRepeats + 99)
	if at := deliver(last, now.Add(maxAge)); !at.Equal(now) {
		t.Errorf("within a day the event has the time %s", at)
	}
	if at := deliver(last, now.Add(maxAge+time.Second)); at.Equal(now) || len(r.first) != 1 {
		t.Errorf("after a day %d events are remembered", len(r.first))
	}
}

func TestLongAttributesMakeShortLinesAndAnswers(t *testing.T) {
	w := newWorld()
	s := w.service(t)
	long := strings.Repeat("x", 900<<10)
	for name, e := range map[string]map[string]any{
		"an ID":           {"id": long, "type": "dev.latchkey.sweep", "source": "/s"},
		"a type":          {"id": "1", "type": "dev.latchkey." + long, "source": "/s"},
		"an unknown type": {"id": "1", "type": "com.acme." + long, "source": "/s"},
		"a source":        {"id": "1", "type": "dev.latchkey.sweep", "source": "/" + long},
		"a subject":       {"id": "1", "type": "dev.latchkey.sweep", "source": "/s", "subject": long},
		"a name":          {"id": "1", "type": "dev.latchkey.rotate", "source": "/s", "data": map[string]any{"credential": long}},
		"a key":           {"id": "1", "type": "dev.latchkey.revoke", "source": "/s", "data": map[string]any{"credential": "other", "keyID": long}},
		"a field":         {"id": "1", "type": "dev.latchkey.rotate", "source": "/s", "data": map[string]any{long: "other"}},
	} {
		for _, header := range [][]string{nil, withToken(testToken)} {
			for _, batched := range []bool{false, true} {
				before := len(w.logged())
				e["specversion"] = "1.0"
				a := post(s, "/", structured(t, e, batched), header...)
				if n := len(w.logged()) - before; n > 4<<10 {
					t.Errorf("%s of %d bytes makes %d bytes of log", name, len(long), n)
				}
				if a.Body.Len() > 4<<10 {
					t.Errorf("%s of %d bytes makes an answer of %d", name, len(long), a.Body.Len())
				}
			}
		}
	}
}

// structured is an event in structured mode, or a batch of it.
func structured(t *testing.T, e map[string]any, batched bool) sample.Event {
	t.Helper()
	kind, body := "application/cloudevents+json", any(e)
	if batched {
		kind, body = "application/cloudevents-batch+json", []any{e}
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return sample.Event{Header: map[string]string{"Content-Type": kind}, Body: b}
}
