package rotation_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// A key that IBM or a person ends, locks or spoils does not keep consumers from
// another one.

func TestAPublishedKeyThatAnotherIdentityDisablesIsReplaced(t *testing.T) {
	k, before := disabled(full("k", 20*day)), full("before", 40*day)
	k.DisabledBy = "IBMid-scanner"
	play(t, map[string]scene{
		"a new key is minted, and the disabled one is left alone": {
			state: credential(stores(guarded("a", k)), k), want: renewed(rotation.KeyEnded, "a"),
		},
		"minutes after its creation, the next key waits": {
			state:   credential(stores(guarded("a", disabled(full("k", 5*time.Minute)))), disabled(full("k", 5*time.Minute))),
			waiting: rotation.TooYoung,
		},
		"the one before it does not count, once the newer has expired disabled": {
			state: credential(stores(guarded("a", disabled(pending("n", 25*time.Hour))), plain("b", disabled(before))), disabled(before), disabled(pending("n", 25*time.Hour))),
			want:  renewed(rotation.KeyEnded, "a", "b"),
		},
		"once it was replaced it stays disabled": {
			state: credential(stores(guarded("a", full("n", day))), full("n", day), k),
		},
	})
	blocks := limits()
	blocks.BlockDisabled = true
	p := rotation.Decide(credential(stores(guarded("a", k)), k), blocks, rotation.Trigger{}, now)
	if p.Blocked != rotation.KeyDisabled || len(p.Steps) > 0 {
		t.Errorf("with onDisabled: block: blocked %q, steps %q", p.Blocked, steps(p))
	}
	p = rotation.Decide(credential(stores(guarded("a", k)), k), limits(), rotation.Trigger{}, now)
	if !slices.Contains(p.Notes, rotation.Note{Reason: rotation.KeyEnded, Key: "k", By: "IBMid-scanner"}) {
		t.Errorf("no note says who disabled the key: %+v", p.Notes)
	}
}

func TestALockHoldsBackOnlyWhatChangesTheKey(t *testing.T) {
	old, k := locked(full("old", 70*day)), locked(full("k", 30*day))
	revoked := rotation.Trigger{Leaked: "k"}
	play(t, map[string]scene{
		"a due key that is locked is replaced, and keeps its expiry": {
			state: credential(stores(guarded("a", old)), old), want: renewed(rotation.Aged, "a"),
		},
		"consumers get a published key that is locked": {
			state: consumers(credential(stores(guarded("a", k)), k), rotation.Consumer{Name: "app/x", Store: "a", Key: "before"}),
			want:  []string{"restart k app/x: consumer-behind"},
		},
		"a key that was locked with its fuse on is replaced before the fuse ends it": {
			state: credential(stores(guarded("a", locked(pending("f", 21*time.Hour)))), locked(pending("f", 21*time.Hour))),
			want:  renewed(rotation.ExpiresSoon, "a"),
		},
		"consumers of a leaked key that is locked get another one": {
			state: credential(stores(guarded("a", k)), k), trigger: revoked, want: renewed(rotation.KeyLeaked, "a"),
		},
		"then a person must unlock it": {
			state:   credential(stores(guarded("a", full("n", day))), full("n", day), k),
			trigger: revoked, blocked: rotation.KeyLocked,
		},
	})
	p := rotation.Decide(credential(stores(guarded("a", full("n", day))), full("n", day), old), limits(), rotation.Trigger{}, now)
	if !slices.ContainsFunc(p.Notes, func(n rotation.Note) bool { return n.Reason == rotation.KeyLocked && n.Key == "old" }) {
		t.Errorf("no note says that a lock keeps the replaced key alive: %+v", p.Notes)
	}
}

func TestNoConsumerGetsAKeyThatLeakedOrEndsSoon(t *testing.T) {
	bad := leaked(full("k", 30*day))
	short := with(full("k", 89*day), func(k *rotation.Key) { k.Expires = now.Add(90 * time.Minute) })
	young := full("y", 5*time.Minute) // which delays the next key
	for name, k := range map[string]rotation.Key{"leaked": bad, "ends soon": short} {
		s := consumers(credential(stores(plain("a", k), plain("b", rotation.Key{})), k, with(young, func(k *rotation.Key) { k.Superseded = now })), rotation.Consumer{Name: "app", Store: "a", Key: "other"})
		p := rotation.Decide(s, limits(), rotation.Trigger{}, now)
		for _, st := range p.Steps {
			if st.Action == rotation.Copy || st.Action == rotation.RestartConsumer {
				t.Errorf("%s: %s", name, say(st))
			}
		}
		if p.Waiting != rotation.TooYoung {
			t.Errorf("%s: waiting for %q", name, p.Waiting)
		}
	}
}

