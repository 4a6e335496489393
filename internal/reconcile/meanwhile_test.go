package reconcile_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// A run acts on what it has read. What others do between its look and its steps is not
// lost, and not mistaken for something else.

// meanwhile lets others act after each of the next looks, before the first step.
func (w *bench) meanwhile(acts ...func()) {
	w.reconciler.Decide = func(s protocol.State, r protocol.Rules, t protocol.Trigger, now time.Time) protocol.Plan {
		plan := rotation.Decide(s, r, t, now)
		if len(acts) > 0 {
			act := acts[0]
			acts = acts[1:]
			act()
		}
		return plan
	}
}

// born adds a key of a credential outside of a run.
func (w *bench) born(credential, value string) protocol.Key {
	defer w.lock()()
	m := marker.Marker{Owner: owner, Credential: credential}
	return w.add(w.ids[0].IAMID, marker.KeyName(credential, w.now, marker.Print(secret.New(value))), m.Text(), secret.New(value), w.now.Add(w.c.Rules.Expire))
}

// theirEntry is of another installation, and a person typed typedEntry.
var (
	theirEntry = port.Entry{KeyID: "ApiKey-theirs", Value: secret.New("the value of another installation"), Owner: "another"}
	typedEntry = port.Entry{Value: secret.New("a value that was typed in")}
)

func TestAnOverlapIsExtendedOnlyIfTheKeyStillNeedsIt(t *testing.T) {
	for name, tc := range map[string]struct {
		meanwhile func(w *bench, k *held)
		want      time.Duration // by which the overlap is extended
	}{
		"nothing happens":              {func(*bench, *held) {}, 24 * time.Hour},
		"it leaks":                     {func(w *bench, k *held) { k.Leaked = w.now }, 0},
		"another run extends it more":  {func(_ *bench, k *held) { k.Expires = k.Expires.Add(50 * time.Hour) }, 50 * time.Hour},
		"another run extends it a bit": {func(_ *bench, k *held) { k.Expires = k.Expires.Add(time.Hour) }, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.c.Consumers = nil
			old, before := w.rotated(), w.a.entry
			w.must(result.Published, protocol.Trigger{NewerThan: w.now})
			w.now = w.find(old).Expires.Add(-time.Minute)
			ends := w.now
			w.a.entry, w.b.entry = before, before // a person rolls the stores back
			w.meanwhile(func() {
				defer w.lock()()
				k := w.find(old)
				tc.meanwhile(w, k)
				w.touch(k)
			})
			w.b.fail["Read"] = port.ErrUnavailable // so no new key is made
			w.run(protocol.Trigger{})
			if got := w.find(old).Expires.Sub(ends) - time.Minute; got.Round(time.Hour) != tc.want {
				t.Errorf("the overlap is extended by %s, want %s", got, tc.want)
			}
		})
	}
}

func TestAKeyThatAnotherRunChangesKeepsWhatThatRunGaveIt(t *testing.T) {
	const much = 200 * day
	fused := func(w *bench) protocol.Trigger {
		w.fail["Update"] = port.ErrUnavailable
		w.run(protocol.Trigger{})
		delete(w.fail, "Update")
		w.now = w.now.Add(time.Hour)
		return protocol.Trigger{}
	}
	rotate := func(w *bench) protocol.Trigger {
		w.rotated()
		return protocol.Trigger{NotKey: w.keys[0].ID}
	}
	revoke := func(w *bench) protocol.Trigger {
		w.rotated()
		return protocol.Trigger{Leaked: w.keys[0].ID}
	}
	for name, tc := range map[string]struct {
		prepare func(w *bench) protocol.Trigger
		change  func(w *bench, k *held)
	}{
		"an overlap in place of the fuse":        {fused, func(w *bench, k *held) { k.Superseded, k.Expires = w.now, w.now.Add(day) }},
		"a later end in place of the fuse":       {fused, func(w *bench, k *held) { k.Expires = w.now.Add(much) }},
		"an overlap that is longer":              {rotate, func(w *bench, k *held) { k.Superseded, k.Expires = w.now.Add(-time.Minute), w.now.Add(3*day) }},
		"the time of its leak":                   {revoke, func(w *bench, k *held) { k.Leaked = w.now.Add(-time.Hour) }},
		"what it had when it was no longer ours": {fused, func(_ *bench, k *held) { k.Ours = false }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.c.Consumers = nil
			trigger := tc.prepare(w)
			key := w.keys[0].ID
			w.fail["Retire"], w.fail["Disable"] = port.ErrUnavailable, port.ErrUnavailable
			var want protocol.Key
			w.meanwhile(func() {
				defer w.lock()()
				k := w.find(key)
				tc.change(w, k)
				w.touch(k)
				want = k.Key
			})
			w.run(trigger)
			got := w.find(key).Key
			if !got.Expires.Equal(want.Expires) || !got.Superseded.Equal(want.Superseded) || !got.Leaked.Equal(want.Leaked) {
				t.Errorf("it is %+v, want %+v", got, want)
			}
		})
	}
}

