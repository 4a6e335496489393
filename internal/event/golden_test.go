package event

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/protocol"
)

// golden is a recorded request. A .http file is a whole request; a .json file is the
// body of a notification if it has a notification_id, and otherwise of an event
// in structured mode.
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

// goldens returns the names of the files with requests.
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
	const project, another = "0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d", "3f8f2b2e-1111-4c0a-8e55-9d2f4b7c6a01"
	expiring := func(at time.Time, names ...string) (requests []Request) {
		for _, name := range names {
			requests = append(requests, Request{Verb: Rotate, Secret: name, Sender: SenderSecretsManager,
				Trigger: protocol.Trigger{NewerThan: at, Expiry: time.Date(2026, 12, 4, 0, 0, 0, 0, time.UTC)}})
		}
		return requests
	}
	look := func(sender string, projects ...string) (requests []Request) {
		for _, p := range projects {
			requests = append(requests, Request{Verb: Look, Project: p, Sender: sender})
		}
		return requests
	}
	own := func(r Request) []Request {
		r.Sender = SenderOwn
		return []Request{r}
	}
	var hundred []string
	for i := range 100 {
		hundred = append(hundred, fmt.Sprintf("svc-%d-key", i))
	}
	tick := look(SenderTimer, "")
	want := map[string][]Request{
		"tick.http":                           tick,
		"tick-with-data.http":                 tick,
		"lifecycle-notification.json":         look(SenderLifecycle, project),
		"lifecycle-restore-notification.json": look(SenderLifecycle, project),
		"lifecycle-delete-notification.json":  look(SenderLifecycle, project),
		"audit-project-created.http":          look(SenderAudit, project),
		"audit-project-deleted.http":          look(SenderAudit, project),
		"audit-ibm-project.http":              look(SenderAudit, another),
		"audit-array.http":                    look(SenderAudit, project, another),
		"audit-lines.http":                    look(SenderAudit, project),
		"audit-pending.http":                  nil,
		"audit-own.http":                      nil,
		"audit-key-created.http":              nil,
		"expiring.json":                       expiring(now, "svc-a-key", "svc-b-key"),
		"expiring-one.json":                   expiring(now, "svc-0-key"),
		"expiring-hundred.json":               expiring(now, hundred...),
		"expired-odd-time.json":               expiring(now.Add(-2*time.Minute), "svc-0-key"), // the entry's time counts
		"provision.json":                      own(Request{Verb: Provision, Credentials: []string{"logs-sender"}, With: map[string]string{"project": "team-a"}}),
		"rotate.json":                         own(Request{Verb: Rotate, Credentials: []string{"logs-sender/" + project}, Trigger: protocol.Trigger{NewerThan: now.Add(-time.Minute)}}),
		"revoke.json":                         own(Request{Verb: Revoke, Credentials: []string{"logs-sender"}, KeyID: "ApiKey-1d6c3a52-7c0e-4a8b-9b1f-0b8a5d1e2f30", Contain: true}),
		"sweep.json":                          own(Request{Verb: Look, Credentials: []string{"logs-sender"}}),
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
			got, err := here.Interpret(e)
			if want[name] == nil {
				if !errors.Is(err, ErrNotForUs) {
					t.Fatalf("asked %+v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if got[i].Verb == Rotate && got[i].Secret != "" {
					if !strings.HasPrefix(got[i].SecretID, "7b1") {
						t.Errorf("secret ID %q", got[i].SecretID)
					}
					got[i].SecretID = ""
				}
				if got[i].Cause == "" || !strings.HasPrefix(got[i].Cause, e.Type()) {
					t.Errorf("cause %q", got[i].Cause)
				}
				got[i].Cause = ""
			}
			if diff := cmp.Diff(want[name], got); diff != "" {
				t.Error(diff)
			}
			_, notified := e.Extensions()["ibmensourceid"]
			if notified != (strings.HasPrefix(name, "lifecycle") || strings.HasPrefix(name, "expir")) {
				t.Errorf("comes from Event Notifications: %v", notified)
			}
		})
	}
}

// us is latchkey's own IAM ID in the golden events.
const us = "iam-Profile-latchkey"

func TestEveryTypeOfSecretsManagerIsKnown(t *testing.T) {
	acted := map[string]bool{"secret_about_to_expire:in_1_day": true, "secret_expired": true}
	types := 0
	for _, line := range bytes.Split(bytes.TrimSpace(file(t, "secretsmanager/every-type.jsonl")), []byte("\n")) {
		types++
		e, err := Decode(jsonHeader(), line)
		if err != nil {
			t.Fatal(err)
		}
		got, err := here.Interpret(e)
		if short := strings.TrimPrefix(e.Type(), typeSecrets); acted[short] {
			if err != nil || len(got) != 1 || got[0].Secret != "svc-0-key" || got[0].SecretID == "" {
				t.Errorf("%s asks %+v, %v", short, got, err)
			}
		} else if !errors.Is(err, ErrNotForUs) || !strings.Contains(err.Error(), short) {
			t.Errorf("%s asks %+v, %v", short, got, err)
		}
	}
	if types != 20 {
		t.Errorf("%d types, the documentation has 20", types)
	}
}

func TestANotificationMayBeLabelledAStructuredEvent(t *testing.T) {
	e, err := Decode(http.Header{"Content-Type": {"application/cloudevents+json"}}, file(t, "expiring.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := here.Interpret(e); err != nil || len(got) != 2 {
		t.Errorf("asked %+v, %v", got, err)
	}
}