func TestAnOptionalStoreWithTheValueOfAnotherOwnerHoldsNothingBack(t *testing.T) {
	old := full("old", 70*day)
	for _, fault := range []rotation.Reason{rotation.EntryUnmarked, rotation.EntryForeign} {
		play(t, map[string]scene{
			"a due key is replaced and ends: " + string(fault): {
				state: credential(stores(guarded("a", old), failing(optional(plain("b", none)), fault)), old),
				want:  also(renewed(rotation.Aged, "a"), "supersede old 36h0m0s: replaced"),
			},
			"a replaced key ends: " + string(fault): {
				state: credential(stores(guarded("a", full("n", day)), failing(optional(plain("b", none)), fault)), full("n", day), full("o", 20*day)),
				want:  []string{"supersede o 36h0m0s: replaced"}, waiting: fault,
			},
		})
	}
}

func TestWhatKeepsTheMaximumNumberOfKeysAliveIsNamed(t *testing.T) {
	p := full("p", 20*day)
	var many []rotation.Key
	for _, id := range []string{"w", "x", "y"} {
		many = append(many, full(id, 30*day))
	}
	crowd := func(held ...rotation.Key) rotation.State {
		return credential(stores(guarded("a", p)), append(held, p)...)
	}
	demand := rotation.Trigger{NewerThan: now}
	for name, tc := range map[string]struct {
		state rotation.State
		want  rotation.Reason
	}{
		"overlaps run": {crowd(ending("w", 20*day, time.Hour), ending("x", 20*day, time.Hour), ending("y", 20*day, time.Hour)), rotation.KeysFull},
		"a store can't be read": {but(crowd(many...), func(s *rotation.State) {
			s.Stores = append(s.Stores, optional(failing(plain("b", none), rotation.StoreDenied)))
		}), rotation.StoreDenied},
		"a consumer is not known": {consumers(crowd(many...), rotation.Consumer{Name: "app", Unknown: true}), rotation.ConsumerSilent},
		"keys are locked":         {crowd(locked(many[0]), locked(many[1]), locked(many[2])), rotation.KeyLocked},
	} {
		got := rotation.Decide(tc.state, limits(), demand, now)
		if reason := cmp.Or(got.Blocked, got.Waiting); reason != tc.want || got.Blocked != "" && got.Blocked.Kind() != rotation.Block {
			t.Errorf("%s: %q, want %q", name, reason, tc.want)
		}
	}
}

func TestAStoreWhoseValueIsNotThatOfItsKeyIsRepaired(t *testing.T) {
	k, old := full("k", 20*day), full("old", 25*day)
	altered := func(st rotation.Store) rotation.Store { st.Altered = true; return st }
	app := func(s rotation.State, store string) rotation.State {
		return consumers(s, rotation.Consumer{Name: "app", Store: store, Key: "k"})
	}
	play(t, map[string]scene{
		"from a store that has the key's value": {
			state: credential(stores(guarded("a", k), altered(plain("b", k))), k),
			want:  []string{"copy k b: value-altered"},
		},
		"the first guarded store as well, since no newer key is named there": {
			state: credential(stores(altered(guarded("a", k)), plain("b", k)), k),
			want:  []string{"copy k a: value-altered"},
		},
		"by a new key, if no store has the value": {
			state: credential(stores(altered(guarded("a", k))), k),
			want:  also(renewed(rotation.ValueAltered, "a"), "supersede k 36h0m0s: replaced"),
		},
		"by a new key, if a consumer may have started with the value": {
			state: app(credential(stores(guarded("a", k), altered(plain("b", k))), k), "b"),
			want:  also(renewed(rotation.ValueAltered, "a", "b"), "restart new app: consumer-behind", "supersede k 36h0m0s: replaced"),
		},
		"not by a new key for the consumer of another store": {
			state: app(credential(stores(guarded("a", k), altered(plain("b", k))), k), "a"),
			want:  []string{"copy k b: value-altered"},
		},
		"it still names its key, which does not end": {
			state: credential(stores(guarded("a", k), altered(plain("b", old))), k, old),
			want:  []string{"copy k b: value-altered"},
		},
	})
}

