package emulator_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
)

type received struct {
	header http.Header
	data   map[string]any
}

// receiver is a server for events. It rejects the first ones, as many as refuse says.
func receiver(t *testing.T, refuse int) (string, <-chan received) {
	t.Helper()
	events := make(chan received, 100)
	var calls atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if int(calls.Add(1)) <= refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var data map[string]any
		if err := json.Unmarshal(body, &data); err != nil {
			t.Errorf("event %q: %v", body, err)
		}
		events <- received{r.Header, data}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(s.Close)
	return s.URL, events
}

func next(t *testing.T, events <-chan received) received {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event arrives")
		return received{}
	}
}

// notified is the data in the envelope of Event Notifications.
func (e received) notified() map[string]any { return e.data["data"].(map[string]any) }

func (e received) what() string {
	p := e.notified()["event_properties"].(map[string]any)
	return fmt.Sprint(e.notified()["event_type"], " ", p["name"])
}

func TestProjectsSendLifecycleEvents(t *testing.T) {
	w := newWorld(t)
	u, events := receiver(t, 2)
	if r, body := w.raw("POST", "/emulator/subscriptions", `{"url":"`+u+`","kind":"lifecycle"}`); r.StatusCode != 200 || body["id"] == "" {
		t.Fatalf("subscribing: %d %v", r.StatusCode, body)
	}
	made := done(w.ce.CreateProject(w.ce.NewCreateProjectOptions("team-c")))(t)
	e := next(t, events) // after two refusals
	p := e.notified()["event_properties"].(map[string]any)
	if e.what() != "resource-controller.instance.create team-c" || p["guid"] != *made.ID || p["crn"] != *made.Crn ||
		p["last_operation"].(map[string]any)["state"] != "succeeded" {
		t.Errorf("%v", e.data)
	}
	for name := range e.header {
		if strings.HasPrefix(name, "Ce-") {
			t.Errorf("a notification has the header %s", name)
		}
	}
	for _, name := range []string{"specversion", "id", "source", "type", "time", "datacontenttype", "ibmensourceid", "ibmenseverity", "ibmendefaultshort", "ibmendefaultlong", "notification_id"} {
		if text, _ := e.data[name].(string); text == "" {
			t.Errorf("the envelope has no %s: %v", name, e.data)
		}
	}
	if c := e.notified()["context"].(map[string]any); c["subject_id"] != w.Cloud().Minter().IAMID {
		t.Errorf("context %v", c)
	}
	if _, err := w.ce.DeleteProject(w.ce.NewDeleteProjectOptions(*made.ID)); err != nil {
		t.Fatal(err)
	}
	w.Cloud().RestoreProject(*made.ID)
	w.Cloud().RestoreProject(*made.ID) // it is there already: no event
	w.Cloud().AddProject("by hand", "eu-de")
	for _, want := range []string{"delete team-c", "restore team-c", "create by hand"} {
		if got := next(t, events).what(); got != "resource-controller.instance."+want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	w.Unsubscribe()
	w.Cloud().AddProject("unheard", "eu-de")
	if n := len(w.Subscriptions()); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
}

func TestEventsComeTwiceAndInTheWrongOrder(t *testing.T) {
	w := newWorld(t)
	u, events := receiver(t, 0)
	if _, err := w.Subscribe(emulator.Subscription{URL: u, Kind: emulator.KindLifecycle, Duplicates: 1, Reorder: true}); err != nil {
		t.Fatal(err)
	}
	w.Cloud().AddProject("one", "eu-de")
	w.Cloud().AddProject("two", "eu-de")
	var got []string
	ids := map[string]int{}
	for range 4 {
		e := next(t, events)
		got = append(got, strings.Fields(e.what())[1])
		ids[e.data["id"].(string)]++
	}
	if fmt.Sprint(got) != "[two two one one]" || len(ids) != 2 {
		t.Errorf("events %v with IDs %v", got, ids)
	}
}

func TestRefusedSubscriptions(t *testing.T) {
	w := newWorld(t)
	for name, body := range map[string]string{
		"a URL beyond loopback is refused":     `{"url":"http://192.0.2.1/","kind":"lifecycle"}`,
		"a name is refused":                    `{"url":"http://example.com/","kind":"lifecycle"}`,
		"a name that looks local is refused":   `{"url":"http://127.0.0.1.example.com/","kind":"lifecycle"}`,
		"another scheme is refused":            `{"url":"file:///etc/passwd","kind":"lifecycle"}`,
		"no URL is refused":                    `{"kind":"lifecycle"}`,
		"no kind is refused":                   `{"url":"http://127.0.0.1:1/"}`,
		"too many duplicates are refused":      `{"url":"http://127.0.0.1:1/","kind":"lifecycle","duplicates":11}`,
		"a field that is not known is refused": `{"url":"http://127.0.0.1:1/","kind":"lifecycle","speed":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			if r, out := w.raw("POST", "/emulator/subscriptions", body); r.StatusCode != 400 {
				t.Errorf("status %d: %v", r.StatusCode, out)
			}
		})
	}
	for range 20 {
		if _, err := w.Subscribe(emulator.Subscription{URL: "http://127.0.0.1:1/", Kind: emulator.KindLifecycle}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Subscribe(emulator.Subscription{URL: "http://127.0.0.1:1/", Kind: emulator.KindLifecycle}); err == nil {
		t.Error("a subscription too many is accepted")
	}
}

func TestCloseEndsDeliveries(t *testing.T) {
	held := make(chan struct{}, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server sees that the client leaves
		held <- struct{}{}
		<-r.Context().Done()
	}))
	defer receiver.Close()
	s, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Subscribe(emulator.Subscription{URL: receiver.URL, Kind: emulator.KindLifecycle}); err != nil {
		t.Fatal(err)
	}
	s.Cloud().AddProject("p", "eu-de")
	<-held
	if err := s.Close(); err != nil { // goleak sees what stays
		t.Error(err)
	}
	if _, err := s.Subscribe(emulator.Subscription{URL: receiver.URL, Kind: emulator.KindLifecycle}); err == nil {
		t.Error("a closed emulator takes a subscription")
	}
}

func TestAnEventIsLostAfterItsLastAttempt(t *testing.T) {
	w := newWorld(t)
	u, _ := receiver(t, 1000)
	if _, err := w.Subscribe(emulator.Subscription{URL: u, Kind: emulator.KindLifecycle}); err != nil {
		t.Fatal(err)
	}
	w.Cloud().AddProject("p", "eu-de")
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	patience := time.After(10 * time.Second)
	for w.Subscriptions()[0].Lost != 1 {
		select {
		case <-tick.C:
		case <-patience:
			t.Fatalf("subscription %+v", w.Subscriptions()[0])
		}
	}
}

func TestRetryAfterDelaysTheNextAttempt(t *testing.T) {
	w := newWorld(t)
	var calls atomic.Int64
	times := make(chan time.Time, 10)
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		times <- time.Now()
		if calls.Add(1) == 1 {
			rw.Header().Set("Retry-After", "9") // a tenth of it, as everything there
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.Close)
	if _, err := w.Subscribe(emulator.Subscription{URL: s.URL, Kind: emulator.KindLifecycle}); err != nil {
		t.Fatal(err)
	}
	w.Cloud().AddProject("p", "eu-de")
	if waited := -(<-times).Sub(<-times); waited < 850*time.Millisecond {
		t.Errorf("the sender comes back after %s", waited)
	}
}
