// Package report tells others what latchkey did: each outcome that says
// something new is a CloudEvent, and goes to the sinks of the config.
//
//	dev.latchkey.credential.TYPE   the outcome
//	provisioned                    the first key is in the stores
//	rotated                        a newer key is in the stores
//	revoked                        a leaked key was ended
//	repaired                       something else was put right; the key is the same
//	superseded                     a key that was replaced has its end set
//	retired                        keys that nobody is to hold any more were ended
//	blocked                        a person has to act
//	in-progress                    something was done, and the next look goes on
//	expiring                       the key ends soon, or something else is worth knowing
//	unconfigured                   the config no longer yields what carries our marker
//	failed                         something was begun and did not succeed; the next look tries again
//	unchanged                      nothing to do: in answers only, never sent
//
// The event's data is the outcome, which never holds a key's value.
//
// # What is sent
//
// What changed, is blocked or has a note. A state that lasts (blocked, expiring,
// unconfigured, …) is sent once per process, until it is another; its event's ID
// is the same all day, whichever process sends it, so that a receiver that
// knows IDs hears of it once a day.
//
// Sending never holds the work up: events wait in a bounded queue per sink, are
// tried a few times, and are then dropped, counted and logged. Who must not
// miss anything looks at the credentials' state, which IAM and the stores keep.
package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// TypePrefix starts the type of every event that tells of an outcome.
const TypePrefix = "dev.latchkey.credential."

// Type names the event of one or more outcomes after the worst of them.
func Type(outcomes ...reconcile.Outcome) string {
	worst := (reconcile.Swept{Outcomes: outcomes}).Worst()
	var kinds []string
	for _, o := range outcomes {
		if o.Result == worst {
			kinds = append(kinds, kind(o))
		}
	}
	for _, first := range []string{"revoked", "rotated", "repaired", "superseded", "retired", "expiring"} {
		if slices.Contains(kinds, first) {
			return TypePrefix + first
		}
	}
	if len(kinds) > 0 {
		return TypePrefix + kinds[0]
	}
	return TypePrefix + string(reconcile.ResultUnchanged)
}

// kind is the last word of one outcome's type.
func kind(o reconcile.Outcome) string {
	switch o.Result {
	case reconcile.ResultPublished:
		switch {
		case ended(o):
			return "revoked"
		case o.Replaced != "":
			return "rotated"
		}
		return "provisioned"
	case reconcile.ResultChanged:
		switch {
		case ended(o):
			return "revoked"
		case only(o, rotation.Retire, rotation.RemoveIdentity, rotation.RemoveDuplicate):
			return "retired"
		case only(o, rotation.Supersede, rotation.Extend, rotation.Retire, rotation.RemoveDuplicate):
			return "superseded"
		}
		return "repaired"
	case reconcile.ResultUnchanged:
		if len(o.Notes) > 0 {
			return "expiring"
		}
	}
	return string(o.Result)
}

// ended reports whether this run ended a leaked key.
func ended(o reconcile.Outcome) bool {
	return slices.ContainsFunc(o.Steps, func(s reconcile.StepOutcome) bool {
		return s.Error == "" && s.Reason == rotation.KeyLeaked && (s.Action == rotation.Disable || s.Action == rotation.Retire)
	})
}

// only reports whether the run did nothing else than one of these.
func only(o reconcile.Outcome, actions ...rotation.Action) bool {
	other := func(s reconcile.StepOutcome) bool { return !slices.Contains(actions, s.Action) }
	return len(o.Steps) > 0 && !slices.ContainsFunc(o.Steps, other)
}

// Event is one outcome as a CloudEvent 1.0. Data is JSON.
type Event struct {
	ID, Source, Type, Subject string
	Time                      time.Time
	Data                      []byte

	// Short and Long are for people: a line and a sentence or two.
	Short, Long string
	// Severity is one of Event Notifications': LOW, MEDIUM, HIGH or CRITICAL.
	Severity string
}

// news reports whether an outcome is worth an event.
func news(o reconcile.Outcome) bool {
	switch {
	case o.Credential == "":
		return false
	case len(o.Notes) > 0:
		return true
	}
	switch o.Result {
	case reconcile.ResultUnchanged:
		return false
	case reconcile.ResultInProgress, reconcile.ResultFailed:
		return len(o.Steps) > 0
	}
	return true
}

// lasting reports whether an outcome tells of a state, which the next look will
// find again, and not of a deed.
func lasting(o reconcile.Outcome) bool {
	return o.Result != reconcile.ResultPublished && o.Result != reconcile.ResultChanged
}

// state is what an outcome says without what differs from look to look.
func state(o reconcile.Outcome) string {
	var b strings.Builder
	add := func(words ...string) {
		for _, w := range words {
			b.WriteString(w)
			b.WriteByte(0)
		}
	}
	add(o.Credential, Type(o), string(o.Reason), o.ServiceID, o.Key, o.Replaced, string(o.Leaked))
	for _, n := range o.Notes {
		add("note", string(n.Reason), n.Key, n.Store)
	}
	for _, st := range o.Stores {
		add("store", st.Name, st.Key, string(st.Fault))
	}
	if !lasting(o) {
		for _, s := range o.Steps {
			add("step", string(s.Action), s.Key, s.Target, string(s.Reason))
		}
	}
	return b.String()
}

// event makes the event of an outcome. The same outcome gives the same event:
// its ID is made of what is said and when, to the second for a deed and to the
// day (UTC) for a state that lasts.
func event(source string, o reconcile.Outcome, at time.Time) Event {
	data, err := json.Marshal(o)
	if err != nil {
		panic("encoding an outcome: " + err.Error()) // its fields are strings and times
	}
	at = at.UTC().Truncate(time.Second)
	moment := at.Format(time.RFC3339)
	if lasting(o) {
		moment = at.Format(time.DateOnly)
	}
	sum := sha256.Sum256([]byte(source + "\x00" + moment + "\x00" + state(o)))
	e := Event{
		ID: hex.EncodeToString(sum[:16]), Source: source, Type: Type(o), Subject: o.Credential, Time: at, Data: data,
		Severity: severity(o),
	}
	e.Short = "latchkey: " + o.Credential + " " + strings.ReplaceAll(strings.TrimPrefix(e.Type, TypePrefix), "-", " ")
	e.Long = long(o, e.Short)
	return e
}

func long(o reconcile.Outcome, short string) string {
	sentences := []string{short}
	if o.Message != "" {
		sentences = append(sentences, o.Message)
	}
	if o.Key != "" {
		sentences = append(sentences, "Key: "+o.Key)
	}
	for _, n := range o.Notes {
		about := strings.TrimSpace(n.Store + " " + n.Key)
		sentences = append(sentences, strings.TrimPrefix(about+": ", ": ")+n.Message)
	}
	return strings.Join(sentences, ". ") + "."
}

// severity is how much a person should mind.
func severity(o reconcile.Outcome) string {
	switch {
	case o.Result == reconcile.ResultBlocked, o.Leaked == reconcile.LeakedAlive:
		return "HIGH"
	case slices.ContainsFunc(o.Notes, func(n reconcile.NoteOutcome) bool { return n.Reason == rotation.LeakedAlive }):
		return "HIGH"
	case ended(o), len(o.Notes) > 0, o.Result == reconcile.ResultFailed, o.Result == reconcile.ResultOrphaned:
		return "MEDIUM"
	}
	return "LOW"
}
