package storm

import (
	"fmt"
	"testing"
	"time"
)

func TestForcedRotationsAreLimited(t *testing.T) {
	at := time.Date(2026, time.November, 24, 10, 0, 0, 0, time.UTC)
	demand := func(caller string, credential int) Force {
		return Force{At: at, Caller: caller, Credential: fmt.Sprint("c", credential)}
	}
	leak := func(credential int) Force {
		return Force{At: at, Credential: fmt.Sprint("c", credential), Leaked: true}
	}
	many := func(n int, f func(i int) Force) (all []Force) {
		for i := range n {
			all = append(all, f(i))
		}
		return all
	}
	for name, tc := range map[string]struct {
		ceiling int
		before  []Force
		next    Force
		want    bool
	}{
		"one caller gets ten":                            {60, many(9, func(i int) Force { return demand("dev", i) }), demand("dev", 9), true},
		"its eleventh waits":                             {60, many(10, func(i int) Force { return demand("dev", i) }), demand("dev", 10), false},
		"another caller's demand does not wait for it":   {60, many(10, func(i int) Force { return demand("dev", i) }), demand("ops", 10), true},
		"one credential gets five, whoever demands":      {60, many(5, func(i int) Force { return demand(fmt.Sprint("caller", i), 0) }), demand("ops", 0), false},
		"all callers together get the ceiling":           {20, many(20, func(i int) Force { return demand(fmt.Sprint("caller", i), i) }), demand("ops", 20), false},
		"recorded demands leave half for new ones":       {20, many(10, func(i int) Force { return demand("", i) }), demand("", 10), false},
		"a new demand is met beside them":                {20, many(10, func(i int) Force { return demand("", i) }), demand("ops", 10), true},
		"revocations do not wait for demands":            {20, many(20, func(i int) Force { return demand(fmt.Sprint("caller", i), i) }), leak(0), true},
		"demands do not wait for revocations":            {20, many(60, leak), demand("ops", 0), true},
		"revocations have a limit of their own":          {20, many(60, leak), leak(60), false},
		"without a ceiling the default counts":           {0, many(Ceiling, func(i int) Force { return demand(fmt.Sprint("caller", i), i) }), demand("ops", 99), false},
		"a caller's limit is no higher than the ceiling": {3, many(3, func(i int) Force { return demand("dev", i) }), demand("dev", 3), false},
	} {
		t.Run(name, func(t *testing.T) {
			var s Counter
			for i, f := range tc.before {
				if !s.Enter(f, tc.ceiling) {
					t.Fatalf("rotation %d was held back", i)
				}
			}
			if over := s.Over(tc.next, tc.ceiling); over == tc.want {
				t.Errorf("over: %v", over)
			}
			if got := s.Enter(tc.next, tc.ceiling); got != tc.want {
				t.Errorf("entered: %v", got)
			}
			later := tc.next
			later.At = at.Add(time.Hour)
			if !s.Enter(later, tc.ceiling) {
				t.Error("an hour later it is still held back")
			}
		})
	}
}
