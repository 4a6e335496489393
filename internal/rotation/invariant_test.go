package rotation

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// anyState draws states that IAM and the stores could show, and some that
// only manual changes make.
func anyState(t *rapid.T) (State, Trigger) {
	ids := []string{"k1", "k2", "k3", "k4", "k5", "k6"}
	span := rapid.Custom(func(t *rapid.T) time.Duration {
		unit := rapid.SampledFrom([]time.Duration{time.Minute, time.Hour, day}).Draw(t, "unit")
		return time.Duration(rapid.IntRange(0, 100).Draw(t, "n")) * unit
	})
	var s State
	for _, id := range ids[:rapid.IntRange(0, 6).Draw(t, "keys")] {
		k := aged(id, span.Draw(t, "age"))
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			k.Expires = k.Created.Add(day)
		case 1:
			k.Superseded, k.Expires = noon.Add(-span.Draw(t, "since")), noon.Add(day-span.Draw(t, "gone"))
		case 2:
			k.Renew = noon.Add(-span.Draw(t, "renew"))
		}
		if rapid.IntRange(0, 9).Draw(t, "leaked") == 0 {
			k.Leaked = noon.Add(-span.Draw(t, "leaked since"))
		}
		if rapid.IntRange(0, 2).Draw(t, "known use") == 0 {
			k.Used = noon.Add(-span.Draw(t, "used"))
		}
		k.Disabled = rapid.IntRange(0, 9).Draw(t, "disabled") == 0
		k.Locked = rapid.IntRange(0, 9).Draw(t, "locked") == 0
		s.Keys = append(s.Keys, k)
	}
	faults := []Reason{"", "", "", "", StoreUnreachable, StoreNotActive, StoreDenied}
	for _, name := range []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(t, "stores")] {
		st := Store{Name: name, Guarded: rapid.Bool().Draw(t, "guarded"), Required: rapid.Bool().Draw(t, "required")}
		if st.Fault = rapid.SampledFrom(faults).Draw(t, "fault"); st.Fault == "" && rapid.Bool().Draw(t, "named") {
			st.Key = rapid.SampledFrom(append(ids, "gone")).Draw(t, "key")
			st.Created = noon.Add(-span.Draw(t, "born"))
			st.Readable = rapid.Bool().Draw(t, "readable")
		}
		s.Stores = append(s.Stores, st)
	}
	for _, name := range []string{"app/x", "app/y"}[:rapid.IntRange(0, 2).Draw(t, "consumers")] {
		s.Consumers = append(s.Consumers, Consumer{Name: name, Key: rapid.SampledFrom(append(ids, "")).Draw(t, "has"), Unknown: rapid.IntRange(0, 5).Draw(t, "unknown") == 0})
	}
	s.Foreign = rapid.IntRange(0, 16).Draw(t, "foreign")
	s.Identity.Exists = rapid.IntRange(0, 5).Draw(t, "exists") > 0
	s.Identity.Locked = rapid.IntRange(0, 9).Draw(t, "identity locked") == 0
	if rapid.IntRange(0, 3).Draw(t, "policy") == 0 {
		s.Identity.Unsatisfied = []string{"p"}
	}
	s.Paused = rapid.IntRange(0, 19).Draw(t, "paused") == 0
	s.Skew = time.Duration(rapid.IntRange(-6, 6).Draw(t, "skew")) * time.Minute
	var trigger Trigger
	if rapid.Bool().Draw(t, "demand") {
		trigger.NewerThan = noon.Add(-span.Draw(t, "newer than"))
	}
	if rapid.Bool().Draw(t, "not") {
		trigger.NotKey = rapid.SampledFrom(ids).Draw(t, "not key")
	}
	if rapid.IntRange(0, 4).Draw(t, "revoke") == 0 {
		trigger.Leaked, trigger.Contain = rapid.SampledFrom(ids).Draw(t, "leak"), rapid.Bool().Draw(t, "contain")
	}
	return s, trigger
}

func TestNoPlanBreaksAPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, trigger := anyState(t)
		before := cmp.Diff(State{}, s)
		r := rules()
		trigger = trigger.Resolve(s.Keys)
		p := Decide(s, r, trigger, noon)
		if again := Decide(s, r, trigger, noon); cmp.Diff(p, again) != "" {
			t.Fatal("the same facts gave two plans")
		}
		if cmp.Diff(State{}, s) != before {
			t.Fatal("deciding changed the facts")
		}

		named, unread := map[string]bool{}, false
		for _, st := range s.Stores {
			named[st.Key] = named[st.Key] || st.Key != ""
			unread = unread || st.Fault != "" && st.Fault != EntryUnmarked && st.Fault != EntryForeign
		}
		position := func(a Action) int {
			return slices.IndexFunc(p.Steps, func(st Step) bool { return st.Action == a })
		}
		mint, published := position(Mint), map[string]bool{}
		for i, step := range p.Steps {
			if step.Reason.Sentence() == "" {
				t.Errorf("reason %q has no sentence", step.Reason)
			}
			k, known := Key{}, false
			for _, other := range s.Keys {
				if other.ID == step.Key {
					k, known = other, true
				}
			}
			switch step.Action {
			case Publish, Copy:
				published[step.Target] = true
			case Extend:
				most := k.Superseded.Add(3 * r.Overlap)
				if named[step.Key] || slices.ContainsFunc(s.Consumers, func(c Consumer) bool { return c.Key == step.Key }) {
					most = k.Created.Add(r.Expire)
				}
				if !step.At.After(k.Expires) || step.At.After(most) || !k.Leaked.IsZero() {
					t.Errorf("%+v of a key that ends at %v, superseded at %v", step, k.Expires, k.Superseded)
				}
			case MarkLeaked, Disable, Retire, Supersede:
				if !known {
					t.Errorf("%+v ends a key that is not ours", step)
				}
				if k.Locked {
					t.Errorf("%+v ends a key that an administrator locked", step)
				}
				asked := step.Key == trigger.Leaked
				if step.Action == MarkLeaked || step.Action == Disable && asked && trigger.Contain {
					if !asked {
						t.Errorf("%+v without a reason", step)
					}
					continue
				}
				if unread {
					t.Errorf("%+v although a store could not be read", step)
				}
				if asked || !k.Leaked.IsZero() {
					if step.Action == Supersede {
						t.Errorf("%+v gives a leaked key an overlap", step)
					}
					for _, st := range s.Stores {
						if st.Key == step.Key && !published[st.Name] {
							t.Errorf("%+v ends a key that store %s names", step, st.Name)
						}
					}
					continue
				}
				if step.Action == Disable {
					t.Errorf("%+v of a key that did not leak", step)
				}
				if named[step.Key] && (step.Action == Retire || len(published) != len(s.Stores)) {
					t.Errorf("%+v ends a key that a store names", step)
				}
				if !named[step.Key] && k.Live(noon) && k.Superseded.IsZero() && noon.Sub(k.Created) < r.Window {
					t.Errorf("%+v ends a key that another replica is at work with", step)
				}
				if step.Action == Supersede && step.At.Before(noon.Add(min(r.Overlap, r.Fuse))) {
					t.Errorf("%+v ends a key before its overlap", step)
				}
			case Mint:
				if position(CreateIdentity) > i || position(GrantPolicy) > i {
					t.Error("a key is minted before its policies")
				}
				if p.Steps[i+1].Action != Prove {
					t.Error("a key is not proven at once")
				}
				for _, key := range s.Keys {
					contained := !key.Leaked.IsZero() && key.Disabled || key.ID == trigger.Leaked && (trigger.Contain || key.Disabled)
					if noon.Sub(key.Created) < r.MinAge && !contained {
						t.Errorf("minted %s after key %s", noon.Sub(key.Created), key.ID)
					}
				}
				for _, st := range s.Stores {
					if st.Required && st.Fault != "" {
						t.Errorf("minted without the required store %s", st.Name)
					}
				}
			case Unfuse:
				if step.Key != NewKey && !named[step.Key] {
					t.Errorf("%+v gives a full life to a key that no store names", step)
				}
				if step.Key == NewKey && len(published) == 0 {
					t.Error("the fuse is taken off before the first publication")
				}
			}
		}
		if mint >= 0 && (p.Blocked != "" || p.Waiting != "") {
			t.Errorf("minted although %s%s", p.Blocked, p.Waiting)
		}
		if p.Blocked == Paused && len(p.Steps) > 0 {
			t.Errorf("%s, and yet %+v", p.Blocked, p.Steps)
		}
		if p.Blocked == ClockSkew && slices.ContainsFunc(p.Steps, func(st Step) bool { return st.Action != Unfuse && st.Reason != KeyLeaked }) {
			t.Errorf("%s, and yet %+v", p.Blocked, p.Steps)
		}
		for _, reason := range []Reason{p.Blocked, p.Waiting} {
			if reason != "" && reason.Sentence() == "" {
				t.Errorf("reason %q has no sentence", reason)
			}
		}
		if !p.Next.After(noon) {
			t.Errorf("the next look is at %v", p.Next)
		}
	})
}

func TestEveryReasonHasASentence(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != "Reason" {
			return true
		}
		count++
		value := strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`)
		if Reason(value).Sentence() == "" {
			t.Errorf("%s has no sentence", spec.Names[0].Name)
		}
		return true
	})
	if count < 30 {
		t.Errorf("only %d reasons were found in reason.go", count)
	}
}

func TestThePackageNeedsTheStandardLibraryOnly(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if strings.Contains(i.Path.Value, ".") {
				t.Errorf("%s imports %s", file.Name(), i.Path.Value)
			}
		}
	}
}
