package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/result"
)

const ruledConfig = `
rules:
- {when: 'event.type == "com.acme.project.ready"', provision: logs-sender, with: {project: "${data.project.id}"}}
- {when: 'event.type == "com.acme.leak" && data.severity > 3', rotate: "logs-sender/${data.project}"}
- {when: 'event.type == "com.acme.end"', revoke: logs-sender, key: "${data.key}"}
- {when: 'event.type == "dev.knative.kafka.event" && data.action == "iam-identity.serviceid-apikey.delete"', sweep: [logs-sender]}
- {when: 'data.text.matches("(a*)*b")', sweep: ["*"]}
`

func TestRulesMakeEventsOfOthersAsk(t *testing.T) {
	s := newStage(t, emulator.Options{})
	url := s.serve(examples.Emulator + ruledConfig)
	id, credential := s.project("team-b").ID, "logs-sender/"+s.project("team-b").ID
	ready := func() sample.Event {
		return sample.Binary("com.acme.project.ready", "/acme", s.cloud.Now(), map[string]any{"project": map[string]string{"id": id}})
	}
	leak := func(severity int) sample.Event {
		return sample.Binary("com.acme.leak", "/acme", s.cloud.Now(), map[string]any{"severity": severity, "project": id})
	}
	account := s.cloud.Ready().Account
	deleted := func(initiator string) sample.Event {
		return auditEvent(account, "iam-identity.serviceid-apikey.delete", "success", initiator, id, s.cloud.Now())
	}
	expect := func(what string, e sample.Event, token string, status int, want result.Result) result.Outcome {
		t.Helper()
		r := s.post(url, e, token)
		if r.status != status {
			t.Fatalf("%s: answered %d %s, want %d", what, r.status, r.body, status)
		}
		if want == "" {
			return result.Outcome{}
		}
		for _, o := range r.outcomes {
			if o.Credential == credential && o.Result == want {
				return o
			}
		}
		t.Fatalf("%s: %s", what, r.body)
		return result.Outcome{}
	}
	expect("a provision by an unknown caller", ready(), "", http.StatusUnauthorized, "")
	first := expect("a provision", ready(), testToken, http.StatusOK, result.Published)
	s.cloud.Advance(time.Hour)
	expect("a leak that is none", leak(1), testToken, http.StatusNoContent, "")
	second := expect("a leak", leak(7), testToken, http.StatusOK, result.Published)
	if second.Replaced != first.Key {
		t.Errorf("%+v", second)
	}
	expect("a revocation that the config does not allow", sample.Binary("com.acme.end", "/acme", s.cloud.Now(), map[string]string{"key": second.Key}), testToken, http.StatusForbidden, "")
	expect("a record that makes look", deleted("IBMid-1"), testToken, http.StatusOK, result.Unchanged)
	many := deleted("IBMid-1")
	many.Body = append(append(append(append([]byte{}, many.Body...), '\n'), deleted(s.cloud.Cloud().Minter().IAMID).Body...), many.Body...)
	if r := s.post(url, many, testToken); r.status != http.StatusOK || strings.Count(r.body, `"credential":`) != strings.Count(s.post(url, deleted("IBMid-1"), testToken).body, `"credential":`) {
		t.Errorf("three records in one are answered %d %s", r.status, r.body)
	}
	expect("a record of our own work", deleted(s.cloud.Cloud().Minter().IAMID), "", http.StatusNoContent, "")
	expect("a parameter that is none", sample.Binary("com.acme.project.ready", "/acme", s.cloud.Now(), map[string]any{"project": map[string]string{"id": "../x"}}), testToken, http.StatusBadRequest, "")
	expect("a payload that costs too much", sample.Binary("com.acme.text", "/acme", s.cloud.Now(), map[string]any{"text": strings.Repeat("a", 900_000)}), "", http.StatusBadRequest, "")
	expect("data with a name twice", sample.Event{
		Header: map[string]string{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "com.acme.text"}, Body: []byte(`{"text":"x","text":"y"}`),
	}, "", http.StatusBadRequest, "")
	expect("one of our own types", sample.Binary("dev.latchkey.credential.rotated", "/latchkey", s.cloud.Now(), map[string]string{"text": "b"}), "", http.StatusNoContent, "")
}

func TestALookIsDoneEvenWhereARuleDemandsMore(t *testing.T) {
	s := newStage(t, emulator.Options{})
	url := s.serve(examples.Emulator + `
rules:
- {when: 'event.type == "dev.knative.kafka.event" && data.action == "codeengine.project.create"', provision: logs-sender}
`)
	created := auditEvent(s.cloud.Ready().Account, "codeengine.project.create", "success", "IBMid-1", s.project("team-b").ID, s.cloud.Now())
	if r := s.post(url, created, ""); r.status != http.StatusOK || s.data("team-b") == nil || s.data("team-a") != nil {
		t.Errorf("without a token: %d; team-b has %d entries, team-a %d", r.status, len(s.data("team-b")), len(s.data("team-a")))
	}
	if r := s.post(url, created, testToken); r.status != http.StatusOK || len(r.outcomes) < 2 {
		t.Errorf("with one: %d %s", r.status, r.body)
	}
}
