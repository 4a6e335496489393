// Package outcome turns the outcomes of a run into CloudEvents and delivers
// them to the sinks of the config.
//
// The type of an event is dev.latchkey.credential. followed by one word:
//
//	provisioned    the first key is in the stores
//	rotated        a newer key is in the stores
//	revoked        a leaked key was revoked
//	repaired       something else was corrected; the key is the same
//	superseded     a replaced key's end was set
//	retired        keys that are no longer needed were deleted
//	blocked        a person must act
//	in-progress    a step was taken; the next sweep continues
//	expiring       the key expires soon, or the outcome has another note
//	unconfigured   the config no longer yields a credential that carries the marker
//	failed         a step failed; the next sweep tries again
//	unchanged      nothing to do; used in answers only, never sent
//
// The data of an event is the outcome. It never holds a key's value.
//
// # What is sent
//
// An outcome is sent if it changed something, is blocked or has a note. A
// lasting state (blocked, expiring, unconfigured, …) is sent once per process
// until it changes. Its event has the same ID for the whole UTC day, whichever
// replica sends it, so a receiver that drops known IDs sees it once a day.
//
// If a rotation is held back, the outcome is sent again when the published key has
// 30, 14, 7 and 1 days left, and when it has expired. Its severity rises to HIGH and
// CRITICAL.
//
// Sending never delays the work. Each sink has a bounded queue. An event is
// tried a few times, then dropped, counted and logged. A receiver that must not
// miss anything reads the credentials' state, which IAM and the stores keep.
package outcome

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// TypePrefix starts the type of every outcome event.
const TypePrefix = "dev.latchkey.credential."

// Type returns the event type of one or more outcomes: that of the worst.
func Type(outcomes ...result.Outcome) string {
	worst := (result.Sweep{Outcomes: outcomes}).Worst()
	var kinds []string
	for _, o := range outcomes {
		if o.Result == worst {
			kinds = append(kinds, kind(o))
		}
	}
	for _, first := range []string{"revoked", "rotated", "repaired", "superseded", "retired", "expiring", "drifted", "keyless"} {
		if slices.Contains(kinds, first) {
			return TypePrefix + first
		}
	}
	if len(kinds) > 0 {
		return TypePrefix + kinds[0]
	}
	return TypePrefix + string(result.Unchanged)
}

// kind returns the last word of one outcome's type.
func kind(o result.Outcome) string {
	switch o.Result {
	case result.Published:
		switch {
		case revoked(o):
			return "revoked"
		case o.Replaced != "":
			return "rotated"
		}
		return "provisioned"
	case result.Changed:
		switch {
		case revoked(o):
			return "revoked"
		case only(o, protocol.Retire, protocol.RemoveIdentity, protocol.RemoveDuplicate, protocol.RemoveEntry):
			return "retired"
		case only(o, protocol.Supersede, protocol.Extend, protocol.Retire, protocol.RemoveDuplicate):
			return "superseded"
		case only(o, protocol.NarrowPolicy):
			return "narrowed"
		}
		return "repaired"
	case result.Unchanged:
		has := func(fits func(reason.Reason) bool) bool {
			return slices.ContainsFunc(o.Notes, func(n result.Note) bool { return fits(n.Reason) })
		}
		switch {
		case has(func(r reason.Reason) bool { return !r.Drift() && !r.Keyless() }):
			return "expiring"
		case has(reason.Reason.Drift):
			return "drifted"
		case len(o.Notes) > 0:
			return "keyless"
		}
	}
	return string(o.Result)
}

// revoked reports whether this run revoked a leaked key.
func revoked(o result.Outcome) bool {
	return slices.ContainsFunc(o.Steps, func(s result.Step) bool {
		return s.Error == "" && s.Reason == reason.KeyLeaked && (s.Action == protocol.Disable || s.Action == protocol.Retire)
	})
}

// only reports whether the run took steps, and no others than these actions.
func only(o result.Outcome, actions ...protocol.Action) bool {
	other := func(s result.Step) bool { return !slices.Contains(actions, s.Action) }
	return len(o.Steps) > 0 && !slices.ContainsFunc(o.Steps, other)
}

// Event is one outcome as a CloudEvent 1.0.
type Event struct {
	ID, Source, Type, Subject string
	Time                      time.Time
	Data                      []byte // JSON

	// Short is a line of text, Long a few sentences.
	Short, Long string
	// Severity is one of Event Notifications' levels: LOW, MEDIUM, HIGH or
	// CRITICAL.
	Severity string
}

