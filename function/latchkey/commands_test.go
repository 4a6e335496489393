package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/result"
)

// command runs one command by hand.
func (s *stage) command(args ...string) (int, string) {
	s.t.Helper()
	ready := s.cloud.Ready()
	env := map[string]string{"LATCHKEY_ENDPOINT": ready.URL, "IBMCLOUD_API_KEY": ready.APIKey, "EVENTS_TOKEN": testToken, "LATCHKEY_CONFIG": examples.Emulator}
	var out bytes.Buffer
	code := run(context.Background(), args, func(name string) string { return env[name] }, nil, io.MultiWriter(&out, s.said), s.said)
	return code, out.String()
}

func TestPlanSweepStatusAndRotateByHand(t *testing.T) {
	s := newStage(t, emulator.Options{})
	code, out := s.command("plan")
	if code != cli.ExitDue || !strings.Contains(out, "mint new: no store names a live key") {
		t.Errorf("plan: exit %d\n%s", code, out)
	}
	if n := len(s.cloud.Events()); n != 0 {
		t.Errorf("plan changed %d things", n)
	}
	if code, out = s.command("sweep"); code != cli.ExitOK || strings.Count(out, " published ") != 2 {
		t.Errorf("sweep: exit %d\n%s", code, out)
	}
	if code, out = s.command("plan"); code != cli.ExitOK || strings.Count(out, "nothing to do") != 2 {
		t.Errorf("plan after the sweep: exit %d\n%s", code, out)
	}
	changes := len(s.cloud.Events())
	if code, out = s.command("status"); code != cli.ExitOK || strings.Count(out, ": current") != 2 {
		t.Errorf("status: exit %d\n%s", code, out)
	}
	if n := len(s.cloud.Events()); n != changes {
		t.Errorf("status changed %d things", n-changes)
	}
	credential := "logs-sender/" + s.project("team-a").ID
	before := s.data("team-a")["IAM_API_KEY_ID"]
	s.cloud.Advance(time.Hour)
	if code, out = s.command("rotate", credential); code != cli.ExitOK || s.data("team-a")["IAM_API_KEY_ID"] == before {
		t.Errorf("rotate: exit %d\n%s", code, out)
	}
	if got := len(s.keys("logs-sender/" + s.project("team-b").ID)); got != 1 {
		t.Errorf("rotate touched another credential: %d keys", got)
	}
	var listed struct{ Outcomes []result.Outcome }
	if code, out = s.command("status", "--json", credential); code != cli.ExitOK || json.Unmarshal([]byte(out), &listed) != nil || len(listed.Outcomes) != 1 {
		t.Errorf("status --json: exit %d\n%s", code, out)
	}
	if code, out = s.command("sweep", "unknown"); code != cli.ExitError {
		t.Errorf("a credential that does not exist: exit %d\n%s", code, out)
	}
}

func TestWhatIsBlockedOrUnreachableHasItsOwnExitCode(t *testing.T) {
	s := newStage(t, emulator.Options{})
	if code, out := s.command("sweep"); code != cli.ExitOK {
		t.Fatalf("exit %d\n%s", code, out)
	}
	s.withoutPolicy(s.keyIdentity(s.data("team-a")["IAM_API_KEY_ID"]), true)
	for _, command := range []string{"sweep", "plan", "status"} {
		if code, out := s.command(command); code != cli.ExitAct || !strings.Contains(out, "the service ID is locked") {
			t.Errorf("%s: exit %d\n%s", command, code, out)
		}
	}
	s.cloud.Inject(emulator.Fault{Path: "/v1/*", Kind: emulator.FaultStatus, Status: 503})
	for _, command := range []string{"sweep", "plan", "status"} {
		if code, out := s.command(command); code != cli.ExitTryAgain {
			t.Errorf("%s: exit %d\n%s", command, code, out)
		}
	}
	s.cloud.ClearFaults()
}

func TestRevokeByHand(t *testing.T) {
	s := newStage(t, emulator.Options{})
	if code, out := s.command("sweep"); code != cli.ExitOK {
		t.Fatalf("exit %d\n%s", code, out)
	}
	credential, leaked := "logs-sender/"+s.project("team-a").ID, s.data("team-a")["IAM_API_KEY_ID"]
	changes := len(s.cloud.Events())
	if code, _ := s.command("revoke", credential, "--key", leaked); code != cli.ExitError || len(s.cloud.Events()) != changes {
		t.Errorf("unasked on no terminal: exit %d, %d changes", code, len(s.cloud.Events())-changes)
	}
	// Right after it was published: another key has to wait, and the leak is
	// written down. The wait is longer than a script's time, so it is not begun.
	began := time.Now()
	if code, out := s.command("revoke", credential, "--key", leaked, "--yes"); code != cli.ExitTryAgain || !strings.Contains(out, "the leaked key still works") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("a wait in vain took %s", took)
	}
	s.cloud.Advance(time.Hour)
	if code, out := s.command("revoke", credential, "--key", leaked, "--yes"); code != cli.ExitOK || !strings.Contains(out, "up to 60 minutes") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if _, alive := s.keys(credential)[leaked]; alive || s.data("team-a")["IAM_API_KEY_ID"] == leaked {
		t.Error("the leaked key is still there")
	}
	for _, other := range s.keys("logs-sender/" + s.project("team-b").ID) {
		if code, _ := s.command("revoke", credential, "--key", other.ID, "--yes"); code != cli.ExitError {
			t.Errorf("another credential's key: exit %d", code)
		}
	}
	s.cloud.Advance(time.Hour)
	contained := s.data("team-a")["IAM_API_KEY_ID"]
	if code, out := s.command("revoke", "logs-sender", "--key", contained, "--containment", "--yes"); code != cli.ExitOK || strings.Count(out, "logs-sender/") < 1 {
		t.Errorf("by the entry's name: exit %d\n%s", code, out)
	}
	if _, alive := s.keys(credential)[contained]; alive {
		t.Error("the contained key is still there")
	}
}

