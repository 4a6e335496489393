package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// More sequences that once broke a promise of a key's life.

func TestAServiceIDThatGetsAnotherNameKeepsItsKeysFresh(t *testing.T) {
	for what, rename := range map[string]func(*stage){
		"by the config": func(s *stage) {
			s.url = s.serve(holesHead + strings.Replace(static("c", place1), "serviceID: {name: c,", "serviceID: {name: c-sender,", 1))
		},
		"with its entry": func(s *stage) {
			s.url = s.serve(holesHead + strings.Replace(static("d", place1), "serviceID:", "formerly: [c]\n  serviceID:", 1))
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := holed(t, static("c", place1))
			first := s.sweep().only(t, result.Published)
			rename(s)
			s.cloud.Advance(61 * 24 * time.Hour)
			s.sweep()
			s.sweeps(1)
			key, value := s.entry("team-b", "logs-sender", "IAM_API_KEY")
			if _, err := s.cloud.Cloud().ExchangeAPIKey(value); err != nil || key == first.Key {
				t.Fatalf("the key that was due is still %s: %v", key, err)
			}
			s.sweeps(26)
			for _, k := range s.cloud.State(false).APIKeys {
				if k.ID == first.Key {
					t.Error("the old key was not ended")
				}
			}
			n := 0
			for _, id := range s.cloud.State(false).ServiceIDs {
				if strings.Contains(id.Description, "[latchkey ") {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d service IDs of ours", n)
			}
		})
	}
}

func TestAKeyOfACredentialThatWasRenamedIsRevokedByItsOldName(t *testing.T) {
	s := holed(t, static("c", place1))
	first := s.sweep().only(t, result.Published)
	s.url = s.serve(holesHead + strings.Replace(static("e", place1), "serviceID: {name: e,", "formerly: [c]\n  serviceID: {name: c,", 1))
	s.sweep()
	s.cloud.Advance(time.Hour)
	// The key's marker says c, so that is what a hook asks for that found its value.
	r := s.revoke("c", first.Key, false)
	if r.status != http.StatusOK || r.only(t, result.Published).Leaked != result.LeakedRevoked {
		t.Errorf("answered %d %s", r.status, r.body)
	}
}

func TestALeakIsNotForgottenSinceIAMDoesNotShowTheKeyYet(t *testing.T) {
	s := holed(t, static("c", place1))
	s.sweep()
	s.cloud.Advance(time.Hour)
	second := s.one(sample.Rotate("c", s.cloud.Now()), testToken, result.Published)
	s.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v1/apikeys/" + second.Key, Kind: emulator.FaultStatus, Status: 404})
	s.cloud.SetLag(time.Minute)
	r := s.revoke("c", second.Key, false)
	s.cloud.ClearFaults()
	s.cloud.SetLag(0)
	s.sweeps(2)
	if _, alive := s.keys("c")[second.Key]; alive && (r.status == http.StatusAccepted || r.status == http.StatusOK) {
		t.Errorf("answered %d %s, and the key still works", r.status, r.body)
	}
}

func TestALeakedKeyThatIsNotHeldIsDeletedAtOnce(t *testing.T) {
	for what, cause := range map[string]func(*stage){
		"while a policy can't be granted": func(s *stage) {
			s.cloud.Cloud().Revoke("iam-"+s.serviceID("c"), "logs")
			s.cloud.Inject(emulator.Fault{Method: http.MethodPost, Path: "/v2/policies", Kind: emulator.FaultStatus, Status: 403})
		},
		"while the published key is disabled": func(s *stage) {
			s.cloud.Cloud().SetKeyDisabled(s.publishedKey(), true)
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := holed(t, static("c", place1))
			first := s.sweep().only(t, result.Published)
			s.cloud.Advance(time.Hour)
			s.one(sample.Rotate("c", s.cloud.Now()), testToken, result.Published)
			s.cloud.Advance(time.Hour)
			cause(s)
			r := s.revoke("c", first.Key, false)
			if k, there := s.keys("c")[first.Key]; there && !k.Disabled {
				t.Errorf("answered %d %s, and the key still works", r.status, r.body)
			}
		})
	}
}

