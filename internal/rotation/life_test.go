package rotation_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

func leaked(k rotation.Key) rotation.Key {
	return with(k, func(k *rotation.Key) { k.Leaked = now.Add(-time.Hour) })
}

func used(k rotation.Key, ago time.Duration) rotation.Key {
	return with(k, func(k *rotation.Key) { k.Used = now.Add(-ago) })
}

// The keys of an ordinary credential: k is published, s was before.
func TestRevoke(t *testing.T) {
	k, s := full("k", 30*day), ending("s", 90*day, time.Hour)
	both := func(keys ...rotation.Key) rotation.State { return credential(stores(guarded("a", k)), keys...) }
	revoke := func(id string) rotation.Trigger { return rotation.Trigger{Leaked: id} }
	contain := func(id string) rotation.Trigger { return rotation.Trigger{Leaked: id, Contain: true} }
	condemned := "condemn k 0s: key-leaked"
	stopped := []string{"disable k: key-leaked", "retire k: key-leaked"}
	unseen := rotation.Consumer{Name: "app/x", Unknown: true}

	play(t, map[string]scene{
		"a published key that leaked is replaced first, and stops as soon as every store names the new one": {
			state: both(k), trigger: revoke("k"), want: also(before(renewed(rotation.KeyLeaked, "a"), condemned), stopped...),
		},
		"with containment it stops before anything else": {
			state: both(k), trigger: contain("k"),
			want: also(before(renewed(rotation.NothingThere, "a"), condemned, "disable k: key-leaked"), "retire k: key-leaked"),
		},
		"what was condemned earlier is finished by the next look": {
			state: both(leaked(k)), want: also(renewed(rotation.KeyLeaked, "a"), stopped...),
		},
		"what was contained earlier is replaced, and not mistaken for a key that an administrator disabled": {
			state: both(leaked(disabled(k))), want: also(renewed(rotation.NothingThere, "a"), "retire k: key-leaked"),
		},
		"a leaked key that no consumer is given ends without a rotation": {
			state: both(k, s), trigger: revoke("s"),
			want: []string{"condemn s 0s: key-leaked", "disable s: key-leaked", "retire s: key-leaked"},
		},
		"one that another instance has just minted ends too": {
			state: both(k, pending("p", time.Minute)), trigger: revoke("p"),
			want: []string{"condemn p 0s: key-leaked", "disable p: key-leaked", "retire p: key-leaked"},
		},
		"a store that does not answer may name it, so it waits": {
			state:   credential(stores(guarded("a", k), failing(plain("b", none), rotation.StoreUnreachable)), k, s),
			trigger: revoke("s"), want: []string{"condemn s 0s: key-leaked"}, waiting: rotation.StoreUnreachable,
		},
		"but not with containment": {
			state:   credential(stores(guarded("a", k), failing(plain("b", none), rotation.StoreUnreachable)), k, s),
			trigger: contain("s"), want: []string{"condemn s 0s: key-leaked", "disable s: key-leaked"}, waiting: rotation.StoreUnreachable,
		},
		"nothing that is wrong keeps a containment waiting": {
			state:   but(both(k), func(s *rotation.State) { s.Identity.Collides = true }),
			trigger: contain("k"), want: []string{condemned, "disable k: key-leaked"}, blocked: rotation.NameCollision,
		},
		"a consumer that may hold it keeps it alive": {
			state: consumers(both(k, leaked(s)), unseen),
			want:  []string{}, blocked: rotation.ConsumerSilent,
		},
		"one that no store took ends whatever consumers hold: they can't have it": {
			state: consumers(both(k, leaked(pending("p", time.Hour))), unseen),
			want:  []string{"disable p: key-leaked", "retire p: key-leaked"}, blocked: rotation.ConsumerSilent,
		},
		"one that is contained is cleaned up whatever consumers hold": {
			state: consumers(both(k, leaked(disabled(s))), unseen), want: []string{"retire s: key-leaked"}, blocked: rotation.ConsumerSilent,
		},
		"a young key is not replaced within minAge, and the leak is written down": {
			state:   credential(stores(guarded("a", full("k", 5*time.Minute))), full("k", 5*time.Minute)),
			trigger: revoke("k"), want: []string{condemned}, waiting: rotation.TooYoung,
		},
		"a contained one is: its consumers have nothing": {
			state:   credential(stores(guarded("a", full("k", 5*time.Minute))), full("k", 5*time.Minute)),
			trigger: contain("k"),
			want:    also(before(renewed(rotation.NothingThere, "a"), condemned, "disable k: key-leaked"), "retire k: key-leaked"),
		},
		"a store that is behind gets the new key by copy, not another one": {
			state: credential(stores(guarded("a", k), plain("b", leaked(s))), k, leaked(s)),
			want:  []string{"copy k b: store-behind", "disable s: key-leaked", "retire s: key-leaked"},
		},
		"a key that is locked cannot be ended": {
			state: both(k, locked(s)), trigger: revoke("s"), blocked: rotation.KeyLocked,
		},
		"a key that is not ours is not touched": {
			state: but(both(k), func(s *rotation.State) { s.Stranger = "x" }), trigger: revoke("x"), blocked: rotation.KeyForeign,
		},
		"a key that is gone needs nothing": {state: both(k), trigger: revoke("gone")},
		"paused is paused":                 {state: but(both(k), func(s *rotation.State) { s.Paused = true }), trigger: contain("k"), blocked: rotation.Paused},
		"a storm holds forced rotations back, and writes them down": {
			state: but(both(k), func(s *rotation.State) { s.LeakStorm = true }), trigger: revoke("k"), want: []string{condemned}, blocked: rotation.Storm,
		},
		"a storm does not keep consumers without a key": {
			state:   but(both(k), func(s *rotation.State) { s.Storm = true }),
			trigger: contain("k"),
			want:    also(before(renewed(rotation.NothingThere, "a"), condemned, "disable k: key-leaked"), "retire k: key-leaked"),
		},
		"nor does it hold back what is due anyway": {
			state: but(credential(stores(guarded("a", full("k", 60*day))), full("k", 60*day)), func(s *rotation.State) { s.Storm = true }),
			want:  also(renewed(rotation.Aged, "a"), "supersede k 36h0m0s: replaced"),
		},
	})
}

