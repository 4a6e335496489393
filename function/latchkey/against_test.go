package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
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

func TestAShorterRotationAgeIsSpreadOverSweeps(t *testing.T) {
	const (
		day  = 24 * time.Hour
		head = "version: 1\nowner: example\nregions: [us-south]\nsweepEvery: 1h\nevents: {auth: {bearerEnv: EVENTS_TOKEN}, allow: [{verbs: [rotate], credentials: [\"*\"]}]}\ncredentials:\n"
	)
	with := func(rotation string) string {
		text := head
		for i := range 40 {
			name := fmt.Sprint("c", i)
			c := static(name, "us-south/team-b/"+name+"#KEY")
			if i < 3 {
				c += "  rotation: {after: 30d, expire: 40d}\n"
			} else {
				c += "  rotation: {" + rotation + "}\n"
			}
			text += c
		}
		return text
	}
	s := newStage(t, emulator.Options{})
	s.url = s.serve(with("after: 60d, expire: 90d"))
	if swept := s.sweep(); len(swept.outcomes) != 40 {
		t.Fatalf("%d outcomes: %s", len(swept.outcomes), swept.body)
	}
	s.cloud.Advance(32 * day)
	shorter := with("after: 30d, expire: 90d")
	code, plan := s.as(s.cloud.Ready().APIKey, shorter, "plan")
	const takes = "37 keys have reached their rotation age. In each 1h at most 32 are replaced because of their age alone, so that takes 2 sweeps."
	if mints, later := strings.Count(plan, "\n  mint new: "), strings.Count(plan, ", and a later sweep replaces it"); code != cli.ExitDue || mints != 35 || later != 5 || !strings.Contains(plan, takes) {
		t.Errorf("plan: exit %d, %d keys are replaced and %d left, want 35 and 5, and %q\n%s", code, mints, later, takes, plan)
	}
	s.url = s.serve(shorter)
	sweep := func() (replaced, left []string) {
		t.Helper()
		for _, out := range s.sweep().outcomes {
			switch {
			case out.Result == result.Published:
				replaced = append(replaced, out.Credential)
			case out.Condition == condition.Due && out.Reason == reason.Spread && out.Result == result.Unchanged:
				left = append(left, out.Credential)
			case out.Condition != condition.OK:
				t.Errorf("%s is %s: %s", out.Credential, out.Condition, out.Message)
			}
		}
		return replaced, left
	}
	replaced, left := sweep()
	if len(replaced) != 35 || len(left) != 5 {
		t.Errorf("the first sweep replaces %d keys and leaves %d, want 32 and those 3 that expire soon, and 5", len(replaced), len(left))
	}
	for _, soon := range []string{"c0", "c1", "c2"} {
		if !slices.Contains(replaced, soon) {
			t.Errorf("%s expires within 14 days and waits", soon)
		}
	}
	if replaced, again := sweep(); len(replaced) != 0 || !slices.Equal(left, again) {
		t.Errorf("another sweep in the same hour replaces %q and leaves %q", replaced, again)
	}
	s.post(s.url, sample.Binary("dev.latchkey.rotate", "/t", s.cloud.Now(), map[string]any{"credential": left[0]}), testToken).only(t, result.Published)
	s.cloud.Advance(time.Hour)
	if replaced, after := sweep(); !slices.Equal(replaced, left[1:]) || len(after) != 0 {
		t.Errorf("an hour later %q are replaced and %q left, want %q", replaced, after, left[1:])
	}
}
