package condition

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestTheFirstConditionThatHoldsCounts(t *testing.T) {
	key := rotation.Key{ID: "ApiKey-1", Expires: now.Add(time.Hour)}
	dead := rotation.Key{ID: "ApiKey-1", Expires: now}
	disabled := rotation.Key{ID: "ApiKey-1", Disabled: true}
	mint := []rotation.Step{{Action: rotation.Unfuse, Reason: rotation.FuseOn}, {Action: rotation.Mint, Reason: rotation.Aged}}
	later, look := now.Add(90*24*time.Hour), now.Add(time.Hour)
	for name, tc := range map[string]struct {
		facts Facts
		want  Condition
		why   rotation.Reason
		next  time.Time
	}{
		"a key that works, and no step, is ok":              {Facts{Key: key}, OK, "", later},
		"no key is missing":                                 {Facts{}, Missing, rotation.NothingThere, later},
		"a disabled key is missing":                         {Facts{Key: disabled, Due: mint}, Missing, rotation.Aged, now},
		"the reason of a new key precedes that of a repair": {Facts{Key: key, Due: mint}, Due, rotation.Aged, now},
		"a repair is due":                                   {Facts{Key: key, Due: mint[:1]}, Due, rotation.FuseOn, now},
		"an overdue key that expires soon is expiring":      {Facts{Key: key, Due: mint, Expiring: true}, Expiring, rotation.Aged, now},
		"a dead key is expired":                             {Facts{Key: dead, Due: mint}, Expired, rotation.IsExpired, now},
		"a dead key that can't be replaced says why":        {Facts{Key: dead, Held: rotation.StoreDenied}, Expired, rotation.StoreDenied, look},
		"a leaked key that works is leaked":                 {Facts{Key: key, LeakedAlive: true}, Leaked, rotation.KeyLeaked, look},
		"a leaked key that can't be replaced says why":      {Facts{Key: key, LeakedAlive: true, Held: rotation.KeyLocked}, Leaked, rotation.KeyLocked, look},
		"a reason for a person blocks":                      {Facts{Key: key, Held: rotation.StoreDenied, Due: mint}, Blocked, rotation.StoreDenied, look},
		"a reason that passes is in progress":               {Facts{Key: key, Held: rotation.TooYoung}, InProgress, rotation.TooYoung, look},
		"the key of a deleted project needs no other":       {Facts{Key: dead, Gone: true}, OK, "", later},
		"the key of a deleted project is to end":            {Facts{Key: key, Gone: true, Due: mint[:1]}, Due, rotation.FuseOn, now},
	} {
		t.Run(name, func(t *testing.T) {
			tc.facts.Next, tc.facts.SweepEvery = later, time.Hour
			if c, why, next := Of(tc.facts, now); c != tc.want || why != tc.why || !next.Equal(tc.next) {
				t.Errorf("%s, %q, next %s; want %s, %q, %s", c, why, next, tc.want, tc.why, tc.next)
			}
		})
	}
}

// A held step waits until what it waits for may be over, but no longer than until
// the next look.
func TestAWaitEndsBeforeTheNextLook(t *testing.T) {
	soon := now.Add(time.Minute)
	for _, held := range []rotation.Reason{rotation.TooYoung, rotation.StoreDenied} {
		if _, _, next := Of(Facts{Held: held, Next: soon, SweepEvery: time.Hour}, now); !next.Equal(soon) {
			t.Errorf("%s: next %s, want %s", held, next, soon)
		}
	}
}

func TestAKeyThatExpiredOrLeakedIsNeverOK(t *testing.T) {
	reasons := []rotation.Reason{"", rotation.Paused, rotation.StoreDenied, rotation.TooYoung, rotation.StoreUnreachable}
	rapid.Check(t, func(t *rapid.T) {
		f := Facts{
			Key:         rotation.Key{ID: "ApiKey-1", Expires: now.Add(time.Duration(rapid.IntRange(-99, 99).Draw(t, "hours")) * time.Hour)},
			LeakedAlive: rapid.Bool().Draw(t, "leaked"), Expiring: rapid.Bool().Draw(t, "expiring"),
			Held: rapid.SampledFrom(reasons).Draw(t, "held"), Next: now.Add(time.Hour), SweepEvery: time.Hour,
		}
		c, why, _ := Of(f, now)
		if dead := f.Key.Expired(now); (dead || f.LeakedAlive) && (c != Expired && c != Leaked || why == "") {
			t.Errorf("%s for the reason %q", c, why)
		}
		if (c == OK) != (why == "") {
			t.Errorf("%s for the reason %q", c, why)
		}
	})
}
