// Package effects compares what a sweep would do with the config that runs and with a new
// one. It is pure: outcomes of two looks in, effects out.
package effects

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// Side is the credentials of one config, and what a sweep would do to each.
type Side struct {
	Credentials []port.Credential
	Outcomes    []result.Outcome
}

// Change is what the new config does to a credential.
type Change string

// The changes.
const (
	Added   Change = "new"     // only the new config yields it
	Removed Change = "removed" // only the present config yields it
	Renamed Change = "renamed" // the new config has its present name under formerly
	Changed Change = "changed" // both yield it
)

// Effect is what the new config changes for one credential.
type Effect struct {
	Credential string `json:"credential"`
	// Project is the name of the credential's project, for people.
	Project  string `json:"project,omitempty"`
	Formerly string `json:"formerly,omitempty"`
	Change   Change `json:"change"`
	// Now is the credential with the present config, and New with the new one. One of
	// them is nil if its config does not yield the credential.
	Now *State `json:"now,omitempty"`
	New *State `json:"new,omitempty"`
	// Steps are due with the new config only, and Dropped with the present one only.
	Steps    []protocol.Step `json:"steps,omitempty"`
	Dropped  []protocol.Step `json:"dropped,omitempty"`
	Settings []Setting       `json:"settings,omitempty"`
	Notes    []result.Note   `json:"notes,omitempty"` // with the new config only
	// Taken is the removed credential whose service ID or location this one wants.
	Taken string `json:"taken,omitempty"`
}

// State is a credential with one of the configs.
type State struct {
	Condition  condition.Condition `json:"condition"`
	Reason     reason.Reason       `json:"reason,omitempty"`
	Message    string              `json:"message,omitempty"`
	Key        string              `json:"key,omitempty"`
	KeyExpires time.Time           `json:"keyExpires,omitzero"`
	Next       time.Time           `json:"next,omitzero"`
}

// Setting is a value of the config that differs.
type Setting struct {
	Name string `json:"name"`
	Now  string `json:"now"`
	New  string `json:"new"`
}

// Totals counts what a new config changes.
type Totals struct {
	Now       int            `json:"now"` // credentials
	New       int            `json:"new"`
	Changes   map[Change]int `json:"changes"`
	Steps     int            `json:"steps"`
	Rotations Rotations      `json:"rotations"`
}

// Rotations are the keys that sweeps replace.
type Rotations struct {
	Now int `json:"now"` // with the present config
	New int `json:"new"` // with the new one
	// Routine are those of New that are replaced because of their age alone, of which an
	// interval of sweeps replaces PerSweep.
	Routine  int `json:"routine"`
	PerSweep int `json:"perSweep"`
	// Took is how long those with the new config take under Rate, and Sweeps are the
	// sweeps that begin with them.
	Took   time.Duration `json:"nanoseconds"`
	Sweeps int           `json:"sweeps"`
}

// The cost of a rotation; see docs/performance.md.
const (
	CallsPerRotation = 20
	Rate             = 10 // calls a second: the strictest limit that was measured
)

// same is how far apart two looks may show one time.
const same = time.Minute

// Compare returns the effects of the new config, in the order of its credentials, those
// that it removes last. days formats durations as the config has them. every is the
// interval of sweeps with the new config.
func Compare(now, next Side, every time.Duration, days func(time.Duration) string) (effects []Effect, t Totals) {
	before := index(now)
	matched := map[string]bool{}
	t.Changes = map[Change]int{}
	for _, o := range now.Outcomes {
		t.Now += count(o.Condition != condition.Unconfigured)
		t.Rotations.Now += count(o.Key != "" && mints(o))
	}
	var removed []Effect
	for _, c := range pairs(next) {
		was, formerly := before.find(c.credential)
		if was != nil {
			matched[was.credential.Name] = true
		}
		t.New += count(c.out.Condition != condition.Unconfigured)
		replaced := mints(c.out) && (c.out.Key != "" || was != nil && was.out.Key != "")
		t.Rotations.New += count(replaced)
		t.Rotations.Routine += count(replaced && c.out.Condition == condition.Due && slices.ContainsFunc(c.out.Steps, aged))
		switch e := compare(was, c, formerly, days); {
		case e == nil:
		case e.Change == Removed:
			removed = append(removed, *e)
		default:
			effects = append(effects, *e)
		}
	}
	for _, c := range pairs(now) {
		if !matched[c.credential.Name] && c.out.Condition != condition.Unconfigured {
			removed = append(removed, Effect{Credential: c.out.Credential, Project: c.out.Project, Change: Removed, Now: stateOf(c.out)})
		}
	}
	t.Rotations.spread(every, next.Credentials)
	after := index(next)
	for i := range effects {
		if e := &effects[i]; e.Change == Added {
			e.Taken = taken(after[e.Credential].credential, removed, before)
		}
	}
	effects = append(effects, removed...)
	for _, e := range effects {
		t.Changes[e.Change]++
		t.Steps += len(e.Steps)
	}
	return effects, t
}

// spread sets how long the rotations of credentials take.
func (r *Rotations) spread(every time.Duration, credentials []port.Credential) {
	rules := make([]protocol.Rules, len(credentials))
	for i, c := range credentials {
		rules[i] = c.Rules
	}
	r.PerSweep = protocol.Routine(rules, every)
	r.Took = time.Duration(r.New) * CallsPerRotation * time.Second / Rate
	if r.New > 0 {
		r.Sweeps = 1
	}
	if every > 0 && r.Took > every {
		r.Sweeps = int((r.Took + every - 1) / every)
	}
	r.Sweeps = max(r.Sweeps, (r.Routine+r.PerSweep-1)/r.PerSweep)
}