func TestSupersededKeysDontKeepALeakedOneAlive(t *testing.T) {
	s := holed(t, static("c", place1))
	s.sweep()
	var last result.Outcome
	for range 3 {
		s.cloud.Advance(20 * time.Minute)
		last = s.one(sample.Rotate("c", s.cloud.Now()), testToken, result.Published)
	}
	s.cloud.Advance(20 * time.Minute)
	r := s.revoke("c", last.Key, false)
	if k, there := s.keys("c")[last.Key]; there && !k.Disabled {
		t.Errorf("answered %d %s, and the key still works", r.status, r.body)
	}
	if n := len(s.keys("c")); n != 4 {
		t.Errorf("%d keys", n)
	}
}

func TestALeakedKeyThatStillWorksIsNotAnswered200(t *testing.T) {
	optional := strings.Replace(static("c", place1, place2), "entry: IAM_API_KEY}\n  - codeEngine: {project: team-a, region: eu-de, secret: logs-sender, entry: IAM_API_KEY}",
		"entry: IAM_API_KEY}\n  - codeEngine: {project: team-a, region: eu-de, secret: logs-sender, entry: IAM_API_KEY}\n    required: false", 1)
	s := holed(t, optional)
	first := s.sweep().only(t, result.Published)
	s.cloud.Advance(time.Hour)
	s.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v2/projects/" + s.project("team-a").ID + "/secrets/*", Kind: emulator.FaultStatus, Status: 503})
	r := s.revoke("c", first.Key, false)
	if k := s.keys("c")[first.Key]; k.ID != "" && !k.Disabled && r.status == http.StatusOK {
		t.Errorf("answered %d %s, and the key still works", r.status, r.body)
	}
	s.cloud.ClearFaults()
	// The store is back, and names the leaked key.
	again := s.revoke("c", first.Key, false)
	if k, there := s.keys("c")[first.Key]; there && !k.Disabled {
		t.Errorf("answered %d %s, and the key still works", again.status, again.body)
	}
}

func TestAPausedEntryEndsNothingOfAProjectThatIsGone(t *testing.T) {
	s := holed(t, fmt.Sprintf(perProject, "revoke"))
	s.cloud.Cloud().AddProject("team-shop", "eu-de")
	s.sweep()
	id := s.project("team-shop").ID
	s.url = s.serve(holesHead + strings.Replace(fmt.Sprintf(perProject, "revoke"), "onGone:", "paused: true\n  onGone:", 1))
	s.cloud.Cloud().RemoveProject(id)
	s.cloud.Cloud().PurgeProject(id)
	before := len(s.cloud.Events())
	s.sweeps(2)
	if n := len(s.cloud.Events()) - before; n != 0 {
		t.Errorf("%d changes", n)
	}
}

func TestTheKeysOfAProjectThatIsGoneEndUnderTheirOldNameToo(t *testing.T) {
	s := holed(t, fmt.Sprintf(perProject, "revoke"))
	s.cloud.Cloud().AddProject("team-shop", "eu-de")
	s.sweep()
	id := s.project("team-shop").ID
	s.url = s.serve(holesHead + strings.Replace(fmt.Sprintf(perProject, "revoke"), "- name: logs-sender\n", "- name: sender\n  formerly: [logs-sender]\n", 1))
	s.sweep()
	s.cloud.Cloud().RemoveProject(id)
	s.cloud.Cloud().PurgeProject(id)
	s.sweeps(30)
	if n := len(s.keys("logs-sender/" + id)); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

func TestAStoreThatCanBeReadAndNotWrittenBlocks(t *testing.T) {
	s := holed(t, static("c", place1))
	s.sweep()
	s.url = s.serve(holesHead + static("c", place1, place2))
	s.cloud.Inject(emulator.Fault{Method: http.MethodPost, Path: "/v2/projects/" + s.project("team-a").ID + "/secrets", Kind: emulator.FaultStatus, Status: 403})
	r := s.sweep()
	if r.status != http.StatusAccepted || r.only(t, result.Blocked).Reason != reason.StoreDenied {
		t.Errorf("a copy: answered %d %s", r.status, r.body)
	}
	s.cloud.Advance(61 * 24 * time.Hour)
	r = s.sweep()
	if r.status != http.StatusAccepted || r.only(t, result.Blocked).Reason != reason.StoreDenied {
		t.Errorf("a new key: answered %d %s", r.status, r.body)
	}
	if steps := took(r.outcomes[0]); !slices.Contains(steps, "unfuse") {
		t.Errorf("steps %v", steps)
	}
}

// takenOver is a stage on which an existing key is to be taken over.
func takenOver(t *testing.T, entry func(s *stage, value string) map[string]string) (s *stage, keyID string) {
	t.Helper()
	s = holed(t, static("c", place1))
	s.sweep()
	given := s.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "old", AccountID: s.cloud.Ready().Account})
	s.cloud.Cloud().Grant(given.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	key := s.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{IAMID: given.IAMID, AccountID: s.cloud.Ready().Account, Name: "by hand"})
	s.cloud.Cloud().PutSecret(s.project("team-a").ID, "old", entry(s, key.Value))
	s.url = s.serve(holesHead + strings.Replace(static("a", "eu-de/team-a/old#KEY"), "serviceID: {name: a, policies: [{service: logs, roles: [Sender]}]}",
		fmt.Sprintf("adopt: %s\n  serviceID: {id: %s, manage: keys}", key.ID, given.ID), 1))
	return s, key.ID
}

func TestADemandIsNotLostInATakeover(t *testing.T) {
	s, key := takenOver(t, func(_ *stage, value string) map[string]string { return map[string]string{"KEY": value} })
	s.cloud.Advance(time.Hour)
	e := sample.Rotate("a", s.cloud.Now())
	r := s.post(s.url, e, testToken)
	if r.status == http.StatusServiceUnavailable {
		r = s.post(s.url, e, testToken)
	}
	s.sweeps(2)
	if id, _ := s.entry("team-a", "old", "KEY"); id == key {
		t.Errorf("answered %d %s, and the old key is still published", r.status, r.body)
	}
}

func TestWhatIsNoKeyIsNotSentToIAM(t *testing.T) {
	s, _ := takenOver(t, func(*stage, string) map[string]string { return map[string]string{"KEY": "a password\nof two lines"} })
	before := s.cloud.Counter("GET", "/v1/apikeys/details")
	r := s.sweep()
	if n := s.cloud.Counter("GET", "/v1/apikeys/details") - before; n != 0 {
		t.Errorf("it was sent to IAM")
	}
	if out := find(r.outcomes, "a"); out == nil || out.Reason != reason.AdoptionFailed {
		t.Errorf("answered %d %s", r.status, r.body)
	}
}

func TestByHandADemandThatIsNotRecordedIsNoSuccess(t *testing.T) {
	s := newStage(t, emulator.Options{})
	if code, out := s.command("sweep"); code != cli.ExitOK {
		t.Fatalf("exit %d\n%s", code, out)
	}
	credential := "logs-sender/" + s.project("team-a").ID
	s.cloud.Advance(5 * time.Minute)
	// Too young for another key, and the demand can't be written down.
	s.cloud.Inject(emulator.Fault{Method: http.MethodPut, Path: "/v1/apikeys/*", Kind: emulator.FaultStatus, Status: 403})
	if code, out := s.command("rotate", credential, "--no-wait"); code != cli.ExitTryAgain && code != cli.ExitAct {
		t.Errorf("rotate: exit %d\n%s", code, out)
	}
	s.cloud.ClearFaults()
	s.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v2/projects/*/secrets/*", Kind: emulator.FaultStatus, Status: 503})
	if code, out := s.command("rotate", credential, "--no-wait"); code != cli.ExitTryAgain {
		t.Errorf("rotate while the store is down: exit %d\n%s", code, out)
	}
	s.cloud.ClearFaults()
}
