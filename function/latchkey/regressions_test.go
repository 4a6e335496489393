package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// The sequences below once broke a promise. Each test says which way it went.

const holesHead = `
version: 1
owner: example
regions: [eu-de, us-south]
events: {auth: {bearerEnv: EVENTS_TOKEN}, allow: [{verbs: [provision, rotate, revoke, deprovision], credentials: ["*"]}]}
credentials:
`

// holed is a stage with a config of its own.
func holed(t *testing.T, credentials string) *stage {
	t.Helper()
	server, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, cloud: server, said: &record{}}
	t.Cleanup(func() {
		s.findCanaries()
		server.Close()
	})
	s.url = s.serve(holesHead + credentials)
	return s
}

// static is a config entry with one store per place, region/project/secret#entry.
func static(name string, places ...string) string {
	out := fmt.Sprintf("- name: %s\n  serviceID: {name: %s, policies: [{service: logs, roles: [Sender]}]}\n  stores:\n", name, name)
	for _, p := range places {
		region, rest, _ := strings.Cut(p, "/")
		project, rest, _ := strings.Cut(rest, "/")
		secret, entry, _ := strings.Cut(rest, "#")
		out += fmt.Sprintf("  - codeEngine: {project: %s, region: %s, secret: %s, entry: %s}\n", project, region, secret, entry)
	}
	return out
}

const place1, place2 = "us-south/team-b/logs-sender#IAM_API_KEY", "eu-de/team-a/logs-sender#IAM_API_KEY"

func (s *stage) sweeps(n int) {
	s.t.Helper()
	for range n {
		s.cloud.Advance(time.Hour)
		s.post(s.url, sample.Tick(s.cloud.Now()), "")
	}
}

func TestADemandThatWasAccepted202IsMetLater(t *testing.T) {
	putFails := emulator.Fault{Method: "PUT", Path: "/v2/projects/*/secrets/*", Kind: emulator.FaultStatus, Status: 500, Count: 1}
	readDenied := emulator.Fault{Method: "GET", Path: "/v2/projects/*/secrets/*", Kind: emulator.FaultStatus, Status: 403, Count: 1}
	for name, demand := range map[string]func(s *stage) reply{
		"while a key for it is in flight that is never published": func(s *stage) reply {
			e := sample.Rotate("c", s.cloud.Now())
			s.cloud.Inject(putFails)
			s.post(s.url, e, testToken)
			s.cloud.Advance(time.Minute)
			return s.post(s.url, e, testToken)
		},
		"while a store denies access": func(s *stage) reply {
			s.cloud.Inject(readDenied)
			return s.post(s.url, sample.Rotate("c", s.cloud.Now()), testToken)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := holed(t, static("c", place1))
			first := s.one(sample.Tick(s.cloud.Now()), testToken, result.Published)
			s.cloud.Advance(time.Hour)
			r := demand(s)
			s.sweeps(3)
			now := s.data("team-b")["IAM_API_KEY_ID"]
			if r.status == http.StatusAccepted && now == first.Key {
				t.Errorf("answered 202, and after three sweeps the old key is still published: %s", r.body)
			}
			if r.status != http.StatusAccepted && r.status != http.StatusServiceUnavailable {
				t.Errorf("answered %d %s", r.status, r.body)
			}
		})
	}
}

func TestAProvisionThatNoSweepWouldFindIsNotAccepted(t *testing.T) {
	s := holed(t, static("known", place2)+`- name: c
  serviceID: {name: "c-${with.team}", policies: [{service: logs, roles: [Sender]}]}
  stores:
  - codeEngine: {project: team-b, region: us-south, secret: "c-${with.team}", entry: IAM_API_KEY}
`)
	s.cloud.Inject(emulator.Fault{Method: "GET", Path: "/v2/projects/*/secrets/*", Kind: emulator.FaultStatus, Status: 403, Count: 1})
	e := sample.Binary("dev.latchkey.provision", "/t", s.cloud.Now(), map[string]any{"credential": "c", "with": map[string]string{"team": "shop"}})
	if r := s.post(s.url, e, testToken); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("answered %d %s", r.status, r.body)
	}
	if r := s.post(s.url, e, testToken); r.status != http.StatusOK {
		t.Errorf("the repetition was answered %d %s", r.status, r.body)
	}
	s.cloud.Advance(70 * 24 * time.Hour) // its marker alone tells the sweep of it
	s.sweeps(1)
	if n := len(s.keys("c/shop")); n != 2 {
		t.Errorf("%d keys, want the rotated one and its successor", n)
	}
}

