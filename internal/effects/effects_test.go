package effects_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/effects"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

var now = time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// credential is one with the outcome of a look.
type credential struct {
	port.Credential
	result.Outcome
}

func ok(name string, change ...func(*credential)) credential {
	c := credential{
		port.Credential{Name: name, ServiceIDName: name, Rules: protocol.Rules{After: 60 * day, Expire: 90 * day, Overlap: day}},
		result.Outcome{Credential: name, Condition: condition.OK, Key: "ApiKey-1", KeyExpires: now.Add(80 * day), Next: now.Add(50 * day)},
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func due(steps ...protocol.Step) func(*credential) {
	return func(c *credential) {
		c.Condition = condition.Due
		for _, s := range steps {
			c.Steps = append(c.Steps, result.Step{Step: s})
		}
	}
}

func side(all ...credential) (s effects.Side) {
	for _, c := range all {
		s.Credentials, s.Outcomes = append(s.Credentials, c.Credential), append(s.Outcomes, c.Outcome)
	}
	return s
}

func days(d time.Duration) string { return d.String() }

var (
	mint  = protocol.Step{Action: protocol.Mint, Key: protocol.NewKey, Reason: reason.Aged}
	grant = protocol.Step{Action: protocol.GrantPolicy, Target: "logs: Sender", Reason: reason.NoPolicy}
)

func unconfigured(c *credential) {
	c.Outcome = result.Outcome{Credential: c.Name, Condition: condition.Unconfigured, Reason: reason.Unconfigured}
}

// told is an effect in one line.
func told(e effects.Effect) string {
	words := []string{string(e.Change), e.Credential}
	add := func(word string, texts ...string) {
		for _, text := range texts {
			words = append(words, word+text)
		}
	}
	if e.Formerly != "" {
		add("formerly=", e.Formerly)
	}
	for _, s := range e.Steps {
		add("+", string(s.Action))
	}
	for _, s := range e.Dropped {
		add("-", string(s.Action))
	}
	for _, s := range e.Settings {
		add("", s.Name+"="+s.New)
	}
	for _, n := range e.Notes {
		add("note=", string(n.Reason))
	}
	if e.Taken != "" {
		add("taken=", e.Taken)
	}
	return strings.Join(words, " ")
}

func TestAnEffectIsWhatOnlyOneOfTheConfigsDoes(t *testing.T) {
	shorter := func(c *credential) { c.Rules.After = 30 * day }
	next := func(in time.Duration) func(*credential) { return func(c *credential) { c.Next = now.Add(in) } }
	blocked := func(c *credential) {
		c.Condition, c.Reason = condition.Blocked, reason.NameCollision
	}
	note := func(c *credential) {
		c.Notes = []result.Note{{Note: protocol.Note{Reason: reason.StoreDropped, Key: "ApiKey-1", Store: "s"}}}
	}
	formerly := func(name string) func(*credential) {
		return func(c *credential) { c.Former, c.ServiceIDName = []string{name}, name }
	}
	named := func(name string) func(*credential) { return func(c *credential) { c.ServiceIDName = name } }
	for name, tc := range map[string]struct {
		now, next []credential
		want      []string
	}{
		"two equal configs have no effect":                          {now: []credential{ok("a"), ok("b", due(mint))}, next: []credential{ok("a"), ok("b", due(mint))}},
		"a step that both configs do is no effect, whatever reason": {now: []credential{ok("a", due(mint))}, next: []credential{ok("a", due(protocol.Step{Action: protocol.Mint, Key: protocol.NewKey, Reason: reason.ExpiresSoon}))}},
		"a shorter after rotates":                                   {now: []credential{ok("a")}, next: []credential{ok("a", shorter, due(mint))}, want: []string{"changed a +mint rotation.after=720h0m0s"}},
		"a shorter after moves the next rotation":                   {now: []credential{ok("a")}, next: []credential{ok("a", shorter, next(20*day))}, want: []string{"changed a rotation.after=720h0m0s"}},
		"the next rotation alone is an effect":                      {now: []credential{ok("a")}, next: []credential{ok("a", next(20*day))}, want: []string{"changed a"}},
		"a longer after takes a rotation back":                      {now: []credential{ok("a", due(mint))}, next: []credential{ok("a")}, want: []string{"changed a -mint"}},
		"a look that took seconds is no effect":                     {now: []credential{ok("a")}, next: []credential{ok("a", next(50*day+30*time.Second))}},
		"a policy is granted":                                       {now: []credential{ok("a")}, next: []credential{ok("a", due(grant))}, want: []string{"changed a +grant-policy"}},
		"a collision blocks":                                        {now: []credential{ok("a")}, next: []credential{ok("a", blocked)}, want: []string{"changed a"}},
		"a store that leaves is a note":                             {now: []credential{ok("a")}, next: []credential{ok("a", note)}, want: []string{"changed a note=store-dropped"}},
		"a note that both have is none":                             {now: []credential{ok("a", note)}, next: []credential{ok("a", note)}},
		"an entry is removed":                                       {now: []credential{ok("a"), ok("b")}, next: []credential{ok("a", unconfigured), ok("b")}, want: []string{"removed a"}},
		"a removed entry that made nothing yet":                     {now: []credential{ok("a")}, want: []string{"removed a"}},
		"an entry is added":                                         {now: []credential{ok("a")}, next: []credential{ok("b", due(grant, mint)), ok("a")}, want: []string{"new b +grant-policy +mint"}},
		"an entry is renamed":                                       {now: []credential{ok("a")}, next: []credential{ok("b", formerly("a"))}, want: []string{"renamed b formerly=a"}},
		"a rename that is forgotten is a new and a removed one":     {now: []credential{ok("a")}, next: []credential{ok("b", named("a"), blocked), ok("a", unconfigured)}, want: []string{"new b taken=a", "removed a"}},
		"what neither config yields is no effect":                   {now: []credential{ok("a", unconfigured)}, next: []credential{ok("a", unconfigured)}},
		"an entry comes back":                                       {now: []credential{ok("a", unconfigured)}, next: []credential{ok("a")}, want: []string{"changed a"}},
	} {
		t.Run(name, func(t *testing.T) {
			all, totals := effects.Compare(side(tc.now...), side(tc.next...), time.Hour, days)
			var got []string
			for _, e := range all {
				got = append(got, told(e))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
			n := 0
			for _, count := range totals.Changes {
				n += count
			}
			if n != len(tc.want) {
				t.Errorf("%d effects are counted, want %d", n, len(tc.want))
			}
		})
	}
}

func TestManyRotationsTakeAsLongAsTheRateAllows(t *testing.T) {
	var calm, hasty []credential
	for i := range 3000 {
		name := fmt.Sprint("c", i)
		calm, hasty = append(calm, ok(name)), append(hasty, ok(name, due(mint)))
	}
	_, totals := effects.Compare(side(calm...), side(hasty...), time.Hour, days)
	// A tenth of 60 days has 144 sweeps.
	if want := (effects.Rotations{Now: 0, New: 3000, Routine: 3000, PerSweep: 21 + 11, Took: 6000 * time.Second, Sweeps: 94}); totals.Rotations != want {
		t.Errorf("rotations %+v, want %+v", totals.Rotations, want)
	}
	for i := range hasty {
		hasty[i].Condition = condition.Expiring // such keys do not wait
	}
	_, totals = effects.Compare(side(calm...), side(hasty...), time.Hour, days)
	if got := totals.Rotations; got.Routine != 0 || got.Sweeps != 2 {
		t.Errorf("rotations of keys that expire soon: %+v", got)
	}
	first := ok("a", due(mint))
	first.Key = ""
	if _, totals := effects.Compare(effects.Side{}, side(first), time.Hour, days); totals.Rotations.New != 0 {
		t.Error("a first key is counted as a replacement")
	}
	if _, totals := effects.Compare(side(ok("a")), side(first), time.Hour, days); totals.Rotations.New != 1 {
		t.Error("a key for another location is not counted as a replacement")
	}
}
