package rotation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func rules() Rules {
	r := Standard()
	r.After, r.Expire, r.Overlap, r.SweepEvery = 60*day, 90*day, day, time.Hour
	return r
}

// aged is a published key's usual form: unfused, minted some time ago.
func aged(id string, age time.Duration) Key {
	at := noon.Add(-age)
	return Key{ID: id, Created: at, AsOf: at, Expires: at.Add(90 * day)}
}

func fused(id string, age time.Duration) Key {
	k := aged(id, age)
	k.Expires = k.Created.Add(day)
	return k
}

func superseded(id string, age, left time.Duration) Key {
	k := aged(id, age)
	k.Superseded, k.Expires = noon.Add(left-day), noon.Add(left)
	return k
}

// at is a guarded, required, readable store that names a key.
func at(name string, k Key) Store {
	return Store{Name: name, Key: k.ID, Created: k.Created, Guarded: true, Required: true, Readable: k.ID != ""}
}

func empty(name string) Store { return at(name, Key{}) }

func faulty(name string, fault Reason) Store {
	return Store{Name: name, Guarded: true, Required: true, Fault: fault}
}

func optional(s Store) Store { s.Required = false; return s }

// settledState is a credential with its service ID and policies in place.
func settledState(stores []Store, keys ...Key) State {
	return State{Identity: Identity{Exists: true}, Keys: keys, Stores: stores}
}

// brief says a plan in one line per step, for tables that read well.
func brief(p Plan) string {
	var lines []string
	for _, s := range p.Steps {
		line := string(s.Action)
		for _, part := range []string{s.Key, s.Target} {
			if part != "" {
				line += " " + part
			}
		}
		if !s.At.IsZero() {
			line += " @" + s.At.Sub(noon).String()
		}
		lines = append(lines, line+" ("+string(s.Reason)+")")
	}
	if p.Waiting != "" {
		lines = append(lines, "waiting: "+string(p.Waiting))
	}
	if p.Blocked != "" {
		lines = append(lines, "blocked: "+string(p.Blocked))
	}
	return strings.Join(lines, "\n")
}

func renewal(reason Reason, stores ...string) string {
	out := fmt.Sprintf("mint new (%s)\nprove new (newly-minted)", reason)
	for i, s := range stores {
		out += fmt.Sprintf("\npublish new %s (%s)", s, reason)
		if i == 0 {
			out += "\nunfuse new (fuse-on)"
		}
	}
	return out
}