// news reports whether an outcome is sent.
func news(o result.Outcome, at time.Time) bool {
	switch {
	case o.Credential == "":
		return false
	case len(o.Notes) > 0, rung(o, at) != noRung:
		return true
	}
	switch o.Result {
	case result.Unchanged:
		return false
	case result.InProgress, result.Failed:
		return len(o.Steps) > 0
	}
	return true
}

// lasting reports whether an outcome describes a state, which the next run
// finds again, and not a change.
func lasting(o result.Outcome) bool {
	return o.Result != result.Published && o.Result != result.Changed
}

// state returns what an outcome says, without the parts that differ between
// runs that find the same state. A key that comes near its expiry is another state.
func state(o result.Outcome, at time.Time) string {
	var b strings.Builder
	add := func(words ...string) {
		for _, w := range words {
			b.WriteString(w)
			b.WriteByte(0)
		}
	}
	add(o.Credential, Type(o), string(o.Reason), o.ServiceID, o.Key, o.Replaced, string(o.Leaked), expiry(rung(o, at)))
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

// newEvent returns the event of an outcome. The same outcome yields the same ID: a
// hash of its content and time, to the second for a change and to the day (UTC)
// for a lasting state.
func newEvent(source string, o result.Outcome, at time.Time) Event {
	data, err := json.Marshal(o)
	if err != nil {
		panic("encoding an outcome: " + err.Error()) // its fields are strings and times
	}
	at = at.UTC().Truncate(time.Second)
	moment := at.Format(time.RFC3339)
	if lasting(o) {
		moment = at.Format(time.DateOnly)
	}
	sum := sha256.Sum256([]byte(source + "\x00" + moment + "\x00" + state(o, at)))
	e := Event{
		ID: hex.EncodeToString(sum[:16]), Source: source, Type: Type(o), Subject: o.Credential, Time: at, Data: data,
		Severity: severity(o, at),
	}
	e.Short = "latchkey: " + o.Credential + " " + strings.ReplaceAll(strings.TrimPrefix(e.Type, TypePrefix), "-", " ")
	if near := expiry(rung(o, at)); near != "" {
		e.Short += ", " + near
	}
	e.Long = long(o, e.Short)
	return e
}

// long returns an outcome in a few sentences.
func long(o result.Outcome, short string) string {
	sentences := []string{short}
	if o.Message != "" {
		sentences = append(sentences, o.Message)
	}
	if o.Owner != "" {
		sentences = append(sentences, "Owner: "+o.Owner)
	}
	if o.Key != "" {
		key := "Key: " + o.Key
		if !o.KeyExpires.IsZero() {
			key += ", expires " + o.KeyExpires.UTC().Format("2006-01-02 15:04 UTC")
		}
		sentences = append(sentences, key)
	}
	if o.Replaced != "" && !o.ReplacedEnds.IsZero() {
		sentences = append(sentences, "The replaced key "+o.Replaced+" works until "+o.ReplacedEnds.UTC().Format("2006-01-02 15:04 UTC"))
	}
	for _, n := range o.Notes {
		about := strings.TrimSpace(n.Store + " " + n.Key)
		sentences = append(sentences, strings.TrimPrefix(about+": ", ": ")+n.Message)
	}
	if o.Cause != nil {
		sentences = append(sentences, "Requested by: "+o.Cause.String())
	}
	if o.Result == result.Blocked {
		sentences = append(sentences, "To see it: latchkey status "+o.Credential)
	}
	return strings.Join(sentences, ". ") + "."
}

// severity returns how urgent an outcome is.
func severity(o result.Outcome, at time.Time) string {
	near := rung(o, at)
	switch {
	case near == atOnce, near == expired:
		return "CRITICAL"
	case near == urgent, o.Result == result.Blocked, o.Leaked == result.LeakedAlive:
		return "HIGH"
	case slices.ContainsFunc(o.Notes, func(n result.Note) bool { return n.Reason == reason.LeakedAlive }):
		return "HIGH"
	case revoked(o), len(o.Notes) > 0, o.Result == result.Failed, o.Result == result.Unconfigured:
		return "MEDIUM"
	}
	return "LOW"
}
