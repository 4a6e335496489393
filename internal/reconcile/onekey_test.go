package reconcile_test

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// A sender's clock may be ahead of IAM's.
func TestADemandAheadOfTheClockCostsOneKey(t *testing.T) {
	for name, tc := range map[string]struct {
		ahead time.Duration
		fails string // the call that fails in the run with the demand
	}{
		"by minutes":                               {5 * time.Minute, ""},
		"by minutes, and a later run meets it":     {5 * time.Minute, "Mint"},
		"by an hour":                               {time.Hour, ""},
		"by an hour, and a later run meets it":     {time.Hour, "Mint"},
		"by some years":                            {50000 * time.Hour, ""},
		"by some years, and a later run meets it":  {50000 * time.Hour, "Mint"},
		"not at all":                               {0, ""},
		"not at all, and a later run meets it too": {0, "Mint"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.rotated()
			trigger := protocol.Trigger{NewerThan: w.now.Add(tc.ahead)}
			if tc.fails != "" {
				w.fail[tc.fails] = port.ErrUnavailable
				if out := w.must(result.Failed, trigger); !out.Recorded {
					t.Error("the demand is not recorded")
				}
				delete(w.fail, tc.fails)
				trigger = protocol.Trigger{}
				w.now = w.now.Add(time.Minute)
			}
			key := w.must(result.Published, trigger).Key
			for range 20 {
				w.now = w.now.Add(11 * time.Minute)
				if out := w.run(protocol.Trigger{}); out.Key != key || len(w.keys) > 2 {
					t.Fatalf("%s: another key, %s: %+v", w.now, out.Key, out.Steps)
				}
			}
		})
	}
}

// No time is known then, so no key is known to be newer than the demand.
func TestADemandIsNotMetByAClockThatIsBehind(t *testing.T) {
	w := newBench(t)
	w.rotated()
	wanted := w.now
	w.reconciler.Now = func() time.Time { return wanted }
	w.now = w.now.Add(-2 * day) // IAM's
	if out := w.must(result.Blocked, protocol.Trigger{NewerThan: wanted}); out.Reason != reason.ClockSkew || out.Recorded {
		t.Errorf("blocked by %s, recorded: %t", out.Reason, out.Recorded)
	}
}

// Notices about the end of one secret come for months.
func TestADateThatAKeyHasServedIsServedByThoseAfterIt(t *testing.T) {
	w := newBench(t)
	w.rotated()
	date := w.now.Add(60 * day)
	notice := func() protocol.Trigger { return protocol.Trigger{NewerThan: w.now, Expiry: date} }
	w.must(result.Published, notice())
	for _, other := range []string{"a demand", "a leak"} {
		w.now = w.now.Add(2 * day)
		trigger := protocol.Trigger{NewerThan: w.now}
		if other == "a leak" {
			trigger = protocol.Trigger{Leaked: w.a.entry.KeyID}
		}
		key := w.must(result.Published, trigger).Key
		w.now = w.now.Add(time.Hour)
		if out := w.run(notice()); out.Key != key || !out.Recorded {
			t.Errorf("after %s, the notice led to key %s: %+v", other, out.Key, out.Steps)
		}
	}
}
