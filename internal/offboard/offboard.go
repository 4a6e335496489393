// Package offboard decides how a credential comes to its end: state in, plan out. It has
// no I/O, no clock and no randomness.
//
//	demanded ─▶ quiet? ─▶ marked, keys disabled ─▶ wait ─▶ entries, keys, service ID deleted
//	              │             │                    │
//	              └ in use      └──── undo: keys enabled, mark removed
//
// Nothing is kept but marks in IAM. The service ID's mark says when the deprovisioning
// was demanded; a key's mark says when it was disabled for it. Each step can be repeated:
// a run that follows a crash observes again and takes what is left.
//
//   - A key that was used within the quiet time ends nothing, unless the demand forces it.
//   - The wait begins when the last key was disabled.
//   - Keys are deleted after the entries of all stores, and the service ID, which bears
//     the mark, is deleted last.
//   - An undo enables only keys that this deprovisioning disabled. A config that asks for
//     the credential again demands one.
package offboard

import (
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// Ask is what is demanded.
type Ask string

// The demands. The zero Ask demands nothing; what has begun goes on.
const (
	End  Ask = "end"  // deprovision the credential
	Undo Ask = "undo" // bring it back
)

// Demand is a demand and how it was made.
type Demand struct {
	Ask Ask
	// Force ends keys that are in use.
	Force bool
}

// Rules are the durations of one credential.
type Rules struct {
	// Quiet is how long no key may have been used.
	Quiet time.Duration
	// Wait is how long keys stay disabled before they are deleted.
	Wait time.Duration
}

// State is the input of a decision.
type State struct {
	Demand Demand
	// Exists is set if IAM has our service ID. Mark is when its deprovisioning was
	// demanded, or zero.
	Exists bool
	Mark   time.Time
	// Given is set if the service ID belongs to other software, and Twice if there are
	// several of ours.
	Given, Twice bool
	// Kept is set if the config would make the credential again.
	Kept bool
	// Foreign counts the keys of the service ID that are not ours.
	Foreign int
	Keys    []Key
	Stores  []Store
}

// Key is one key of ours.
type Key struct {
	ID       string
	Disabled bool
	// Suspended is the key's mark: when a deprovisioning disabled it, or zero.
	Suspended time.Time
	// Leaked keys are never enabled again.
	Leaked bool
	// Used is when the key last authenticated, or zero. It is only needed for the
	// quiet check.
	Used time.Time
}

// Store is one store of the config.
type Store struct {
	Name string
	// Unread is set if the store did not answer.
	Unread bool
	// Ours is set if the entry is one that latchkey wrote for this credential.
	Ours bool
}

// Plan is what to do now. Without steps and reasons, all is done.
type Plan struct {
	Steps []protocol.Step
	// Blocked is set if a person must act, and Waiting if a later run continues.
	Blocked, Waiting reason.Reason
	// Why is the cause of a block in words, such as the key that is in use.
	Why string
	// Until is when a later run can continue.
	Until time.Time
}

// Concerns reports whether the state is one for Decide: a deprovisioning is demanded or
// has begun.
func Concerns(s State) bool { return s.Demand.Ask == End || !s.Mark.IsZero() }

// Decide plans the next steps. It is for states that Concerns accepts.
func Decide(s State, r Rules, now time.Time) Plan {
	switch {
	case s.Mark.IsZero():
		return begin(s, r, now)
	case s.Demand.Ask == Undo, s.Kept && s.Demand.Ask == "":
		return undo(s)
	}
	return proceed(s, r, now)
}

// begin decides on a demand that is not recorded yet.
func begin(s State, r Rules, now time.Time) Plan {
	switch {
	case s.Given:
		return refused("the service ID belongs to other software, which has to delete it")
	case s.Kept:
		return refused("the config would make the credential again")
	case s.Foreign > 0:
		return refused("the service ID has keys that latchkey did not make")
	case s.Twice:
		return Plan{Waiting: reason.InProgress}
	case !s.Exists:
		return leftovers(s)
	}
	if !s.Demand.Force {
		for _, k := range s.Keys {
			if quiet := k.Used.Add(r.Quiet); !k.Disabled && !k.Used.IsZero() && quiet.After(now) {
				return Plan{Blocked: reason.InUse, Why: "key " + k.ID + " was used at " + k.Used.UTC().Format(time.RFC3339), Until: quiet}
			}
		}
	}
	p := Plan{Steps: []protocol.Step{{Action: protocol.MarkEnd, Reason: reason.Deprovision}}}
	p.Steps = append(p.Steps, suspend(s)...)
	p.Waiting, p.Until = reason.Deprovisioning, now.Add(r.Wait)
	return p
}

func refused(why string) Plan { return Plan{Blocked: reason.EndRefused, Why: why} }

// leftovers removes entries of a service ID that is gone.
func leftovers(s State) (p Plan) {
	p.Steps = entries(s)
	if unread(s) {
		p.Waiting = reason.StoreUnreachable
	}
	return p
}

// proceed decides on what has begun.
func proceed(s State, r Rules, now time.Time) Plan {
	if steps := suspend(s); len(steps) > 0 {
		return Plan{Steps: steps, Waiting: reason.Deprovisioning, Until: now.Add(r.Wait)}
	}
	if until := since(s).Add(r.Wait); now.Before(until) {
		return Plan{Waiting: reason.Deprovisioning, Until: until}
	}
	if unread(s) {
		return Plan{Waiting: reason.StoreUnreachable}
	}
	p := Plan{Steps: entries(s)}
	for _, k := range s.Keys {
		p.Steps = append(p.Steps, protocol.Step{Action: protocol.Retire, Key: k.ID, Reason: reason.Deprovision})
	}
	if s.Foreign > 0 {
		p.Blocked, p.Why = reason.EndRefused, "the service ID has keys that latchkey did not make"
		return p
	}
	if s.Exists {
		p.Steps = append(p.Steps, protocol.Step{Action: protocol.RemoveIdentity, Reason: reason.Deprovision})
	}
	return p
}

// since returns when the wait began.
func since(s State) time.Time {
	began := s.Mark
	for _, k := range s.Keys {
		if k.Suspended.After(began) {
			began = k.Suspended
		}
	}
	return began
}

// suspend disables the keys that still work.
func suspend(s State) (steps []protocol.Step) {
	for _, k := range s.Keys {
		if !k.Disabled {
			steps = append(steps, protocol.Step{Action: protocol.Suspend, Key: k.ID, Reason: reason.Deprovision})
		}
	}
	return steps
}

// entries removes our entries from the stores.
func entries(s State) (steps []protocol.Step) {
	for _, st := range s.Stores {
		if st.Ours {
			steps = append(steps, protocol.Step{Action: protocol.RemoveEntry, Target: st.Name, Reason: reason.Deprovision})
		}
	}
	return steps
}

func unread(s State) bool {
	for _, st := range s.Stores {
		if st.Unread {
			return true
		}
	}
	return false
}

// undo brings the credential back. A mark of a key that is older than the service ID's is
// from an earlier deprovisioning.
func undo(s State) (p Plan) {
	for _, k := range s.Keys {
		if k.Disabled && !k.Leaked && !k.Suspended.Before(s.Mark) {
			p.Steps = append(p.Steps, protocol.Step{Action: protocol.Enable, Key: k.ID, Reason: reason.Undone})
		}
	}
	p.Steps = append(p.Steps, protocol.Step{Action: protocol.UnmarkEnd, Reason: reason.Undone})
	return p
}
