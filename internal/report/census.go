package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
)

// Counted is a key in a census: how old it is, when it was used, and the commands that
// would let latchkey manage it, or end it. A key of latchkey's has none, and neither has that of its own login.
type Counted struct {
	Key        string    `json:"key"`
	Name       string    `json:"name"`
	Kind       string    `json:"kind"` // service ID or user
	Of         string    `json:"of"`
	Creator    string    `json:"creator,omitempty"`
	Created    time.Time `json:"created,omitzero"`
	AgeDays    int       `json:"ageDays"`
	Expires    time.Time `json:"expires,omitzero"`
	Works      bool      `json:"works"`
	Locked     bool      `json:"locked"`
	LastUse    time.Time `json:"lastUse,omitzero"`
	UseRead    bool      `json:"useRead"`
	Credential string    `json:"credential,omitempty"`
	Login      bool      `json:"login,omitempty"` // latchkey's own
	Adopt      string    `json:"adopt,omitempty"`
	Retire     string    `json:"retire,omitempty"`
}

// Census counts the keys of an account at one time.
type Census struct {
	Made time.Time `json:"made"`
	Keys []Counted `json:"keys"`
}

// CensusOf returns the census of the keys. used has the last use of those whose use was
// read; zero is never.
func CensusOf(keys []port.AccountKey, used map[string]time.Time, now time.Time) Census {
	c := Census{Made: now.UTC().Truncate(time.Second), Keys: []Counted{}}
	for _, k := range keys {
		last, read := used[k.ID]
		row := Counted{
			Key: k.ID, Name: k.Name, Kind: "user", Of: k.Of, Creator: k.Creator, Created: k.Created, AgeDays: int(now.Sub(k.Created) / (24 * time.Hour)), Expires: k.Expires,
			Works: !k.Disabled && (k.Expires.IsZero() || k.Expires.After(now)), Locked: k.Locked, LastUse: last, UseRead: read, Credential: k.Credential, Login: k.Login,
		}
		serviceID, is := strings.CutPrefix(k.Of, "iam-")
		if is {
			row.Kind = "service ID"
		}
		switch {
		case k.Credential != "", k.Login:
		case is:
			row.Adopt = "latchkey adopt CREDENTIAL --key " + k.ID
			row.Retire = "ibmcloud iam service-api-key-delete " + k.ID + " " + serviceID
		default:
			row.Retire = "ibmcloud iam api-key-delete " + k.ID
		}
		c.Keys = append(c.Keys, row)
	}
	return c
}

// unused reports whether a key that works was not used for long, as far as is known.
func (k Counted) unused(now time.Time) bool {
	last := k.LastUse
	if k.Created.After(last) {
		last = k.Created
	}
	return k.Works && k.UseRead && now.Sub(last) > mostUnused*24*time.Hour
}

// WriteJSON writes the census.
func (c Census) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(c)
}

// WriteCSV writes one line per key.
func (c Census) WriteCSV(w io.Writer) error {
	rows := [][]string{{"key", "name", "kind", "of", "creator", "created", "age in days", "expires", "works", "locked", "last use", "credential", "latchkey's login", "adopt", "retire"}}
	for _, k := range c.Keys {
		lastUse := stamp(k.LastUse)
		if !k.UseRead {
			lastUse = "not read"
		}
		rows = append(rows, []string{
			k.Key, k.Name, k.Kind, k.Of, k.Creator, stamp(k.Created), strconv.Itoa(k.AgeDays), stamp(k.Expires), strconv.FormatBool(k.Works), strconv.FormatBool(k.Locked),
			lastUse, k.Credential, strconv.FormatBool(k.Login), k.Adopt, k.Retire,
		})
	}
	return writeRows(w, rows)
}

// WriteText writes the totals, and the keys that work and are old or unused.
func (c Census) WriteText(w io.Writer) error {
	var b strings.Builder
	managed, forever, unused := 0, 0, 0
	for _, k := range c.Keys {
		if k.Credential != "" {
			managed++
		}
		if k.Works && k.Expires.IsZero() {
			forever++
		}
		why := ""
		switch {
		case k.unused(c.Made):
			unused++
			why = fmt.Sprintf("not used for %d days", mostUnused)
		case k.Works && k.Credential == "" && k.AgeDays > mostAge:
			why = fmt.Sprintf("%d days old", k.AgeDays)
		}
		if why == "" {
			continue
		}
		fmt.Fprintf(&b, "%s %q of %s: %s\n", k.Key, k.Name, k.Of, why)
		for _, command := range []string{k.Adopt, k.Retire} {
			if command != "" {
				fmt.Fprintf(&b, "  %s\n", command)
			}
		}
	}
	fmt.Fprintf(&b, "%d keys in the account: %d of latchkey's, %d that work without an expiry, %d not used for %d days\n", len(c.Keys), managed, forever, unused, mostUnused)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeRows writes a table. A cell that a spreadsheet would take for a formula begins
// with an apostrophe.
func writeRows(w io.Writer, rows [][]string) error {
	out := csv.NewWriter(w)
	for _, cells := range rows {
		for i, c := range cells {
			if c != "" && strings.ContainsRune("=+-@\t\r", rune(c[0])) {
				cells[i] = "'" + c
			}
		}
		_ = out.Write(cells) // Flush keeps the error
	}
	out.Flush()
	return out.Error()
}
