package condition

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestTheFirstConditionThatHoldsCounts(t *testing.T) {
	key := protocol.Key{ID: "ApiKey-1", Expires: now.Add(time.Hour)}
	dead := protocol.Key{ID: "ApiKey-1", Expires: now}
	disabled := protocol.Key{ID: "ApiKey-1", Disabled: true}
	mint := []protocol.Step{{Action: protocol.Unfuse, Reason: reason.FuseOn}, {Action: protocol.Mint, Reason: reason.Aged}}
	later, look := now.Add(90*24*time.Hour), now.Add(time.Hour)
	for name, tc := range map[string]struct {
		facts Facts
		want  Condition
		why   reason.Reason
		next  time.Time
	}{
		"a key that works, and no step, is ok":              {Facts{Key: key}, OK, "", later},
		"no key is missing":                                 {Facts{}, Missing, reason.NothingThere, later},
		"a disabled key is missing":                         {Facts{Key: disabled, Due: mint}, Missing, reason.Aged, now},
		"the reason of a new key precedes that of a repair": {Facts{Key: key, Due: mint}, Due, reason.Aged, now},
		"a repair is due":                                   {Facts{Key: key, Due: mint[:1]}, Due, reason.FuseOn, now},
		"an overdue key that expires soon is expiring":      {Facts{Key: key, Due: mint, Expiring: true}, Expiring, reason.Aged, now},
		"a dead key is expired":                             {Facts{Key: dead, Due: mint}, Expired, reason.IsExpired, now},
		"a dead key that can't be replaced says why":        {Facts{Key: dead, HeldBack: reason.StoreDenied}, Expired, reason.StoreDenied, look},
		"a leaked key that works is leaked":                 {Facts{Key: key, LeakedAlive: true}, Leaked, reason.KeyLeaked, look},
		"a leaked key that can't be replaced says why":      {Facts{Key: key, LeakedAlive: true, HeldBack: reason.KeyLocked}, Leaked, reason.KeyLocked, look},
		"a reason for a person blocks":                      {Facts{Key: key, HeldBack: reason.StoreDenied, Blocked: true, Due: mint}, Blocked, reason.StoreDenied, look},
		"an optional store's reason blocks nothing":         {Facts{Key: key, HeldBack: reason.StoreDenied}, Due, reason.StoreDenied, look},
		"an optional store's reason precedes its copy":      {Facts{Key: key, HeldBack: reason.EntryForeign, Due: mint[:1]}, Due, reason.EntryForeign, look},
		"an optional store alone, and no key, is missing":   {Facts{HeldBack: reason.StoreDenied}, Missing, reason.StoreDenied, look},
		"a reason that passes is in progress":               {Facts{Key: key, HeldBack: reason.TooYoung}, InProgress, reason.TooYoung, look},
		"the key of a deleted project needs no other":       {Facts{Key: dead, Gone: true}, OK, "", later},
		"the key of a deleted project is to end":            {Facts{Key: key, Gone: true, Due: mint[:1]}, Due, reason.FuseOn, now},
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
	for _, held := range []reason.Reason{reason.TooYoung, reason.StoreDenied} {
		if _, _, next := Of(Facts{HeldBack: held, Next: soon, SweepEvery: time.Hour}, now); !next.Equal(soon) {
			t.Errorf("%s: next %s, want %s", held, next, soon)
		}
	}
}

func TestAKeyThatExpiredOrLeakedIsNeverOK(t *testing.T) {
	reasons := []reason.Reason{"", reason.Paused, reason.StoreDenied, reason.TooYoung, reason.StoreUnreachable}
	rapid.Check(t, func(t *rapid.T) {
		f := Facts{
			Key:         protocol.Key{ID: "ApiKey-1", Expires: now.Add(time.Duration(rapid.IntRange(-99, 99).Draw(t, "hours")) * time.Hour)},
			LeakedAlive: rapid.Bool().Draw(t, "leaked"), Expiring: rapid.Bool().Draw(t, "expiring"),
			HeldBack: rapid.SampledFrom(reasons).Draw(t, "held"), Blocked: rapid.Bool().Draw(t, "blocked"), Next: now.Add(time.Hour), SweepEvery: time.Hour,
		}
		f.Blocked = f.Blocked && f.HeldBack != ""
		c, why, _ := Of(f, now)
		if dead := f.Key.Expired(now); (dead || f.LeakedAlive) && (c != Expired && c != Leaked || why == "") {
			t.Errorf("%s for the reason %q", c, why)
		}
		if (c == OK) != (why == "") {
			t.Errorf("%s for the reason %q", c, why)
		}
	})
}
