package outcome

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

func TestABlockedRotationIsToldAgainAsTheKeyNearsItsExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{name: "sink"}
		s := New(Config{Owner: "p", Sinks: []Sink{sink}})
		o := blockedBy("a", reason.StoreDenied)
		o.KeyExpires = time.Now().Add(40 * 24 * time.Hour)
		for range 42 * 24 { // a sweep each hour
			s.Send(o)
			time.Sleep(time.Hour)
		}
		s.Close(t.Context())
		var told []string
		for _, e := range sink.took {
			days := int(o.KeyExpires.Sub(e.Time) / (24 * time.Hour))
			told = append(told, fmt.Sprintf("%d %s %s", days, e.Severity, strings.TrimPrefix(e.Short, "latchkey: a ")))
		}
		want := []string{
			"40 HIGH blocked",
			"30 HIGH blocked, its key expires within 30 days",
			"14 HIGH blocked, its key expires within 14 days",
			"7 HIGH blocked, its key expires within 7 days",
			"1 CRITICAL blocked, its key expires within a day",
			"0 CRITICAL blocked, its key has expired",
		}
		if !slices.Equal(told, want) {
			t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestWhatPassesByItselfIsToldOnlyWithin14Days(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	in := func(days int) time.Time { return at.Add(time.Duration(days) * 24 * time.Hour) }
	for name, tc := range map[string]struct {
		result result.Result
		days   int
		news   bool
	}{
		"in progress with 20 days left":           {result.InProgress, 20, false},
		"in progress with 13 days left":           {result.InProgress, 13, true},
		"failed with 6 days left":                 {result.Failed, 6, true},
		"unchanged with 6 days left":              {result.Unchanged, 6, false},
		"blocked with 60 days left, all the same": {result.Blocked, 60, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := news(result.Outcome{Credential: "a", Result: tc.result, KeyExpires: in(tc.days)}, at); got != tc.news {
				t.Errorf("sent: %t, want %t", got, tc.news)
			}
		})
	}
}

func TestTheTextSaysWhatAPersonNeeds(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	o := blockedBy("logs-sender/a", reason.StoreDenied)
	o.Message, o.Key, o.KeyExpires = reason.StoreDenied.Sentence(), "ApiKey-1", at.Add(3*24*time.Hour)
	o.Cause = &result.Cause{Caller: "servicenow", Type: "dev.latchkey.rotate", Subject: "CHG0031"}
	e := newEvent("/latchkey/p", o, at)
	for _, part := range []string{
		"logs-sender/a blocked, its key expires within 7 days", reason.StoreDenied.Fix(), "Key: ApiKey-1, expires 2026-11-27 10:00 UTC",
		"Requested by: dev.latchkey.rotate subject CHG0031 by servicenow", "latchkey status logs-sender/a",
	} {
		if !strings.Contains(e.Long, part) {
			t.Errorf("no %q in %s", part, e.Long)
		}
	}
}
