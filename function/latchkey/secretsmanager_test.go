package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/result"
)

const mixedStores = `
version: 1
owner: mixed
events: {auth: {bearerEnv: EVENTS_TOKEN}, allow: [{verbs: [rotate], credentials: ["*"]}]}
credentials:
- name: mixed
  serviceID:
    name: mixed-sender
    policies:
    - {service: logs, roles: [Sender], instance: ` + cloud.LogsInstanceID + `}
  prove: {logs: {instance: ` + cloud.LogsInstanceID + `, region: eu-de}}
  stores:
  - codeEngine: {project: team-a, region: eu-de, secret: mixed, entry: IAM_API_KEY}
  - secretsManager: {instance: ` + cloud.SecretsInstanceID + `, region: eu-de, group: senders, name: mixed-key, type: arbitrary}
  - secretsManager: {instance: ` + cloud.SecretsInstanceID + `, region: eu-de, name: mixed-all, type: kv, entry: IAM_API_KEY}
`

// everywhere is the key that all three stores name, and fails if they differ.
func (s *stage) everywhere() (id, value string) {
	s.t.Helper()
	state := s.cloud.State(true)
	p, _ := state.Project("team-a")
	for _, x := range p.Secrets {
		if x.Name == "mixed" {
			id, value = x.Data["IAM_API_KEY_ID"], x.Data["IAM_API_KEY"]
		}
	}
	single, _ := state.ManagedSecret(cloud.SecretsInstanceID, "arbitrary", "mixed-key")
	pair, _ := state.ManagedSecret(cloud.SecretsInstanceID, "kv", "mixed-all")
	if len(single.Versions) == 0 || len(pair.Versions) == 0 {
		s.t.Fatal("Secrets Manager has not both secrets")
	}
	one, many := single.Versions[len(single.Versions)-1], pair.Versions[len(pair.Versions)-1]
	data, _ := many.Data["data"].(map[string]any)
	note, _ := one.CustomMetadata["latchkey"].(string)
	if value == "" || one.Data["payload"] != value || data["IAM_API_KEY"] != value || data["IAM_API_KEY_ID"] != id || !strings.Contains(note, `"`+id+`"`) {
		s.t.Errorf("the stores do not all have key %s", id)
	}
	if k, ok := state.Key(id); !ok || k.Value != value || !single.ExpirationDate.Equal(k.ExpiresAt.Truncate(time.Second)) && single.ExpirationDate.Sub(k.ExpiresAt).Abs() > time.Minute {
		s.t.Errorf("the secret expires %s, its key %s", single.ExpirationDate, k.ExpiresAt)
	}
	return id, value
}

// tick posts a tick and wants one outcome of this result.
func (s *stage) tick(url string, want result.Result) result.Outcome {
	s.t.Helper()
	r := s.post(url, sample.Tick(s.cloud.Now()), testToken)
	if len(r.outcomes) != 1 || r.outcomes[0].Result != want {
		s.t.Fatalf("answer %d %s, want one outcome %q", r.status, r.body, want)
	}
	return r.outcomes[0]
}

func TestAKeyIsKeptInCodeEngineAndSecretsManagerAndItsOwnNoticeRotatesIt(t *testing.T) {
	s := newStage(t, emulator.Options{})
	g, err := s.cloud.Cloud().CreateSecretGroup(cloud.Owner(), cloud.SecretsInstanceID, "senders", "")
	if err != nil {
		t.Fatal(err)
	}
	// A neighbour in the kv secret, which latchkey has to keep.
	if _, _, err := s.cloud.Cloud().CreateManagedSecret(cloud.Owner(), cloud.SecretsInstanceID,
		cloud.NewManagedSecret{Type: "kv", Name: "mixed-all", Data: map[string]any{"mine": "kept"}}); err != nil {
		t.Fatal(err)
	}
	url := s.serve(mixedStores)
	out := s.tick(url, result.Published)
	first, _ := s.everywhere()
	if out.Key != first || len(out.Stores) != 3 {
		t.Errorf("outcome %+v", out)
	}
	s.tick(url, result.Unchanged)
	made, _ := s.cloud.State(true).ManagedSecret(cloud.SecretsInstanceID, "arbitrary", "mixed-key")
	if made.GroupID != g.ID || len(made.Versions) != 1 {
		t.Errorf("secret %+v", made)
	}

	// From here on there are no ticks: Secrets Manager's notices are the only events.
	if _, err := s.cloud.Subscribe(emulator.Subscription{URL: url, Kind: emulator.KindSecrets}); err != nil {
		t.Fatal(err)
	}
	notified := func(n int) {
		t.Helper()
		patience, look := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-look.C:
				if sub := s.cloud.Subscriptions()[0]; sub.Lost > 0 {
					t.Fatalf("notices were not taken: %+v", sub)
				} else if sub.Sent >= n {
					return
				}
			case <-patience:
				t.Fatalf("notices: %+v", s.cloud.Subscriptions()[0])
			}
		}
	}
	s.cloud.Advance(30 * 24 * time.Hour) // 60 days are left: too early for the rules
	notified(1)
	if id, _ := s.everywhere(); id != first {
		t.Errorf("a notice in time rotated key %s to %s", first, id)
	}
	known := s.post(url, sample.SecretExpiring(s.cloud.Ready().Account, "mixed-key", s.cloud.Now()), testToken)
	if len(known.outcomes) != 1 || known.outcomes[0].Result != result.Unchanged {
		t.Errorf("a notice of a date of our own from a known sender: %d %s", known.status, known.body)
	}
	s.cloud.Advance(30*24*time.Hour + time.Hour) // 30 days are left, and the key is 60 days old
	notified(2 + 2)                              // and that both secrets were rotated
	second, _ := s.everywhere()
	if second == first {
		t.Fatal("the notice did not rotate the key")
	}
	pair, _ := s.cloud.State(true).ManagedSecret(cloud.SecretsInstanceID, "kv", "mixed-all")
	if data, _ := pair.Versions[len(pair.Versions)-1].Data["data"].(map[string]any); data["mine"] != "kept" {
		t.Errorf("the neighbour is gone: %d entries", len(data))
	}
	if old, ok := s.cloud.State(true).Key(first); !ok || old.ExpiresAt.Sub(s.cloud.Now()) > 25*time.Hour {
		t.Errorf("the old key: %+v", old.ExpiresAt)
	}
}

func TestSecretsManagerThatRefusesKeepsTheOldKeyInAllStores(t *testing.T) {
	s := newStage(t, emulator.Options{})
	if _, err := s.cloud.Cloud().CreateSecretGroup(cloud.Owner(), cloud.SecretsInstanceID, "senders", ""); err != nil {
		t.Fatal(err)
	}
	me := s.cloud.Cloud().Minter().IAMID
	s.cloud.Cloud().Revoke(me, "secrets-manager")
	url := s.serve(mixedStores)
	r := s.post(url, sample.Tick(s.cloud.Now()), testToken)
	if r.status != http.StatusAccepted || len(r.outcomes) != 1 || r.outcomes[0].Result != result.Blocked || len(s.keys("mixed")) != 0 {
		t.Errorf("answer %d %s, with %d keys", r.status, r.body, len(s.keys("mixed")))
	}
	s.cloud.Cloud().Grant(me, "secrets-manager", "crn:v1:bluemix:public:iam::::serviceRole:Writer")
	s.tick(url, result.Published)
	s.everywhere()
}
