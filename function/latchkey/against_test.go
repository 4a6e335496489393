package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
)

func TestConfigsAreComparedWithOneReadingOfTheAccount(t *testing.T) {
	s := newStage(t, emulator.Options{})
	file := filepath.Join(t.TempDir(), "latchkey.yaml")
	if err := os.WriteFile(file, []byte(examples.Emulator), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := s.command("sweep"); code != cli.ExitOK {
		t.Fatalf("sweep: exit %d\n%s", code, out)
	}
	calls := func(args ...string) map[string]int {
		s.cloud.ResetCounters()
		if code, out := s.command(args...); code != cli.ExitOK {
			t.Fatalf("%v: exit %d\n%s", args, code, out)
		}
		n := s.cloud.Counters()
		delete(n, "POST /identity/token") // each config logs in
		return n
	}
	if diff := cmp.Diff(calls("plan"), calls("plan", "--config", file, "--against", file)); diff != "" {
		t.Errorf("calls of a plan and of a comparison (-plan +comparison):\n%s", diff)
	}
}
