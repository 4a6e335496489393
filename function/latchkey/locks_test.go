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

// Locks in Secrets Manager, through the whole program.

const lockedStores = `- name: c
  serviceID: {name: c, policies: [{service: logs, roles: [Sender]}]}
  stores:
  - secretsManager: {instance: ` + cloud.SecretsInstanceID + `, region: eu-de, name: single, type: arbitrary, lock: true}
  - secretsManager: {instance: ` + cloud.SecretsInstanceID + `, region: eu-de, name: pair, type: kv, entry: IAM_API_KEY, lock: true}
`

const smManager = "crn:v1:bluemix:public:iam::::serviceRole:Manager"

// lockStage is one in which the program is Manager.
func lockStage(t *testing.T) *stage {
	t.Helper()
	s := holed(t, lockedStores)
	s.cloud.Cloud().Grant(s.cloud.Cloud().Minter().IAMID, "secrets-manager", smManager)
	return s
}

func (s *stage) lockedSecret(kind, name string) cloud.SecretState {
	s.t.Helper()
	secret, ok := s.cloud.State(true).ManagedSecret(cloud.SecretsInstanceID, kind, name)
	if !ok {
		s.t.Fatalf("there is no secret %s", name)
	}
	return secret
}

// wantLocks compares the locks of both secrets.
func (s *stage) wantLocks(want string) {
	s.t.Helper()
	for kind, name := range map[string]string{"arbitrary": "single", "kv": "pair"} {
		var out []string
		for _, v := range slices.Backward(s.lockedSecret(kind, name).Versions) {
			if v.Alias != "" {
				out = append(out, fmt.Sprint(v.Alias, v.Locks))
			}
		}
		if got := strings.Join(out, " "); got != want {
			s.t.Errorf("%s: locks %s, want %s", name, got, want)
		}
	}
}

func (s *stage) rotate(want result.Result) result.Outcome {
	s.t.Helper()
	s.cloud.Advance(time.Hour)
	return s.post(s.url, sample.Binary("dev.latchkey.rotate", "/t", s.cloud.Now(), map[string]any{"credential": "c"}), testToken).only(s.t, want)
}

func TestALockSaysThatAKeyIsInUseUntilItIsEnded(t *testing.T) {
	s := lockStage(t)
	first := s.sweep().only(t, result.Published)
	if len(first.Notes) != 0 {
		t.Errorf("notes %+v", first.Notes)
	}
	s.wantLocks("current[latchkey-example]")
	s.rotate(result.Published)
	s.wantLocks("current[latchkey-example] previous[latchkey-example]")
	s.sweeps(20) // the overlap goes on
	s.wantLocks("current[latchkey-example] previous[latchkey-example]")
	s.sweeps(8)
	if keys := s.keys("c"); len(keys) != 1 {
		t.Fatalf("%d keys", len(keys))
	}
	s.wantLocks("current[latchkey-example] previous[]")
	// A person may roll on now, or delete the data.
	id := s.lockedSecret("arbitrary", "single").ID
	if _, err := s.cloud.Cloud().CreateSecretLocks(cloud.Owner(), cloud.SecretsInstanceID, id, "current", cloud.RemovePreviousAndDelete,
		[]cloud.NewSecretLock{{Name: "person"}}); err != nil {
		t.Error(err)
	}
	if _, err := s.cloud.Cloud().DeleteSecretLocks(cloud.Owner(), cloud.SecretsInstanceID, id, "current", []string{"person"}); err != nil {
		t.Error(err)
	}
	if again := s.rotate(result.Published); len(again.Notes) != 0 {
		t.Errorf("notes %+v", again.Notes)
	}
	s.wantLocks("current[latchkey-example] previous[latchkey-example]")
}

func TestAForcedRotationWithinAnOverlapIsNotHeldUpByOurOwnLock(t *testing.T) {
	s := lockStage(t)
	s.sweep().only(t, result.Published)
	second := s.rotate(result.Published)
	s.cloud.Advance(time.Hour)
	out := s.revoke("c", second.Key, false).only(t, result.Published)
	if out.Leaked != result.LeakedRevoked || out.Key == second.Key {
		t.Errorf("outcome %+v", out)
	}
	s.wantLocks("current[latchkey-example] previous[]") // the leaked key is gone already
}

