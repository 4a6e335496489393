package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// The examples of narrow access are valid. After a sweep IAM has exactly their policies,
// and each key has passed its proofs. Rotated keys pass them again.
func TestTheExamplesOfAccessAreProvisionedProvenAndRotated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.yaml")
	if err := os.WriteFile(file, []byte(examples.Access), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	if code := run(t.Context(), []string{"validate", file}, func(string) string { return "" }, nil, &out, &errs); code != cli.ExitOK {
		t.Fatalf("exit %d: %s%s", code, &out, &errs)
	}
	_, credentials, _ := strings.Cut(examples.Access, "credentials:\n")
	s := holed(t, credentials)
	r := s.sweep()
	if len(r.outcomes) != 4 {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	have := map[string][]string{}
	for _, o := range r.outcomes {
		if o.Result != result.Published {
			t.Errorf("%s: %s, %s: %s", o.Credential, o.Result, o.Message, o.Error)
		}
		granted, err := s.parts.iam.Granted(t.Context(), "iam-"+o.ServiceID)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range granted {
			have[o.Credential] = append(have[o.Credential], p.Label())
		}
		slices.Sort(have[o.Credential])
	}
	for credential, want := range map[string][]string{
		"orders-writer": {
			"Reader on messagehub (instance 1b6f5c2e-7d0a-4a57-9c3e-5f2a8e6d4b10) (resource type cluster)",
			"Writer on messagehub (instance 1b6f5c2e-7d0a-4a57-9c3e-5f2a8e6d4b10) (topic orders)",
		},
		"backup-writer":   {"ObjectWriter on cloud-object-storage (instance 9c4e0d17-2a6b-4f83-8e15-7b3d9a0c5f21) (bucket backups)"},
		"image-puller":    {"Reader on container-registry (namespace team-a) (region stringEquals eu-de)"},
		"contract-sender": {"Sender on logs (instance 7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10) (if environment.attributes.current_date_time dateTimeLessThan 2036-01-01T00:00:00Z)"},
	} {
		if !slices.Equal(have[credential], want) {
			t.Errorf("%s has %v, want %v", credential, have[credential], want)
		}
	}
	for _, o := range s.sweep().outcomes {
		if o.Result != result.Unchanged {
			t.Errorf("the next sweep: %s: %s %v", o.Credential, o.Result, took(o))
		}
	}
	s.cloud.Advance(61 * 24 * time.Hour)
	for _, o := range s.sweep().outcomes {
		if o.Result != result.Published || !slices.Contains(took(o), "prove") {
			t.Errorf("after 61 days: %s: %s %v %s", o.Credential, o.Result, took(o), o.Message)
		}
	}
}

// A policy that grew is a note with its fix, and goes by narrowPolicies.
func TestAWidenedPolicyIsSeenAndNarrowed(t *testing.T) {
	const instance = ", instance: 7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10"
	entry := strings.Replace(static("c", place1), "roles: [Sender]", "roles: [Sender]"+instance, 1)
	s := holed(t, static("c", place1)) // an earlier config: every instance
	first := s.sweep().only(t, result.Published)
	iamID := "iam-" + first.ServiceID
	foreign := s.cloud.Cloud().Grant(iamID, "codeengine", "crn:v1:bluemix:public:iam::::role:Viewer")
	group, err := s.cloud.Cloud().AddGroup(cloud.NewGroup{Name: "others", Members: []string{iamID}})
	if err != nil {
		t.Fatal(err)
	}
	s.cloud.Advance(time.Hour)

	s.url = s.serve(holesHead + entry)
	out := s.sweep().only(t, result.Unchanged)
	if got := noted(out); !slices.Contains(got, reason.PolicyWider) || !slices.Contains(got, reason.PolicyForeign) {
		t.Errorf("notes %v", out.Notes)
	}
	for _, n := range out.Notes {
		if !strings.Contains(n.Message, "ibmcloud iam service-policy-delete "+first.ServiceID) {
			t.Errorf("a note without its fix: %s", n)
		}
	}

	s.url = s.serve(holesHead + strings.Replace(entry, "policies:", "narrowPolicies: true, policies:", 1))
	if got := took(s.sweep().only(t, result.Changed)); !slices.Equal(got, []string{"grant-policy"}) {
		t.Errorf("first, %v", got)
	}
	if got := took(s.sweep().only(t, result.Unchanged)); len(got) > 0 {
		t.Errorf("while services learn of the policy, %v", got)
	}
	s.cloud.Advance(20 * time.Minute)
	if got := took(s.sweep().only(t, result.Changed)); !slices.Equal(got, []string{"narrow-policy"}) {
		t.Errorf("then, %v", got)
	}
	granted, err := s.parts.iam.Granted(t.Context(), iamID)
	if err != nil || len(granted) != 2 || !slices.ContainsFunc(granted, func(p access.Policy) bool { return p.ID == foreign.ID }) {
		t.Errorf("left %v, %v", granted, err)
	}
	if is, _ := s.cloud.Cloud().IsMember(cloud.Owner(), group.ID, iamID); !is {
		t.Error("the membership is gone")
	}
	for _, command := range []string{"plan", "status", "doctor"} {
		if code, list := s.as(s.cloud.Ready().APIKey, holesHead+entry, command, "-v"); !strings.Contains(list, `ibmcloud iam access-group-service-id-remove "others" `+first.ServiceID) {
			t.Errorf("%s: %d %s", command, code, list)
		}
	}
	if code, list := s.as(s.cloud.Ready().APIKey, holesHead+entry, "doctor"); !strings.Contains(list, "drift c: "+foreign.ID) {
		t.Errorf("doctor: %d %s", code, list)
	}
}

// A key that may do what it must not, or may not do what it must, is not published, and
// the reason names the check.
func TestAProofThatFailsNamesItsCheck(t *testing.T) {
	const cos = "{service: cloud-object-storage, roles: [%s], instance: 9c4e0d17-2a6b-4f83-8e15-7b3d9a0c5f21, resourceType: bucket, resource: backups}"
	for name, tc := range map[string]struct{ role, proofs, want string }{
		"it may do what it must not": {
			"Writer", "[{cos: {bucket: backups, region: eu-de}, deny: true}, {cos: {bucket: backups, region: eu-de, do: write}}]",
			"http[0]: GET https://s3.eu-de.cloud-object-storage.appdomain.cloud/backups?list-type=2&max-keys=1 (must be denied): the key may do what it must not: want status 403: refused: status 200",
		},
		"it may not do what it must": {
			"Object Writer", "[{cos: {bucket: backups, region: eu-de, do: write}}, {cos: {bucket: backups, region: eu-de, do: read}}]",
			"http[1]: after 1m0s: GET https://s3.eu-de.cloud-object-storage.appdomain.cloud/backups/latchkey-proof: want status 200: not effective yet: status 403",
		},
		"the server does not know the request": {
			"Object Writer", "[{url: \"https://s3.eu-de.cloud-object-storage.appdomain.cloud/backups\", method: POST, body: x}]",
			"http[0]: POST https://s3.eu-de.cloud-object-storage.appdomain.cloud/backups: want status 200: refused: status 404",
		},
		"another status is expected": {
			"Object Writer", "[{cos: {bucket: backups, region: eu-de, do: write}, expect: 201}]",
			"want status 201: refused: status 200",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := holed(t, "- name: c\n  serviceID: {name: c, policies: ["+strings.Replace(cos, "%s", tc.role, 1)+"]}\n  prove: {http: "+tc.proofs+"}\n"+
				"  stores:\n  - codeEngine: {project: team-a, region: eu-de, secret: c, entry: KEY}\n")
			s.parts.reconciler.Sleep = func(context.Context, time.Duration) error { s.cloud.Advance(10 * time.Second); return nil }
			o := s.sweep().only(t, result.Blocked)
			if o.Reason != reason.ProofDenied || !strings.Contains(o.Message+o.Error, tc.want) {
				t.Errorf("%s: %s\n%s\nwant %s", o.Reason, o.Message, o.Error, tc.want)
			}
			if key, _ := s.entry("team-a", "c", "KEY"); key != "" {
				t.Error("the key is published")
			}
		})
	}
}

// The lag of a policy delays a proof, and fails none.
func TestAProofWaitsForIAMsLag(t *testing.T) {
	s := holed(t, "- name: c\n  serviceID: {name: c, policies: [{service: cloud-object-storage, roles: [Object Writer], resourceType: bucket, resource: backups}]}\n"+
		"  prove: {http: [{cos: {bucket: backups, region: eu-de, do: write}}, {cos: {bucket: backups, region: eu-de}, deny: true}]}\n"+
		"  stores:\n  - codeEngine: {project: team-a, region: eu-de, secret: c, entry: KEY}\n")
	s.parts.reconciler.Sleep = func(context.Context, time.Duration) error { s.cloud.Advance(5 * time.Second); return nil }
	settings := s.cloud.Settings()
	settings.PolicyLag.Duration = 20 * time.Second
	s.cloud.Set(settings)
	s.sweep().only(t, result.Published)
}
