package rotation_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

var rewrite = flag.Bool("rewrite", false, "write the plans that Decide makes now into testdata")

// TestScenarios plays the scenarios in testdata. A scenario is its name, which is a
// sentence, the facts, a line of dashes and the plan. Each line of the facts is about
// one thing, and lines has the words that it may have. Words that take a duration say how
// long ago something was, or how long from now expires, served and expiry are. After a
// change of the protocol, go test -rewrite writes the plans: review the difference.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var played []string
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
				sc := parseScenario(t, block)
				got := sc.plan()
				played = append(played, sc.facts+"----\n"+got)
				t.Run(sc.name, func(t *testing.T) {
					if diff := cmp.Diff(sc.want, got); diff != "" && !*rewrite {
						t.Errorf("plan (-want +got):\n%s", diff)
					}
				})
			}
		})
		if *rewrite {
			if err := os.WriteFile(file, []byte(strings.Join(played, "\n")), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The table in docs/protocol.md names a scenario for each rule, each reason to be blocked
// and each phase whose keys end. Without it, the scenario has another plan.
func TestTheTableNamesAScenarioForEachRule(t *testing.T) {
	scenarios := map[string]scenario{}
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
			sc := parseScenario(t, block)
			scenarios[sc.name] = sc
		}
	}
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "### Which scenario shows which rule")
	table, _, _ = strings.Cut(table, "\n### ")
	var listed []string
	for _, row := range strings.Split(table, "\n") {
		cells := strings.Split(row, " | ")
		if len(cells) != 3 || !strings.HasSuffix(row, ". |") {
			continue
		}
		name := strings.Trim(cells[0], "| `")
		listed = append(listed, name)
		sc, is := scenarios[strings.TrimSuffix(cells[2], " |")]
		if !is {
			t.Errorf("%s: no scenario is named %q", name, cells[2])
			continue
		}
		restore := rotation.Without(name)
		if sc.plan() == sc.want {
			t.Errorf("without %s nothing changes: %s", name, sc.name)
		}
		restore()
	}
	slices.Sort(listed)
	if diff := cmp.Diff(rotation.Removable(), listed); diff != "" {
		t.Errorf("the code (-) and the table (+):\n%s", diff)
	}
}

// scenario is one block of a file.
type scenario struct {
	name        string
	facts, want string // as text
	state       protocol.State
	rules       protocol.Rules
	trigger     protocol.Trigger
	notes, next bool // the plan says its notes, and when the next run is useful
}