// A revoked key that is disabled is no failure because IAM refuses to delete it.
func TestARevokedKeyThatCannotBeDeletedIsNoFailure(t *testing.T) {
	for _, status := range []int{400, 403, 409, 500} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			s := newStage(t, emulator.Options{})
			if code, out := s.command("sweep"); code != cli.ExitOK {
				t.Fatalf("exit %d\n%s", code, out)
			}
			s.cloud.Advance(time.Hour)
			s.cloud.Inject(emulator.Fault{Method: http.MethodDelete, Path: "/v1/apikeys/*", Kind: emulator.FaultStatus, Status: status})
			credential, leaked := "logs-sender/"+s.project("team-a").ID, s.data("team-a")["IAM_API_KEY_ID"]
			words := fmt.Sprintf("status %d", status)
			if code, out := s.command("revoke", credential, "--key", leaked, "--yes"); code != cli.ExitOK || !strings.Contains(out, words) {
				t.Errorf("exit %d\n%s", code, out)
			}
			for range 3 {
				s.cloud.Advance(24 * time.Hour)
				if code, out := s.command("sweep"); code != cli.ExitDue || !strings.Contains(out, words) {
					t.Errorf("sweep: exit %d\n%s", code, out)
				}
				if code, out := s.command("status"); code != cli.ExitDue || !strings.Contains(out, "retire "+leaked) {
					t.Errorf("status: exit %d\n%s", code, out)
				}
			}
			if code, out := s.command("job"); code != cli.ExitOK || !strings.Contains(out, words) {
				t.Errorf("job: exit %d\n%s", code, out)
			}
			s.cloud.ClearFaults()
			if code, out := s.command("sweep"); code != cli.ExitOK {
				t.Errorf("after the fault: exit %d\n%s", code, out)
			}
			if _, there := s.keys(credential)[leaked]; there {
				t.Error("the leaked key is still there")
			}
		})
	}
}

func TestRevokeWaitsUntilTheKeyHasEnded(t *testing.T) {
	s := newStage(t, emulator.Options{})
	if code, out := s.command("sweep"); code != cli.ExitOK {
		t.Fatalf("exit %d\n%s", code, out)
	}
	leaked := s.data("team-a")["IAM_API_KEY_ID"]
	later := time.AfterFunc(time.Second, func() { s.cloud.Advance(11 * time.Minute) })
	defer later.Stop()
	code, out := s.command("revoke", "logs-sender/"+s.project("team-a").ID, "--key", leaked, "--yes", "--timeout", "20m")
	if code != cli.ExitOK || !strings.Contains(out, "up to 60 minutes") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if now := s.data("team-a")["IAM_API_KEY_ID"]; now == leaked {
		t.Error("the leaked key is still published")
	}
}

func TestASlipInANameOrAKeyIsAnErrorBeforeAnythingIsDone(t *testing.T) {
	s := newStage(t, emulator.Options{})
	for _, command := range []string{"plan", "status", "sweep"} {
		if code, _ := s.command(command, "logs-sender", "logs-sendre"); code != cli.ExitError || !strings.Contains(s.said.String(), "finding logs-sendre: ") {
			t.Errorf("%s: exit %d", command, code)
		}
	}
	if n := len(s.cloud.Events()); n != 0 {
		t.Errorf("%d things were changed", n)
	}
	if code, out := s.command("sweep"); code != cli.ExitOK {
		t.Fatalf("exit %d\n%s", code, out)
	}
	changes := len(s.cloud.Events())
	const ghost = "ApiKey-00000000-0000-4000-8000-000000000000"
	credential := "logs-sender/" + s.project("team-a").ID
	for _, args := range [][]string{{"revoke", credential, "--yes"}, {"adopt", credential}} {
		if code, _ := s.command(append(args, "--key", ghost)...); code != cli.ExitError || !strings.Contains(s.said.String(), "IAM has no key "+ghost) {
			t.Errorf("%s: exit %d", args[0], code)
		}
	}
	if n := len(s.cloud.Events()); n != changes {
		t.Errorf("%d things were changed", n-changes)
	}
}

func TestRotatingSeveralAsksAndADryRunDoesNothing(t *testing.T) {
	s := newStage(t, emulator.Options{})
	if code, out := s.command("sweep"); code != cli.ExitOK {
		t.Fatalf("exit %d\n%s", code, out)
	}
	s.cloud.Advance(time.Hour)
	changes := len(s.cloud.Events())
	if code, out := s.command("rotate", "logs-sender"); code != cli.ExitError || !strings.Contains(s.said.String(), "pass --yes to confirm") {
		t.Errorf("unasked: exit %d\n%s", code, out)
	}
	key := s.data("team-a")["IAM_API_KEY_ID"]
	for want, args := range map[string][]string{
		"mint new: ":     {"rotate", "logs-sender"},
		"condemn " + key: {"revoke", "logs-sender", "--key", key},
	} {
		if code, out := s.command(append(args, "--dry-run")...); code != cli.ExitOK || !strings.Contains(out, want) {
			t.Errorf("%s --dry-run: exit %d\n%s", args[0], code, out)
		}
	}
	if n := len(s.cloud.Events()); n != changes {
		t.Errorf("%d things were changed", n-changes)
	}
	if code, out := s.command("rotate", "logs-sender", "--yes"); code != cli.ExitOK || strings.Count(out, " published ") != 2 {
		t.Errorf("exit %d\n%s", code, out)
	}
}
