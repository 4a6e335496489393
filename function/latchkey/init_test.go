package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
)

func TestAFirstConfigIsWrittenFromTheAccountAndNeverReplacesAnother(t *testing.T) {
	s := newStage(t, emulator.Options{SeedCredentials: 1})
	file := filepath.Join(t.TempDir(), "latchkey.yaml")
	args := []string{
		"init", file, "--owner", "example", "--regions", "eu-de,us-south", "--prefix", "team-",
		"--account", // which has one Cloud Logs instance
	}
	if code, out := s.command(args...); code != cli.ExitOK {
		t.Fatalf("exit %d\n%s", code, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"found: team-a in eu-de gets a key", "gets none", "found: Cloud Logs " + s.cloud.Ready().Logs, "instance: \"" + s.cloud.Ready().Logs + "\", region: \"eu-de\"", "(seed-1) of ServiceId-"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if code, out := s.command("sweep", "--config", file); code != cli.ExitOK || strings.Count(out, " published ") != 2 {
		t.Errorf("a sweep with it: exit %d\n%s", code, out)
	}
	if code, out := s.command(args...); code != cli.ExitError {
		t.Errorf("the file exists: exit %d\n%s", code, out)
	}
	if code, out := s.command("init", filepath.Join(t.TempDir(), "other.yaml"), "--owner", "example"); code != cli.ExitError {
		t.Errorf("an answer is missing: exit %d\n%s", code, out)
	}
}
