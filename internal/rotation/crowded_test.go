package rotation_test

import (
	"slices"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// crowded has as many live keys as a demand may leave: the arbiter, whose value can't be read,
// has moved on to the fourth, and the other store still names the first. Only
// a new key can help that store.
func crowded() protocol.State {
	k1, k2, k3, k4 := full("k1", 20*day), full("k2", 3*day), full("k3", 2*day), full("k4", day)
	return credential(stores(sealed(guarded("a", k4)), plain("b", k1)), k1, k2, k3, k4)
}

// P9: keys are full, the keys end when the stores agree, and the stores agree
// when there is a new key: one of them must go first.
func TestKeysThatNobodyHoldsEndAlthoughAStoreIsBehindWhenKeysAreFull(t *testing.T) {
	w := newWorld(but(crowded(), func(s *protocol.State) { s.Stores[1].Readable = false }))
	at := now
	for range 60 {
		p := rotation.Decide(w.State, limits(), protocol.Trigger{}, at)
		w.apply(p.Steps, protocol.Trigger{}, at)
		at = at.Add(limits().SweepEvery)
	}
	for _, s := range w.Stores {
		if s.Key != published(w.State, at) {
			t.Errorf("store %s still names %s", s.Name, s.Key)
		}
	}
}

// P9: as above, with as many keys as needs may have. Those in between are named by no
// store, and a store that is behind names a key that works.
func TestKeysBetweenTheStoresEndWhenNeedsHaveMadeAllOfThem(t *testing.T) {
	s := crowded()
	k5, k6 := full("k5", 20*time.Hour), full("k6", 10*time.Hour)
	s.Keys = append(s.Keys, k5, k6)
	s.Stores[0].Key, s.Stores[0].Created = k6.ID, k6.Created
	s.Stores[1].Readable = false
	p := rotation.Decide(s, limits(), protocol.Trigger{}, now)
	var ends []string
	for _, st := range p.Steps {
		if st.Action == protocol.Supersede {
			ends = append(ends, st.Key)
		}
	}
	if want := []string{"k2", "k3", "k4", "k5"}; !slices.Equal(ends, want) {
		t.Errorf("the overlaps of %v start, want %v: %s %s", ends, want, p.Blocked, p.Waiting)
	}
}

// P9: a reason has its cause. Four keys are alive, and an event demands another.
func TestKeysAreFullOnlyWhileSomeEndByThemselves(t *testing.T) {
	demand := protocol.Trigger{NewerThan: now}
	held := func(change func(*protocol.State)) protocol.State {
		s := consumers(crowded(), protocol.Consumer{Name: "app", Store: "a", Key: "k4"})
		s.Stores[1].Key = "k4"
		return but(s, change)
	}
	for name, row := range map[string]struct {
		state protocol.State
		want  reason.Reason
	}{
		"every store names a key that works, so overlaps start": {held(func(*protocol.State) {}), reason.KeysFull},
		"an app can be restarted, so overlaps start":            {held(func(s *protocol.State) { s.Consumers[0].Key = "k2" }), reason.KeysFull},
		"an app of a store that is behind holds all of them": {held(func(s *protocol.State) {
			s.Stores[1].Key, s.Stores[1].Readable = "k1", false
			s.Keys = append(s.Keys, full("k5", 20*time.Hour), full("k6", 10*time.Hour))
			s.Stores[0].Key, s.Consumers[0] = "k6", protocol.Consumer{Name: "app", Store: "b", Key: "k1"}
		}), reason.KeyCap},
		"an older key is locked": {held(func(s *protocol.State) { s.Keys[1].Locked = true }), reason.KeyLocked},
	} {
		p := rotation.Decide(row.state, limits(), demand, now)
		if got := reason.Reason(string(p.Blocked) + string(p.Waiting)); got != row.want || len(where(p, protocol.Mint)) > 0 {
			t.Errorf("%s: %q, want %q: %q", name, got, row.want, steps(p))
		}
	}
}

// P9: a reason has its cause. The only store, which is optional, has another value.
func TestTheOnlyStoreIsNamedWithItsOwnFault(t *testing.T) {
	s := credential(stores(protocol.Store{Name: "a", Fault: reason.EntryUnmarked}))
	if p := rotation.Decide(s, limits(), protocol.Trigger{}, now); p.Blocked != reason.EntryUnmarked {
		t.Errorf("blocked by %q, waits for %q", p.Blocked, p.Waiting)
	}
}

// P9: as above, and a consumer holds on to a key that no store names any more.
func TestAConsumerBehindItsOwnStoreDoesNotKeepKeysFull(t *testing.T) {
	for name, change := range map[string]func(*protocol.State){
		"its store names a key that works: it is restarted onto that": func(s *protocol.State) {
			s.Stores[1].Key, s.Stores[1].Created = "k2", full("k2", 3*day).Created
		},
		"its store names nothing: the keys that it does not have end": func(s *protocol.State) {
			s.Stores[1].Key = ""
		},
		"its store names a leaked key: another is made, since that one ends": func(s *protocol.State) {
			s.Keys[0] = leaked(s.Keys[0])
			s.Consumers[0].Key = "k2"
		},
		"its store names a leaked key, and four others are alive: it is restarted onto that": func(s *protocol.State) {
			k5 := leaked(full("k5", 36*time.Hour))
			s.Keys = append(s.Keys, k5)
			s.Stores[1].Key, s.Stores[1].Created = k5.ID, k5.Created
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(but(consumers(crowded(), protocol.Consumer{Name: "app", Store: "b", Key: "k1"}), change))
			w.Stores[1].Readable = false
			at := now
			for range 60 {
				p := rotation.Decide(w.State, limits(), protocol.Trigger{}, at)
				w.apply(p.Steps, protocol.Trigger{}, at)
				if k := w.key(w.Consumers[0].Key); !k.Live(at) {
					t.Fatalf("after %s the app's key has ended", at.Sub(now))
				}
				at = at.Add(limits().SweepEvery)
			}
			for _, s := range w.Stores {
				if s.Key != published(w.State, at) {
					t.Errorf("store %s still names %s", s.Name, s.Key)
				}
			}
		})
	}
}