func TestAnOverlapIsLengthenedWhileSomebodyUsesTheKey(t *testing.T) {
	k := full("k", 30*day)
	state := func(s rotation.Key) rotation.State { return credential(stores(guarded("a", k)), k, s) }
	near := ending("s", 90*day, 30*time.Hour) // 6 of 36 hours are left
	longer := func(k rotation.Key, by time.Duration) rotation.Key {
		k.Expires = k.Expires.Add(by)
		return k
	}
	play(t, map[string]scene{
		"used near its end: another overlap":   {state: state(used(near, time.Hour)), want: []string{"extend s 42h0m0s: still-used"}},
		"used early only: it ends":             {state: state(used(near, 29*time.Hour))},
		"never used, or use unknown: it ends":  {state: state(near)},
		"far from its end its use is not read": {state: state(used(ending("s", 90*day, 10*time.Hour), time.Hour))},
		"a store that is down does not keep it from being longer": {
			state: credential(stores(guarded("a", k), failing(plain("b", none), rotation.StoreUnreachable)), k, used(near, time.Hour)),
			want:  []string{"extend s 42h0m0s: still-used"}, waiting: rotation.StoreUnreachable,
		},
		"three overlaps are all": {
			state: state(used(longer(ending("s", 90*day, 105*time.Hour), 72*time.Hour), time.Hour)),
		},
		"the last one ends with the third": {
			state: state(used(longer(ending("s", 90*day, 70*time.Hour), 40*time.Hour), time.Hour)),
			want:  []string{"extend s 38h0m0s: still-used"},
		},
		"a leaked key is never given longer": {state: state(leaked(used(near, time.Hour))), want: []string{"disable s: key-leaked", "retire s: key-leaked"}},
	})
	noted := func(s rotation.Key) []rotation.Note {
		return rotation.Decide(state(s), limits(), rotation.Trigger{}, now).Notes
	}
	want := []rotation.Note{{Reason: rotation.StillUsed, Key: "s", At: now.Add(-time.Hour)}}
	if diff := cmp.Diff(want, noted(used(near, time.Hour))); diff != "" {
		t.Errorf("the note names the key that is still used, and when (-want +got):\n%s", diff)
	}
	want[0].Reason = rotation.UsedToTheEnd
	if diff := cmp.Diff(want, noted(used(longer(ending("s", 90*day, 105*time.Hour), 72*time.Hour), time.Hour))); diff != "" {
		t.Errorf("and that it ends all the same (-want +got):\n%s", diff)
	}
}

