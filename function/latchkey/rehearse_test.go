package main

import (
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
)

func TestARehearsalChangesNothingAndTellsWhenKeysEnd(t *testing.T) {
	s := newStage(t, emulator.Options{})
	if code, out := s.command("sweep"); code != cli.ExitOK {
		t.Fatalf("exit %d\n%s", code, out)
	}
	s.cloud.Advance(40 * 24 * time.Hour)
	changes := len(s.cloud.Events())
	code, out := s.command("rehearse", "--most", "1")
	ends := s.cloud.Now().Add(50 * 24 * time.Hour).Format(time.DateOnly)
	_, idle, found := strings.Cut(out, "If no sweep runs any more")
	if !found || !strings.Contains(idle, ends) && !strings.Contains(idle, s.cloud.Now().Add(51*24*time.Hour).Format(time.DateOnly)) || !strings.Contains(out, "1 of 2 credentials were rehearsed") {
		t.Errorf("exit %d, want an end on %s\n%s", code, ends, out)
	}
	if n := len(s.cloud.Events()); n != changes {
		t.Errorf("the rehearsal changed %d things", n-changes)
	}
}
