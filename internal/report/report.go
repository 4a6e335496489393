// Package report turns the evidence about keys into what an auditor reads: one row per
// key, with what each named control asks of it.
//
// The functions are pure. A row has names, IDs and dates, and never a key's value.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/evidence"
)

// Verdict is what the evidence says about a control.
type Verdict string

// The verdicts.
const (
	Met     Verdict = "met"
	NotMet  Verdict = "not met"
	Unknown Verdict = "unknown" // what it takes could not be read
	NoKey   Verdict = "n/a"     // the key no longer works, or there is none
)

// Control is a requirement of one or several standards.
type Control struct {
	// ID is the control's column.
	ID string `json:"id"`
	// Standards name where it is from.
	Standards []string `json:"standards"`
	// Asks is what has to be true of a key.
	Asks string `json:"asks"`

	check func(Row, time.Time) Verdict
}

// The limits of the controls, in days.
const (
	mostAge    = 90
	mostUnused = 180
)

// Controls are those that a report checks.
var Controls = []Control{
	{"rotated", []string{"CIS IBM Cloud Foundations 1.0.0: 1.3", "NIST SP 800-53: IA-5"}, "a key that works is at most 90 days old", rotated},
	{"used", []string{"CIS IBM Cloud Foundations 1.0.0: 1.2", "NIST SP 800-53: AC-2(3)"}, "a key that works was used or created within 180 days", used},
	{"expires", []string{"NIST SP 800-53: IA-5", "OWASP NHI7:2025"}, "a key that works has an expiry in IAM", expires},
	{"least-privilege", []string{"NIST SP 800-53: AC-6", "OWASP NHI5:2025"}, "the service ID has no policy beside those in the config", leastPrivilege},
	{"not-leaked", []string{"OWASP NHI2:2025"}, "no key whose leak was reported still works", notLeaked},
	{"owned", []string{"OWASP NHI1:2025"}, "a config entry asks for the credential", owned},
}

// Row is the evidence about one key, or about a credential without one.
type Row struct {
	Credential string              `json:"credential"`
	Owner      string              `json:"owner,omitempty"`
	Condition  condition.Condition `json:"condition"`
	Reason     string              `json:"reason,omitempty"`
	ServiceID  string              `json:"serviceID,omitempty"`
	Key        string              `json:"key,omitempty"`
	Published  bool                `json:"published"`
	Works      bool                `json:"works"`
	Created    time.Time           `json:"created,omitzero"`
	AgeDays    int                 `json:"ageDays"`
	Expires    time.Time           `json:"expires,omitzero"`
	Superseded time.Time           `json:"superseded,omitzero"`
	Leaked     time.Time           `json:"leaked,omitzero"`
	LastUse    time.Time           `json:"lastUse,omitzero"`
	UseRead    bool                `json:"useRead"`
	Creator    string              `json:"creator,omitempty"`
	Cause      string              `json:"cause,omitempty"`
	Stores     []string            `json:"stores,omitempty"`
	Policies   []string            `json:"policies,omitempty"`
	Wider      []string            `json:"widerPolicies,omitempty"`
	Rotations  int                 `json:"rotations"`
	Unread     []string            `json:"unread,omitempty"`
	Verdicts   map[string]Verdict  `json:"controls"`
}

// Count is how many rows have each verdict of a control.
type Count struct {
	Control
	Met, NotMet, Unknown int
}

// Report is the evidence about all keys at one time.
type Report struct {
	Owner string    `json:"owner"`
	Made  time.Time `json:"made"`
	// Since begins the period in which rotations are counted.
	Since time.Time `json:"since"`
	By    string    `json:"by"` // the build
	Rows  []Row     `json:"keys"`
}

// Of returns the report of the evidence. Rotations are counted in the period: the keys
// that were made in it after the credential's first one, as far as IAM and the audit
// records show them.
func Of(owner, by string, all []evidence.Credential, records []evidence.Record, period time.Duration, now time.Time) Report {
	r := Report{Owner: owner, By: by, Made: now.UTC().Truncate(time.Second), Since: now.Add(-period).UTC().Truncate(time.Second)}
	for _, c := range all {
		rotations := c.Rotations(records, r.Since)
		if len(c.Keys) == 0 {
			r.Rows = append(r.Rows, judged(rowOf(c, evidence.Key{}, rotations, now), now))
		}
		for _, k := range c.Keys {
			r.Rows = append(r.Rows, judged(rowOf(c, k, rotations, now), now))
		}
	}
	return r
}