func (sc scenario) plan() string {
	p := rotation.Decide(sc.state, sc.rules, sc.trigger.Resolve(sc.state.Keys), now)
	var b strings.Builder
	for _, line := range steps(p) {
		fmt.Fprintln(&b, line)
	}
	if p.Waiting != "" {
		fmt.Fprintf(&b, "waiting: %s\n", p.Waiting)
	}
	if p.Blocked != "" {
		fmt.Fprintf(&b, "blocked: %s\n", p.Blocked)
	}
	for _, n := range p.Notes {
		if sc.notes {
			fmt.Fprintln(&b, sayNote(n))
		}
	}
	if sc.next {
		fmt.Fprintf(&b, "next in %s\n", span(p.Next.Sub(now)))
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

func sayNote(n protocol.Note) string {
	line := "note: " + string(n.Reason)
	for _, part := range []string{n.Key, n.Store, n.By} {
		if part != "" {
			line += " " + part
		}
	}
	if !n.At.IsZero() {
		line += " at " + span(n.At.Sub(now))
	}
	return line
}

// say writes a step as one line: action, key, target, moment, reason.
func say(s protocol.Step) string {
	line := string(s.Action)
	for _, word := range []string{s.Key, s.Target} {
		if word != "" {
			line += " " + word
		}
	}
	if !s.At.IsZero() {
		line += " at " + span(s.At.Sub(now))
	}
	return line + ": " + string(s.Reason)
}

func steps(p protocol.Plan) []string {
	out := []string{}
	for _, s := range p.Steps {
		out = append(out, say(s))
	}
	return out
}

// span writes a duration with days.
func span(d time.Duration) string {
	text := ""
	if d < 0 {
		text, d = "-", -d
	}
	if days := d / day; days > 0 {
		text += fmt.Sprintf("%dd", days)
		d -= days * day
	}
	if d > 0 || strings.TrimPrefix(text, "-") == "" {
		rest := strings.TrimSuffix(d.String(), "m0s")
		if rest != d.String() {
			rest += "m"
		}
		if short := strings.TrimSuffix(rest, "h0m"); short != rest {
			rest = short + "h"
		}
		text += rest
	}
	return text
}

// words are those of one line.
type words struct {
	t    *testing.T
	line string
	set  map[string]string
	used map[string]bool
}

func parseWords(t *testing.T, line string) *words {
	w := &words{t: t, line: line, set: map[string]string{}, used: map[string]bool{}}
	for _, field := range strings.Fields(line)[1:] {
		name, value, _ := strings.Cut(field, "=")
		w.set[name] = value
	}
	return w
}

func (w *words) has(name string) bool {
	_, ok := w.set[name]
	w.used[name] = w.used[name] || ok
	return ok
}

func (w *words) text(name string) string {
	w.has(name)
	return strings.ReplaceAll(w.set[name], "_", " ")
}

func (w *words) list(name string) []string {
	if !w.has(name) {
		return nil
	}
	return strings.Split(w.text(name), ",")
}

func (w *words) count(name string) (n int) {
	if w.has(name) {
		w.must(fmt.Sscan(w.set[name], &n))
	}
	return n
}

func (w *words) must(_ int, err error) {
	if err != nil {
		w.t.Fatalf("%q: %v", w.line, err)
	}
}

// span reads a duration such as -1d2h or 15m.
func (w *words) span(name string) (d time.Duration) {
	text := w.set[name]
	if !w.has(name) {
		return 0
	}
	sign := time.Duration(1)
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		sign, text = -1, rest
	}
	if days, rest, ok := strings.Cut(text, "d"); ok {
		var n int
		w.must(fmt.Sscan(days, &n))
		d, text = time.Duration(n)*day, rest
	}
	if text != "" {
		rest, err := time.ParseDuration(text)
		w.must(0, err)
		d += rest
	}
	return sign * d
}

// ago reads a time in the past, and in the future if the duration is negative.
func (w *words) ago(name string) (at time.Time) {
	if w.has(name) {
		at = now.Add(-w.span(name))
	}
	return at
}

// in reads a time in the future.
func (w *words) in(name string) (at time.Time) {
	if w.has(name) {
		at = now.Add(w.span(name))
	}
	return at
}

func (w *words) done() {
	for name := range w.set {
		if !w.used[name] {
			w.t.Fatalf("%q: unknown word %q", w.line, name)
		}
	}
}

// parseScenario reads one block of a file.
func parseScenario(t *testing.T, block string) scenario {
	t.Helper()
	facts, want, _ := strings.Cut(block+"\n", "\n----\n")
	sc := scenario{facts: facts + "\n", want: want, rules: limits(), state: protocol.State{Identity: protocol.Identity{Exists: true}}}
	for _, line := range strings.Split(facts, "\n") {
		if name, is := strings.CutPrefix(line, "# "); is {
			sc.name = strings.TrimSpace(sc.name + " " + name)
			continue
		}
		w := parseWords(t, line)
		read, known := lines[strings.Fields(line)[0]]
		if !known {
			t.Fatalf("unknown line %q", line)
		}
		read(&sc, w)
		w.done()
	}
	for i := range sc.state.Stores {
		st := &sc.state.Stores[i]
		if k, listed := keyOf(sc.state, st.Key); listed && st.Created.IsZero() {
			st.Created = k.Created
		}
	}
	return sc
}

// lines reads the kinds of lines.
var lines = map[string]func(*scenario, *words){
	"rules": func(sc *scenario, w *words) {
		for name, d := range map[string]*time.Duration{
			"after": &sc.rules.After, "jitter": &sc.rules.Jitter, "expire": &sc.rules.Expire, "overlap": &sc.rules.Overlap, "sweep": &sc.rules.SweepEvery,
		} {
			if w.has(name) {
				*d = w.span(name)
			}
		}
		sc.rules.BlockDisabled = w.has("block-disabled")
	},
	"credential": func(sc *scenario, w *words) {
		s := &sc.state
		s.Paused, s.Gone, s.Storm, s.LeakStorm = w.has("paused"), w.has("gone"), w.has("storm"), w.has("leak-storm")
		s.Skew, s.Foreign, s.Stranger, s.Adopting = w.span("skew"), w.count("foreign"), w.text("stranger"), w.text("adopting")
	},
	"service-id": func(sc *scenario, w *words) {
		sc.state.Identity = protocol.Identity{
			Exists: !w.has("missing"), Created: w.ago("age"), Locked: w.has("locked"), NameTaken: w.has("taken"), Posing: w.has("posing"),
			Newer: w.has("newer"), Twice: w.has("twice"), Collides: w.has("collides"), Given: w.has("given"), Former: w.text("former"),
			Duplicates: w.list("duplicates"), Unsatisfied: w.list("lacks"), Excess: w.list("excess"),
		}
	},
	"key": func(sc *scenario, w *words) {
		k := protocol.Key{ID: w.name(), Created: w.ago("age"), Disabled: w.has("disabled"), DisabledBy: w.text("by"), Locked: w.has("locked"), Elsewhere: w.has("elsewhere")}
		k.AsOf, k.Expires = k.Created, k.Created.Add(sc.rules.Expire)
		k.Superseded, k.Renew, k.Served, k.Leaked = w.ago("superseded"), w.ago("renew"), w.in("served"), w.ago("leaked")
		k.Replaces = w.text("replaces")
		k.Refused, k.Refusal, k.Used, k.Stores = w.ago("refused"), reason.Reason(w.text("refusal")), w.ago("used"), w.list("stores")
		if w.has("as-of") {
			k.AsOf = w.ago("as-of")
		}
		switch {
		case w.has("adopted"):
			k.AsOf = time.Time{}
		case w.has("fuse"):
			k.Expires = k.Created.Add(sc.rules.Fuse)
		case !k.Superseded.IsZero():
			k.Expires = k.Superseded.Add(sc.rules.Overlap)
		}
		switch {
		case w.has("endless"):
			k.Expires = time.Time{}
		case w.has("expires"):
			k.Expires = w.in("expires")
		}
		sc.state.Keys = append(sc.state.Keys, k)
	},
	"store": func(sc *scenario, w *words) {
		st := protocol.Store{
			Name: w.name(), Key: w.text("key"), Foreign: w.text("foreign"), Created: w.ago("age"), Guarded: w.has("guarded"), Required: !w.has("optional"),
			Altered: w.has("altered"), Adoptable: w.text("adoptable"), Fault: reason.Reason(w.text("fault")),
		}
		st.Readable = st.Key != "" && !w.has("sealed") || w.has("readable")
		sc.state.Stores = append(sc.state.Stores, st)
	},
	"consumer": func(sc *scenario, w *words) {
		sc.state.Consumers = append(sc.state.Consumers, protocol.Consumer{Name: w.name(), Store: w.text("store"), Key: w.text("key"), Unknown: w.has("unknown")})
	},
	"event": func(sc *scenario, w *words) {
		sc.trigger = protocol.Trigger{
			NewerThan: w.ago("newer-than"), Expiry: w.in("expiry"), NotKey: w.text("not-key"), Leaked: w.text("revoke"), Contain: w.has("contain"),
		}
	},
	"notes": func(sc *scenario, _ *words) { sc.notes = true },
	"next":  func(sc *scenario, _ *words) { sc.next = true },
}

// name returns the first word after the kind of the line.
func (w *words) name() string {
	name := strings.Fields(w.line)[1]
	w.used[name] = true
	return name
}
