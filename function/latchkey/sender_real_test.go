//go:build real

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator"
)

// An independent sender: the CloudEvents SDK for JavaScript, against latchkey
// serve.
func TestARealSenderIsUnderstood(t *testing.T) {
	module := os.Getenv("LATCHKEY_CLOUDEVENTS")
	if module == "" {
		t.Fatal("LATCHKEY_CLOUDEVENTS does not name the module: run make test-real")
	}
	s := newStage(t, emulator.Options{})
	created, credential := s.created("team-a")
	s.one(created, testToken, "published")
	ctx, stop := context.WithCancel(t.Context())
	url, exit := s.serving(ctx)
	defer func() { stop(); <-exit }()

	cmd := exec.CommandContext(t.Context(), "node", "../testdata/sender.js", module, url, credential)
	cmd.Env = append(os.Environ(), "EVENTS_TOKEN="+testToken)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &errs)
	}
	const unchanged = "dev.latchkey.credential.unchanged"
	want := map[string]string{
		"a sweep of one, binary":              "200 " + unchanged,
		"a sweep of one, structured":          "200 " + unchanged,
		"a sweep without data, binary":        "200 dev.latchkey.credential.provisioned",
		"a sweep without data, structured":    "200 " + unchanged,
		"extensions of each type, binary":     "200 " + unchanged,
		"extensions of each type, structured": "200 " + unchanged,
		"a charset, binary":                   "200 " + unchanged,
		"a charset, structured":               "200 " + unchanged,
		"a subject with a space, binary":      "200 " + unchanged,
		"a subject with a space, structured":  "200 " + unchanged,
		// This SDK does not encode headers: what is beyond Latin-1 it cannot
		// send. A percent sign that is no escape is taken as it is.
		"a subject beyond ASCII, binary":            "0 ",
		"a subject beyond ASCII, structured":        "200 " + unchanged,
		"a subject with a percent sign, binary":     "200 " + unchanged,
		"a subject with a percent sign, structured": "200 " + unchanged,
		"text, binary":                 "204 ",
		"text, structured":             "204 ",
		"bytes, binary":                "204 ",
		"bytes, structured":            "204 ",
		"an unknown field, binary":     "400 ",
		"an unknown field, structured": "400 ",
		"three events, batch":          "200 ",
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	seen := 0
	for lines.Scan() {
		seen++
		var line struct {
			Name, Mode, Type, Text string
			Status                 int
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		name := line.Name + ", " + line.Mode
		if got := fmt.Sprintf("%d %s", line.Status, line.Type); got != want[name] {
			t.Errorf("%s: %s %s, want %s", name, got, line.Text, want[name])
		}
		if line.Mode == "batch" && strings.Count(line.Text, `"status"`) != 3 {
			t.Errorf("the batch is answered %s", line.Text)
		}
	}
	if seen != len(want) {
		t.Errorf("%d answers, want %d: %s", seen, len(want), &errs)
	}
}
