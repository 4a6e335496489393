package cli

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/result"
)

// sweepOf begins a sweep over 100 credentials, of which some take a second each and
// every tenth is blocked. It ends the sweep.
func sweepOf(std Streams, done int, each time.Duration) {
	step, end := NewProgress(std).Begin(100)
	for i := range done {
		time.Sleep(each)
		c := condition.OK
		if i%10 == 0 {
			c = condition.Blocked
		}
		step(result.Outcome{Condition: c})
	}
	end()
}

// frames returns what a terminal showed, one text for each time that it changed.
func frames(written string) (shown []string) {
	screen := ""
	for part := range strings.SplitSeq(written, "\x1b[1A\x1b[J") {
		if screen != "" { // the last line is removed
			screen = screen[:strings.LastIndex(strings.TrimSuffix(screen, "\n"), "\n")+1]
		}
		screen += part
		shown = append(shown, screen)
	}
	return shown
}

func TestProgressIsPrintedForLongCommandsOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		done  int
		each  time.Duration
		first string
		lines int
	}{
		"a line now and then":        {100, time.Second, "10 of 100 credentials, 1.0 a second, about 1m30s left, a person must act on 1", 9},
		"nothing of a short command": {100, 50 * time.Millisecond, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				sweepOf(Streams{Err: &out}, tc.done, tc.each)
				first, _, _ := strings.Cut(out.String(), "\n")
				if n := strings.Count(out.String(), "\n"); first != tc.first || n != tc.lines {
					t.Errorf("%d lines, want %d, the first %q", n, tc.lines, first)
				}
			})
		})
	}
}

func TestOnATerminalProgressIsABarThatIsRemoved(t *testing.T) {
	for name, tc := range map[string]struct {
		done  int
		each  time.Duration
		shows string
	}{
		"a sweep":                   {100, time.Second, "] 42 of 100 credentials, 1.0 a second, about 58s left, a person must act on 5\n"},
		"a sweep that is cut short": {50, time.Second, "] 42 of 100 credentials, 1.0 a second, about 58s left, a person must act on 5\n"},
		"a sweep that hangs":        {1, time.Minute, "] 0 of 100 credentials\n"},
		"a short sweep":             {100, 10 * time.Millisecond, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				sweepOf(Streams{Err: &out, Watched: true, Width: 120}, tc.done, tc.each)
				shown := frames(out.String())
				if all := strings.Join(shown, ""); !strings.Contains(all, tc.shows) || tc.shows == "" && all != "" {
					t.Errorf("no bar with %q in\n%s", tc.shows, all)
				}
				for _, screen := range shown {
					if width := len([]rune(strings.TrimSuffix(screen, "\n"))); width > 120 || strings.Count(screen, "\n") > 1 {
						t.Errorf("%d columns: %q", width, screen)
					}
				}
				if last := shown[len(shown)-1]; last != "" {
					t.Errorf("the bar stays: %q", last)
				}
			})
		})
	}
}

func TestWhatIsPrintedDuringTheBarStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		std := Streams{Err: &output{to: &out}, Watched: true, Width: 120}
		step, end := NewProgress(std).Begin(100)
		want := ""
		for i := range 30 {
			time.Sleep(700 * time.Millisecond)
			fmt.Fprintf(std.Err, "line %d\n", i)
			want += fmt.Sprintf("line %d\n", i)
			step(result.Outcome{})
		}
		end()
		fmt.Fprintln(std.Err, "the end")
		shown := frames(out.String())
		if last := shown[len(shown)-1]; last != want+"the end\n" || len(shown) < 30 {
			t.Errorf("%d frames, the last %q", len(shown), last)
		}
	})
}
