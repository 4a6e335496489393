package simulate

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// flow is one scenario, from a prepared state on.
type flow struct {
	name   string
	layout string
	apps   int
	// setting is what the config has, if it is not an ordinary one.
	setting twist
	// prepare leads to the state in which the flow starts, without faults.
	prepare func(*sim)
	// request is what that starts the flow.
	request func(*sim) reconcile.Request
}

func sweeping(*sim) reconcile.Request { return reconcile.Request{Cause: "timer"} }

// rested has a published key and no run at work.
func rested(s *sim) { s.quiet(3) }

func due(s *sim) {
	rested(s)
	f := s.newest()
	s.until(f.born.Add(s.rules.After))
	s.complete = append(s.complete, span{s.now, s.now})
}

// update gives a replica the new config of the setting.
func (s *sim) update(in *replica) {
	in.behind = false
	s.kill(in)
	s.settle()
}

// died leaves an unpublished key of a replica that has stopped.
func died(s *sim) {
	due(s)
	s.policy = &script{sim: s, faults: map[int]fault{}, at: publish, then: crashBefore}
	s.sweep(s.replicas[0])
	s.until(s.now.Add(s.rules.Window + time.Minute))
}

var flows = []flow{
	{name: "first mint", layout: "G", apps: 1, prepare: func(*sim) {}, request: sweeping},
	{name: "first mint without compare-and-set", layout: "P", prepare: func(*sim) {}, request: sweeping},
	{name: "due", layout: "GP", apps: 1, prepare: due, request: sweeping},
	{name: "forced", layout: "G", apps: 1, prepare: rested, request: func(s *sim) reconcile.Request {
		return reconcile.Request{Cause: "demand", Trigger: protocol.Trigger{NewerThan: s.now}}
	}},
	{name: "three stores with one down", layout: "GPo", apps: 2, prepare: func(s *sim) {
		due(s)
		s.places[2].down = "unavailable"
	}, request: sweeping},
	{name: "supersede", layout: "GP", apps: 1, prepare: func(s *sim) {
		due(s)
		s.policy = &script{sim: s, faults: map[int]fault{}, at: supersede, then: crashBefore}
		s.sweep(s.replicas[0])
		s.until(s.now.Add(s.rules.Window + time.Minute))
	}, request: sweeping},
	{name: "delete what expired", layout: "G", prepare: func(s *sim) {
		due(s)
		s.sweep(s.replicas[0])
		s.until(s.now.Add(s.rules.Overlap + time.Hour))
	}, request: sweeping},
	{name: "delete what was never published", layout: "GP", prepare: died, request: sweeping},
	{name: "repair", layout: "GP", apps: 2, prepare: func(s *sim) {
		rested(s)
		s.put(s.places[1], port.Entry{}, false, true)
	}, request: sweeping},
	{name: "policy change", layout: "G", prepare: func(s *sim) {
		rested(s)
		s.wanted = []access.Policy{{Service: "logs", Roles: []string{"Sender"}}}
		for _, in := range s.replicas {
			s.kill(in)
		}
	}, request: sweeping},
	{name: "unblock", layout: "G", apps: 1, prepare: func(s *sim) {
		s.rules.BlockDisabled = true
		for _, in := range s.replicas {
			s.kill(in)
		}
		rested(s)
		f := s.newest()
		f.excused = "disabled"
		s.cloud.SetKeyDisabled(f.id, true)
		s.refresh(f)
		s.sweep(s.replicas[0])
		s.until(s.now.Add(time.Hour))
		s.lagged(0, 0, 0)
		s.cloud.RemoveKey(f.id) // the way out that the reason names
		f.gone, f.excused = s.now, "deleted"
		s.until(s.now.Add(time.Hour))
	}, request: sweeping},
	{name: "revoke", layout: "GP", apps: 1, prepare: rested, request: revoking(false)},
	{name: "revoke at once", layout: "GP", apps: 1, prepare: rested, request: revoking(true)},
	{name: "two service IDs", layout: "G", prepare: func(s *sim) {
		for range 2 {
			id, err := s.cloud.CreateServiceID(s.minter.Actor(), cloud.NewServiceID{
				AccountID: cloud.AccountID, Name: idName,
				Description: marker.Marker{Owner: owner, Credential: credential}.Describe("Sends logs"),
			})
			if err != nil {
				panic(err)
			}
			s.ids[id.ID] = s.now
		}
		s.until(s.now.Add(time.Hour))
	}, request: sweeping},
	{name: "given", setting: given, layout: "GP", apps: 1, prepare: due, request: sweeping},
	{name: "adopt", setting: adopts, layout: "GP", apps: 1, prepare: func(*sim) {}, request: sweeping},
	{name: "rename", setting: renames, layout: "GP", prepare: func(s *sim) {
		due(s)
		s.update(s.replicas[0])
	}, request: sweeping},
	{name: "unlock the entries of what expired", setting: locking, layout: "GP", prepare: func(s *sim) {
		due(s)
		s.sweep(s.replicas[0])
		s.until(s.now.Add(s.rules.Overlap + time.Hour))
	}, request: sweeping},
	{name: "fill a store that was added", setting: configs, layout: "GP", apps: 1, prepare: func(s *sim) {
		rested(s)
		s.update(s.replicas[0])
	}, request: sweeping},
}