func rowOf(c evidence.Credential, k evidence.Key, rotations int, now time.Time) Row {
	row := Row{
		Credential: c.Credential, Owner: c.Owner, Condition: c.Condition, Reason: string(c.Reason), ServiceID: c.ServiceID, Rotations: rotations,
		Policies: c.Granted, Wider: c.Wider, Unread: c.Unread,
	}
	if k.ID == "" {
		return row
	}
	row.Key, row.Published, row.Works = k.ID, k.ID == c.Key, k.Live(now)
	row.Created, row.Expires, row.Superseded, row.Leaked = k.Created, k.Expires, k.Superseded, k.Leaked
	row.AgeDays = int(now.Sub(k.Created) / (24 * time.Hour))
	row.LastUse, row.UseRead, row.Creator, row.Cause, row.Stores = k.Used, k.UseRead, k.Creator, k.Cause, k.Stores
	return row
}

func judged(row Row, now time.Time) Row {
	row.Verdicts = map[string]Verdict{}
	for _, c := range Controls {
		row.Verdicts[c.ID] = c.check(row, now)
	}
	return row
}

func verdict(ok bool) Verdict {
	if ok {
		return Met
	}
	return NotMet
}

func rotated(r Row, _ time.Time) Verdict {
	if !r.Works {
		return NoKey
	}
	return verdict(r.AgeDays <= mostAge)
}

func used(r Row, now time.Time) Verdict {
	last := r.LastUse
	if r.Created.After(last) {
		last = r.Created
	}
	switch recent := now.Sub(last) <= mostUnused*24*time.Hour; {
	case !r.Works:
		return NoKey
	case !recent && !r.UseRead:
		return Unknown
	default:
		return verdict(recent)
	}
}

func expires(r Row, _ time.Time) Verdict {
	if !r.Works {
		return NoKey
	}
	return verdict(!r.Expires.IsZero())
}

func leastPrivilege(r Row, _ time.Time) Verdict {
	for _, u := range r.Unread {
		if strings.HasPrefix(u, "policies") {
			return Unknown
		}
	}
	return verdict(len(r.Wider) == 0)
}

func notLeaked(r Row, _ time.Time) Verdict {
	if r.Leaked.IsZero() {
		return Met
	}
	return verdict(!r.Works)
}

func owned(r Row, _ time.Time) Verdict { return verdict(r.Condition != condition.Unconfigured) }

// Counts returns how many rows have each verdict.
func (r Report) Counts() []Count {
	counts := make([]Count, len(Controls))
	for i, c := range Controls {
		counts[i].Control = c
		for _, row := range r.Rows {
			switch row.Verdicts[c.ID] {
			case Met:
				counts[i].Met++
			case NotMet:
				counts[i].NotMet++
			case Unknown:
				counts[i].Unknown++
			}
		}
	}
	return counts
}

// WriteJSON writes the report with the controls.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Report
		Controls []Control `json:"controls"`
	}{r, Controls})
}

// WriteCSV writes one line per key.
func (r Report) WriteCSV(w io.Writer) error {
	header := []string{
		"credential", "owner", "condition", "reason", "service ID", "key", "published", "works", "created", "age in days", "expires", "superseded",
		"last use", "creator", "cause", "stores", "policies", "wider policies", "rotations since " + r.Since.Format(time.DateOnly), "not read",
	}
	for _, c := range Controls {
		header = append(header, c.ID+" ("+strings.Join(c.Standards, "; ")+")")
	}
	rows := [][]string{header}
	for _, row := range r.Rows {
		lastUse := stamp(row.LastUse)
		if !row.UseRead && row.Key != "" {
			lastUse = "not read"
		}
		cells := []string{
			row.Credential, row.Owner, string(row.Condition), row.Reason, row.ServiceID, row.Key, strconv.FormatBool(row.Published), strconv.FormatBool(row.Works),
			stamp(row.Created), strconv.Itoa(row.AgeDays), stamp(row.Expires), stamp(row.Superseded), lastUse, row.Creator, row.Cause,
			strings.Join(row.Stores, "; "), strings.Join(row.Policies, "; "), strings.Join(row.Wider, "; "), strconv.Itoa(row.Rotations), strings.Join(row.Unread, "; "),
		}
		for _, c := range Controls {
			cells = append(cells, string(row.Verdicts[c.ID]))
		}
		rows = append(rows, cells)
	}
	return writeRows(w, rows)
}

// WriteText writes the controls with their counts, for a terminal.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, c := range r.Counts() {
		fmt.Fprintf(&b, "%s: %d met, %d not met, %d unknown: %s (%s)\n", c.ID, c.Met, c.NotMet, c.Unknown, c.Asks, strings.Join(c.Standards, "; "))
	}
	for _, row := range r.Rows {
		for _, c := range Controls {
			if row.Verdicts[c.ID] == NotMet {
				fmt.Fprintf(&b, "%s %s: not met: %s\n", row.Credential, row.Key, c.Asks)
			}
		}
	}
	fmt.Fprintf(&b, "%d rows, %s\n", len(r.Rows), r.Made.Format(time.DateTime))
	_, err := io.WriteString(w, b.String())
	return err
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
