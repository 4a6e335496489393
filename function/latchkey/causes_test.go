package main

import (
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/result"
)

// A demand that waits keeps who asked: the run that meets it says so, and so does the
// key.
func TestARecordedDemandKeepsItsTicketAndItsCaller(t *testing.T) {
	s := holed(t, static("c", place1))
	s.sweep()
	first := s.publishedKey()
	rotate := sample.Rotate("c", s.cloud.Now())
	rotate.Header["ce-ticket"] = "INC0012345"
	if got := s.one(rotate, testToken, result.InProgress); got.Cause == nil || got.Cause.Ticket != "INC0012345" {
		t.Errorf("the answer to the demand has the cause %+v", got.Cause)
	}
	if d := s.keys("c")[first].Description; !strings.HasPrefix(d, "API key for service ID c with permissions to act as Sender on logs; ") {
		t.Errorf("the first key is described as %q", d)
	}
	s.cloud.Advance(time.Hour)
	out := s.one(sample.Binary("dev.latchkey.sweep", "/timer", s.cloud.Now(), map[string][]string{"credentials": {"c"}}), testToken, result.Published)
	if want := "ticket INC0012345 by bearer"; !strings.Contains(out.RecordedCause, want) || !strings.Contains(s.keys("c")[out.Key].Description, "; demanded earlier: ") ||
		!strings.Contains(s.keys("c")[out.Key].Description, want) {
		t.Errorf("recorded cause %q, and key %+v", out.RecordedCause, s.keys("c")[out.Key])
	}
}
