package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
)

// examine runs the doctor, and returns its exit code and checklist.
func (s *stage) examine(env map[string]string) (int, string) {
	s.t.Helper()
	ready := s.cloud.Ready()
	all := map[string]string{"LATCHKEY_ENDPOINT": ready.URL, "IBMCLOUD_API_KEY": ready.APIKey, "LATCHKEY_CONFIG": examples.Emulator}
	for name, value := range env {
		all[name] = value
	}
	var out bytes.Buffer
	code := run(context.Background(), []string{"doctor"}, func(name string) string { return all[name] }, nil, io.MultiWriter(&out, s.said), s.said)
	return code, out.String()
}

func TestTheDoctorFindsNothingOnAFreshEmulatorAndChangesNothing(t *testing.T) {
	s := newStage(t, emulator.Options{})
	code, list := s.examine(nil)
	if code != cli.ExitOK || strings.Contains(list, "FAIL") || !strings.Contains(list, "0 failed") {
		t.Errorf("exit %d\n%s", code, list)
	}
	if changes := s.cloud.Events(); len(changes) != 0 {
		t.Errorf("the doctor changed something: %+v", changes)
	}
}

func TestTheDoctorNamesWhatIsMissingAndWhatMendsIt(t *testing.T) {
	const admin = "crn:v1:bluemix:public:iam::::role:Administrator"
	for name, tc := range map[string]struct {
		harm func(s *stage)
		env  map[string]string
		says []string
	}{
		"the role that is to be granted": {harm: func(s *stage) {
			self := s.cloud.Cloud().Minter().IAMID
			s.cloud.Cloud().Revoke(self, "logs")
			s.cloud.Cloud().Grant(self, "logs", admin)
		}, says: []string{"FAIL  permission: Sender on logs is missing", "--roles Sender --service-name logs"}},
		"the right to make keys": {harm: func(s *stage) { s.cloud.Cloud().Revoke(s.cloud.Cloud().Minter().IAMID, "iam-identity") },
			says: []string{"FAIL  permission: no role on iam-identity", "--roles \"Viewer,Service ID creator\" --service-name iam-identity"}},
		"the right to write secrets": {harm: func(s *stage) { s.cloud.Cloud().Revoke(s.cloud.Cloud().Minter().IAMID, "codeengine") },
			says: []string{"FAIL", "--roles Writer --service-name codeengine"}},
		"a key that works": {harm: func(*stage) {}, env: map[string]string{"IBMCLOUD_API_KEY": strings.Repeat("x", 44)},
			says: []string{"FAIL  identity", "fix: set IBMCLOUD_API_KEY"}},
		"a login for the config's account": {harm: func(*stage) {},
			env:  map[string]string{"LATCHKEY_CONFIG": strings.Replace(examples.Emulator, "version: 1\n", "version: 1\naccount: ffffffffffffffffffffffffffffffff\n", 1)},
			says: []string{"FAIL  identity", "the config names account ffffffffffffffffffffffffffffffff", "fix: log in with an identity of the account"}},
		"Code Engine": {harm: func(s *stage) {
			s.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v2/projects*", Kind: emulator.FaultStatus, Status: 503})
		}, says: []string{"FAIL  config: some credentials could not be listed"}},
		"the right to add members to groups": {harm: func(s *stage) { s.cloud.Cloud().Revoke(s.cloud.Cloud().Minter().IAMID, "iam-groups") },
			env:  map[string]string{"LATCHKEY_CONFIG": holesHead + strings.Replace(static("c", place1), "policies: [{service: logs, roles: [Sender]}]", "accessGroups: [senders]", 1), "EVENTS_TOKEN": testToken},
			says: []string{"FAIL  permission: Editor on iam-groups is missing", "--roles Editor --service-name iam-groups"}},
		"an entry for a service ID of ours": {harm: func(s *stage) {
			m := marker.Marker{Owner: "example", Credential: "left-behind"}
			ownServiceID(s.cloud.Cloud(), cloud.NewServiceID{Name: "left", AccountID: s.cloud.Ready().Account, Description: m.Text()})
		}, says: []string{"FAIL  left-behind: no config entry yields it any more", "ibmcloud iam service-id-delete ServiceId-"}},
		"that a marker is ours": {harm: func(s *stage) {
			m := marker.Marker{Owner: "example", Credential: "logs-sender/x"}
			s.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "posing", AccountID: s.cloud.Ready().Account, Description: m.Text()})
		}, says: []string{"carries latchkey's marker, and was made by " + cloud.OwnerIAMID, "identity.formerly: [" + cloud.OwnerIAMID + "]", "latchkey claim ServiceId-"}},
		"the logs endpoint": {harm: func(s *stage) {
			s.cloud.Inject(emulator.Fault{Method: http.MethodPost, Path: "/logs/v1/singles", Kind: emulator.FaultStatus, Status: 503})
		}, says: []string{"FAIL  logs:"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, emulator.Options{})
			tc.harm(s)
			code, list := s.examine(tc.env)
			if code != cli.ExitError {
				t.Errorf("exit %d, want %d", code, cli.ExitError)
			}
			for _, part := range tc.says {
				if !strings.Contains(list, part) {
					t.Errorf("the checklist does not say %q:\n%s", part, list)
				}
			}
		})
	}
}

func TestTheDoctorSaysWhatIsLeftOfTheQuotas(t *testing.T) {
	s := newStage(t, emulator.Options{})
	created, _ := s.created("team-a")
	s.one(created, testToken, "published")
	_, list := s.examine(nil)
	for _, part := range []string{"1 of 20 keys", "1 of 100 secrets", "of 120 revisions"} {
		if !strings.Contains(list, part) {
			t.Errorf("the checklist does not say %q:\n%s", part, list)
		}
	}
}
