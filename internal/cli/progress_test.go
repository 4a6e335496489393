package cli

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/result"
)

func TestProgressIsPrintedForLongCommandsOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		watched    bool
		all        int
		each       time.Duration
		want       string // begins the first line
		lines      int
		terminates bool
	}{
		"a short command prints nothing":        {true, 20, 50 * time.Millisecond, "", 0, false},
		"a terminal gets one line, replaced":    {true, 100, time.Second, "\r\x1b[K3 of 100 credentials, 1.5 a second, about 1m5s left, a person must act on 1", 0, true},
		"a file gets a line now and then":       {false, 100, time.Second, "11 of 100 credentials, 1.1 a second, about 1m21s left, a person must act on 2", 9, false},
		"a file gets nothing of a shorter work": {false, 9, time.Second, "", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				p := NewProgress(Streams{Err: &out, Watched: tc.watched, Width: 120})
				for i := range tc.all {
					c := condition.OK
					if i%10 == 0 {
						c = condition.Blocked
					}
					p.Step(i+1, tc.all, result.Outcome{Condition: c})
					time.Sleep(tc.each)
				}
				text := out.String()
				if !strings.HasPrefix(text, tc.want) || tc.want == "" && text != "" {
					t.Errorf("printed %q", text)
				}
				if n := strings.Count(text, "\n"); n != tc.lines {
					t.Errorf("%d lines, want %d", n, tc.lines)
				}
				if ends := strings.HasSuffix(text, "\r\x1b[K"); ends != tc.terminates {
					t.Errorf("the line is removed at the end: %t", ends)
				}
			})
		})
	}
}
