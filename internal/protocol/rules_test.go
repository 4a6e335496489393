package protocol

import (
	"fmt"
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
