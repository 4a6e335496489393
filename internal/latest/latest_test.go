package latest

import (
	"errors"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/result"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func names(l *Outcomes) (out string) {
	for _, o := range l.At(now) {
		out += o.Credential + " "
	}
	return out
}

func TestACompleteSweepForgetsWhatItDidNotFind(t *testing.T) {
	var l Outcomes
	l.Keep(result.Outcome{Credential: "gone"}, now)
	l.Keep(result.Outcome{Message: "of no credential"}, now)
	some := result.Sweep{Outcomes: []result.Outcome{{Credential: "b"}, {Credential: "a"}}}
	l.Swept(result.Sweep{Outcomes: some.Outcomes, Unknown: errors.New("a region is down")}, now)
	if got := names(&l); got != "a b gone " || !l.LastSweep().IsZero() {
		t.Errorf("after a sweep that looked at some: %s, last sweep %s", got, l.LastSweep())
	}
	l.Swept(some, now)
	if got := names(&l); got != "a b " || !l.LastSweep().Equal(now) {
		t.Errorf("after a complete sweep: %s, last sweep %s", got, l.LastSweep())
	}
}

func TestAKeyIsRememberedWhileIAMDoesNotAnswer(t *testing.T) {
	var l Outcomes
	l.Keep(result.Outcome{Credential: "a", Condition: condition.OK, Key: "ApiKey-1", KeyExpires: now}, now)
	l.Keep(result.Outcome{Credential: "a", Condition: condition.Unknown}, now.Add(time.Hour))
	o := l.At(now)[0]
	if o.Condition != condition.Unknown || o.Key != "ApiKey-1" || !o.KeyExpires.Equal(now) || !o.Ended.Equal(now.Add(time.Hour)) {
		t.Errorf("kept %+v", o)
	}
}
