package rotation_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

const day = 24 * time.Hour

// now has no seconds, so that a deadline is a whole minute unless a test says
// otherwise.
var now = time.Date(2027, 3, 9, 10, 0, 0, 0, time.UTC)

// limits has an overlap that differs from the fuse: with both at 24 h no test
// could tell an orphan's end from a superseded key's.
func limits() rotation.Rules {
	r := rotation.Standard()
	r.After, r.Jitter, r.Expire = 60*day, 2*day, 90*day
	r.Overlap, r.SweepEvery = 36*time.Hour, time.Hour
	return r
}

// full is a key with its whole life, as a store has once named it.
func full(id string, age time.Duration) rotation.Key {
	born := now.Add(-age)
	return rotation.Key{ID: id, Created: born, AsOf: born, Expires: born.Add(90 * day)}
}

// pending is a key with its fuse on.
func pending(id string, age time.Duration) rotation.Key {
	k := full(id, age)
	k.Expires = k.Created.Add(day)
	return k
}

// ending is a key whose overlap started some time ago.
func ending(id string, age, since time.Duration) rotation.Key {
	k := full(id, age)
	k.Superseded = now.Add(-since)
	k.Expires = k.Superseded.Add(36 * time.Hour)
	return k
}

func with(k rotation.Key, change func(*rotation.Key)) rotation.Key {
	change(&k)
	return k
}

func disabled(k rotation.Key) rotation.Key {
	return with(k, func(k *rotation.Key) { k.Disabled = true })
}

func locked(k rotation.Key) rotation.Key {
	return with(k, func(k *rotation.Key) { k.Locked = true })
}

// guarded is a required store that compares and sets, and whose value can be
// read; plain is the same without compare-and-set.
func guarded(name string, k rotation.Key) rotation.Store {
	return rotation.Store{Name: name, Key: k.ID, Created: k.Created, Guarded: true, Required: true, Readable: k.ID != ""}
}

func plain(name string, k rotation.Key) rotation.Store {
	s := guarded(name, k)
	s.Guarded = false
	return s
}

func optional(s rotation.Store) rotation.Store { s.Required = false; return s }

func sealed(s rotation.Store) rotation.Store { s.Readable = false; return s }

// failing is a store of which nothing is known.
func failing(s rotation.Store, why rotation.Reason) rotation.Store {
	s.Key, s.Created, s.Readable, s.Fault = "", time.Time{}, false, why
	return s
}

var none rotation.Key

func stores(s ...rotation.Store) []rotation.Store { return s }

func credential(stores []rotation.Store, keys ...rotation.Key) rotation.State {
	return rotation.State{Identity: rotation.Identity{Exists: true}, Stores: stores, Keys: keys}
}

func but(s rotation.State, change func(*rotation.State)) rotation.State {
	change(&s)
	return s
}

func consumers(s rotation.State, c ...rotation.Consumer) rotation.State {
	s.Consumers = c
	return s
}

// say writes a step as one line: action, key, target, distance of its moment,
// reason.
func say(s rotation.Step) string {
	line := string(s.Action)
	for _, word := range []string{s.Key, s.Target} {
		if word != "" {
			line += " " + word
		}
	}
	if !s.At.IsZero() {
		line += " " + s.At.Sub(now).String()
	}
	return line + ": " + string(s.Reason)
}

func steps(p rotation.Plan) []string {
	out := []string{}
	for _, s := range p.Steps {
		out = append(out, say(s))
	}
	return out
}

// renewed lists the steps of a new key: proven at once, its fuse moved out as
// soon as the first store names it.
func renewed(why rotation.Reason, names ...string) []string {
	out := []string{"mint new: " + string(why), "prove new: newly-minted"}
	for i, name := range names {
		out = append(out, "publish new "+name+": "+string(why))
		if i == 0 {
			out = append(out, "unfuse new: fuse-on")
		}
	}
	return out
}

func also(list []string, more ...string) []string { return append(list, more...) }

func before(list []string, earlier ...string) []string { return append(earlier, list...) }

type scene struct {
	state   rotation.State
	trigger rotation.Trigger
	want    []string
	waiting rotation.Reason
	blocked rotation.Reason
	// open leaves Waiting to the decision, where no rule names it.
	open bool
}