// lagging is IAM that does not return one key at first, or shows it as it was.
type lagging struct {
	*memory
	key    string
	misses int
	was    *port.KeyRecord // nil for a key that is not returned
}

func (m *lagging) Get(ctx context.Context, keyID string) (port.KeyRecord, error) {
	if m.key == keyID && m.misses > 0 {
		m.misses--
		if m.was == nil {
			return port.KeyRecord{}, port.ErrNotFound
		}
		rec := *m.was
		rec.Date = m.now
		return rec, nil
	}
	return m.memory.Get(ctx, keyID)
}

func TestAKeyIsChangedOnceIAMShowsItAsItIs(t *testing.T) {
	for name, stale := range map[string]bool{"IAM does not return it at first": false, "IAM shows it as it was before the demand was recorded": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newBench(t)
				old := w.rotated()
				iam := &lagging{memory: w.memory, key: old}
				w.reconciler.Keys = iam
				w.reconciler.Sleep = func(context.Context, time.Duration) error { return nil }
				was := w.find(old).KeyRecord
				w.c.Consumers = []port.Consumers{restarting{w.app, func() {
					synctest.Wait()                                  // the demand is recorded beside the other steps
					w.now, iam.misses = w.now.Add(30*time.Second), 4 // so that the run reads the key again
					if stale {
						iam.was = &was
					}
				}}}
				out := w.must(result.Published, protocol.Trigger{NewerThan: w.now})
				if k := w.find(old); k.Superseded.IsZero() || k.Renew.IsZero() || iam.misses != 0 || len(out.Steps) != 8 {
					t.Errorf("the overlap started at %s, %d misses are left: %+v", k.Superseded, iam.misses, out.Steps)
				}
			})
		})
	}
}

func TestAChangeOfAnotherEntryInTheSameSecretCostsNoKey(t *testing.T) {
	w := newBench(t)
	w.rotated()
	w.meanwhile(func() { w.a.rev++ })
	if out := w.must(result.Published, protocol.Trigger{NewerThan: w.now}); w.a.entry.KeyID != out.Key || w.made != 3 { // with the service ID
		t.Errorf("the store names %s, want %s; %d things were made", w.a.entry.KeyID, out.Key, w.made)
	}
}

// What it refuses once, it refuses at each sweep.
func TestAConflictWithAnEntryThatHasNotChangedIsARefusal(t *testing.T) {
	w := newBench(t)
	old := w.rotated()
	w.a.fail["Publish"] = port.ErrConflict
	out := w.must(result.Blocked, protocol.Trigger{NewerThan: w.now})
	if out.Reason != reason.StoreRefused || len(w.keys) != 2 || w.keys[1].Refusal != reason.StoreRefused || w.a.entry.KeyID != old {
		t.Errorf("%s: %d keys, %+v", out.Reason, len(w.keys), w.keys)
	}
}

