package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/event/sample"
)

// The filters of IBM Cloud Logs select by the fields of log lines. Each is tried on the
// lines of a process for which its alert is meant, and on those of a quiet one.
func TestEachAlertOfCloudLogsFindsItsLines(t *testing.T) {
	text, err := os.ReadFile("../../deploy/observe/cloud-logs.json")
	if err != nil {
		t.Fatal(err)
	}
	var alerts []struct {
		Name    string
		Filters struct{ Text string }
	}
	if err := json.Unmarshal(text, &alerts); err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	// found returns how many lines each alert finds after a first key was published and
	// what then happens.
	found := func(t *testing.T, happens func(*stage)) map[string]int {
		s := holed(t, static("c", place1))
		s.sweep()
		before := len(s.said.String())
		happens(s)
		count := map[string]int{}
		for line := range strings.SplitSeq(s.said.String()[before:], "\n") {
			var fields map[string]any
			line = line[max(strings.LastIndex(line, `{"time":`), 0):] // the listener writes no lines
			if json.Unmarshal([]byte(line), &fields) != nil || fields["msg"] == nil {
				continue
			}
			for _, a := range alerts {
				if selects(a.Filters.Text, fields) {
					count[a.Name]++
				}
			}
			t.Log(line)
		}
		return count
	}
	after := func(d time.Duration, do func(*stage)) func(*stage) {
		return func(s *stage) {
			s.cloud.Advance(d)
			do(s)
			s.sweep()
		}
	}
	tries := map[string]func(*stage){
		"LatchkeyKeyExpired":        after(91*day, locked),
		"LatchkeyKeyExpiring":       after(84*day, locked),
		"LatchkeyCredentialBlocked": after(0, locked),
		"LatchkeyLeakedKeyAlive":    after(0, func(s *stage) { s.revoke("c", s.publishedKey(), false) }),
		"LatchkeyCallersRefused":    func(s *stage) { s.post(s.url, sample.Tick(s.cloud.Now()), "a-wrong-token-of-16") },
		"LatchkeyOutcomesDropped": func(s *stage) {
			l := s.listener()
			l.answer(400)
			s.job(map[string]string{"LATCHKEY_CONFIG": tellingBoth(l.URL), "SINK_TOKEN": sinkToken})
		},
		"LatchkeyNoSweep": func(s *stage) { s.sweep() },
	}
	for _, a := range alerts {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			happens := tries[a.Name]
			if happens == nil {
				t.Fatal("no process that the alert is meant for")
			}
			if n := found(t, happens)[a.Name]; n == 0 {
				t.Errorf("the filter %s selects no line", a.Filters.Text)
			}
		})
	}
	t.Run("a quiet process", func(t *testing.T) {
		t.Parallel()
		quiet := found(t, func(s *stage) { s.sweep() })
		delete(quiet, "LatchkeyNoSweep") // which fires without a line
		if len(quiet) > 0 {
			t.Errorf("alerts find lines: %v", quiet)
		}
	})
	t.Run("a sweep that failed", func(t *testing.T) {
		t.Parallel()
		if n := found(t, after(0, fails("GET", "/v1/*", 503)))["LatchkeyNoSweep"]; n != 0 {
			t.Errorf("%d lines are those of a complete sweep", n)
		}
	})
}

// selects reports whether a filter in Lucene's syntax selects a line: terms with AND and
// NOT, of the forms field:"text", field:>number and field:*.
func selects(filter string, line map[string]any) bool {
	for term := range strings.SplitSeq(filter, " AND ") {
		term, not := strings.CutPrefix(term, "NOT ")
		name, want, _ := strings.Cut(term, ":")
		var value any = line
		for part := range strings.SplitSeq(name, ".") {
			fields, _ := value.(map[string]any)
			value = fields[part]
		}
		holds := false
		switch number, above := strings.CutPrefix(want, ">"); {
		case want == "*":
			holds = value != nil
		case above:
			least, err := strconv.ParseFloat(number, 64)
			n, is := value.(float64)
			holds = err == nil && is && n > least
		default:
			said, _ := value.(string)
			holds = strings.Contains(said, strings.Trim(want, `"`))
		}
		if holds == not {
			return false
		}
	}
	return true
}
