// Package result says what a run did to one credential, and what a sweep did to many.
// Answers, events and commands show it.
package result

import (
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// Result is how a run ended.
type Result string

// The results.
const (
	Unchanged    Result = "unchanged"    // nothing was due
	Changed      Result = "changed"      // repaired or cleaned up; the published key is the same
	Published    Result = "published"    // a new key is in the stores
	InProgress   Result = "in-progress"  // must wait; the next run continues
	Blocked      Result = "blocked"      // a person must act
	Unconfigured Result = "unconfigured" // has our marker, but no config entry yields it
	Failed       Result = "failed"       // a step failed; the next run tries again
)

// Store is the state of a store after the run.
type Store struct {
	Name  string        `json:"name"`
	Key   string        `json:"key,omitempty"`
	Fault reason.Reason `json:"fault,omitempty"`
	// Altered is set if the value in the store is not that of the key that it names.
	Altered bool `json:"altered,omitempty"`
	// Error is the store's own error, if the store could not be read or written,
	// or if a consumer of it could not be restarted.
	Error string `json:"error,omitempty"`
}

// Leaked is the state of a key whose revocation was requested.
type Leaked string

// The states of a leaked key.
const (
	LeakedRevoked   Leaked = "ended"     // it no longer authenticates
	LeakedAlive     Leaked = "alive"     // it still works; the request is recorded, and the next run continues
	LeakedGone      Leaked = "gone"      // IAM has no such key
	LeakedElsewhere Leaked = "elsewhere" // it belongs to another credential
	LeakedForeign   Leaked = "foreign"   // it has no marker of ours
)

// Note is a note with its sentence.
type Note struct {
	protocol.Note
	Message string `json:"message"`
}

// Step is one step and its error, if any.
type Step struct {
	protocol.Step
	Error string `json:"error,omitempty"`
}

// Outcome is what a run did to one credential. Answers, events and commands all
// show it. It never contains a key's value.
type Outcome struct {
	Credential string `json:"credential"`
	// Project is the name of the credential's project, for people.
	Project string `json:"project,omitempty"`
	// Owner is the person or team that the outcome is for, if the config names one.
	Owner string `json:"owner,omitempty"`
	// Condition is how the credential is now; Reason says why it is not OK.
	Condition  condition.Condition `json:"condition,omitempty"`
	Result     Result              `json:"result"`
	Reason     reason.Reason       `json:"reason,omitempty"`
	Message    string              `json:"message,omitempty"`
	ServiceID  string              `json:"serviceID,omitempty"`
	Key        string              `json:"key,omitempty"`
	KeyCreated time.Time           `json:"keyCreated,omitzero"`
	KeyExpires time.Time           `json:"keyExpires,omitzero"`
	Replaced   string              `json:"replaced,omitempty"`
	// ReplacedEnds is when the replaced key stops working.
	ReplacedEnds time.Time `json:"replacedEnds,omitzero"`
	Stores       []Store   `json:"stores,omitempty"`
	Steps        []Step    `json:"steps,omitempty"`
	Next         time.Time `json:"next,omitzero"`
	// Cause is what the run was requested by. The run itself does not set it.
	Cause *Cause `json:"cause,omitempty"`
	// RecordedCause is the end of the cause of a recorded demand that the run met.
	RecordedCause string `json:"recordedCause,omitempty"`
	// Recorded is set if the demand is met, or recorded where the next run finds it.
	Recorded bool `json:"-"`
	// Leaked is the state of the key whose revocation was requested.
	Leaked Leaked `json:"leakedKey,omitempty"`
	// Notes inform the user about conditions that are not errors.
	Notes []Note `json:"notes,omitempty"`
	Error string `json:"error,omitempty"`

	// Keys are the credential's keys as the run left them, without values.
	Keys []protocol.Key `json:"-"`

	// Facts are what the condition follows from, and Observed is when they held.
	Facts    condition.Facts `json:"-"`
	Observed time.Time       `json:"-"`
}

// Label returns a credential's name with the name of its project, if it has one.
func Label(name, project string) string {
	if project == "" {
		return name
	}
	return name + " (" + project + ")"
}

// Label returns the credential's name with the name of its project.
func (o Outcome) Label() string { return Label(o.Credential, o.Project) }

// Took reports whether a step about a key, or a target, succeeded.
func (o *Outcome) Took(a protocol.Action, id string) bool {
	return slices.ContainsFunc(o.Steps, func(s Step) bool {
		return s.Action == a && (s.Key == id || s.Target == id) && s.Error == ""
	})
}

// Done reports whether a planned step was taken without an error.
func (o *Outcome) Done(s protocol.Step) bool {
	return slices.ContainsFunc(o.Steps, func(t Step) bool {
		same := t.Key == s.Key || s.Key == protocol.NewKey || s.Key == ""
		return t.Error == "" && same && t.Action == s.Action && t.Target == s.Target && t.Reason == s.Reason
	})
}

// HeldBack reports whether a reason held the run back.
func (o *Outcome) HeldBack() bool { return o.Result == Blocked || o.Result == InProgress }

// Settle sets the condition, and its reason if the result has none.
func (o *Outcome) Settle() {
	f := o.Facts
	f.Next = o.Next
	if o.HeldBack() {
		f.HeldBack, f.Blocked = o.Reason, o.Result == Blocked
	}
	var why reason.Reason
	o.Facts = f
	o.Condition, why, o.Next = condition.Of(f, o.Observed)
	if o.Reason == "" && o.Error == "" {
		o.Reason = why
	}
	if o.Message == "" {
		o.Message = o.sentence()
	}
}

// sentence explains the reason. One for a step on a key that is not the published one
// names the step.
func (o *Outcome) sentence() string {
	if o.Condition == condition.Due {
		for _, s := range o.Facts.Due {
			if s.Reason == o.Reason && s.Key != "" && s.Key != protocol.NewKey && s.Key != o.Facts.Key.ID {
				return string(s.Action) + " " + s.Key + ": " + o.Reason.Sentence()
			}
		}
	}
	return o.Reason.Sentence()
}

// At returns the outcome with the condition that its facts have at a later time. A
// key may have expired since.
func (o Outcome) At(now time.Time) Outcome {
	if o.Observed.IsZero() || now.Before(o.Observed) {
		return o
	}
	if c, why, next := condition.Of(o.Facts, now); c != o.Condition {
		o.Condition, o.Reason, o.Next = c, why, next
		o.Message = o.sentence()
	}
	return o
}