func TestAKeyThatCouldNotBePublishedDelaysTheNext(t *testing.T) {
	old := full("old", 70*day)
	refused := func(id string, age time.Duration, why rotation.Reason) rotation.Key {
		return with(pending(id, age), func(k *rotation.Key) { k.Refused, k.Refusal = now.Add(-age), why })
	}
	due := func(keys ...rotation.Key) rotation.State {
		return credential(stores(guarded("a", old)), append(keys, old)...)
	}
	anew := also(renewed(rotation.Aged, "a"), "supersede old 36h0m0s: replaced")
	play(t, map[string]scene{
		"for eight hours, and it is not deleted": {state: due(refused("r", 7*time.Hour, rotation.StoreQuota)), blocked: rotation.StoreQuota},
		"then another one is tried":              {state: due(refused("r", 8*time.Hour, rotation.StoreQuota)), want: anew},
		"two of them until the first has ended": {
			state:   due(refused("r", 10*time.Hour, rotation.StoreQuota), refused("s", 9*time.Hour, rotation.StoreQuota)),
			blocked: rotation.StoreQuota,
		},
		"for an hour, if no key that a store names works": {
			state: credential(stores(guarded("a", disabled(old))), refused("r", 59*time.Minute, rotation.StoreDenied), disabled(old)), blocked: rotation.StoreDenied,
		},
		"then another one is tried for dead consumers": {
			state: credential(stores(guarded("a", disabled(old))), refused("r", time.Hour, rotation.StoreDenied), disabled(old)), want: renewed(rotation.KeyEnded, "a"),
		},
		"for an hour, if the key that a store names leaked": {
			state: credential(stores(guarded("a", leaked(full("old", 20*day)))), refused("r", 59*time.Minute, rotation.StoreDenied), leaked(full("old", 20*day))), blocked: rotation.StoreDenied,
		},
		"two of them for eight hours, if no key that a store names works": {
			state:   credential(stores(guarded("a", disabled(old))), refused("r", 9*time.Hour, rotation.StoreDenied), refused("s", 7*time.Hour, rotation.StoreDenied), disabled(old)),
			blocked: rotation.StoreDenied,
		},
		"what may pass by itself is tried again at once": {state: due(refused("r", time.Hour, rotation.StoreUnreachable)), want: anew},
		"and the second time it waits": {
			state:   due(refused("r", 2*time.Hour, rotation.StoreUnreachable), refused("s", 30*time.Minute, rotation.StoreUnreachable)),
			waiting: rotation.StoreUnreachable,
		},
		"a demand that came since is tried at once": {
			state: due(refused("r", 30*time.Minute, rotation.StoreQuota)), trigger: rotation.Trigger{NewerThan: now.Add(-time.Minute)},
			want: before(also(renewed(rotation.Demanded, "a"), "supersede old 36h0m0s: replaced"), "remember old -1m0s: demanded"),
		},
		"a store after the first that refused the key gets no new key either": {
			state: credential(stores(sealed(guarded("a", refusedBy("k", 20*day, rotation.StoreDenied))), plain("b", none)), refusedBy("k", 20*day, rotation.StoreDenied)),
			want:  []string{}, blocked: rotation.StoreDenied,
		},
		"for a day": {
			state: credential(stores(sealed(guarded("a", full("k", 20*day))), plain("b", none)), full("k", 20*day)),
			want:  also(renewed(rotation.NoCopySource, "a", "b"), "supersede k 36h0m0s: replaced"),
		},
	})
}

// refusedBy is a published key that a store after the first refused an hour ago.
func refusedBy(id string, age time.Duration, why rotation.Reason) rotation.Key {
	return with(full(id, age), func(k *rotation.Key) { k.Refused, k.Refusal = now.Add(-time.Hour), why })
}

func TestAConsumerThatCannotBeReadIsToldBeforeItsKeyEnds(t *testing.T) {
	unknown := rotation.Consumer{Name: "app", Store: "a", Unknown: true}
	k, before := full("k", 10*day), full("before", 70*day)
	for name, tc := range map[string]struct {
		keys []rotation.Key
		want rotation.Reason
	}{
		"while the key before lives for weeks": {[]rotation.Key{k, full("before", 60*day)}, rotation.ConsumerUnknown},
		"the key before ends within 14 days":   {[]rotation.Key{k, with(before, func(k *rotation.Key) { k.Expires = now.Add(13 * day) })}, rotation.ConsumerSilent},
		"the published key is old":             {[]rotation.Key{full("k", 16*day)}, rotation.ConsumerSilent},
	} {
		p := rotation.Decide(consumers(credential(stores(guarded("a", tc.keys[0])), tc.keys...), unknown), limits(), rotation.Trigger{}, now)
		if got := cmp.Or(p.Blocked, p.Waiting); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