// pair is a credential with its outcome.
type pair struct {
	credential port.Credential
	out        result.Outcome
}

// pairs returns the credentials of a side that were looked at.
func pairs(s Side) (all []*pair) {
	outcomes := map[string]result.Outcome{}
	for _, o := range s.Outcomes {
		outcomes[o.Credential] = o
	}
	for _, c := range s.Credentials {
		if o, looked := outcomes[c.Name]; looked {
			all = append(all, &pair{c, o})
		}
	}
	return all
}

type byName map[string]*pair

func index(s Side) byName {
	by := byName{}
	for _, p := range pairs(s) {
		by[p.credential.Name] = p
	}
	return by
}

// find returns what a credential of the new config is now, and the name that it has now
// if that is another one.
func (by byName) find(c port.Credential) (was *pair, formerly string) {
	if p := by[c.Name]; p != nil && p.out.Condition != condition.Unconfigured {
		return p, ""
	}
	for _, former := range c.Former {
		if p := by[former]; p != nil && p.out.Condition != condition.Unconfigured {
			return p, former
		}
	}
	return by[c.Name], ""
}

// compare returns the effect on one credential, or nil if there is none.
func compare(was, is *pair, formerly string, days func(time.Duration) string) *Effect {
	e := &Effect{Credential: is.out.Credential, Project: is.out.Project, Formerly: formerly, Change: Changed, New: stateOf(is.out)}
	if was == nil {
		if is.out.Condition == condition.Unconfigured {
			return nil // a service ID that was made since
		}
		e.Change, e.Steps, e.Notes = Added, stepsOf(is.out), is.out.Notes
		return e
	}
	e.Now = stateOf(was.out)
	switch {
	case is.out.Condition == condition.Unconfigured && was.out.Condition == condition.Unconfigured:
		return nil
	case is.out.Condition == condition.Unconfigured:
		e.Change, e.New = Removed, nil
		return e
	case formerly != "":
		e.Change = Renamed
	}
	e.Steps = without(stepsOf(is.out), stepsOf(was.out))
	e.Dropped = without(stepsOf(was.out), stepsOf(is.out))
	e.Settings = settings(was.credential, is.credential, days)
	for _, n := range is.out.Notes {
		if !slices.ContainsFunc(was.out.Notes, func(o result.Note) bool {
			return o.Reason == n.Reason && o.Key == n.Key && o.Store == n.Store && o.Thing == n.Thing
		}) {
			e.Notes = append(e.Notes, n)
		}
	}
	moved := was.out.Condition == condition.OK && is.out.Condition == condition.OK && is.out.Next.Sub(was.out.Next).Abs() > same
	other := was.out.Condition != is.out.Condition || was.out.Reason != is.out.Reason
	if formerly == "" && !moved && !other && len(e.Steps)+len(e.Dropped)+len(e.Settings)+len(e.Notes) == 0 {
		return nil
	}
	return e
}

func stateOf(o result.Outcome) *State {
	return &State{Condition: o.Condition, Reason: o.Reason, Message: o.Message, Key: o.Key, KeyExpires: o.KeyExpires, Next: o.Next}
}

func stepsOf(o result.Outcome) (steps []protocol.Step) {
	for _, s := range o.Steps {
		steps = append(steps, s.Step)
	}
	return steps
}

// without returns the steps that others do not have, whatever their reason and time.
func without(steps, others []protocol.Step) (rest []protocol.Step) {
	for _, s := range steps {
		if !slices.ContainsFunc(others, func(o protocol.Step) bool {
			return o.Action == s.Action && o.Key == s.Key && o.Target == s.Target
		}) {
			rest = append(rest, s)
		}
	}
	return rest
}

// aged reports whether a step makes a key because of the age of another.
func aged(s result.Step) bool { return s.Action == protocol.Mint && s.Reason == reason.Aged }

func mints(o result.Outcome) bool {
	return slices.ContainsFunc(o.Steps, func(s result.Step) bool { return s.Action == protocol.Mint })
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// settings returns what differs in the config, of what no step shows.
func settings(was, is port.Credential, days func(time.Duration) string) (all []Setting) {
	add := func(name, now, next string) {
		if now != next {
			all = append(all, Setting{name, now, next})
		}
	}
	onDisabled := map[bool]string{true: "block", false: "replace"}
	add("rotation.after", days(was.Rules.After), days(is.Rules.After))
	add("rotation.expire", days(was.Rules.Expire), days(is.Rules.Expire))
	add("rotation.overlap", days(was.Rules.Overlap), days(is.Rules.Overlap))
	add("rotation.onLeak", was.OnLeak, is.OnLeak)
	add("rotation.onDisabled", onDisabled[was.Rules.BlockDisabled], onDisabled[is.Rules.BlockDisabled])
	add("paused", strconv.FormatBool(was.Paused), strconv.FormatBool(is.Paused))
	add("stores", storesOf(was), storesOf(is))
	return all
}

func storesOf(c port.Credential) string {
	var names []string
	for _, s := range c.Stores {
		names = append(names, s.Name())
	}
	return strings.Join(names, ", ")
}

// taken returns the removed credential that has the service ID name or a store of c, an
// added one. It is probably the same one under another name.
func taken(c port.Credential, removed []Effect, before byName) string {
	for _, e := range removed {
		was := before[e.Credential].credential
		if c.ServiceIDName != "" && c.ServiceIDName == was.ServiceIDName {
			return e.Credential
		}
		for _, s := range c.Stores {
			if slices.ContainsFunc(was.Stores, func(o port.Store) bool { return o.Name() == s.Name() }) {
				return e.Credential
			}
		}
	}
	return ""
}
