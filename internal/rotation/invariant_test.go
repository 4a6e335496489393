package rotation_test

import (
	"slices"
	"testing"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/rotation"
	"pgregory.net/rapid"
)

func TestNoPlanBreaksAPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, trigger := history{hands: true, leaks: true, keys: 6}.draw(t), drawTrigger(t)
		if len(s.Keys) > 0 && chance(t, 5, "revoke") {
			trigger.Leaked, trigger.Contain = rapid.SampledFrom(s.Keys).Draw(t, "leak").ID, rapid.Bool().Draw(t, "contain")
		}
		trigger = trigger.Resolve(s.Keys)
		r := limits()
		p := rotation.Decide(s, r, trigger, now)

		named, unread := map[string]bool{}, false
		for _, st := range s.Stores {
			named[st.Key] = named[st.Key] || st.Key != ""
			unread = unread || st.Fault != "" && st.Fault != reason.EntryUnmarked && st.Fault != reason.EntryForeign
		}
		position := func(a protocol.Action) int {
			return slices.IndexFunc(p.Steps, func(st protocol.Step) bool { return st.Action == a })
		}
		mint, published := position(protocol.Mint), map[string]bool{}
		for i, step := range p.Steps {
			if step.Reason.Sentence() == "" {
				t.Errorf("reason %q has no sentence", step.Reason)
			}
			k, known := protocol.Key{}, false
			for _, other := range s.Keys {
				if other.ID == step.Key {
					k, known = other, true
				}
			}
			switch step.Action {
			case protocol.Publish, protocol.Copy:
				published[step.Target] = true
			case protocol.Extend:
				most := k.Superseded.Add(3 * r.Overlap)
				if named[step.Key] || slices.ContainsFunc(s.Consumers, func(c protocol.Consumer) bool { return c.Key == step.Key }) {
					most = k.Created.Add(r.Expire)
				}
				if !step.At.After(k.Expires) || step.At.After(most) || !k.Leaked.IsZero() {
					t.Errorf("%+v of a key that ends at %v, superseded at %v", step, k.Expires, k.Superseded)
				}
			case protocol.MarkLeaked, protocol.Disable, protocol.Retire, protocol.Supersede:
				if !known {
					t.Errorf("%+v ends a key that is not ours", step)
				}
				if k.Locked {
					t.Errorf("%+v ends a key that an administrator locked", step)
				}
				asked := step.Key == trigger.Leaked
				if step.Action == protocol.MarkLeaked || step.Action == protocol.Disable && asked && trigger.Contain {
					if !asked {
						t.Errorf("%+v without a reason", step)
					}
					continue
				}
				if unread {
					t.Errorf("%+v although a store could not be read", step)
				}
				if asked || !k.Leaked.IsZero() {
					if step.Action == protocol.Supersede {
						t.Errorf("%+v gives a leaked key an overlap", step)
					}
					for _, st := range s.Stores {
						if st.Key == step.Key && !published[st.Name] {
							t.Errorf("%+v ends a key that store %s names", step, st.Name)
						}
					}
					continue
				}
				if step.Action == protocol.Disable {
					t.Errorf("%+v of a key that did not leak", step)
				}
				for _, st := range s.Stores {
					if st.Key == step.Key && (step.Action == protocol.Retire || !published[st.Name]) {
						t.Errorf("%+v ends a key that store %s names", step, st.Name)
					}
				}
				replaced := !k.Fused(r) && (mint >= 0 || slices.ContainsFunc(s.Keys, func(o protocol.Key) bool { return o.ID == p.Published && k.Compare(o) < 0 }))
				if !named[step.Key] && k.Live(now) && k.Superseded.IsZero() && !replaced && now.Sub(k.Created) < r.Window {
					t.Errorf("%+v ends a key that another replica is at work with", step)
				}
				if step.Action == protocol.Supersede && step.At.Before(now.Add(min(r.Overlap, r.Fuse))) {
					t.Errorf("%+v ends a key before its overlap", step)
				}
			case protocol.Mint:
				if position(protocol.CreateIdentity) > i || position(protocol.GrantPolicy) > i {
					t.Error("a key is minted before its policies")
				}
				if p.Steps[i+1].Action != protocol.Prove {
					t.Error("a key is not proven at once")
				}
				for _, key := range s.Keys {
					contained := !key.Leaked.IsZero() && key.Disabled || key.ID == trigger.Leaked && (trigger.Contain || key.Disabled)
					if now.Sub(key.Created) < r.MinAge && !contained {
						t.Errorf("minted %s after key %s", now.Sub(key.Created), key.ID)
					}
				}
				for _, st := range s.Stores {
					if st.Required && st.Fault != "" {
						t.Errorf("minted without the required store %s", st.Name)
					}
				}
			case protocol.Unfuse:
				if step.Key != protocol.NewKey && !named[step.Key] {
					t.Errorf("%+v gives a full life to a key that no store names", step)
				}
				if step.Key == protocol.NewKey && len(published) == 0 {
					t.Error("the fuse is taken off before the first publication")
				}
			}
		}
		if mint >= 0 && (p.Blocked != "" || p.Waiting != "") {
			t.Errorf("minted although %s%s", p.Blocked, p.Waiting)
		}
		if p.Blocked == reason.Paused && len(p.Steps) > 0 {
			t.Errorf("%s, and yet %+v", p.Blocked, p.Steps)
		}
		if p.Blocked == reason.ClockSkew && slices.ContainsFunc(p.Steps, func(st protocol.Step) bool { return st.Action != protocol.Unfuse && st.Reason != reason.KeyLeaked }) {
			t.Errorf("%s, and yet %+v", p.Blocked, p.Steps)
		}
		for _, reason := range []reason.Reason{p.Blocked, p.Waiting} {
			if reason != "" && reason.Sentence() == "" {
				t.Errorf("reason %q has no sentence", reason)
			}
		}
		if !p.Next.After(now) {
			t.Errorf("the next look is at %v", p.Next)
		}
	})
}
