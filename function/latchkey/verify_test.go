package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestTheReportOfAVerificationSetsTheEmulator(t *testing.T) {
	switches := cloud.DefaultSwitches()
	switches.StaleIdentityStatus, switches.LogsSuccessBody = 412, `{"ok":true}`
	switches.LinkNameChecked, switches.NotificationTimeChecked, switches.UsedRegistrationStatus = false, false, 400
	switches.ExistingSecretStatus, switches.ProjectNamesPerRegion, switches.DestroyedSecretStatus = 400, true, 410
	s := newStage(t, emulator.Options{Switches: &switches})
	c := s.cloud.Cloud()
	c.Grant(c.Minter().IAMID, "secrets-manager", "crn:v1:bluemix:public:iam::::serviceRole:Manager")
	passing := time.NewTicker(20 * time.Millisecond) // a secret takes minutes to expire
	defer passing.Stop()
	go func() {
		for range passing.C {
			s.cloud.Advance(2 * time.Second)
		}
	}()
	safe := s.cloud.Ready().SecretsManager
	file := filepath.Join(t.TempDir(), "report.json")
	events := "crn:v1:bluemix:public:event-notifications:eu-de:a/" + s.cloud.Ready().Account + ":" + s.cloud.Ready().Notifications + "::"
	pod := cloud.ComputeResource{CRType: "IKS_SA", LinkedResource: cloud.LinkedResource{CRN: agentCluster, Namespace: "agents", Name: "agent"}}
	value, err := c.IssueCRTokenFor(pod)
	token := filepath.Join(t.TempDir(), "token")
	if err != nil || os.WriteFile(token, []byte(value+"\n"), 0o600) != nil {
		t.Fatal(err)
	}
	args := []string{
		"verify", "--live", "--yes", "--out", file, "--project", s.project("team-a").ID, "--region", "eu-de", "--logs-instance", s.cloud.Ready().Logs, "--logs-region", "eu-de",
		"--secrets-manager", safe.ID, "--secrets-manager-region", safe.Region,
		"--new-project", "eu-gb", "--new-project-groups", "0b5a00334eaf9eb9339d2ab48f20d7f5,0e1",
		"--event-notifications", events, "--event-source", "source", "--cluster", pod.CRN, "--pod", "agents/agent", "--pod-token", token,
	}
	code, out := s.command(args...)
	if code != cli.ExitOK || !strings.Contains(out, "staleIdentityStatus: 412, not 409 as guessed") || !strings.Contains(out, "8 other than guessed") {
		t.Fatalf("exit %d\n%s", code, out)
	}
	found, err := emulator.Flags{Switches: file}.Choices(t.Context())
	if err != nil || found.StaleIdentityStatus != 412 || found.ExistingSecretStatus != 400 || found.LogsSuccessBody != `{"ok":true}` || found.StaleCodeEngineStatus != 412 || !found.ProjectNamesPerRegion || found.LinkNameChecked || found.DestroyedSecretStatus != 410 {
		t.Errorf("%+v, %v", found, err)
	}
	for flag, args := range map[string][]string{
		"--region":              {"--project", "id"},
		"--event-notifications": {"--event-notifications", "crn:v1:bluemix:public:event-notifications:example.com/:a/0:0::"},
		"--pod-token":           {"--pod", "agents/agent"},
		"NAMESPACE/ACCOUNT":     {"--pod", "agents", "--cluster", pod.CRN, "--pod-token", token},
	} {
		if code, out := s.command(append([]string{"verify", "--live", "--yes"}, args...)...); code != cli.ExitError || !strings.Contains(s.said.String(), flag) {
			t.Errorf("%v: exit %d\n%s", args, code, out)
		}
	}
	if code, out := s.command("verify", "--yes"); code != cli.ExitError || !strings.Contains(s.said.String(), "--live") {
		t.Errorf("without --live: exit %d\n%s", code, out)
	}
}