func TestAnEntryThatOthersWriteIsNotWrittenOver(t *testing.T) {
	catchUp := func(w *bench) { w.rotated(); w.b.entry = port.Entry{} }
	rotate := func(w *bench) { w.rotated(); w.now = w.now.Add(61 * day) }
	first := func(*bench) {}
	for name, tc := range map[string]struct {
		guarded bool // is the store
		before  func(w *bench)
		theirs  port.Entry
	}{
		"the first publication, and a typed value, guarded":   {true, first, typedEntry},
		"the first publication, and a typed value, unguarded": {false, first, typedEntry},
		"the first publication, and another installation":     {false, first, theirEntry},
		"a rotation, and a typed value, guarded":              {true, rotate, typedEntry},
		"a rotation, and a typed value, unguarded":            {false, rotate, typedEntry},
		"a rotation, and another installation":                {false, rotate, theirEntry},
		"a copy, and a typed value, guarded":                  {true, catchUp, typedEntry},
		"a copy, and a typed value, unguarded":                {false, catchUp, typedEntry},
		"a copy, and another installation":                    {false, catchUp, theirEntry},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.a.guarded, w.b.guarded = !tc.guarded, tc.guarded // the first guarded store is the arbiter
			tc.before(w)
			w.meanwhile(func() { w.b.entry, w.b.rev = tc.theirs, w.b.rev+1 })
			w.run(protocol.Trigger{})
			if !w.b.entry.Value.Equal(tc.theirs.Value) || w.b.entry.KeyID != tc.theirs.KeyID {
				t.Errorf("the entry names %q of %q", w.b.entry.KeyID, w.b.entry.Owner)
			}
		})
	}
}

// A key that one store has is published, whoever is first at another.
func TestAKeyThatAStoreHasIsNotWithdrawn(t *testing.T) {
	for name, guarded := range map[string]bool{"a guarded store": true, "an unguarded store": false} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			old := w.rotated()
			w.b.guarded = guarded
			w.meanwhile(func() { w.b.entry, w.b.rev = theirEntry, w.b.rev+1 })
			w.run(protocol.Trigger{NewerThan: w.now})
			if k := w.find(w.a.entry.KeyID); k == nil || k.ID == old || !k.Live(w.now) {
				t.Errorf("the first store names %s, which is %+v", w.a.entry.KeyID, k)
			}
		})
	}
}

func TestACopyIsNotMadeOverANewerKey(t *testing.T) {
	for name, guarded := range map[string]bool{"in a guarded store": true, "in an unguarded store": false} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.c.Consumers, w.b.guarded = nil, guarded
			w.rotated()
			w.b.entry = port.Entry{}
			other := &bench{memory: w.memory, t: t, c: w.c}
			other.reconciler = w.process()
			w.meanwhile(func() { other.must(result.Published, protocol.Trigger{NewerThan: w.now}) })
			if out := w.run(protocol.Trigger{}); w.b.entry.KeyID != w.a.entry.KeyID || out.Error != "" {
				t.Errorf("the stores name %s and %s: %s", w.a.entry.KeyID, w.b.entry.KeyID, out.Error)
			}
		})
	}
}

func TestAStoreThatCannotBeReadAgainGetsNoCopy(t *testing.T) {
	w := newBench(t)
	w.rotated()
	w.b.entry = port.Entry{}
	w.meanwhile(func() { w.b.fail["Read"] = port.ErrUnavailable })
	if out := w.run(protocol.Trigger{}); w.b.entry.KeyID != "" {
		t.Errorf("the store names %s: %+v", w.b.entry.KeyID, out.Steps)
	}
}

func TestAKeyIsNotAdoptedInAnEntryThatOthersWrite(t *testing.T) {
	w := newBench(t)
	w.a.guarded = false
	w.c.Given, w.c.Policies = "ServiceId-1", nil
	w.ids = []port.ServiceID{{ID: "ServiceId-1", IAMID: "iam-ServiceId-1", Created: w.now}}
	old := w.add("iam-ServiceId-1", "by hand", "", typedEntry.Value, time.Time{})
	w.c.AdoptKey, w.now = old.ID, w.now.Add(time.Hour)
	w.a.entry = typedEntry
	w.meanwhile(func() { w.a.entry = theirEntry })
	if w.run(protocol.Trigger{}); w.a.entry.KeyID != theirEntry.KeyID {
		t.Errorf("the entry names %s", w.a.entry.KeyID)
	}
}

func TestADuplicateThatIsNotKnownToBeEmptyStays(t *testing.T) {
	for name, meanwhile := range map[string]func(w *bench){
		"it gets a key of ours": func(w *bench) {
			m := marker.Marker{Owner: owner, Credential: w.c.Name}
			w.add("iam-ServiceId-again", "x", m.Text(), secret.New("a value of ours"), time.Time{})
		},
		"it gets a key of others": func(w *bench) { w.add("iam-ServiceId-again", "x", "", secret.New("a value of others"), time.Time{}) },
		"the clock moves":         func(w *bench) { w.now = w.now.Add(10 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.rotated()
			again := w.ids[0]
			again.ID, again.IAMID, again.Created = "ServiceId-again", "iam-ServiceId-again", w.now.Add(-day)
			w.ids = append(w.ids, again)
			w.reconciler = w.process()
			local := w.now
			w.reconciler.Now = func() time.Time { return local }
			w.meanwhile(func() { meanwhile(w) })
			if out := w.run(protocol.Trigger{}); len(w.ids) != 2 {
				t.Errorf("it was removed: %+v", out.Steps)
			}
		})
	}
}

