package result

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

func TestAnOutcomeTellsTheConditionOfALaterTime(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	blocked := Outcome{
		Credential: "a", Result: Blocked, Reason: rotation.StoreDenied, Observed: now,
		Facts: condition.Facts{Key: rotation.Key{ID: "ApiKey-1", Expires: now.Add(48 * time.Hour)}, SweepEvery: time.Hour},
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
			if got := blocked.At(now.Add(tc.after)); got.Condition != tc.want || got.Reason != rotation.StoreDenied {
				t.Errorf("%s for the reason %s, want %s", got.Condition, got.Reason, tc.want)
			}
		})
	}
	if got := (Outcome{Condition: condition.Unknown}).At(now); got.Condition != condition.Unknown {
		t.Errorf("of what was not observed: %s", got.Condition)
	}
}
