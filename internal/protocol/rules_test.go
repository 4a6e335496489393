package protocol

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func FuzzJitterIsAtMostATenth(f *testing.F) {
	f.Add("logs-sender", int64(60*24*time.Hour))
	f.Add("", int64(0))
	f.Fuzz(func(t *testing.T, name string, after int64) {
		if after < 0 {
			after = -(after + 1)
		}
		j := Jitter(name, time.Duration(after))
		if j < 0 || j > time.Duration(after)/10 {
			t.Errorf("jitter of %q in %s is %s", name, time.Duration(after), j)
		}
		if j != Jitter(name, time.Duration(after)) {
			t.Errorf("jitter of %q differs from call to call", name)
		}
	})
}

func TestJitterIsAtMostATenthAndSpreads(t *testing.T) {
	seen := map[time.Duration]bool{}
	for i := range 200 {
		j := Jitter(fmt.Sprintf("logs-sender/%d", i), 60*24*time.Hour)
		if j < 0 || j > 6*24*time.Hour {
			t.Fatalf("jitter %s", j)
		}
		seen[j] = true
	}
	if len(seen) < 150 {
		t.Errorf("only %d different jitters for 200 credentials", len(seen))
	}
	// A new version must not make everything due at once.
	if got := Jitter("logs-sender", 60*24*time.Hour); got != 96*time.Hour+46*time.Minute+4800*time.Millisecond {
		t.Errorf("the jitter of logs-sender is now %s", got)
	}
}

func TestAnIntervalReplacesSoManyKeysBecauseOfTheirAge(t *testing.T) {
	const day = 24 * time.Hour
	for name, tc := range map[string]struct {
		credentials  int
		after, every time.Duration
		want         int
	}{
		"few are no storm":                                   {10, 60 * 24 * time.Hour, time.Hour, 32},
		"the 144 sweeps of 6 days share 14,400":              {14_400, 60 * 24 * time.Hour, time.Hour, 100},
		"a shorter age has fewer sweeps":                     {14_400, 30 * day, time.Hour, 200},
		"rarer sweeps begin with more":                       {14_400, 60 * 24 * time.Hour, 12 * time.Hour, 1200},
		"all come to their turn if a tenth is one interval":  {1000, day, 12 * time.Hour, 1000},
		"what the config does not yield has no turn":         {1000, 0, time.Hour, 32},
		"ten times as many as become due in each hour at 2d": {4800, 2 * day, time.Hour, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			rules := slices.Repeat([]Rules{{After: tc.after}}, tc.credentials)
			if got := Routine(rules, tc.every); got != tc.want {
				t.Errorf("%d, want %d", got, tc.want)
			}
		})
	}
}