func revoking(contain bool) func(*sim) reconcile.Request {
	return func(s *sim) reconcile.Request {
		f := s.newest()
		f.leaked, f.contained, f.excused = true, contain, "revoked"
		return reconcile.Request{Cause: "revoke", Trigger: protocol.Trigger{Leaked: f.id, Contain: contain}}
	}
}

// script is the policy of an enumeration. Faults are given by the index of the
// call, counted over all runs since the policy was set. Calls take a moment.
type script struct {
	*sim
	faults map[int]fault
	seen   int
	calls  []step
	// at and then are one fault by step, to prepare a state.
	at   step
	then fault
	// applied counts the faults that were reached.
	applied int
	landed  bool // whether what was under way at a deadline arrives
	// meddle is called right before the call with the index before is sent.
	meddle func()
	before int
}

func (p *script) arrives(*call) bool { return p.landed }

func (p *script) fate(c *call) fate {
	f := fate{effect: true, send: 10 * time.Millisecond, back: 10 * time.Millisecond}
	if c.step == napping {
		f.send, f.back = c.nap, 0
		return f
	}
	what := p.faults[p.seen]
	if p.meddle != nil && p.seen == p.before {
		p.meddle()
	}
	p.seen++
	p.calls = append(p.calls, c.step)
	if what == none && p.at == c.step && p.then != none {
		what, p.then = p.then, none
	}
	if what == none {
		return f
	}
	p.applied++
	switch what {
	case timeout:
		f.effect, f.back = false, never
		return f
	case timeoutDone:
		f.back = never
		return f
	}
	return f.apply(what, c.step)
}

// timeoutDone is a timeout after the effect.
const timeoutDone fault = "timeout-after-effect"

// enumerated are the faults of the enumeration.
var enumerated = []fault{crashBefore, crashAfter, lost, truncated, broken, limited, denied, refused, timeout, timeoutDone}

// staged returns a new world with stores of a layout, apps and replicas, without
// chance. It has a setting of the config if the options ask for one.
func staged(seed uint64, o Options, layout string, apps int, names ...string) *sim {
	s := newSim(seed, o)
	if o.twist != "" {
		s.twists = map[twist]*rand.Rand{o.twist: rand.New(rand.NewPCG(seed, 40))}
	}
	s.rules = protocol.Standard()
	s.rules.After, s.rules.Expire = 60*24*time.Hour, 90*24*time.Hour
	s.rules.Overlap, s.rules.SweepEvery = 2*time.Hour, time.Hour
	s.furnish(layout, apps)
	s.provide()
	for _, name := range names {
		in := &replica{name: name, behind: s.changes()}
		s.replicas = append(s.replicas, in)
		s.boot(in)
	}
	return s
}

// run plays a flow with faults by the index of the call, and then clean runs.
// Promises must hold throughout, and the last run must change nothing. It returns
// the calls of the flow, and after a fault or a manual change those of the next run.
func (fl flow) run(t *testing.T, faults map[int]fault, o Options) (calls []step, v Verdict) {
	synctest.Test(t, func(*testing.T) {
		o.twist = fl.setting
		s := staged(o.seed, o, fl.layout, fl.apps, "A", "B")
		calm := &script{sim: s}
		s.policy = calm
		fl.prepare(s)
		s.policy = calm
		if o.lagging {
			s.lag, s.stale = 60*time.Second, true
		}
		for _, rd := range s.readers {
			s.consume(rd, s.now.Add(12*time.Hour))
		}
		for _, a := range s.apps {
			s.serve(&a.reader, s.now.Add(12*time.Hour))
		}
		sc := &script{sim: s, faults: faults}
		undo := func() {}
		if o.hand != nil {
			sc.before = o.at
			sc.meddle = func() {
				back, done := s.play(*o.hand, "a person")
				if back != nil && done {
					undo = back
				}
			}
		}
		s.policy = sc
		r := s.begin(s.replicas[0], fl.request(s), 10*time.Minute)
		s.settle()
		s.until(s.now.Add(10 * time.Minute))
		if len(faults) == 0 && o.hand == nil && (r.err != nil || r.out.Error != "" || r.mutations == 0) {
			s.violate("P9", "the flow itself fails: %v %s %s", r.err, r.out.Error, r.out.Reason)
		}
		calls = sc.calls
		if o.after != nil {
			o.after(s)
		}
		// The second fault of a pair may come in the next run.
		if len(faults) > 0 || o.hand != nil {
			s.sweep(s.replicas[1])
			s.until(s.now.Add(10 * time.Minute))
			calls = sc.calls
		}
		if o.undone {
			undo()
			s.until(s.now.Add(10 * time.Minute))
		}
		s.policy = calm
		s.heal()
		for _, in := range s.replicas {
			s.kill(in)
		}
		s.settle()
		v = s.verdict(o.seed)
	})
	return calls, v
}

// describe returns the name of a scenario.
func (fl flow) describe(faults map[int]fault, calls []step) string {
	text := fl.name
	for i := range 200 {
		if f, ok := faults[i]; ok {
			where := step("later")
			if i < len(calls) {
				where = calls[i]
			}
			text += fmt.Sprintf(", %s at call %d (%s)", f, i, where)
		}
	}
	return text
}
