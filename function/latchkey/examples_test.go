package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/cli"
)

// Every example event asks for something of the example config, or says that it
// does not.
func TestTheExampleEventsAskOfTheExampleConfig(t *testing.T) {
	const dir = "../../deploy/examples/"
	files, err := filepath.Glob(dir + "events/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var out, errs bytes.Buffer
	args := append([]string{"validate", "--config", dir + "full.yaml", "--event"}, files...)
	if code := run(t.Context(), args, func(string) string { return "" }, nil, &out, &errs); code != cli.ExitOK {
		t.Fatalf("exit %d: %s%s", code, &out, &errs)
	}
	got := map[string]string{}
	for line := range strings.Lines(out.String()) {
		file, said, _ := strings.Cut(strings.TrimSpace(line), ": ")
		got[filepath.Base(file)] = said
	}
	const project = "0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d"
	want := map[string]string{
		"audit-ibm-cloud-project-created.json": "audit: look at what belongs to project 3f8f2b2e-1111-4c0a-8e55-9d2f4b7c6a01",
		"audit-key-deleted.json":               "rules[3] (line 51): look at logs-sender, billing-reader",
		"audit-key-used.json":                  `type "dev.knative.kafka.event": not for us`,
		"audit-project-created.json":           "audit: look at what belongs to project " + project,
		"batch.json[0]":                        "latchkey's own type: look at billing-reader",
		"batch.json[1]":                        "rules[0] (line 40): provision tenant with stage=prod, tenant=books (with the token)",
		"leak-found.json":                      "rules[2] (line 45): revoke billing-reader key ApiKey-1d6c3a52-7c0e-4a8b-9b1f-0b8a5d1e2f30, disabling it first (with the token)",
		"order-placed.json":                    `type "com.acme.order.placed": not for us`,
		"project-created.json":                 "resource lifecycle: look at what belongs to project " + project,
		"provision.json":                       "latchkey's own type: provision logs-sender (with the token)",
		"rotate.json":                          "latchkey's own type: rotate logs-sender, newer than 2026-11-24T10:00:00Z (with the token)",
		"secret-expiring.json":                 "Secrets Manager: rotate what the secret logs-sender-team-a holds, newer than 2026-11-24T10:00:00Z, once for the date 2026-12-04T10:00:00Z (without the token: only a look)",
		"sweep.json":                           "latchkey's own type: look at logs-sender",
		"tenant-created.json":                  "rules[0] (line 40): provision tenant with stage=prod, tenant=shop (with the token)",
		"tenant-moved.json":                    "rules[1] (line 43): rotate tenant/prod.shop, newer than 2026-11-24T10:00:00Z (with the token)",
		"tick.json":                            "timer: look at everything",
	}
	for file, said := range got {
		if want[file] != said {
			t.Errorf("%s: %s\nwant %s", file, said, want[file])
		}
	}
	if len(got) != len(want) {
		t.Error(fmt.Sprint(len(got)), "lines, want", len(want))
	}
}

// The tests of the Terraform module read what their configs need from files.
func TestTheTerraformTestsHaveTheNeedsOfTheirConfigs(t *testing.T) {
	const tests = "../../deploy/terraform/tests/"
	for config, needs := range map[string]string{
		tests + "function.yaml":           tests + "function.needs.json",
		"../../deploy/examples/full.yaml": tests + "full.needs.json",
	} {
		want, err := os.ReadFile(needs)
		if err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		if code := run(t.Context(), []string{"validate", "--config", config, "--needs"}, func(string) string { return "" }, nil, &out, &errs); code != cli.ExitOK {
			t.Fatalf("exit %d: %s", code, &errs)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("run: latchkey validate --config %s --needs >%s", config, needs)
		}
	}
}
