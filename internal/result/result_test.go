package result

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

func TestAnOutcomeTellsTheConditionOfALaterTime(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	blocked := Outcome{
		Credential: "a", Result: Blocked, Reason: reason.StoreDenied, Observed: now,
		Facts: condition.Facts{Key: protocol.Key{ID: "ApiKey-1", Expires: now.Add(48 * time.Hour)}, SweepEvery: time.Hour},
	}
	blocked.Settle()
	for name, tc := range map[string]struct {
		after time.Duration
		want  condition.Condition
	}{
		"at once":                          {0, condition.Blocked},
		"before it was observed":           {-time.Hour, condition.Blocked},
		"what holds it back holds it back": {24 * time.Hour, condition.Blocked},
		"its key expires all the same":     {49 * time.Hour, condition.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			if got := blocked.At(now.Add(tc.after)); got.Condition != tc.want || got.Reason != reason.StoreDenied {
				t.Errorf("%s for the reason %s, want %s", got.Condition, got.Reason, tc.want)
			}
		})
	}
	if got := (Outcome{Condition: condition.Unknown}).At(now); got.Condition != condition.Unknown {
		t.Errorf("of what was not observed: %s", got.Condition)
	}
}

func TestADueStepOnAnotherKeyIsNamed(t *testing.T) {
	expired := protocol.Step{Action: protocol.Retire, Key: "ApiKey-1", Reason: reason.IsExpired}
	for name, tc := range map[string]struct {
		due  []protocol.Step
		want string
	}{
		"an expired key that is to be deleted": {[]protocol.Step{expired}, "retire ApiKey-1: the key has expired"},
		"a step on the published key":          {[]protocol.Step{{Action: protocol.Unfuse, Key: "ApiKey-2", Reason: reason.FuseOn}}, reason.FuseOn.Sentence()},
		"a new key": {[]protocol.Step{
			{Action: protocol.Mint, Key: protocol.NewKey, Reason: reason.Aged}, {Action: protocol.Publish, Key: protocol.NewKey, Reason: reason.Aged},
		}, reason.Aged.Sentence()},
	} {
		t.Run(name, func(t *testing.T) {
			o := Outcome{Facts: condition.Facts{Key: protocol.Key{ID: "ApiKey-2"}, Due: tc.due}}
			if o.Settle(); o.Condition != condition.Due || o.Message != tc.want {
				t.Errorf("%s: %q, want %q", o.Condition, o.Message, tc.want)
			}
		})
	}
}
