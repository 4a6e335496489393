package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// The examples of narrow access are valid, and IAM has exactly their policies after
// a sweep.
func TestTheExamplesOfAccessAreProvisioned(t *testing.T) {
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
		if o.Result != reconcile.ResultPublished {
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
		"backup-writer":  {"ObjectWriter on cloud-object-storage (instance 9c4e0d17-2a6b-4f83-8e15-7b3d9a0c5f21) (bucket backups)"},
		"image-puller":   {"Reader on container-registry (namespace team-a) (region stringEquals eu-de)"},
		"weekday-sender": {"Sender on logs (instance 7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10) (if environment.attributes.day_of_week dayOfWeekAnyOf 1+00:00,2+00:00,3+00:00,4+00:00,5+00:00)"},
	} {
		if !slices.Equal(have[credential], want) {
			t.Errorf("%s has %v, want %v", credential, have[credential], want)
		}
	}
	for _, o := range s.sweep().outcomes {
		if o.Result != reconcile.ResultUnchanged {
			t.Errorf("the next sweep: %s: %s %v", o.Credential, o.Result, took(o))
		}
	}
}
