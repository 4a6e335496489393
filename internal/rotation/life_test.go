package rotation_test

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

func leaked(k protocol.Key) protocol.Key {
	return with(k, func(k *protocol.Key) { k.Leaked = now.Add(-time.Hour) })
}

// A person rolled the stores back, and something keeps a new key back: the
// service ID is locked, and it decides between instances where no store does.
func TestAKeyThatStoresWentBackToLivesUntilAnotherCanBePublished(t *testing.T) {
	back := ending("o", 20*day, 34*time.Hour) // 2 of 36 hours are left
	held := func(k protocol.Key) protocol.State {
		return but(credential(stores(plain("a", k)), k), func(s *protocol.State) { s.Identity.Locked = true })
	}
	w, at := newWorld(held(back)), now
	for range 100 {
		w.apply(rotation.Decide(w.State, limits(), protocol.Trigger{}, at).Steps, protocol.Trigger{}, at)
		at = at.Add(limits().SweepEvery)
		if published(w.State, at) != "o" {
			t.Fatalf("after %s nothing is published", at.Sub(now))
		}
	}
	w.Identity.Locked = false
	for w.minted == 0 && published(w.State, at) == "o" {
		w.apply(rotation.Decide(w.State, limits(), protocol.Trigger{}, at).Steps, protocol.Trigger{}, at)
		at = at.Add(limits().SweepEvery)
	}
	if w.minted != 1 {
		t.Fatalf("minted %d keys once nothing held them back", w.minted)
	}
	if left := w.key("o").Expires.Sub(at); left > limits().Overlap {
		t.Errorf("replaced, it lives %s more", left)
	}
}

// What holds a new key back may last for weeks.
func TestAHeldKeyIsLengthenedInTimeAndNotAtEveryLook(t *testing.T) {
	for _, sweep := range []time.Duration{time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour} {
		for _, overlap := range []time.Duration{time.Hour, 24 * time.Hour} {
			r := limits()
			r.SweepEvery, r.Overlap = sweep, overlap
			k := with(full("o", 20*day), func(k *protocol.Key) { k.Superseded, k.Expires = now.Add(-time.Hour), now.Add(23*time.Hour) })
			s := but(credential(stores(plain("a", k)), k), func(s *protocol.State) { s.Identity.Locked = true })
			look := func(at time.Time) (extended int) {
				if !s.Keys[0].Live(at) {
					t.Fatalf("sweeps every %s, overlap %s: after %s the key that the store names has ended", sweep, overlap, at.Sub(now))
				}
				for _, step := range rotation.Decide(s, r, protocol.Trigger{}, at).Steps {
					if step.Action == protocol.Extend {
						s.Keys[0].Expires, extended = step.At, extended+1
					}
				}
				return extended
			}
			at := now
			for at.Before(now.Add(30 * day)) {
				look(at)
				if again := look(at.Add(time.Minute)); again > 0 {
					t.Errorf("sweeps every %s, overlap %s: lengthened twice within a minute", sweep, overlap)
				}
				at = at.Add(sweep + 90*time.Second) // a timer is never early
			}
		}
	}
}