// A person rolled the stores back, and something keeps a new key back: the
// service ID is locked, and it decides between instances where no store does.
func TestAKeyThatStoresWentBackToLivesUntilAnotherCanBePublished(t *testing.T) {
	back := ending("o", 20*day, 34*time.Hour) // 2 of 36 hours are left
	held := func(k rotation.Key) rotation.State {
		return but(credential(stores(plain("a", k)), k), func(s *rotation.State) { s.Identity.Locked = true })
	}
	old := with(back, func(k *rotation.Key) { k.Created = now.Add(-90*day + 12*time.Hour) })
	play(t, map[string]scene{
		"two sweeps before its end it gets another overlap": {state: held(back), want: []string{"extend o 36h0m0s: still-held"}, blocked: rotation.IdentityLocked},
		"long before its end it does not":                   {state: held(ending("o", 20*day, 20*time.Hour))},
		"one that was adopted may be older than any of ours": {
			state: held(with(ending("o", 400*day, 34*time.Hour), func(k *rotation.Key) { k.AsOf = time.Time{} })),
			want:  []string{"extend o 36h0m0s: still-held"}, blocked: rotation.IdentityLocked,
		},
		"it never outlives the life of a key": {state: held(old), want: []string{"extend o 12h0m0s: still-held"}, blocked: rotation.IdentityLocked},
		"one that leaked does not live on": {
			state: held(leaked(back)), blocked: rotation.IdentityLocked,
		},
		"one that an administrator locked is left alone": {state: held(locked(back)), blocked: rotation.IdentityLocked},
		"one that a consumer was last restarted with lives on like one that a store names": {
			state: but(consumers(credential(stores(guarded("a", disabled(full("n", day)))), disabled(full("n", day)), back), rotation.Consumer{Name: "app", Store: "a", Key: "o"}), func(s *rotation.State) { s.Identity.Collides = true }),
			want:  []string{"extend o 36h0m0s: still-held"}, blocked: rotation.NameCollision,
		},
	})
	w, at := newWorld(held(back)), now
	for range 100 {
		w.apply(rotation.Decide(w.State, limits(), rotation.Trigger{}, at).Steps, rotation.Trigger{}, at)
		at = at.Add(limits().SweepEvery)
		if published(w.State, at) != "o" {
			t.Fatalf("after %s nothing is published", at.Sub(now))
		}
	}
	w.Identity.Locked = false
	for w.minted == 0 && published(w.State, at) == "o" {
		w.apply(rotation.Decide(w.State, limits(), rotation.Trigger{}, at).Steps, rotation.Trigger{}, at)
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
			k := with(full("o", 20*day), func(k *rotation.Key) { k.Superseded, k.Expires = now.Add(-time.Hour), now.Add(23*time.Hour) })
			s := but(credential(stores(plain("a", k)), k), func(s *rotation.State) { s.Identity.Locked = true })
			look := func(at time.Time) (extended int) {
				if !s.Keys[0].Live(at) {
					t.Fatalf("sweeps every %s, overlap %s: after %s the key that the store names has ended", sweep, overlap, at.Sub(now))
				}
				for _, step := range rotation.Decide(s, r, rotation.Trigger{}, at).Steps {
					if step.Action == rotation.Extend {
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

func TestAKeyThatShouldHaveBeenReplacedIsReported(t *testing.T) {
	k := full("k", 77*day)
	late := credential(stores(guarded("a", k), failing(plain("b", none), rotation.StoreUnreachable)), k)
	want := []rotation.Note{{Reason: rotation.Expiring, Key: "k", At: k.Expires}}
	if diff := cmp.Diff(want, rotation.Decide(late, limits(), rotation.Trigger{}, now).Notes); diff != "" {
		t.Errorf("13 days before its end (-want +got):\n%s", diff)
	}
	k = full("k", 74*day)
	if notes := rotation.Decide(credential(stores(guarded("a", k)), k), limits(), rotation.Trigger{}, now).Notes; len(notes) > 0 {
		t.Errorf("16 days before: %+v", notes)
	}
}

func TestAStoreThatIsSilentForTooLongIsAPersonsToMend(t *testing.T) {
	late, later := full("k", 70*day), full("k", 77*day)
	play(t, map[string]scene{
		"while the key has weeks, the store is waited for": {
			state: credential(stores(guarded("a", late), failing(plain("b", none), rotation.StoreUnreachable)), late), waiting: rotation.StoreUnreachable,
		},
		"then a person hears of it": {
			state: credential(stores(guarded("a", later), failing(plain("b", none), rotation.StoreUnreachable)), later), blocked: rotation.StoreSilent,
		},
		"an optional store holds nothing back": {
			state: credential(stores(guarded("a", later), optional(failing(plain("b", none), rotation.StoreUnreachable))), later),
			want:  renewed(rotation.Aged, "a"),
		},
	})
}

func TestBrownfield(t *testing.T) {
	k := full("k", 30*day)
	given := func(s *rotation.State) { s.Identity.Given = true }
	none := rotation.Key{}
	adoptable := func(s rotation.Store, id string) rotation.Store { s.Adoptable, s.Key = id, ""; return s }
	adopting := func(s rotation.State) rotation.State { s.Adopting = "x"; return s }
	x := with(full("x", 200*day), func(k *rotation.Key) { k.Expires, k.AsOf = time.Time{}, time.Time{} })

	play(t, map[string]scene{
		"a service ID that the config names is not created": {
			state: but(but(credential(stores(guarded("a", none))), given), func(s *rotation.State) { s.Identity.Exists = false }), blocked: rotation.IdentityAbsent,
		},
		"its keys are ours to rotate": {state: but(credential(stores(guarded("a", none))), given), want: renewed(rotation.NothingThere, "a")},
		"an existing key is taken over where its value is": {
			state: adopting(credential(stores(adoptable(guarded("a", none), "x")))), want: []string{"adopt x a: adoption"},
		},
		"in every store that has it": {
			state: adopting(credential(stores(adoptable(guarded("a", none), "x"), plain("b", none), adoptable(plain("c", none), "x")))),
			want:  []string{"adopt x a: adoption", "adopt x c: adoption"},
		},
		"once it is ours the rest follows: the others get it, and its age counts": {
			state: adopting(credential(stores(guarded("a", x), plain("b", none)), x)),
			want:  also(renewed(rotation.Aged, "a", "b"), "supersede x 36h0m0s: replaced"),
		},
		"where another key is published already it is too late": {
			state: adopting(credential(stores(guarded("a", k), adoptable(plain("b", none), "x")), k)), blocked: rotation.EntryUnmarked,
		},
		"no store has the value: nothing else is minted instead": {
			state: adopting(credential(stores(guarded("a", none)))), blocked: rotation.AdoptionFailed,
		},
		"a renamed credential's service ID gets the new name": {
			state: but(credential(stores(guarded("a", k)), k), func(s *rotation.State) { s.Identity.Former = "old" }), want: []string{"rename old: renamed"},
		},
	})
}

func TestWhatIsGoneForGood(t *testing.T) {
	gone := func(keys ...rotation.Key) rotation.State {
		s := credential(nil, keys...)
		s.Gone = true
		return s
	}
	play(t, map[string]scene{
		"its keys end after an overlap: the project may come back": {state: gone(full("k", 30*day)), want: []string{"supersede k 36h0m0s: subject-gone"}},
		"what has ended is cleaned up":                             {state: gone(ending("k", 90*day, 37*time.Hour)), want: []string{"retire k: expired"}},
		"what no store took is cleaned up":                         {state: gone(pending("k", time.Hour)), want: []string{"retire k: never-published"}},
		"another replica may be at work":                           {state: gone(pending("k", time.Minute))},
		"the service ID goes last":                                 {state: gone(), want: []string{"remove-service-id: subject-gone"}},
		"but not with keys of others":                              {state: but(gone(), func(s *rotation.State) { s.Foreign = 1 })},
		"and not one that belongs to another owner":                {state: but(gone(), func(s *rotation.State) { s.Identity.Given = true })},
	})
}