func TestAKeyThatWasDeletedMeanwhileLocksNothing(t *testing.T) {
	s := lockStage(t)
	first := s.sweep().only(t, result.Published)
	s.rotate(result.Published)
	s.cloud.Advance(25 * time.Hour)
	s.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v1/apikeys/" + first.Key, Kind: emulator.FaultStatus, Status: 404})
	s.sweep().only(t, result.Changed)
	s.wantLocks("current[latchkey-example] previous[]")
}

func TestALockThatCanNotBeTakenOffIsToldAndHoldsNothingUp(t *testing.T) {
	s := lockStage(t)
	first := s.sweep().only(t, result.Published)
	s.rotate(result.Published)
	s.cloud.Inject(emulator.Fault{Method: http.MethodDelete, Path: "/api/v2/secrets/*/locks_bulk", Kind: emulator.FaultStatus, Status: 503})
	s.cloud.Advance(25 * time.Hour)
	out := s.sweep().only(t, result.Changed)
	if len(out.Notes) != 2 || out.Notes[0].Reason != reason.LockFailed || out.Notes[0].Key != first.Key ||
		!strings.Contains(out.Notes[0].Store, "single") || !strings.Contains(out.Notes[0].Message, "status 503") {
		t.Errorf("notes %+v", out.Notes)
	}
	if keys := s.keys("c"); len(keys) != 1 {
		t.Errorf("%d keys", len(keys))
	}
	s.cloud.ClearFaults()
	s.wantLocks("current[latchkey-example] previous[latchkey-example]")
	s.rotate(result.Published)
	s.wantLocks("current[latchkey-example] previous[latchkey-example]")
}

func TestAForeignLockBlocksUntilItIsGone(t *testing.T) {
	s := lockStage(t)
	s.sweep().only(t, result.Published)
	s.rotate(result.Published)
	id := s.lockedSecret("arbitrary", "single").ID
	if _, err := s.cloud.Cloud().CreateSecretLocks(cloud.Owner(), cloud.SecretsInstanceID, id, "previous", "", []cloud.NewSecretLock{{Name: "app"}}); err != nil {
		t.Fatal(err)
	}
	out := s.rotate(result.Blocked)
	if out.Reason != reason.StoreRefused || !strings.Contains(out.Error, "locks of others: app") {
		t.Errorf("outcome %+v", out)
	}
	if _, err := s.cloud.Cloud().DeleteSecretLocks(cloud.Owner(), cloud.SecretsInstanceID, id, "previous", []string{"app"}); err != nil {
		t.Fatal(err)
	}
	s.rotate(result.Published)
}

func TestLocksWithoutTheRoleForThemNameIt(t *testing.T) {
	s := holed(t, lockedStores) // the emulator's identity is Writer
	first := s.sweep().only(t, result.Published)
	if len(first.Notes) != 2 || first.Notes[0].Reason != reason.LockFailed || !strings.Contains(first.Notes[0].Message, "role Manager") {
		t.Errorf("notes %+v", first.Notes)
	}
	s.wantLocks("current[]")
	out := s.rotate(result.Blocked)
	if out.Reason != reason.StoreDenied || !strings.Contains(out.Error, "role Manager") {
		t.Errorf("outcome %+v", out)
	}
	code, list := s.examine(map[string]string{"LATCHKEY_CONFIG": holesHead + lockedStores, "EVENTS_TOKEN": testToken})
	for _, part := range []string{"FAIL  permission: Manager on secrets-manager is missing", "--roles Manager --service-name secrets-manager"} {
		if code != cli.ExitError || strings.Count(list, part) != 1 {
			t.Errorf("exit %d, and the checklist does not say %q once:\n%s", code, part, list)
		}
	}
	s.cloud.Cloud().Grant(s.cloud.Cloud().Minter().IAMID, "secrets-manager", smManager)
	s.rotate(result.Published)
	s.wantLocks("current[latchkey-example] previous[latchkey-example]")
	if code, list := s.examine(map[string]string{"LATCHKEY_CONFIG": holesHead + lockedStores, "EVENTS_TOKEN": testToken}); code != cli.ExitOK {
		t.Errorf("exit %d\n%s", code, list)
	}
}