// Demands leave room for what consumers need.
func TestFourKeysBindDemandsAndSixBindNeeds(t *testing.T) {
	published := full("k", day)
	ends := func(id string) protocol.Key {
		return with(full(id, 80*day), func(k *protocol.Key) { k.Superseded, k.Expires = now.Add(-time.Hour), now.Add(35*time.Hour) })
	}
	older := []protocol.Key{ends("x"), ends("y"), ends("z")}
	demand := protocol.Trigger{NewerThan: now}
	p := rotation.Decide(credential(stores(guarded("a", published)), append(older, published)...), limits(), demand, now)
	if p.Waiting != reason.KeysFull || len(where(p, protocol.Mint)) > 0 || len(where(p, protocol.Record)) != 1 {
		t.Errorf("a demand: waiting %q: %q", p.Waiting, steps(p))
	}
	aged := full("k", 70*day)
	p = rotation.Decide(credential(stores(guarded("a", aged)), append(older, aged)...), limits(), demand, now)
	if i := where(p, protocol.Mint); len(i) != 1 || p.Steps[i[0]].Reason != reason.Aged {
		t.Errorf("a demand for a key that is due by age as well: %q", steps(p))
	}
	p = rotation.Decide(but(credential(stores(guarded("a", aged)), aged), func(s *protocol.State) { s.Storm = true }), limits(), demand, now)
	if len(where(p, protocol.Mint)) != 1 || p.Blocked != "" {
		t.Errorf("in a storm: blocked %q: %q", p.Blocked, steps(p))
	}
}

// R3: without a published key there is nothing to copy, and nothing to restart for.
func TestNothingIsCopiedOrRestartedIfNothingIsPublished(t *testing.T) {
	dead := with(full("k", 100*day), func(k *protocol.Key) { k.Leaked = now.Add(-time.Hour) })
	young := with(full("y", 5*time.Minute), func(k *protocol.Key) { k.Superseded = now.Add(-time.Minute) })
	s := consumers(credential(stores(plain("a", protocol.Key{}), plain("b", protocol.Key{})), dead, young), protocol.Consumer{Name: "app", Store: "a", Key: "y"})
	s.Stores[0].Readable = true // a value without a key ID that may be overwritten
	p := rotation.Decide(s, limits(), protocol.Trigger{}, now)
	for _, step := range p.Steps {
		if step.Action == protocol.Copy || step.Action == protocol.RestartConsumer {
			t.Errorf("%q", steps(p))
		}
	}
	if p.Waiting != reason.TooYoung {
		t.Errorf("waiting %q: %q", p.Waiting, steps(p))
	}
}

