package rotation_test

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

func TestOnlyAnOldKeyIsLeftToALaterSweep(t *testing.T) {
	old, young := full("old", 70*day), full("young", 10*day)
	leaked := young
	leaked.Leaked = now.Add(-time.Hour)
	disabled := young
	disabled.Disabled = true
	soon := full("old", 70*day)
	soon.Expires = now.Add(13 * day)
	last := young
	last.Expires = now.Add(2 * time.Hour)
	behind := plain("b", full("older", 140*day))
	for name, tc := range map[string]struct {
		state   protocol.State
		trigger protocol.Trigger
		mints   reason.Reason // "": nothing is made
		later   bool
	}{
		"a key that is only old waits":                   {state: credential(stores(guarded("a", old)), old), later: true},
		"stores catch up with it meanwhile":              {state: credential(stores(guarded("a", old), behind), old), later: true},
		"a key that is not due does not":                 {state: credential(stores(guarded("a", young)), young)},
		"one that expires within 14 days is replaced":    {state: credential(stores(guarded("a", soon)), soon), mints: reason.Aged},
		"one that expires within an overlap is, too":     {state: credential(stores(guarded("a", last)), last), mints: reason.ExpiresSoon},
		"a leaked key is":                                {state: credential(stores(guarded("a", leaked)), leaked), mints: reason.KeyLeaked},
		"a disabled key is":                              {state: credential(stores(guarded("a", disabled)), disabled), mints: reason.KeyEnded},
		"a missing key is made":                          {state: credential(stores(protocol.Store{Name: "a", Guarded: true, Required: true})), mints: reason.NothingThere},
		"a demand is met":                                {state: credential(stores(guarded("a", old)), old), trigger: protocol.Trigger{NewerThan: now}, mints: reason.Demanded},
		"what blocks a new key counts more than the age": {state: but(credential(stores(guarded("a", old)), old), func(s *protocol.State) { s.Paused = true })},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.state
			s.Spread = true
			p := rotation.Decide(s, limits(), tc.trigger, now)
			var mints reason.Reason
			if i := where(p, protocol.Mint); len(i) > 0 {
				mints = p.Steps[i[0]].Reason
			}
			if mints != tc.mints || (len(p.Later) > 0) != tc.later {
				t.Errorf("made for %q, want %q; later %v", mints, tc.mints, p.Later)
			}
			if tc.later && (p.Later[0].Action != protocol.Mint || p.Later[0].Reason != reason.Spread || p.Blocked+p.Waiting != "") {
				t.Errorf("later %v, held back by %q", p.Later, p.Blocked+p.Waiting)
			}
			if len(p.Later) > 0 && len(s.Stores) > 1 && len(where(p, protocol.Copy)) != 1 {
				t.Errorf("the second store does not get the key: %v", p.Steps)
			}
		})
	}
}

func TestADemandThatAStormHoldsBackIsToldAlthoughTheKeyIsOld(t *testing.T) {
	old := full("old", 70*day)
	s := credential(stores(guarded("a", old)), old)
	s.Storm, s.Spread = true, true
	if p := rotation.Decide(s, limits(), protocol.Trigger{NewerThan: now}, now); p.Blocked != reason.Storm || len(p.Later) > 0 {
		t.Errorf("blocked by %q, later %v", p.Blocked, p.Later)
	}
}
