package fence

import (
	"testing"
	"time"
)

func TestTheTimeIsCertainForHalfAMinuteAfterAnAnswer(t *testing.T) {
	start := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		moved time.Duration
		want  bool
	}{
		"at once":                          {0, true},
		"after 29 seconds":                 {29 * time.Second, true},
		"after 30 seconds":                 {30 * time.Second, false},
		"if the clock was set back since":  {-time.Second, false},
		"if the clock was set ahead since": {time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			now := start
			c := NewClock(func() time.Time { return now })
			if c.certain() {
				t.Error("certain before an answer")
			}
			if err := c.Settle(now, now); err != nil {
				t.Fatal(err)
			}
			if now = now.Add(tc.moved); c.certain() != tc.want {
				t.Errorf("certain %v, want %v", c.certain(), tc.want)
			}
		})
	}
	t.Run("never again once the clocks have moved apart", func(t *testing.T) {
		c := NewClock(func() time.Time { return start })
		if err := c.Settle(start, start); err != nil {
			t.Fatal(err)
		}
		if c.Check(start.Add(time.Hour)) == nil || c.certain() {
			t.Error("certain")
		}
	})
}