func TestNeighboursInOneSecretAreNoRivals(t *testing.T) {
	var entries string
	for i := range 6 {
		entries += static(fmt.Sprint("c", i), fmt.Sprintf("us-south/team-b/shared#KEY%d", i))
	}
	s := holed(t, entries)
	s.cloud.Cloud().PutSecret(s.project("team-b").ID, "shared", map[string]string{"OTHER": "x"})
	r := s.post(s.url, sample.Tick(s.cloud.Now()), "")
	for _, o := range r.outcomes {
		if o.Result != result.Published {
			t.Errorf("%s: %s %s", o.Credential, o.Result, o.Reason)
		}
	}
	if n := s.cloud.Counter("POST", "/v1/apikeys"); n != 6 {
		t.Errorf("%d keys were minted for 6 credentials", n)
	}
}

func TestAScopedEventSeesACollisionToo(t *testing.T) {
	each := `- name: %s
  forEach: codeengine.projects
  where: project.name == "team-a"
  serviceID: {name: "%s-${project.name}", policies: [{service: logs, roles: [Sender]}]}
  stores: [{codeEngine: {project: "${project.id}", secret: logs-sender, entry: IAM_API_KEY}}]
`
	s := holed(t, static("known", place1)+fmt.Sprintf(each, "a", "a")+fmt.Sprintf(each, "b", "b"))
	s.post(s.url, sample.Binary("dev.latchkey.sweep", "/t", s.cloud.Now(), map[string]any{"credentials": []string{"known"}}), "")
	r := s.post(s.url, sample.Rotate("a", s.cloud.Now()), testToken)
	if len(r.outcomes) != 1 || r.outcomes[0].Reason != reason.NameCollision {
		t.Errorf("answered %d %s", r.status, r.body)
	}
	if s.data("team-a") != nil {
		t.Error("one of the two won the place")
	}
}

func TestAnAlteredValueIsNotSpread(t *testing.T) {
	s := holed(t, static("c", place1, place2))
	s.one(sample.Tick(s.cloud.Now()), testToken, result.Published)
	data := s.data("team-b")
	data["IAM_API_KEY"] = "pasted-by-mistake-pasted-by-mistake-pasted"
	s.cloud.Cloud().PutSecret(s.project("team-b").ID, "logs-sender", data)
	s.cloud.Cloud().RemoveSecret(s.project("team-a").ID, "logs-sender")
	s.cloud.Advance(time.Hour)
	s.one(sample.Tick(s.cloud.Now()), testToken, result.Published) // no store has the key's value
	for _, project := range []string{"team-a", "team-b"} {
		if got := s.data(project)["IAM_API_KEY"]; got == "" || got == data["IAM_API_KEY"] {
			t.Errorf("the store in %s has the value %q", project, got)
		}
	}
	// With a good copy no key is needed.
	data = s.data("team-b")
	good := data["IAM_API_KEY"]
	data["IAM_API_KEY"] = "pasted-by-mistake-pasted-by-mistake-pasted"
	s.cloud.Cloud().PutSecret(s.project("team-b").ID, "logs-sender", data)
	s.cloud.Advance(time.Hour)
	s.one(sample.Tick(s.cloud.Now()), testToken, result.Changed)
	if got := s.data("team-b")["IAM_API_KEY"]; got != good {
		t.Errorf("the store in team-b has the value %q", got)
	}
}

func TestAWarmInstanceSeesThatAnotherServiceIDPublishes(t *testing.T) {
	s := holed(t, static("c", place1))
	cold := s.serve(holesHead + static("c", place1))
	first := s.one(sample.Tick(s.cloud.Now()), testToken, result.Published) // s.url is warm with its service ID
	m := marker.Marker{Owner: "example", Credential: "c"}
	other := ownServiceID(s.cloud.Cloud(), cloud.NewServiceID{Name: "c", Description: m.Text()})
	s.cloud.Cloud().Grant(other.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	key := ownKey(s.cloud.Cloud(), cloud.NewAPIKey{
		IAMID: other.IAMID, Name: marker.KeyName("c", s.cloud.Now().Add(time.Second), "0a1b"), Description: m.Text(),
		ExpiresAt: cloud.FormatTime(s.cloud.Now().Add(90 * 24 * time.Hour)),
	})
	data := s.data("team-b")
	data["IAM_API_KEY"], data["IAM_API_KEY_ID"] = key.Value, key.ID
	data["IAM_API_KEY_LATCHKEY"] = fmt.Sprintf(`{"owner":"example","created":%q,"iam_id":%q}`, key.CreatedAt.UTC().Format(time.RFC3339), other.IAMID)
	s.cloud.Cloud().PutSecret(s.project("team-b").ID, "logs-sender", data)
	mints := s.cloud.Counter("POST", "/v1/apikeys")
	for range 8 {
		s.cloud.Advance(time.Hour)
		for _, url := range []string{s.url, cold} {
			s.post(url, sample.Tick(s.cloud.Now()), "")
		}
	}
	if n := s.cloud.Counter("POST", "/v1/apikeys") - mints; n != 0 || s.data("team-b")["IAM_API_KEY_ID"] != key.ID {
		t.Errorf("%d keys were minted beside the published %s; %s came first", n, key.ID, first.Key)
	}
}
