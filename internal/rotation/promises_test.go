package rotation_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// history is what a credential may look like after any past of ours: kinds of
// keys as the drawing in doc.go has them, named anywhere.
type history struct {
	// administrators also disable, lock, pause, and let clocks drift and stores fail.
	hands bool
	// leaks marks some keys as leaked, and says when keys were used.
	leaks bool
	// keys is the most that are drawn.
	keys int
}

func ageOf(t *rapid.T, what string) time.Duration {
	unit := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, day}).Draw(t, what+" unit")
	return time.Duration(rapid.IntRange(0, 99).Draw(t, what)) * unit
}

func chance(t *rapid.T, oneIn int, what string) bool {
	return rapid.IntRange(1, oneIn).Draw(t, what) == 1
}

func (h history) draw(t *rapid.T) protocol.State {
	s := protocol.State{Identity: protocol.Identity{Exists: true}}
	ids := []string{}
	for _, id := range []string{"k1", "k2", "k3", "k4", "k5", "k6"}[:rapid.IntRange(0, h.keys).Draw(t, "keys")] {
		born := now.Add(-ageOf(t, "age"))
		k := protocol.Key{ID: id, AsOf: born, Created: born.Truncate(time.Minute)}
		switch rapid.SampledFrom([]string{"pending", "full", "marked", "endless", "adopted"}).Draw(t, "kind") {
		case "pending":
			k.Expires = k.Created.Add(day)
		case "full":
			k.Expires = k.Created.Add(90 * day)
		case "marked":
			// An overlap never starts before the window is over.
			since := min(ageOf(t, "since"), max(0, now.Sub(born)-15*time.Minute))
			k.Superseded = now.Add(-since)
			k.Expires = k.Superseded.Add(36 * time.Hour).Truncate(time.Minute)
		case "adopted":
			k.AsOf, k.Expires = time.Time{}, k.Created.Add(90*day)
		}
		if chance(t, 5, "remembers") {
			k.Renew = now.Add(-ageOf(t, "renew"))
		}
		if h.hands {
			k.Disabled, k.Locked = chance(t, 10, "disabled"), chance(t, 10, "locked")
		}
		if h.leaks && chance(t, 10, "leaked") {
			k.Leaked = now.Add(-ageOf(t, "leaked since"))
		}
		if h.leaks && chance(t, 3, "known use") {
			k.Used = now.Add(-ageOf(t, "used"))
		}
		s.Keys, ids = append(s.Keys, k), append(ids, id)
	}
	for i, name := range []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(t, "stores")] {
		st := protocol.Store{Name: name, Guarded: rapid.Bool().Draw(t, "guarded"), Required: rapid.Bool().Draw(t, "required")}
		if h.hands && chance(t, 6, "fault") {
			st.Fault = rapid.SampledFrom([]reason.Reason{reason.StoreUnreachable, reason.StoreNotActive, reason.StoreDenied, reason.EntryUnmarked}).Draw(t, "why")
		} else if i := rapid.IntRange(-2, len(s.Keys)-1).Draw(t, "names"); i >= 0 {
			st.Key, st.Created, st.Readable = s.Keys[i].ID, s.Keys[i].Created, rapid.Bool().Draw(t, "readable")
		} else if i == -2 && chance(t, 3, "names a lost key") {
			st.Key, st.Created = "lost", now.Add(-ageOf(t, "lost"))
		}
		if i == 0 && !h.hands {
			st.Guarded = true
		}
		s.Stores = append(s.Stores, st)
	}
	for _, name := range []string{"app/x", "app/y"}[:rapid.IntRange(0, 2).Draw(t, "consumers")] {
		s.Consumers = append(s.Consumers, protocol.Consumer{
			Name: name, Key: rapid.SampledFrom(append([]string{""}, ids...)).Draw(t, "holds"),
			Unknown: h.hands && chance(t, 6, "unknown"),
		})
	}
	if chance(t, 4, "lacks a policy") {
		s.Identity.Unsatisfied = []string{"p", "q"}
	}
	if chance(t, 8, "duplicate") {
		s.Identity.Duplicates = []string{"ServiceId-2"}
	}
	if len(s.Identity.Unsatisfied) == 0 { // else it blocks
		s.Foreign = rapid.IntRange(0, 3).Draw(t, "foreign")
	}
	if h.hands {
		for i := range s.Stores {
			if st := &s.Stores[i]; st.Key == "" && st.Fault == "" && chance(t, 10, "names a foreign key") {
				st.Foreign = "ApiKey-theirs"
			}
		}
		s.Identity.Posing = chance(t, 20, "posing")
		s.Identity.Twice = chance(t, 20, "twice")
		s.Foreign = rapid.IntRange(0, 14).Draw(t, "more foreign")
		s.Identity.Exists = !chance(t, 8, "no service ID")
		s.Identity.Locked = chance(t, 10, "service ID locked")
		s.Identity.NameTaken = chance(t, 20, "name taken")
		s.Identity.Collides = chance(t, 20, "collides")
		s.Paused = chance(t, 20, "paused")
		s.Skew = time.Duration(rapid.IntRange(-330, 330).Draw(t, "skew")) * time.Second
	}
	return s
}

