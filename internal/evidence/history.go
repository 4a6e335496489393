package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
)

// Source is where a moment is recorded.
type Source string

// The sources.
const (
	Mark     Source = "mark"     // latchkey wrote it on the key
	IAMs     Source = "iam"      // IAM's own fields and record of changes
	Activity Source = "activity" // IAM's record of use
	Audit    Source = "audit"    // an audit record
)

// Moment is one moment of a key's life.
type Moment struct {
	At   time.Time `json:"at"`
	Key  string    `json:"key,omitempty"`
	What string    `json:"what"`
	By   string    `json:"by,omitempty"`
	From Source    `json:"from"`
}

// History is the life of a credential's keys.
type History struct {
	Credential string   `json:"credential"`
	Moments    []Moment `json:"moments"`
	// Ends says how far back the sources reach, and what they do not show.
	Ends []string `json:"ends"`
}

// Tell tells the life of the credential's keys at now, in the order of time. records are
// audit records of any credential.
func (c Credential) Tell(records []Record, now time.Time) History {
	h := History{Credential: c.Credential, Moments: []Moment{}}
	for _, k := range c.Keys {
		h.Moments = append(h.Moments, k.moments(now)...)
	}
	own := slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return !r.about(c) })
	h.Moments = append(h.Moments, merged(own, h.Moments)...)
	slices.SortStableFunc(h.Moments, func(a, b Moment) int { return a.At.Compare(b.At) })
	h.Ends = c.ends(records, own)
	return h
}

// moments returns what a key's marks and IAM's fields tell.
func (k Key) moments(now time.Time) (all []Moment) {
	add := func(at time.Time, from Source, by, format string, args ...any) {
		if !at.IsZero() {
			all = append(all, Moment{At: at, Key: k.ID, What: fmt.Sprintf(format, args...), By: by, From: from})
		}
	}
	if k.Cause == "" {
		add(k.Created, IAMs, k.Creator, "created")
	} else {
		add(k.Created, IAMs, k.Creator, "created for: %s", k.Cause)
	}
	add(k.Refused, Mark, "", "could not be published: %s", k.Refusal.Sentence())
	add(k.Renew, Mark, "", "a newer key was demanded")
	add(k.Superseded, Mark, "", "superseded by a newer key")
	if k.shownLeaked() {
		add(k.Leaked, IAMs, k.DisabledBy, "leaked: IAM itself disabled it")
	} else {
		add(k.Leaked, Mark, "", "its revocation was demanded")
	}
	if k.UseRead {
		add(k.Used, Activity, "", "last authenticated")
	}
	for _, c := range k.Changes {
		if !strings.HasPrefix(strings.ToUpper(c.Action), "CREAT") { // that is above
			add(c.At, IAMs, c.By, "%s", strings.ToLower(c.Action))
		}
	}
	verb := "expires"
	if k.Expired(now) {
		verb = "expired"
	}
	add(k.Expires, IAMs, "", "%s", verb)
	return all
}

// shownLeaked reports whether IAM's record, and no mark, says that the key leaked.
func (k Key) shownLeaked() bool {
	return k.Found() && slices.ContainsFunc(k.Changes, func(c port.Change) bool { return c.By == k.DisabledBy && c.At.Equal(k.Leaked) })
}

// ends says how far the sources reach.
func (c Credential) ends(records, own []Record) (lines []string) {
	if len(c.Keys) > 0 {
		lines = append(lines, fmt.Sprintf("Keys that IAM shows: %d, the oldest of %s. It keeps nothing of a key that was deleted.", len(c.Keys), c.Keys[0].Created.UTC().Format(time.DateTime)))
	} else {
		lines = append(lines, "IAM shows no key of this credential. It keeps nothing of a key that was deleted.")
	}
	switch {
	case len(records) == 0:
		lines = append(lines, "No audit record about a key was given: --audit FILE adds those of deleted keys.")
	default:
		first := slices.MinFunc(records, func(a, b Record) int { return a.At.Compare(b.At) })
		last := slices.MaxFunc(records, func(a, b Record) int { return a.At.Compare(b.At) })
		lines = append(lines, fmt.Sprintf("The audit records reach from %s to %s; %d are about this credential.",
			first.At.UTC().Format(time.DateTime), last.At.UTC().Format(time.DateTime), len(own)))
	}
	if slices.ContainsFunc(c.Keys, func(k Key) bool { return !k.UseRead }) {
		lines = append(lines, "IAM's record of use was not read.")
	} else if len(c.Keys) > 0 {
		lines = append(lines, "IAM shows the last use of a key only, and hours late.")
	}
	for _, u := range c.Unread {
		lines = append(lines, "Not read: "+u)
	}
	return lines
}

// merged returns the moments of audit records that the others do not have. Logins of a
// key are one moment: the last.
func merged(records []Record, known []Moment) (more []Moment) {
	logins := map[string]int{}
	for _, r := range records {
		switch r.Verb {
		case "login":
			logins[r.Key]++
			if i := slices.IndexFunc(more, func(m Moment) bool { return m.Key == r.Key && strings.HasPrefix(m.What, "authenticated") }); i >= 0 {
				if r.At.After(more[i].At) {
					more[i].At, more[i].By = r.At, r.Client
				}
				more[i].What = fmt.Sprintf("authenticated, %d times in these records", logins[r.Key])
				continue
			}
			more = append(more, Moment{At: r.At, Key: r.Key, What: "authenticated", By: r.Client, From: Audit})
		case "create":
			if slices.ContainsFunc(known, func(m Moment) bool { return m.Key == r.Key && strings.HasPrefix(m.What, "created") }) {
				continue
			}
			more = append(more, Moment{At: r.At, Key: r.Key, What: "created", By: r.By, From: Audit})
		default:
			more = append(more, Moment{At: r.At, Key: r.Key, What: strings.TrimSuffix(r.Verb, "e") + "ed", By: r.By, From: Audit})
		}
	}
	return more
}

// about reports whether an audit record is about a key of the credential: one of the
// keys that IAM shows, one that has a name of this credential, or one of its service ID.
func (r Record) about(c Credential) bool {
	if r.Verb == "login" && c.ServiceID != "" && r.Owner == "iam-"+c.ServiceID {
		return true
	}
	if slices.ContainsFunc(c.Keys, func(k Key) bool { return k.ID == r.Key }) {
		return true
	}
	name, _, _ := strings.Cut(cmp.Or(r.Name, "."), ".")
	return name == c.Credential && !marker.Stamp(r.Name).IsZero()
}

// Rotations returns how many keys were made since a time, without the credential's
// first one, as far as IAM and the audit records show them.
func (c Credential) Rotations(records []Record, since time.Time) int {
	born := map[string]time.Time{}
	for _, k := range c.Keys {
		born[k.ID] = k.Created
	}
	for _, r := range records {
		if _, known := born[r.Key]; r.Verb == "create" && !known && r.about(c) {
			born[r.Key] = r.At
		}
	}
	first := time.Time{}
	for _, at := range born {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	n := 0
	for _, at := range born {
		if at.After(first) && !at.Before(since) {
			n++
		}
	}
	return n
}
