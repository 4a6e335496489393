package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/latchkey-io/latchkey/internal/result"
)

func TestTablesFitTheTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zé-]{1,40}(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?`)
		now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
		var outcomes []result.Outcome
		for range rapid.IntRange(0, 5).Draw(t, "outcomes") {
			at := now.Add(time.Duration(rapid.IntRange(-5000, 5000).Draw(t, "hours")) * time.Hour)
			outcomes = append(outcomes, result.Outcome{
				Credential: text.Draw(t, "credential"), Key: "ApiKey-39726e08-8c64-4447-8b0f-0e7471516c32", KeyExpires: at, Next: at,
				Result: rapid.SampledFrom([]result.Result{result.Unconfigured, result.InProgress, result.Blocked}).Draw(t, "result"),
				Stores: []result.Store{{Name: text.Draw(t, "store"), Fault: "store-denied"}},
			})
		}
		width := rapid.IntRange(1, 120).Draw(t, "width")
		var out bytes.Buffer
		if err := printTable(Streams{Out: &out, Width: width}, now, outcomes, rapid.Bool().Draw(t, "ran")); err != nil {
			t.Fatal(err)
		}
		rows := strings.Split(out.String(), "\n")[:len(outcomes)+1]
		for _, row := range rows {
			if n := utf8.RuneCountInString(row); n > width {
				t.Errorf("%d of %d columns: %q", n, width, row)
			}
			if width >= 80 && !strings.HasSuffix(row, "STORES") && !strings.HasSuffix(row, "0 of 1") {
				t.Errorf("cut at %d columns: %q", width, row)
			}
		}
	})
}

func TestNothingThatATerminalActsOnIsPrinted(t *testing.T) {
	for name, odd := range map[string]string{
		"an override of the direction": "\u202e", "an isolate": "\u2066", "a zero-width space": "\u200b", "a byte order mark": "\ufeff",
		"an escape": "\x1b", "a carriage return": "\r", "a C1 control": "\u009b",
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			std := Streams{Out: &out, Err: &out, In: strings.NewReader(""), Watched: true}
			o := result.Outcome{Credential: "app/1", Project: "team-" + odd + "x", Message: "message" + odd, Stores: []result.Store{{Name: "store" + odd}}}
			if err := printTable(std, time.Time{}, []result.Outcome{o}, true); err != nil {
				t.Fatal(err)
			}
			std.progress("waiting for %s", odd)
			_ = std.ask("Rotate " + odd + "?")
			if got := out.String(); strings.Contains(got, odd) || strings.Count(got, `\u`) != 5 {
				t.Errorf("%q", got)
			}
		})
	}
	if got := visible("é\u00a0a\tb\n…"); got != "é\u00a0a\tb\n…" {
		t.Errorf("%q", got)
	}
}

func TestTimesFromNow(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "now", -30 * time.Second: "now", 5 * time.Minute: "in 5m", -3 * time.Hour: "3h ago", 47 * time.Hour: "in 47h", 50 * time.Hour: "in 2d",
	} {
		if got := relative(now.Add(d), now); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	if got := relative(time.Time{}, now); got != "-" {
		t.Errorf("no time: %q", got)
	}
}

func TestLinesAreWrappedBetweenWords(t *testing.T) {
	if got := wrap("  a bb ccc dddddd", 8); got != "  a bb\n    ccc\n    dddddd" {
		t.Errorf("%q", got)
	}
}

func TestAnErrorThatTheMessageQuotesIsPrintedOnce(t *testing.T) {
	const words = "granting Sender on logs: refused: status 400"
	var out bytes.Buffer
	o := result.Outcome{Credential: "c", Result: result.Blocked, Message: "IAM rejected the policy: " + words, Error: words}
	if err := printTable(Streams{Out: &out}, time.Time{}, []result.Outcome{o}, true); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), words); n != 1 {
		t.Errorf("%d times in\n%s", n, out.String())
	}
}