func drawTrigger(t *rapid.T) protocol.Trigger {
	var trigger protocol.Trigger
	switch rapid.IntRange(0, 3).Draw(t, "asks") {
	case 1:
		trigger.NewerThan = now.Add(-ageOf(t, "newer than"))
	case 2:
		trigger.NotKey = rapid.SampledFrom([]string{"k1", "k2", "k3", "lost"}).Draw(t, "not key")
	case 3:
		// A sender's clock may be ahead of IAM's.
		trigger.NewerThan = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "ahead")) * time.Second)
	}
	return trigger
}

// facts says a state in full, to see whether anything in it changed.
func facts(t *rapid.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func keyOf(s protocol.State, id string) (protocol.Key, bool) {
	for _, k := range s.Keys {
		if k.ID == id {
			return k, true
		}
	}
	return protocol.Key{}, false
}

func names(s protocol.State, id string) bool {
	return slices.ContainsFunc(s.Stores, func(st protocol.Store) bool { return st.Key == id })
}

func unread(s protocol.State) bool {
	return slices.ContainsFunc(s.Stores, func(st protocol.Store) bool {
		return st.Fault != "" && st.Fault != reason.EntryUnmarked && st.Fault != reason.EntryForeign
	})
}

// published is the definition in design section 5: the newest live key that
// any store names.
func published(s protocol.State, at time.Time) string {
	var best protocol.Key
	for _, k := range s.Keys {
		if names(s, k.ID) && k.Live(at) && (best.ID == "" || k.Compare(best) > 0) {
			best = k
		}
	}
	return best.ID
}

func where(p protocol.Plan, a protocol.Action) []int {
	var at []int
	for i, s := range p.Steps {
		if s.Action == a {
			at = append(at, i)
		}
	}
	return at
}

func promises(t *rapid.T) {
	s, trigger := history{hands: true, keys: 6}.draw(t), drawTrigger(t)
	trigger = trigger.Resolve(s.Keys)
	r, earlier := limits(), facts(t, s)
	p := rotation.Decide(s, r, trigger, now)
	if facts(t, s) != earlier {
		t.Fatal("deciding changed its arguments")
	}
	if again := rotation.Decide(s, r, trigger, now); facts(t, again) != facts(t, p) {
		t.Fatalf("the same facts gave two plans:\n%s\n%s", facts(t, p), facts(t, again))
	}
	t.Logf("plan: %q published %q waiting %q blocked %q", steps(p), p.Published, p.Waiting, p.Blocked)
	holdsPromises(t, s, p, now)
}

// holdsPromises checks one plan against the promises that do not depend on
// what comes after it.
func holdsPromises(t *rapid.T, s protocol.State, p protocol.Plan, at time.Time) {
	r := limits()
	reasons := []reason.Reason{p.Waiting, p.Blocked}
	for _, step := range p.Steps {
		reasons = append(reasons, step.Reason)
		if step.Reason == "" {
			t.Errorf("%s: no reason", say(step))
		}
		if _, ours := keyOf(s, step.Key); step.Key != "" && step.Key != protocol.NewKey && !ours {
			t.Errorf("%s: not a key of ours", say(step))
		}
	}
	for _, reason := range reasons {
		if reason != "" && reason.Sentence() == "" {
			t.Errorf("reason %q has no sentence", reason)
		}
	}
	if !p.Next.After(at) {
		t.Errorf("the next look is %s from now", p.Next.Sub(at))
	}
	if p.Blocked == reason.Paused && len(p.Steps) > 0 {
		t.Errorf("%s, and yet %q", p.Blocked, steps(p))
	}
	if s.Paused && p.Blocked != reason.Paused && p.Blocked != reason.ClockSkew {
		t.Errorf("paused, and yet blocked is %q", p.Blocked)
	}
	if n := len(where(p, protocol.Unfuse)); s.Skew.Abs() > r.MaxSkew && len(p.Steps) > n {
		t.Errorf("the clock is %s off, and yet %q", s.Skew, steps(p))
	}
	mints(t, s, p, at)
	ends(t, s, p, at)
}

// mints checks what leads to a key and what follows it.
func mints(t *rapid.T, s protocol.State, p protocol.Plan, at time.Time) {
	r, made := limits(), where(p, protocol.Mint)
	if len(made) == 0 {
		if n := len(where(p, protocol.Prove)) + len(where(p, protocol.Publish)); n > 0 {
			t.Errorf("nothing is minted, and yet %q", steps(p))
		}
		return
	}
	if len(made) > 1 {
		t.Errorf("minted %d times", len(made))
	}
	mint := made[0]
	if p.Blocked != "" {
		t.Errorf("minted although blocked: %s", p.Blocked)
	}
	for _, a := range []protocol.Action{protocol.CreateIdentity, protocol.GrantPolicy, protocol.Retire} {
		if i := where(p, a); len(i) > 0 && i[len(i)-1] > mint {
			t.Errorf("%s comes after the key is minted", a)
		}
	}
	if got := len(where(p, protocol.GrantPolicy)); got != len(s.Identity.Unsatisfied) {
		t.Errorf("minted with %d of %d policies granted", got, len(s.Identity.Unsatisfied))
	}
	if mint+1 >= len(p.Steps) || p.Steps[mint+1].Action != protocol.Prove {
		t.Errorf("the key is not proven at once")
	}
	order := []string{}
	for _, i := range where(p, protocol.Publish) {
		order = append(order, p.Steps[i].Target)
		if i < mint+2 || p.Steps[i].Key != protocol.NewKey {
			t.Errorf("%s: not a proven key", say(p.Steps[i]))
		}
	}
	arbiter, want := "", []string{}
	for _, st := range s.Stores {
		if st.Guarded && arbiter == "" {
			arbiter = st.Name
			if st.Fault != "" {
				t.Errorf("minted without the first guarded store %s", st.Name)
			}
		}
		if st.Required && st.Fault != "" {
			t.Errorf("minted without the required store %s", st.Name)
		}
	}
	for _, st := range s.Stores {
		switch {
		case st.Name == arbiter:
			want = append([]string{st.Name}, want...)
		case st.Fault == "":
			want = append(want, st.Name)
		}
	}
	if len(order) == 0 {
		t.Errorf("minted with no place to publish")
	} else if first := where(p, protocol.Publish)[0]; first+1 >= len(p.Steps) || p.Steps[first+1].Action != protocol.Unfuse || p.Steps[first+1].Key != protocol.NewKey {
		t.Errorf("the fuse stays on after the first store names the key")
	}
	if !slices.Equal(order, want) {
		t.Errorf("published to %q, want %q", order, want)
	}
	// What the plan retires first makes room.
	live, all := 0, s.Foreign
	for _, k := range s.Keys {
		if slices.ContainsFunc(p.Steps[:mint], func(st protocol.Step) bool { return st.Action == protocol.Retire && st.Key == k.ID }) {
			continue
		}
		all++
		if k.Live(at) {
			live++
		}
		if at.Sub(k.Created) < r.MinAge {
			t.Errorf("minted %s after %s", at.Sub(k.Created), k.ID)
		}
		had := !k.Fused(r) && k.Compare(s.Key(p.Published)) < 0 // a store had it, and has a newer one
		if !names(s, k.ID) && k.Superseded.IsZero() && k.Live(at) && !had && at.Sub(k.Created) < r.Window {
			t.Errorf("minted beside the rival %s", k.ID)
		}
	}
	most := r.MaxKeys
	if due := p.Steps[mint].Reason; due != reason.Demanded && due != reason.Remembered {
		most += r.Spare
	}
	if live >= most || all >= r.KeyLimit {
		t.Errorf("minted beside %d live keys and %d in all", live, all)
	}
}

// ends checks what a plan takes away.
func ends(t *rapid.T, s protocol.State, p protocol.Plan, at time.Time) {
	r, newest := limits(), protocol.Key{}
	for _, k := range s.Keys {
		if names(s, k.ID) && k.Compare(newest) > 0 {
			newest = k
		}
	}
	told, ended := map[string]bool{}, map[string]bool{}
	for _, step := range p.Steps {
		k, _ := keyOf(s, step.Key)
		switch step.Action {
		case protocol.Publish, protocol.Copy:
			told[step.Target] = true
			continue
		case protocol.Unfuse:
			if step.Key == protocol.NewKey && len(told) == 0 || step.Key != protocol.NewKey && !names(s, k.ID) {
				t.Errorf("%s: no store names it", say(step))
			}
			continue
		case protocol.Retire, protocol.Supersede:
		default:
			continue
		}
		if unread(s) {
			t.Errorf("%s although a store could not be read", say(step))
		}
		if ended[step.Key] {
			t.Errorf("%s: ended twice", say(step))
		}
		ended[step.Key] = true
		if k.Locked || k.Disabled && !k.Expired(at) {
			t.Errorf("%s: an administrator locked or disabled it", say(step))
		}
		switch {
		case names(s, k.ID):
			for _, st := range s.Stores {
				if st.Key == k.ID && (step.Action == protocol.Retire || !told[st.Name]) {
					t.Errorf("%s while store %s names it", say(step), st.Name)
				}
			}
		case k.Superseded.IsZero() && k.Live(at) && at.Sub(k.Created) < r.Window && (k.Fused(r) || len(told) == 0 && k.Compare(newest) > 0):
			t.Errorf("%s: another replica is at work with it", say(step))
		case k.Expired(at) && at.Sub(k.Expires) < r.ExpiryMargin:
			t.Errorf("%s: expired %s ago", say(step), at.Sub(k.Expires))
		}
		if step.Action == protocol.Retire {
			if k.Live(at) && !k.Fused(r) {
				t.Errorf("%s: a store has named it once, so it has an overlap", say(step))
			}
			continue
		}
		if !k.Superseded.IsZero() && !step.At.After(k.Expires) {
			t.Errorf("%s: its overlap had started and is not lengthened", say(step))
		}
		length := r.Overlap
		if !names(s, k.ID) && k.Compare(newest) > 0 && len(told) == 0 {
			length = r.Fuse
		}
		if d := step.At.Sub(at.Add(length)); d < 0 || d >= time.Minute || !step.At.Equal(step.At.Truncate(time.Minute)) {
			t.Errorf("%s: want %s from now, rounded up", say(step), length)
		}
	}
	// An orphan is not superseded: it ends before anything else is minted,
	// whatever consumers hold.
	for i, step := range p.Steps {
		if step.Reason != reason.Replaced {
			continue
		}
		earlier := p.Steps[:i]
		fresh := slices.ContainsFunc(earlier, func(st protocol.Step) bool { return st.Action == protocol.Mint })
		for _, c := range s.Consumers {
			now := p.Published
			if fresh {
				now = protocol.NewKey
			}
			current := c.Key == now || slices.ContainsFunc(earlier, func(st protocol.Step) bool {
				return st.Action == protocol.RestartConsumer && st.Target == c.Name && st.Key == now
			})
			if c.Unknown || !current {
				t.Errorf("%s although consumer %s does not name the key", say(step), c.Name)
			}
		}
	}
}

func TestPromises(t *testing.T) { rapid.Check(t, promises) }

func FuzzPromises(f *testing.F) { f.Fuzz(rapid.MakeFuzz(promises)) }

func TestThePublishedKeyIsTheNewestLiveOneThatAnyStoreNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := history{keys: 6}.draw(t)
		if got, want := rotation.Decide(s, limits(), protocol.Trigger{}, now).Published, published(s, now); got != want {
			t.Errorf("published is %q, want %q", got, want)
		}
	})
}