func play(t *testing.T, scenes map[string]scene) {
	t.Helper()
	for name, s := range scenes {
		t.Run(name, func(t *testing.T) {
			p := rotation.Decide(s.state, limits(), s.trigger.Resolve(s.state.Keys), now)
			want := s.want
			if want == nil {
				want = []string{}
			}
			if diff := cmp.Diff(want, steps(p)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if !s.open && p.Waiting != s.waiting {
				t.Errorf("waiting for %q, want %q", p.Waiting, s.waiting)
			}
			if p.Blocked != s.blocked {
				t.Errorf("blocked by %q, want %q", p.Blocked, s.blocked)
			}
		})
	}
}

func TestFirstKey(t *testing.T) {
	play(t, map[string]scene{
		"service ID, then every policy, then the key, then its proof, then the stores": {
			state: rotation.State{
				Identity: rotation.Identity{Unsatisfied: []string{"Sender on logs", "Viewer on logs"}},
				Stores:   stores(guarded("a", none), plain("b", none)),
			},
			want: before(renewed(rotation.NothingThere, "a", "b"),
				"create-service-id: no-service-id",
				"grant-policy Sender on logs: policy-missing",
				"grant-policy Viewer on logs: policy-missing"),
		},
		"policies come before a renewal too": {
			state: but(credential(stores(guarded("a", full("k", 70*day))), full("k", 70*day)),
				func(s *rotation.State) { s.Identity.Unsatisfied = []string{"p"} }),
			want: also(before(renewed(rotation.Aged, "a"), "grant-policy p: policy-missing"), "supersede k 36h0m0s: replaced"),
		},
		"stores without compare-and-set are written in the order of the config": {
			state: credential(stores(plain("x", none), plain("b", none))),
			want:  renewed(rotation.NothingThere, "x", "b"),
		},
	})
}

func TestDueByTime(t *testing.T) {
	due := func(age time.Duration) rotation.State {
		return credential(stores(guarded("a", full("k", age))), full("k", age))
	}
	left := func(d time.Duration) rotation.State {
		k := with(full("k", 10*day), func(k *rotation.Key) { k.Expires = now.Add(d) })
		return credential(stores(guarded("a", k)), k)
	}
	replaced := "supersede k 36h0m0s: replaced"
	play(t, map[string]scene{
		"a second before its age less the jitter a key is left alone": {state: due(58*day - time.Second)},
		"at its age less the jitter a key is replaced":                {state: due(58 * day), want: also(renewed(rotation.Aged, "a"), replaced)},
		"a key that outlives four sweeps is left alone":               {state: left(4*time.Hour + time.Minute)},
		"a key that ends within four sweeps is replaced":              {state: left(4*time.Hour - time.Minute), want: also(renewed(rotation.ExpiresSoon, "a"), replaced)},
		"a key that never expires is replaced by age alone": {
			state: func() rotation.State {
				k := with(full("k", 59*day), func(k *rotation.Key) { k.Expires = time.Time{} })
				return credential(stores(guarded("a", k)), k)
			}(),
			want: also(renewed(rotation.Aged, "a"), replaced),
		},
		"an adopted key ages from IAM's created_at": {
			state: func() rotation.State {
				k := with(full("k", 59*day), func(k *rotation.Key) { k.AsOf = time.Time{} })
				return credential(stores(guarded("a", k)), k)
			}(),
			want: also(renewed(rotation.Aged, "a"), replaced),
		},
	})
}

func TestDemands(t *testing.T) {
	k := full("k", 10*day)
	one := credential(stores(guarded("a", k)), k)
	new36 := func(since string) []string {
		return before(also(renewed(rotation.Demanded, "a"), "supersede k 36h0m0s: replaced"), "remember k "+since+": demanded")
	}
	// A demand came while n was in flight, so it was written on k, which n
	// then replaced.
	outlived := func(renew, asOf time.Duration) rotation.State {
		old := with(ending("k", 10*day, 20*time.Minute), func(k *rotation.Key) { k.Renew = now.Add(-renew) })
		n := with(full("n", 30*time.Minute), func(k *rotation.Key) { k.AsOf = now.Add(-asOf) })
		return credential(stores(guarded("a", n)), old, n)
	}
	play(t, map[string]scene{
		"a demand for a key newer than the published one": {state: one, trigger: rotation.Trigger{NewerThan: now.Add(-time.Minute)}, want: new36("-1m0s")},
		"a demand that the key's birth meets":             {state: one, trigger: rotation.Trigger{NewerThan: k.AsOf}},
		"a demand that the key was minted for, by a clock ahead of IAM's": {
			state: func() rotation.State {
				n := with(full("n", 20*time.Minute), func(k *rotation.Key) { k.AsOf = now.Add(-17 * time.Minute) })
				return credential(stores(guarded("a", n)), n)
			}(),
			trigger: rotation.Trigger{NewerThan: now.Add(-17 * time.Minute)},
		},
		"a demand later than the one that the key was minted for": {
			state: func() rotation.State {
				n := with(full("n", 20*time.Minute), func(k *rotation.Key) { k.AsOf = now.Add(-17 * time.Minute) })
				return credential(stores(guarded("a", n)), n)
			}(),
			trigger: rotation.Trigger{NewerThan: now.Add(-16 * time.Minute)},
			want:    before(also(renewed(rotation.Demanded, "a"), "supersede n 36h0m0s: replaced"), "remember n -16m0s: demanded"),
		},
		"a demand for any key but the published one":      {state: one, trigger: rotation.Trigger{NotKey: "k"}, want: new36("-239h59m59.999s")},
		"a demand for any key but one that is not in use": {state: one, trigger: rotation.Trigger{NotKey: "z"}},
		"a key that is replaced within its window is left to a later look": {
			state:   credential(stores(guarded("a", full("n", 12*time.Minute))), full("n", 12*time.Minute)),
			trigger: rotation.Trigger{NewerThan: now},
			want:    before(renewed(rotation.Demanded, "a"), "remember n 0s: demanded"),
		},
		"a demand that the key in flight would meet is remembered: that key may never be published": {
			state:   credential(stores(guarded("a", k)), k, pending("r", 5*time.Minute)),
			trigger: rotation.Trigger{NewerThan: now.Add(-6 * time.Minute)}, waiting: rotation.InProgress,
			want: []string{"remember k -6m0s: demanded"},
		},
		"one that it was born too early for is": {
			state:   credential(stores(guarded("a", k)), k, pending("r", 5*time.Minute)),
			trigger: rotation.Trigger{NewerThan: now.Add(-4 * time.Minute)}, waiting: rotation.InProgress,
			want: []string{"remember k -4m0s: demanded"},
		},
		"a remembered demand that nothing met yet": {
			state: func() rotation.State {
				k := with(k, func(k *rotation.Key) { k.Renew = now.Add(-time.Hour) })
				return credential(stores(guarded("a", k)), k)
			}(),
			want: also(renewed(rotation.Remembered, "a"), "supersede k 36h0m0s: replaced"),
		},
		"a demand remembered on a replaced key that the new key was born too early for": {
			state: outlived(25*time.Minute, 30*time.Minute),
			want:  also(renewed(rotation.Remembered, "a"), "supersede n 36h0m0s: replaced"),
		},
		"a demand remembered on a replaced key that the new key's birth met": {state: outlived(40*time.Minute, 30*time.Minute)},
		"a demand remembered on a replaced key that the new key answers":     {state: outlived(25*time.Minute, 25*time.Minute)},
	})
}

func TestADemandHeldBackIsRememberedSoThatALaterLookMeetsIt(t *testing.T) {
	for name, trigger := range map[string]rotation.Trigger{
		"newer than": {NewerThan: now.Add(-time.Minute)},
		"not key":    {NotKey: "n"},
		"both":       {NewerThan: now.Add(-30 * day), NotKey: "n"},
	} {
		t.Run(name, func(t *testing.T) {
			n := full("n", 5*time.Minute)
			s := credential(stores(guarded("a", n)), n)
			trigger = trigger.Resolve(s.Keys)
			p := rotation.Decide(s, limits(), trigger, now)
			if p.Waiting != rotation.TooYoung || len(p.Steps) != 1 || p.Steps[0].Action != rotation.Record {
				t.Fatalf("the demand is not just remembered: %q, waiting for %q", steps(p), p.Waiting)
			}
			if p.Steps[0].Key != "n" {
				t.Fatalf("remembered on %s", p.Steps[0].Key)
			}
			s.Keys[0].Renew = p.Steps[0].At
			again := rotation.Decide(s, limits(), trigger, now.Add(time.Minute))
			if len(again.Steps) != 0 {
				t.Errorf("what is remembered is written again: %q", steps(again))
			}
			later := rotation.Decide(s, limits(), rotation.Trigger{}, now.Add(time.Hour))
			if len(later.Steps) == 0 || later.Steps[0].Action != rotation.Mint || later.Steps[0].Reason != rotation.Remembered {
				t.Errorf("an hour later, without a demand: %q", steps(later))
			}
		})
	}
}

// The clock of who minted the key was ahead, or that of who demanded it.
func TestADemandForAnotherKeyIsRememberedWhateverTheKeyAnswered(t *testing.T) {
	for name, n := range map[string]rotation.Key{
		"minted by a clock that was ahead": with(full("n", 5*time.Minute), func(k *rotation.Key) { k.AsOf = now.Add(time.Minute) }),
		"answers a clock that was ahead":   with(full("n", 5*time.Minute), func(k *rotation.Key) { k.AsOf = now.Add(4 * time.Minute) }),
	} {
		s := credential(stores(guarded("a", n)), n)
		p := rotation.Decide(s, limits(), rotation.Trigger{NotKey: "n"}.Resolve(s.Keys), now)
		if len(p.Steps) != 1 || p.Steps[0].Action != rotation.Record {
			t.Fatalf("%s: not just remembered: %q", name, steps(p))
		}
		s.Keys[0].Renew = p.Steps[0].At
		later := rotation.Decide(s, limits(), rotation.Trigger{}, now.Add(time.Hour))
		if len(later.Steps) == 0 || later.Steps[0].Reason != rotation.Remembered {
			t.Errorf("%s: an hour later, without a demand: %q", name, steps(later))
		}
	}
}

func TestTheFuse(t *testing.T) {
	f := pending("f", 20*time.Minute)
	play(t, map[string]scene{
		"a named key gets its full life, counted from its creation": {
			state: credential(stores(guarded("a", f)), f), want: []string{"unfuse f 2159h40m0s: fuse-on"},
		},
		"a key that only a later store names gets it too while the first is down": {
			state: credential(stores(failing(guarded("a", none), rotation.StoreUnreachable), guarded("b", f)), f),
			want:  []string{"unfuse f 2159h40m0s: fuse-on"}, waiting: rotation.StoreUnreachable, open: true,
		},
		"a key that a store names keeps alive although another store denies access": {
			state:   credential(stores(failing(guarded("a", none), rotation.StoreDenied), guarded("b", f)), f),
			want:    []string{"unfuse f 2159h40m0s: fuse-on"},
			blocked: rotation.StoreDenied, open: true,
		},
		"a key with its fuse off is not touched":                         {state: credential(stores(guarded("a", full("k", day))), full("k", day))},
		"the fuse of a key that no store names is never moved out":       {state: credential(stores(guarded("a", none)), pending("p", time.Minute)), waiting: rotation.InProgress},
		"an overlap that ends within a fuse's length is no fuse to move": {state: credential(stores(guarded("a", full("k", day))), full("k", day), ending("o", 2*day, 30*time.Hour))},
	})
}

func TestRivals(t *testing.T) {
	old := full("old", 70*day)
	play(t, map[string]scene{
		"a due credential with a young pending key belongs to another replica for now": {
			state: credential(stores(guarded("a", old)), old, pending("r", 15*time.Minute-time.Second)), waiting: rotation.InProgress,
		},
		"so is one with two of them": {
			state: credential(stores(guarded("a", none)), pending("r", 3*time.Minute), pending("q", 2*time.Minute)), waiting: rotation.InProgress,
		},
		"so is one whose young unnamed key has lost its fuse already": {
			state: credential(stores(guarded("a", old)), old, full("r", 12*time.Minute)), waiting: rotation.InProgress,
		},
		"a pending key of the window's age is ended before another is minted": {
			state: credential(stores(guarded("a", old)), old, pending("p", 15*time.Minute)),
			want:  also(before(renewed(rotation.Aged, "a"), "retire p: never-published"), "supersede old 36h0m0s: replaced"),
		},
		"and ended even if nothing is due": {
			state: credential(stores(guarded("a", full("k", 10*day))), full("k", 10*day), pending("p", time.Hour)),
			want:  []string{"retire p: never-published"},
		},
		"an old pending key is left alone while a young one is at work": {
			state: credential(stores(guarded("a", none)), pending("p", time.Hour), pending("r", time.Minute)), waiting: rotation.InProgress,
		},
		"a young key that a store names is no rival": {
			state: credential(stores(guarded("a", full("k", 12*time.Minute))), full("k", 12*time.Minute)),
		},
	})
}

func TestEndings(t *testing.T) {
	k := full("k", 10*day)
	old := full("old", 70*day)
	one := func(more ...rotation.Key) rotation.State {
		return credential(stores(guarded("a", k)), append([]rotation.Key{k}, more...)...)
	}
	expired := func(ago time.Duration) rotation.Key { return ending("o", 30*day, 36*time.Hour+ago) }
	play(t, map[string]scene{
		"an unnamed key older than a named one lives one overlap more":  {state: one(full("o", 20*day)), want: []string{"supersede o 36h0m0s: replaced"}},
		"an unnamed key newer than every named one lives one fuse more": {state: one(full("n", day)), want: []string{"supersede n 24h0m0s: rolled-back"}},
		"unless a consumer was last restarted with it: that gets what the store names first": {
			state: consumers(one(full("n", day)), rotation.Consumer{Name: "app", Store: "a", Key: "n"}),
			want:  []string{"restart k app: consumer-behind"},
		},
		"nor where it is unknown what consumers have": {
			state: consumers(one(full("n", day)), rotation.Consumer{Name: "app", Unknown: true}), waiting: rotation.ConsumerUnknown,
		},
		"where no store names any, an unnamed key is an orphan": {
			state: credential(stores(guarded("a", none)), full("o", 10*day)),
			want:  before(renewed(rotation.NothingThere, "a"), "supersede o 24h0m0s: rolled-back"),
		},
		"an orphan's end starts before a new key is minted": {
			state: credential(stores(guarded("a", old)), old, full("n", day)),
			want:  also(before(renewed(rotation.Aged, "a"), "supersede n 24h0m0s: rolled-back"), "supersede old 36h0m0s: replaced"),
		},
		// The store was rolled back to a key whose overlap runs: its
		// consumers are owed a whole overlap, and later runs may lengthen one.
		"a named key whose own overlap is nearly over lives a whole overlap more once it is replaced": {
			state: credential(stores(guarded("a", ending("o", 20*day, 33*time.Hour))), ending("o", 20*day, 33*time.Hour)),
			want:  before(also(renewed(rotation.ExpiresSoon, "a"), "supersede o 36h0m0s: replaced"), "extend o 36h0m0s: still-held"),
		},
		"an overlap does not start a second time":                      {state: one(ending("o", 20*day, 35*time.Hour))},
		"nor does an orphan's":                                         {state: one(ending("n", day, 20*time.Hour))},
		"an expired key is kept almost five minutes":                   {state: one(expired(5*time.Minute - time.Second))},
		"a key five minutes past its expiry is cleaned":                {state: one(expired(5 * time.Minute)), want: []string{"retire o: expired"}},
		"a fuse that burnt down a moment ago is left to IAM":           {state: one(pending("p", day+4*time.Minute))},
		"a fuse that burnt down long ago is cleaned":                   {state: one(pending("p", day+6*time.Minute)), want: []string{"retire p: expired"}},
		"an unnamed key that an administrator locked is left alone":    {state: one(locked(full("o", 20*day)))},
		"an unnamed key that an administrator disabled is left alone":  {state: one(disabled(full("o", 20*day)))},
		"a pending key that an administrator locked is left alone":     {state: one(locked(pending("p", time.Hour)))},
		"an expired key that an administrator locked can't be cleaned": {state: one(locked(expired(time.Hour)))},
		"an expired key is not cleaned while a store still names it": {
			state: credential(stores(guarded("a", k), plain("b", expired(time.Hour))), k, expired(time.Hour)), want: []string{"copy k b: store-behind"},
		},
		"a published key that expired is replaced and not ended": {state: credential(stores(guarded("a", full("x", 91*day))), full("x", 91*day)), want: renewed(rotation.NothingThere, "a")},
	})
}

func TestDeadlinesAreRoundedUpToTheMinute(t *testing.T) {
	for name, c := range map[string]struct {
		key  rotation.Key
		want time.Time
	}{
		"of an overlap": {full("o", 20*day), now.Add(36*time.Hour + time.Minute)},
		"of an orphan":  {full("n", day), now.Add(day + time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			k := full("k", 10*day)
			p := rotation.Decide(credential(stores(guarded("a", k)), k, c.key), limits(), rotation.Trigger{}, now.Add(time.Second))
			if len(p.Steps) != 1 || !p.Steps[0].At.Equal(c.want) {
				t.Errorf("got %q, want one step at %v", steps(p), c.want)
			}
		})
	}
}

func TestUnreadableStores(t *testing.T) {
	old := full("old", 70*day)
	rubbish := []rotation.Key{old, full("o", 80*day), pending("p", time.Hour), ending("x", 85*day, 40*time.Hour)}
	lost := func(s rotation.Store) rotation.Store { return failing(s, rotation.StoreUnreachable) }
	play(t, map[string]scene{
		"a required store that is down: nothing is minted, ended or cleaned": {
			state: credential(stores(guarded("a", old), lost(plain("b", none))), rubbish...), waiting: rotation.StoreUnreachable,
		},
		"a store that is not required still ends nothing, but a key is minted": {
			state: credential(stores(guarded("a", old), lost(optional(plain("b", none)))), rubbish...),
			want:  renewed(rotation.Aged, "a"), open: true,
		},
		"the first guarded store is required whatever the config says": {
			state: credential(stores(plain("b", old), lost(optional(guarded("a", none)))), rubbish...), waiting: rotation.StoreUnreachable,
		},
		"a second guarded store is not": {
			state: credential(stores(guarded("a", old), lost(optional(guarded("b", none)))), old),
			want:  renewed(rotation.Aged, "a"), open: true,
		},
		"an error is not absence: no first key beside it": {
			state: credential(stores(lost(guarded("a", none)))), waiting: rotation.StoreUnreachable,
		},
		"where every store is optional and down, a new key has no place to go": {
			state: credential(stores(lost(optional(plain("a", none))), lost(optional(plain("b", none))))), open: true,
		},
		"where no store is configured at all, neither": {state: credential(nil), open: true},
		"the fuse is moved out after the first store that is written, not the first that is listed": {
			state: credential(stores(lost(optional(plain("a", none))), plain("b", none), plain("c", none))),
			want:  renewed(rotation.NothingThere, "b", "c"), open: true,
		},
		"a project that is not active yet is waited for": {
			state: credential(stores(guarded("a", none), failing(plain("b", none), rotation.StoreNotActive))), waiting: rotation.StoreNotActive,
		},
		"a required store that denies access needs a person": {
			state: credential(stores(guarded("a", none), failing(plain("b", none), rotation.StoreDenied))), blocked: rotation.StoreDenied,
		},
		"nothing is copied while the first guarded store is down": {
			state: credential(stores(lost(guarded("a", none)), plain("b", full("k", day)), plain("c", none)), full("k", day)), waiting: rotation.StoreUnreachable,
		},
		"nothing is copied into a store that is down": {
			state: credential(stores(guarded("a", full("k", day)), lost(optional(plain("b", none)))), full("k", day)), open: true,
		},
	})
}

func TestStoresThatDiffer(t *testing.T) {
	k, k0 := full("k", 10*day), full("k0", 11*day)
	gone := full("gone", 95*day)
	both := []string{"supersede k 36h0m0s: replaced", "supersede k0 36h0m0s: replaced"}
	play(t, map[string]scene{
		"the first guarded store is written first, the rest as the config lists them": {
			state: credential(stores(plain("p", none), guarded("g", none), guarded("h", none), plain("q", none))),
			want:  renewed(rotation.NothingThere, "g", "p", "h", "q"),
		},
		"the first guarded store names an older key: a new key, never a copy over it": {
			state: credential(stores(guarded("a", k0), plain("b", k)), k, k0), want: also(renewed(rotation.FirstStoreBehind, "a", "b"), both...),
		},
		"the first guarded store names a key that is gone: the same": {
			state: credential(stores(guarded("a", gone), plain("b", k)), k),
			want:  also(renewed(rotation.FirstStoreBehind, "a", "b"), both[0]),
		},
		"a demand leaves nothing to copy first": {
			state: credential(stores(guarded("a", k), plain("b", none)), k), trigger: rotation.Trigger{NewerThan: now},
			want: before(also(renewed(rotation.Demanded, "a", "b"), both[0]), "remember k 0s: demanded"),
		},
		"an empty first guarded store is filled by copy, from wherever it stands in the config": {
			state: credential(stores(plain("b", k), guarded("a", none)), k), want: []string{"copy k a: store-behind"},
		},
		"every store that is behind gets a copy": {
			state: credential(stores(plain("b", none), guarded("a", k), plain("c", gone)), k),
			want:  []string{"copy k b: store-behind", "copy k c: store-behind"},
		},
		"a later store that names an older live key gets a copy, and that key lives on while it is named": {
			state: credential(stores(guarded("a", k), plain("b", k0)), k, k0), want: []string{"copy k b: store-behind"},
		},
		"a later store that names a disabled key gets a copy and blocks nothing": {
			state: credential(stores(guarded("a", k), plain("b", k0)), k, disabled(k0)), want: []string{"copy k b: store-behind"},
		},
		"no store holds a value that can be read: a new key": {
			state: credential(stores(sealed(guarded("a", k)), plain("b", none)), k), want: also(renewed(rotation.NoCopySource, "a", "b"), both[0]),
		},
		"nor does the store that is behind count as a source": {
			state: credential(stores(sealed(guarded("a", k)), plain("b", k0)), k, k0), want: also(renewed(rotation.NoCopySource, "a", "b"), both...),
		},
	})
}

func TestBrakes(t *testing.T) {
	young, old := full("k", 9*time.Minute), full("old", 70*day)
	ends := func(id string) rotation.Key { return ending(id, 71*day, time.Hour) }
	past := func(id string) rotation.Key { return ending(id, 80*day, 36*time.Hour+time.Minute) }
	one := func(foreign int, more ...rotation.Key) rotation.State {
		s := credential(stores(guarded("a", old)), append([]rotation.Key{old}, more...)...)
		s.Foreign = foreign
		return s
	}
	go1 := also(renewed(rotation.Aged, "a"), "supersede old 36h0m0s: replaced")
	play(t, map[string]scene{
		"no second key within ten minutes, though the first store is behind": {
			state: credential(stores(guarded("a", full("k0", day)), plain("b", young)), young, full("k0", day)), waiting: rotation.TooYoung,
		},
		"nor though no value can be copied": {
			state: credential(stores(sealed(guarded("a", young)), plain("b", none)), young), waiting: rotation.TooYoung,
		},
		"ten minutes are measured by IAM's created_at": {
			state: func() rotation.State {
				k := with(full("k", 11*time.Minute), func(k *rotation.Key) { k.Created = now.Add(-9 * time.Minute) })
				return credential(stores(sealed(guarded("a", k)), plain("b", none)), k)
			}(),
			waiting: rotation.TooYoung,
		},
		"three live keys leave room for a fourth":                 {state: one(0, ends("x"), ends("y")), want: go1},
		"a need may have two more":                                {state: one(0, ends("x"), ends("y"), ends("z"), ends("u")), want: go1},
		"six live keys leave none":                                {state: one(0, ends("x"), ends("y"), ends("z"), ends("u"), ends("v")), waiting: rotation.KeysFull},
		"expired keys do not count against four":                  {state: one(0, ends("x"), ends("y"), past("z")), want: go1},
		"keys that an administrator disabled do not count either": {state: one(0, ends("x"), ends("y"), disabled(ends("z"))), want: go1},
		"full is no matter where nothing is due": {
			state: credential(stores(guarded("a", full("k", day))), full("k", day), ends("x"), ends("y"), ends("z")),
		},
		"fourteen keys in all leave room for one":    {state: one(13), want: go1},
		"fifteen keys in all need a person":          {state: one(14), blocked: rotation.KeyCap},
		"expired keys count against fifteen":         {state: one(13, past("z")), blocked: rotation.KeyCap},
		"disabled keys count against fifteen":        {state: one(13, disabled(full("z", 80*day))), blocked: rotation.KeyCap},
		"fifteen are no matter where nothing is due": {state: but(credential(stores(guarded("a", full("k", day))), full("k", day)), func(s *rotation.State) { s.Foreign = 18 })},
		"a young key that IAM does not show is waited for": {
			state: credential(stores(guarded("a", full("k", 29*time.Minute)))), waiting: rotation.NotVisible,
		},
		"also if another store names one that IAM shows": {
			state:   credential(stores(guarded("a", full("k", 5*time.Minute)), plain("b", old)), old, full("o", 80*day)),
			waiting: rotation.NotVisible,
		},
		"a window after its latest possible publication, a window after birth, such a key is gone": {
			state: credential(stores(guarded("a", full("k", 31*time.Minute)))), want: renewed(rotation.NothingThere, "a"),
		},
	})
}

func TestBlocked(t *testing.T) {
	k, old, f := full("k", 10*day), full("old", 70*day), pending("f", 20*time.Minute)
	plan := func(k rotation.Key) rotation.State { return credential(stores(guarded("a", k)), k) }
	lack := func(s *rotation.State) { s.Identity.Unsatisfied = []string{"p"} }
	lock := func(s *rotation.State) { s.Identity.Locked = true }
	skew := func(d time.Duration) func(*rotation.State) { return func(s *rotation.State) { s.Skew = d } }
	play(t, map[string]scene{
		"paused takes no step, not even for a key with its fuse on": {
			state: but(plan(f), func(s *rotation.State) { s.Paused = true }), blocked: rotation.Paused,
		},
		"a clock five minutes off is good enough": {state: but(plan(f), skew(5*time.Minute)), want: []string{"unfuse f 2159h40m0s: fuse-on"}},
		"a clock more than five minutes ahead ends nothing, not even by leaving a fuse on": {
			state: but(plan(f), skew(5*time.Minute+time.Second)), blocked: rotation.ClockSkew, want: []string{"unfuse f 2159h40m0s: fuse-on"},
		},
		"nor does one more than five minutes behind": {
			state: but(plan(f), skew(-5*time.Minute-time.Second)), blocked: rotation.ClockSkew, want: []string{"unfuse f 2159h40m0s: fuse-on"},
		},
		"a clock that is off retires nothing": {
			state: but(plan(old), skew(-6*time.Minute)), blocked: rotation.ClockSkew,
		},
		"a locked service ID takes no policy": {state: but(but(plan(old), lack), lock), blocked: rotation.IdentityLocked},
		"a locked service ID that lacks nothing still takes keys": {
			state: but(plan(old), lock), want: also(renewed(rotation.Aged, "a"), "supersede old 36h0m0s: replaced"),
		},
		"a service ID of this name without our marker": {
			state: rotation.State{Identity: rotation.Identity{NameTaken: true}, Stores: stores(guarded("a", none))}, blocked: rotation.NameTaken,
		},
		"two credentials that want the same": {
			state: but(plan(old), func(s *rotation.State) { s.Identity.Collides = true }), blocked: rotation.NameCollision,
		},
		"an entry without a key ID, in a required store": {
			state: credential(stores(guarded("a", old), failing(plain("b", none), rotation.EntryUnmarked)), old), blocked: rotation.EntryUnmarked,
		},
		"a service ID that an administrator deleted is not brought back": {
			state: rotation.State{Stores: stores(guarded("a", k))}, blocked: rotation.IdentityGone,
		},
		"a service ID that IAM may just not show yet is waited for": {
			state: rotation.State{Stores: stores(guarded("a", full("k", 5*time.Minute)))}, waiting: rotation.NotVisible,
		},
	})
}

func TestConsumers(t *testing.T) {
	k, o := full("k", 10*day), full("o", 20*day)
	base := credential(stores(guarded("a", k)), k, o)
	has := func(name, id string) rotation.Consumer { return rotation.Consumer{Name: name, Key: id} }
	play(t, map[string]scene{
		"a consumer that started before the key is restarted, and nothing is superseded": {
			state: consumers(base, has("app/x", "o")), want: []string{"restart k app/x: consumer-behind"},
		},
		"a consumer that was never restarted is restarted": {
			state: consumers(base, has("app/x", "")), want: []string{"restart k app/x: consumer-behind"},
		},
		"one of two behind keeps every old key alive": {
			state: consumers(base, has("app/x", "k"), has("app/y", "o")), want: []string{"restart k app/y: consumer-behind"},
		},
		"once all name the published key the overlap starts": {
			state: consumers(base, has("app/x", "k"), has("app/y", "k")), want: []string{"supersede o 36h0m0s: replaced"},
		},
		"in a renewal too": {
			state: consumers(credential(stores(guarded("a", full("old", 70*day))), full("old", 70*day)), rotation.Consumer{Name: "app/x", Unknown: true}),
			want:  renewed(rotation.Aged, "a"), open: true,
		},
		"a consumer of which nothing is known keeps old keys alive, and is not restarted blindly": {
			state: consumers(base, rotation.Consumer{Name: "app/x", Unknown: true}), waiting: rotation.ConsumerUnknown,
		},
	})
}

// The restart leaves the new key's ID on the consumer, so every consumer names
// it by the time the overlap starts; a failed restart has to keep the
// executor from that step.
func TestARenewalSupersedesOnlyAfterEveryStoreAndEveryRestart(t *testing.T) {
	old := full("old", 70*day)
	s := consumers(credential(stores(guarded("a", old), plain("b", old)), old),
		rotation.Consumer{Name: "app/x", Key: "old"}, rotation.Consumer{Name: "app/y", Key: "old"})
	var got []string
	for _, step := range rotation.Decide(s, limits(), rotation.Trigger{}, now).Steps {
		got = append(got, string(step.Action)+" "+step.Key+" "+step.Target)
	}
	want := []string{
		"mint new ", "prove new ", "publish new a", "unfuse new ", "publish new b",
		"restart new app/x", "restart new app/y", "supersede old ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// A caller may sleep until Next, so it must come no later than the moment at
// which the plan would change.
func TestNextComesWhenSomethingChanges(t *testing.T) {
	k := full("k", 58*day-3*time.Hour)
	young := full("k", 4*time.Minute)
	for name, c := range map[string]struct {
		state   rotation.State
		trigger rotation.Trigger
		by      time.Time
	}{
		"when the published key is due": {state: credential(stores(guarded("a", k)), k), by: now.Add(3 * time.Hour)},
		"when an expired key may be cleaned": {
			state: credential(stores(guarded("a", full("k", day))), full("k", day), ending("o", 20*day, 36*time.Hour-10*time.Minute)),
			by:    now.Add(15 * time.Minute),
		},
		"when a rival's window is over": {state: credential(stores(guarded("a", none)), pending("r", 5*time.Minute)), by: now.Add(10 * time.Minute)},
		"when a demand may be met": {
			state: credential(stores(guarded("a", young)), young), trigger: rotation.Trigger{NotKey: "k"}, by: now.Add(6 * time.Minute),
		},
		"when an invisible key counts as gone": {state: credential(stores(guarded("a", full("k", 5*time.Minute)))), by: now.Add(25 * time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			p := rotation.Decide(c.state, limits(), c.trigger.Resolve(c.state.Keys), now)
			// IAM's created_at has whole minutes, so one more is no delay.
			if !p.Next.After(now) || p.Next.After(c.by.Add(time.Minute)) {
				t.Errorf("next look in %s, want one within %s", p.Next.Sub(now), c.by.Sub(now))
			}
		})
	}
}

func FuzzJitterIsAtMostATenth(f *testing.F) {
	f.Add("logs-sender", int64(60*day))
	f.Add("", int64(0))
	f.Fuzz(func(t *testing.T, name string, after int64) {
		if after < 0 {
			after = -(after + 1)
		}
		j := rotation.Jitter(name, time.Duration(after))
		if j < 0 || j > time.Duration(after)/10 {
			t.Errorf("jitter of %q in %s is %s", name, time.Duration(after), j)
		}
		if j != rotation.Jitter(name, time.Duration(after)) {
			t.Errorf("jitter of %q differs from call to call", name)
		}
	})
}