// R2: a store that still has a sound key is a better source than a newer key that
// leaked.
func TestThePublishedKeyIsOneThatDidNotLeak(t *testing.T) {
	sound, bad := full("sound", 2*day), leaked(full("bad", day))
	p := rotation.Decide(credential(stores(plain("a", bad), plain("b", sound)), sound, bad), limits(), protocol.Trigger{}, now)
	if p.Published != "sound" || len(where(p, protocol.Mint)) != 1 {
		t.Errorf("published %q: %q", p.Published, steps(p))
	}
	p = rotation.Decide(credential(stores(plain("a", bad)), bad), limits(), protocol.Trigger{}, now)
	if i := where(p, protocol.Mint); p.Published != "bad" || len(i) != 1 || p.Steps[i[0]].Reason != reason.KeyLeaked {
		t.Errorf("published %q: %q", p.Published, steps(p))
	}
}

// While a new key has to wait, what can be mended with the present one is.
func TestStoresAndConsumersCatchUpWhileANewKeyHasToWait(t *testing.T) {
	old, young := full("old", day), full("young", 5*time.Minute)
	s := consumers(credential(stores(guarded("a", young), plain("b", old)), old, young),
		protocol.Consumer{Name: "app", Store: "b", Key: "old"})
	p := rotation.Decide(s, limits(), protocol.Trigger{NewerThan: now}, now)
	if p.Waiting != reason.TooYoung {
		t.Fatalf("waiting %q", p.Waiting)
	}
	for _, want := range []protocol.Action{protocol.Copy, protocol.RestartConsumer, protocol.Record} {
		if !slices.ContainsFunc(p.Steps, func(s protocol.Step) bool { return s.Action == want }) {
			t.Errorf("no %s in %q", want, steps(p))
		}
	}
}

// A run writes the arbiter with a new key, or when it is empty: an older copy
// must not undo what another instance wrote.
func TestTheArbiterIsNotCopiedToWhileANewKeyHasToWait(t *testing.T) {
	gone, good := full("gone", 2*day), full("good", 5*time.Minute)
	p := rotation.Decide(credential(stores(guarded("a", gone), plain("b", good)), good, gone), limits(), protocol.Trigger{}, now)
	for _, s := range p.Steps {
		if s.Action == protocol.Copy {
			t.Errorf("copies to the arbiter: %q", steps(p))
		}
	}
}

// A person deleted the published key, or took its marker off: a consumer may
// live on the one before until another is published.
func TestTheKeyBeforeAPublishedOneThatIsGoneDoesNotEndUntilAnotherIsPublished(t *testing.T) {
	old, gone := full("old", 70*day), full("gone", day)
	p := rotation.Decide(credential(stores(guarded("a", gone)), old), limits(), protocol.Trigger{}, now)
	ends := where(p, protocol.Supersede)
	if published := where(p, protocol.Publish); len(ends) != 1 || len(published) != 1 || ends[0] < published[0] {
		t.Errorf("%q", steps(p))
	}
}

// Without a store that compares and sets, the service ID's description clears a
// key for publication: while it is locked, every key would be made in vain.
func TestNoKeyIsMintedThatALockedServiceIDCanNotClearForPublication(t *testing.T) {
	locked := func(s *protocol.State) { s.Identity.Locked = true }
	k := full("k", 70*day)
	if p := rotation.Decide(but(credential(stores(plain("a", k)), k), locked), limits(), protocol.Trigger{}, now); p.Blocked != reason.IdentityLocked {
		t.Errorf("blocked %q: %q", p.Blocked, steps(p))
	}
	if p := rotation.Decide(but(credential(stores(guarded("a", k)), k), locked), limits(), protocol.Trigger{}, now); p.Blocked != "" {
		t.Errorf("with an arbiter: blocked %q", p.Blocked)
	}
}

// A clock that moved between IAM's answer and the minting puts the fuse some
// minutes off; a key that looks as if it had its full life would end with it.
func TestAFuseThatIsSomeMinutesOffIsMovedOutToo(t *testing.T) {
	k := with(pending("k", time.Hour), func(k *protocol.Key) { k.Expires = k.Expires.Add(9 * time.Minute) })
	p := rotation.Decide(credential(stores(guarded("a", k)), k), limits(), protocol.Trigger{}, now)
	if !slices.ContainsFunc(p.Steps, func(s protocol.Step) bool { return s.Action == protocol.Unfuse }) {
		t.Errorf("%q", steps(p))
	}
}
