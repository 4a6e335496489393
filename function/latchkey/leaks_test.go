package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/outcome"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// What IBM does with keys that it finds in public, through the whole program.

func ruled(rotation string) string {
	return strings.Replace(static("c", place1), "  stores:", "  rotation: {"+rotation+"}\n  stores:", 1)
}

// leak lets IBM find the published key.
func (s *stage) leak() (id string) {
	s.t.Helper()
	id = s.publishedKey()
	if _, err := s.cloud.Cloud().LeakKey(id, "", "https://github.com/example/app"); err != nil {
		s.t.Fatal(err)
	}
	return id
}

func TestAKeyThatIAMDisablesAsLeakedIsRevoked(t *testing.T) {
	for name, tc := range map[string]struct {
		rotation string
		age      time.Duration
	}{
		"a day old":           {"onLeak: disable", 30 * time.Hour},
		"minutes old":         {"onLeak: disable", 5 * time.Minute},
		"onDisabled is block": {"onDisabled: block", 30 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s := holed(t, ruled(tc.rotation))
			s.sweep().only(t, result.Published)
			s.cloud.Advance(tc.age)
			s.sweep()
			old := s.leak()
			out := s.sweep().only(t, result.Published)
			if out.Key == old || s.publishedKey() != out.Key || out.Replaced != old || len(s.keys("c")) != 1 {
				t.Errorf("the outcome has %s in place of %q; IAM has %d keys", out.Key, out.Replaced, len(s.keys("c")))
			}
			if kind := outcome.Type(out); kind != outcome.TypePrefix+"revoked" {
				t.Errorf("the event is %s", kind)
			}
			if got := noted(out); !slices.Equal(got, []reason.Reason{reason.KeyFound, reason.TokensLive}) || out.Notes[0].By != cloud.LeakScannerID || out.Notes[0].Key != old {
				t.Errorf("notes %+v", out.Notes)
			}
			if again := s.sweep().only(t, result.Unchanged); len(again.Notes) != 0 {
				t.Errorf("the next sweep notes %+v", again.Notes)
			}
		})
	}
}

func TestAKeyThatIAMDeletesAsLeakedIsReplaced(t *testing.T) {
	s := holed(t, ruled("onLeak: delete"))
	s.sweep().only(t, result.Published)
	s.cloud.Advance(30 * time.Hour)
	s.sweep()
	old := s.leak()
	out := s.sweep().only(t, result.Published)
	if kind := outcome.Type(out); kind != outcome.TypePrefix+"rotated" || out.Replaced != old {
		t.Errorf("the event is %s, in place of %q", kind, out.Replaced)
	}
}

func TestALeakADayFillsNoServiceID(t *testing.T) {
	s := holed(t, ruled("onLeak: disable"))
	s.sweep().only(t, result.Published)
	for day := range 25 {
		s.cloud.Advance(24 * time.Hour)
		s.leak()
		if s.sweep().only(t, result.Published); len(s.keys("c")) != 1 {
			t.Fatalf("day %d: %d keys", day, len(s.keys("c")))
		}
	}
}

func TestAKeyThatAPersonDisabledIsReplacedAndStays(t *testing.T) {
	s := holed(t, static("c", place1))
	s.sweep().only(t, result.Published)
	s.cloud.Advance(30 * time.Hour)
	s.sweep()
	old := s.publishedKey()
	s.cloud.Cloud().SetKeyDisabled(old, true)
	out := s.sweep().only(t, result.Published)
	if kind := outcome.Type(out); kind != outcome.TypePrefix+"rotated" || out.Replaced != old || fmt.Sprint(noted(out)) != "[key-ended]" {
		t.Errorf("the event is %s, in place of %q, with the notes %+v", kind, out.Replaced, out.Notes)
	}
	if k, ok := s.keys("c")[old]; !ok || !k.Disabled {
		t.Errorf("IAM has %+v", s.keys("c"))
	}
}