func TestAKeyIsMintedOncePerExpiryDate(t *testing.T) {
	date := noon.Add(30 * 24 * time.Hour)
	old := Key{ID: "k", Created: noon.Add(-40 * 24 * time.Hour), Expires: noon.Add(50 * 24 * time.Hour)}
	for name, tc := range map[string]struct {
		served  time.Time
		trigger Trigger
		want    Reason
	}{
		"a date that no key served demands a key":             {trigger: Trigger{NewerThan: noon, Expiry: date}, want: Demanded},
		"a date that the key served demands nothing":          {served: date, trigger: Trigger{NewerThan: noon, Expiry: date}},
		"an earlier date than the served one demands nothing": {served: date, trigger: Trigger{NewerThan: noon, Expiry: date.Add(-time.Hour)}},
		"a later date than the served one demands a key":      {served: date, trigger: Trigger{NewerThan: noon, Expiry: date.Add(time.Hour)}, want: Demanded},
		"a demand without a date does not know served dates":  {served: date, trigger: Trigger{NewerThan: noon}, want: Demanded},
		"a demand for another key does not know served dates": {served: date, trigger: Trigger{NewerThan: noon, Expiry: date, NotKey: "k"}, want: Demanded},
	} {
		t.Run(name, func(t *testing.T) {
			k := old
			k.Served = tc.served
			plan := Decide(settledState([]Store{at("a", k)}, k), rules(), tc.trigger.Resolve([]Key{k}), noon)
			var due Reason
			if i := slices.IndexFunc(plan.Steps, func(s Step) bool { return s.Action == Mint }); i >= 0 {
				due = plan.Steps[i].Reason
			}
			if due != tc.want {
				t.Errorf("due %q, want %q: %+v", due, tc.want, plan.Steps)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	k1 := aged("k1", 10*day)
	old := aged("old", 70*day)
	locked, disabled := k1, k1
	locked.Locked, disabled.Disabled = true, true
	renew := k1
	renew.Renew = noon.Add(-time.Hour)
	answered := renew
	answered.AsOf = renew.Renew
	ending := k1
	ending.Expires = noon.Add(4*time.Hour - time.Minute)
	behind := k1
	behind.ID, behind.Created, behind.AsOf = "k0", k1.Created.Add(-day), k1.AsOf.Add(-day)

	for name, tc := range map[string]struct {
		state   State
		trigger Trigger
		want    string
	}{
		// The first key.
		"nothing exists: service ID, policies, then the key, then the store": {
			state: State{Identity: Identity{Unsatisfied: []string{"Sender on logs"}}, Stores: []Store{empty("a")}},
			want:  "create-service-id (no-service-id)\ngrant-policy Sender on logs (policy-missing)\n" + renewal(NothingThere, "a"),
		},
		"a service ID without a key gets one":              {state: settledState([]Store{empty("a")}), want: renewal(NothingThere, "a")},
		"a published key that is not due is left in peace": {state: settledState([]Store{at("a", k1)}, k1), want: ""},
		"a policy that is missing is granted, without a new key": {
			state: State{Identity: Identity{Exists: true, Unsatisfied: []string{"p"}}, Keys: []Key{k1}, Stores: []Store{at("a", k1)}},
			want:  "grant-policy p (policy-missing)",
		},

		// Due.
		"a key at its age is replaced, and its overlap starts": {
			state: settledState([]Store{at("a", old)}, old),
			want:  renewal(Aged, "a") + "\nsupersede old @24h0m0s (replaced)",
		},
		"a key that ends within four sweeps is replaced": {
			state: settledState([]Store{at("a", ending)}, ending), want: renewal(ExpiresSoon, "a") + "\nsupersede k1 @24h0m0s (replaced)",
		},
		"a demand for a newer key": {
			state: settledState([]Store{at("a", k1)}, k1), trigger: Trigger{NewerThan: noon},
			want: "remember k1 @0s (demanded)\n" + renewal(Demanded, "a") + "\nsupersede k1 @24h0m0s (replaced)",
		},
		"a demand that the key meets already":      {state: settledState([]Store{at("a", k1)}, k1), trigger: Trigger{NewerThan: k1.AsOf}, want: ""},
		"a demand for another key than this one":   {state: settledState([]Store{at("a", k1)}, k1), trigger: Trigger{NotKey: "k1"}, want: "remember k1 @-239h59m59.999s (demanded)\n" + renewal(Demanded, "a") + "\nsupersede k1 @24h0m0s (replaced)"},
		"a demand for another key than a gone one": {state: settledState([]Store{at("a", k1)}, k1), trigger: Trigger{NotKey: "k0"}, want: ""},
		"a demand that an earlier run remembered":  {state: settledState([]Store{at("a", renew)}, renew), want: renewal(Remembered, "a") + "\nsupersede k1 @24h0m0s (replaced)"},
		"a demand by a clock ahead of ours that the key answered": {
			state: settledState([]Store{at("a", answered)}, answered), trigger: Trigger{NewerThan: answered.AsOf}, want: "",
		},
		"an expired published key is replaced": {
			state: settledState([]Store{at("a", aged("x", 91*day))}, aged("x", 91*day)), want: renewal(NothingThere, "a"),
		},
		"a published key that is gone for good is replaced": {
			state: settledState([]Store{at("a", k1)}), want: renewal(NothingThere, "a"),
		},

		// The fuse.
		"a named key with its fuse on gets its full life": {
			state: settledState([]Store{at("a", fused("f", time.Hour))}, fused("f", time.Hour)),
			want:  fmt.Sprintf("unfuse f @%s (fuse-on)", 90*day-time.Hour),
		},
		"so does one while a rival is at work": {
			state: settledState([]Store{at("a", fused("f", time.Hour))}, fused("f", time.Hour), fused("r", time.Minute)),
			want:  fmt.Sprintf("unfuse f @%s (fuse-on)\nwaiting: in-progress", 90*day-time.Hour),
		},

		// Rivals.
		"an unnamed key younger than the window: another replica is at work": {
			state: settledState([]Store{empty("a")}, fused("r", 14*time.Minute)), want: "waiting: in-progress",
		},
		"an unnamed key at the window's age is retired before a new one is minted": {
			state: settledState([]Store{empty("a")}, fused("r", 15*time.Minute)),
			want:  "retire r (never-published)\n" + renewal(NothingThere, "a"),
		},
		"a demand that a rival will not meet is remembered": {
			state:   settledState([]Store{at("a", k1)}, k1, fused("r", 5*time.Minute)),
			trigger: Trigger{NewerThan: noon.Add(-time.Minute)},
			want:    "remember k1 @-1m0s (demanded)\nwaiting: in-progress",
		},
		"so is one that a rival would meet: it may never be published": {
			state:   settledState([]Store{at("a", k1)}, k1, fused("r", 5*time.Minute)),
			trigger: Trigger{NewerThan: noon.Add(-10 * time.Minute)},
			want:    "remember k1 @-10m0s (demanded)\nwaiting: in-progress",
		},

		"an unnamed key with its fuse on, older than one with its full life, is left to its fuse: a store may have had it": {
			state: settledState([]Store{empty("a")}, fused("f", time.Hour), superseded("n", 30*time.Minute, 23*time.Hour)),
			want:  renewal(NothingThere, "a"),
		},

		// Endings.
		"an unnamed older key whose overlap has not started": {
			state: settledState([]Store{at("a", k1)}, k1, aged("o", 30*day)), want: "supersede o @24h0m0s (replaced)",
		},
		"an overlap starts once": {
			state: settledState([]Store{at("a", k1)}, k1, superseded("o", 30*day, time.Hour)), want: "",
		},
		"an expired key is kept for five minutes": {
			state: settledState([]Store{at("a", k1)}, k1, superseded("o", 30*day, -4*time.Minute)), want: "",
		},
		"then it is deleted": {
			state: settledState([]Store{at("a", k1)}, k1, superseded("o", 30*day, -5*time.Minute)), want: "retire o (expired)",
		},
		"an unnamed key newer than all named ones: the stores were rolled back": {
			state: settledState([]Store{at("a", k1)}, k1, aged("n", day)), want: "supersede n @24h0m0s (rolled-back)",
		},
		"a locked key is left to its administrator": {
			state: settledState([]Store{at("a", k1)}, k1, func() Key { k := aged("o", 30*day); k.Locked = true; return k }()), want: "",
		},
		"a disabled key is left to its administrator": {
			state: settledState([]Store{at("a", k1)}, k1, func() Key { k := aged("o", 30*day); k.Disabled = true; return k }()), want: "",
		},
		"nothing is superseded while a consumer is behind": {
			state: func() State {
				s := settledState([]Store{at("a", k1)}, k1, aged("o", 30*day))
				s.Consumers = []Consumer{{Name: "app/x", Key: "o"}}
				return s
			}(),
			want: "restart k1 app/x (consumer-behind)",
		},
		"nor while a consumer can't be read": {
			state: func() State {
				s := settledState([]Store{at("a", k1)}, k1, aged("o", 30*day))
				s.Consumers = []Consumer{{Name: "app/x", Unknown: true}}
				return s
			}(),
			want: "waiting: consumer-unknown",
		},

		"a consumer is restarted as soon as its own store has the key": {
			state: func() State {
				s := settledState([]Store{at("a", old), optional(faulty("b", StoreUnreachable))}, old)
				s.Consumers = []Consumer{{Name: "app/x", Store: "a", Key: "old"}, {Name: "app/y", Store: "b", Key: "old"}}
				return s
			}(),
			want: renewal(Aged, "a") + "\nrestart new app/x (consumer-behind)",
		},
		"and a later run does the same for a store that it fills by copy": {
			state: func() State {
				s := settledState([]Store{at("a", k1), empty("b"), optional(faulty("c", StoreUnreachable))}, k1)
				s.Consumers = []Consumer{{Name: "app/y", Store: "b", Key: "old"}, {Name: "app/z", Store: "c", Key: "old"}}
				return s
			}(),
			want: "copy k1 b (store-behind)\nrestart k1 app/y (consumer-behind)\nwaiting: store-unreachable",
		},

		// Stores.
		"a store that can't be read: nothing is minted, nothing is ended": {
			state: settledState([]Store{faulty("a", StoreUnreachable)}, fused("r", time.Hour), aged("o", 65*day)),
			want:  "waiting: store-unreachable",
		},
		"an optional store that can't be read holds no key back, but ends nothing": {
			state: settledState([]Store{at("a", old), optional(faulty("b", StoreUnreachable))}, old, aged("o", 75*day)),
			want:  renewal(Aged, "a"),
		},
		"the guarded store is written first, whatever the config's order": {
			state: settledState([]Store{{Name: "plain", Required: true}, empty("guarded")}),
			want:  renewal(NothingThere, "guarded", "plain"),
		},
		"the store that decides is needed even if the config says it is optional": {
			state: settledState([]Store{optional(faulty("a", StoreUnreachable)), empty("b")}),
			want:  "waiting: store-unreachable",
		},
		"a project that is not active yet is waited for": {
			state: settledState([]Store{faulty("a", StoreNotActive)}), want: "waiting: store-not-active",
		},
		"a second store without an entry is filled by copy": {
			state: settledState([]Store{at("a", k1), empty("b")}, k1), want: "copy k1 b (store-behind)",
		},
		"a second store that names an older key is brought up by copy": {
			state: settledState([]Store{at("a", k1), at("b", behind)}, k1, behind), want: "copy k1 b (store-behind)",
		},
		"an empty store that decides is filled by copy": {
			state: settledState([]Store{empty("a"), at("b", k1)}, k1), want: "copy k1 a (store-behind)",
		},
		"a store that decides and names another key is not overwritten by a copy": {
			state: settledState([]Store{at("a", behind), at("b", k1)}, k1, behind),
			want:  renewal(FirstStoreBehind, "a", "b") + "\nsupersede k1 @24h0m0s (replaced)\nsupersede k0 @24h0m0s (replaced)",
		},
		"nothing to copy from: a new key": {
			state: settledState([]Store{func() Store { s := at("a", k1); s.Readable = false; return s }(), empty("b")}, k1),
			want:  renewal(NoCopySource, "a", "b") + "\nsupersede k1 @24h0m0s (replaced)",
		},
		"no copy while the store that decides can't be read": {
			state: settledState([]Store{faulty("a", StoreUnreachable), at("b", k1), empty("c")}, k1), want: "waiting: store-unreachable",
		},

		// Brakes.
		"nothing is due while the newest key is younger than ten minutes; the demand is remembered": {
			state:   settledState([]Store{at("a", aged("n", 9*time.Minute))}, aged("n", 9*time.Minute)),
			trigger: Trigger{NewerThan: noon},
			want:    "remember n @0s (demanded)\nwaiting: too-young",
		},
		"a key replaced within its window is superseded later": {
			state:   settledState([]Store{at("a", aged("n", 12*time.Minute))}, aged("n", 12*time.Minute)),
			trigger: Trigger{NewerThan: noon},
			want:    "remember n @0s (demanded)\n" + renewal(Demanded, "a"),
		},
		"six live keys are enough": {
			state: settledState([]Store{at("a", old)}, old, superseded("s1", 80*day, time.Hour), superseded("s2", 81*day, time.Hour), superseded("s3", 82*day, time.Hour),
				superseded("s4", 82*day, time.Hour), superseded("s5", 82*day, time.Hour)),
			want: "waiting: keys-full",
		},
		"fifteen keys in all block": {
			state: func() State { s := settledState([]Store{at("a", old)}, old); s.Foreign = 14; return s }(),
			want:  "blocked: key-cap",
		},
		"a cap does not keep consumers from their key": {
			state: func() State {
				s := settledState([]Store{at("a", fused("f", time.Hour))}, fused("f", time.Hour))
				s.Foreign = 14
				return s
			}(),
			trigger: Trigger{NewerThan: noon},
			want:    fmt.Sprintf("remember f @0s (demanded)\nunfuse f @%s (fuse-on)\nblocked: key-cap", 90*day-time.Hour),
		},
		"a named key that IAM does not show yet is waited for": {
			state: settledState([]Store{at("a", aged("n", 5*time.Minute))}), want: "waiting: key-not-visible",
		},

		// Blocked.
		"paused changes nothing": {
			state: State{Paused: true, Stores: []Store{empty("a")}}, want: "blocked: paused",
		},
		"clocks too far apart change nothing": {
			state: State{Skew: -6 * time.Minute, Stores: []Store{empty("a")}}, want: "blocked: clock-skew",
		},
		"a name that is taken":                                       {state: State{Identity: Identity{NameTaken: true}, Stores: []Store{empty("a")}}, want: "blocked: name-taken"},
		"a name that two credentials want":                           {state: State{Identity: Identity{Collides: true}, Stores: []Store{empty("a")}}, want: "blocked: name-collision"},
		"a service ID that an administrator deleted":                 {state: State{Stores: []Store{at("a", k1)}}, want: "blocked: service-id-gone"},
		"a locked service ID that lacks a policy":                    {state: State{Identity: Identity{Exists: true, Locked: true, Unsatisfied: []string{"p"}}, Stores: []Store{empty("a")}}, want: "blocked: service-id-locked"},
		"a published key that an administrator disabled is replaced": {state: settledState([]Store{at("a", disabled)}, disabled), want: "mint new (key-ended)\nprove new (newly-minted)\npublish new a (key-ended)\nunfuse new (fuse-on)"},
		"a published key that an administrator locked is left alone": {state: settledState([]Store{at("a", locked)}, locked), want: ""},
		"a store that denies access":                                 {state: settledState([]Store{faulty("a", StoreDenied)}), want: "blocked: store-denied"},
		"an entry of another installation":                           {state: settledState([]Store{faulty("a", EntryForeign)}), want: "blocked: entry-foreign"},
		"an entry without a key ID":                                  {state: settledState([]Store{faulty("a", EntryUnmarked)}), want: "blocked: entry-unmarked"},

		// Duplicates.
		"a keyless duplicate service ID is deleted": {
			state: State{Identity: Identity{Exists: true, Duplicates: []string{"ServiceId-2"}}, Keys: []Key{k1}, Stores: []Store{at("a", k1)}},
			want:  "remove-duplicate ServiceId-2 (duplicate-service-id)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := Decide(tc.state, rules(), tc.trigger.Resolve(tc.state.Keys), noon)
			if diff := cmp.Diff(tc.want, brief(p)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if !p.Next.After(noon) {
				t.Errorf("next look at %v is not in the future", p.Next)
			}
		})
	}
}

func TestTheEndOfAnOverlapIsRoundedUpToIAMsMinute(t *testing.T) {
	k := aged("k", 70*day)
	p := Decide(settledState([]Store{at("a", k)}, k), rules(), Trigger{}, noon.Add(30*time.Second))
	if got := p.Steps[len(p.Steps)-1].At; !got.Equal(noon.Add(day + time.Minute)) {
		t.Errorf("the overlap ends at %v", got)
	}
}

func TestJitterIsAtMostATenthAndSpreads(t *testing.T) {
	seen := map[time.Duration]bool{}
	for i := range 200 {
		j := Jitter(fmt.Sprintf("logs-sender/%d", i), 60*day)
		if j < 0 || j > 6*day {
			t.Fatalf("jitter %s", j)
		}
		seen[j] = true
	}
	if len(seen) < 150 {
		t.Errorf("only %d different jitters for 200 credentials", len(seen))
	}
	// A new version must not make everything due at once.
	if got := Jitter("logs-sender", 60*day); got != 96*time.Hour+46*time.Minute+4800*time.Millisecond {
		t.Errorf("the jitter of logs-sender is now %s", got)
	}
}
