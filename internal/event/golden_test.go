package event

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// golden is a request as its sender sends it: a whole one in .http; in .json a
// body, of a notification when it has a notification_id, else of an event in
// structured mode.
func golden(t testing.TB, name string) (http.Header, []byte) {
	t.Helper()
	raw := file(t, name)
	if strings.HasSuffix(name, ".json") {
		if bytes.Contains(raw, []byte(`"notification_id"`)) {
			return http.Header{"Content-Type": {"application/json"}}, raw
		}
		return http.Header{"Content-Type": {"application/cloudevents+json"}}, raw
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.Header, body
}

// goldens are the files that hold a whole request.
func goldens(t testing.TB) []string {
	t.Helper()
	var names []string
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() && e.Name() != "lifecycle.json" { // that is only the data
			names = append(names, e.Name())
		}
	}
	return names
}

func TestEverySenderIsUnderstood(t *testing.T) {
	const project = "0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d"
	expiring := func(at time.Time, names ...string) (requests []Request) {
		for _, name := range names {
			requests = append(requests, Request{Verb: Rotate, Secret: name, Trigger: rotation.Trigger{NewerThan: at}})
		}
		return requests
	}
	var hundred []string
	for i := range 100 {
		hundred = append(hundred, fmt.Sprintf("svc-%d-key", i))
	}
	want := map[string][]Request{
		"tick.http":                   {{Verb: Look}},
		"tick-with-data.http":         {{Verb: Look}},
		"lifecycle-notification.json": {{Verb: Look, Project: project}},
		"expiring.json":               expiring(now, "svc-a-key", "svc-b-key"),
		"expiring-one.json":           expiring(now, "svc-0-key"),
		"expiring-hundred.json":       expiring(now, hundred...),
		"expired-odd-time.json":       expiring(now.Add(-2*time.Minute), "svc-0-key"), // the entry's time counts
		"provision.json":              {{Verb: Provision, Credentials: []string{"logs-sender"}, With: map[string]string{"project": "team-a"}}},
		"rotate.json":                 {{Verb: Rotate, Credentials: []string{"logs-sender/" + project}, Trigger: rotation.Trigger{NewerThan: now.Add(-time.Minute)}}},
		"revoke.json":                 {{Verb: Revoke, Credentials: []string{"logs-sender"}, KeyID: "ApiKey-1d6c3a52-7c0e-4a8b-9b1f-0b8a5d1e2f30", Contain: true}},
		"sweep.json":                  {{Verb: Look, Credentials: []string{"logs-sender"}}},
	}
	for _, name := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			if _, known := want[name]; !known {
				t.Fatal("nothing says what this file asks for")
			}
			e, err := Decode(golden(t, name))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Interpret(e, clock)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if got[i].Cause == "" || !strings.HasPrefix(got[i].Cause, e.Type()) {
					t.Errorf("cause %q", got[i].Cause)
				}
				got[i].Cause = ""
			}
			if diff := cmp.Diff(want[name], got); diff != "" {
				t.Error(diff)
			}
			_, notified := e.Extensions()["ibmensourceid"]
			if notified != slices.Contains([]string{"lifecycle-notification.json", "expiring.json", "expiring-one.json", "expiring-hundred.json", "expired-odd-time.json"}, name) {
				t.Errorf("comes from Event Notifications: %v", notified)
			}
		})
	}
}

func TestANotificationMayBeLabelledAStructuredEvent(t *testing.T) {
	e, err := Decode(http.Header{"Content-Type": {"application/cloudevents+json"}}, file(t, "expiring.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Interpret(e, clock); err != nil || len(got) != 2 {
		t.Errorf("asked %+v, %v", got, err)
	}
}