// P7: IAM does not promise an order of keys in its lists.
func TestTheOrderOfTheListDecidesNothing(t *testing.T) {
	sorted := func(p protocol.Plan) string {
		list := steps(p)
		slices.Sort(list)
		return strings.Join(list, "\n")
	}
	rapid.Check(t, func(t *rapid.T) {
		s, trigger := history{hands: true, keys: 6}.draw(t), drawTrigger(t)
		trigger = trigger.Resolve(s.Keys)
		other := s
		other.Keys = rapid.Permutation(s.Keys).Draw(t, "order")
		p, q := rotation.Decide(s, limits(), trigger, now), rotation.Decide(other, limits(), trigger, now)
		if sorted(p) != sorted(q) || p.Waiting != q.Waiting || p.Blocked != q.Blocked || !p.Next.Equal(q.Next) {
			t.Errorf("listed in another order:\n%s\n%s", facts(t, p), facts(t, q))
		}
	})
}

// A caller may sleep until Next: nothing that only time brings comes earlier.
func TestNothingBecomesDueBeforeNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := history{keys: 4}.draw(t)
		p := rotation.Decide(s, limits(), protocol.Trigger{}, now)
		if len(p.Steps) > 0 {
			return
		}
		wait := p.Next.Sub(now)
		early := now.Add(time.Duration(rapid.Int64Range(0, int64(wait)-1).Draw(t, "asleep for")))
		if q := rotation.Decide(s, limits(), protocol.Trigger{}, early); len(q.Steps) > 0 {
			t.Errorf("asleep for %s, but after %s: %q", wait, early.Sub(now), steps(q))
		}
	})
}