// A list that lags may hide the key that was first, and the next key would lose to it again.
func TestARunThatLostToAnotherReplicaMintsNoSecondKey(t *testing.T) {
	unlisted := port.Entry{KeyID: "ApiKey-unlisted", Value: secret.New("a value of another replica"), Owner: owner}
	for name, again := range map[string]bool{"in its next round": false, "in a later round": true} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.rotated()
			keys := &minting{memory: w.memory}
			w.reconciler.Keys = keys
			var pending protocol.Key
			lose := func() {
				w.a.entry, w.a.rev = unlisted, w.a.rev+1
				if again { // the next round has something to end before it may mint
					w.now = w.now.Add(-20 * time.Minute)
					pending = w.born(w.c.Name, "unpublished")
					w.now = w.now.Add(20 * time.Minute)
					w.find(pending.ID).Expires = w.now.Add(time.Hour)
				}
			}
			change := func() {
				if again {
					w.find(pending.ID).Expires = w.now.Add(2 * time.Hour)
				}
			}
			w.meanwhile(lose, change)
			if out := w.run(protocol.Trigger{NewerThan: w.now}); keys.minted != 1 || out.Result != result.InProgress {
				t.Errorf("%s, %d keys: %+v", out.Result, keys.minted, out.Steps)
			}
		})
	}
}

// minting counts the keys that are made.
type minting struct {
	*memory
	mu     sync.Mutex
	minted int
}

func (m *minting) Mint(ctx context.Context, r port.MintRequest, v secret.Value) (port.KeyRecord, error) {
	m.mu.Lock()
	m.minted++
	m.mu.Unlock()
	return m.memory.Mint(ctx, r, v)
}

// A consumer is marked with the key that its store had when it was restarted.
func TestAConsumerIsNotRestartedOnceItsUnguardedStoreHasAnotherKey(t *testing.T) {
	for name, then := range map[string]func(w *bench, before port.Entry){
		"it names the older key": func(w *bench, before port.Entry) { w.b.entry = before },
		"it can't be read again": func(w *bench, _ port.Entry) { w.b.fail["Read"] = port.ErrDenied },
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.app.store = "store-b"
			old, before := w.rotated(), w.b.entry
			w.c.Stores = []port.Store{w.a, wrote{w.b, func() { then(w, before) }}}
			out := w.run(protocol.Trigger{NewerThan: w.now})
			if denied := w.b.fail["Read"] != nil; denied != (out.Reason == reason.StoreDenied) {
				t.Errorf("%s %s", out.Reason, out.Error)
			}
			if k := w.find(old); w.app.key != old || !k.Superseded.IsZero() {
				t.Errorf("the app has %s, and the overlap of the other key started at %s", w.app.key, k.Superseded)
			}
		})
	}
}

func TestAServiceIDThatIsNotOursAnyMoreIsNotRenamed(t *testing.T) {
	w := newBench(t)
	w.rotated()
	w.c.Name, w.c.Former = "new-name", []string{"logs-sender"}
	w.meanwhile(func() { w.ids[0].Ours, w.ids[0].Creator = false, "IBMid-hers" })
	if w.run(protocol.Trigger{}); w.ids[0].Marker.Credential != "logs-sender" {
		t.Errorf("it is marked %+v", w.ids[0].Marker)
	}
}

func TestTheServiceIDOfADeletedProjectStaysIfItGetsAKey(t *testing.T) {
	for name, description := range map[string]string{"of ours": marker.Marker{Owner: owner, Credential: "logs-sender"}.Text(), "of others": ""} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.rotated()
			w.c.Gone, w.keys = true, nil
			w.reconciler = w.process()
			w.meanwhile(func() {
				defer w.lock()()
				w.add(w.ids[0].IAMID, "x", description, secret.New("a value"), time.Time{})
			})
			if out := w.run(protocol.Trigger{}); len(w.ids) != 1 {
				t.Errorf("it was removed: %+v", out.Steps)
			}
		})
	}
}
