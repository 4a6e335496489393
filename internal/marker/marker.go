// Package marker writes and reads what latchkey leaves in the descriptions and names of
// service IDs and keys. All that latchkey remembers between runs is there.
package marker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Marker says which credential a service ID or a key of ours belongs to. It does
// not show that the thing is ours: any identity that may create one can write the
// text. It is the bracketed text at the end of the description, after the user's
// own text:
//
//	Sends the logs of team-a [latchkey v=1 owner=prod credential=logs-sender/4f… with={"project":"4f…"}]
//
// A marker of an unknown version is not read, so the keys of a newer latchkey are
// foreign to an older one, which is blocked (see Newer). Fields that this version does not know are kept.
type Marker struct {
	Owner      string
	Credential string
	// With are the parameters that make this credential from its config entry.
	With map[string]string
	// Current is the key that was last cleared for publication, and Since is its birth.
	// If no store is guarded, it decides which of two replicas was first.
	Current string
	Since   time.Time
	// Claimed is when a person let latchkey take over a thing that it did not make.
	// It counts only while IAM shows that we wrote the description last.
	Claimed time.Time
	// Deprovision is when the end of the credential was demanded.
	Deprovision time.Time
	// Unknown are the fields that this version does not know, as they were read.
	// Another version that runs at the same time may need them.
	Unknown []string
	// KeyMarks are only written on keys, but for Refused and Refusal.
	KeyMarks
}

// KeyMarks are the marks that a run leaves on a key for later runs. See the fields
// of protocol.Key.
type KeyMarks struct {
	Superseded, Renew, Answers, Leaked, Served time.Time
	// Withdrawn is when a run was about to delete the key because no store took
	// it. Its value is not read; writing it proves that the key had not changed.
	Withdrawn time.Time
	// Suspended is when a deprovisioning disabled the key.
	Suspended time.Time
	// Refused is when the key could not be published, and Refusal is why. On a service
	// ID, they are when and why a step was refused, for looks to tell.
	Refused time.Time
	Refusal reason.Reason
	// Replaces is the key that was published when this one was minted, if it had its fuse.
	Replaces string
	// RenewCause is the end of the cause of the demand in Renew.
	RenewCause string
	// Stores are the names of the stores in the config when the key was minted.
	Stores []string
}

// maxStores is the maximum length of the store names in a description, whose
// length IAM limits. Longer lists are omitted, and there is then no note if a
// store leaves the config.
const maxStores = 300

// storesText returns the names without spaces, commas and brackets.
func (k KeyMarks) storesText() string {
	escaped := make([]string, len(k.Stores))
	for i, name := range k.Stores {
		escaped[i] = url.QueryEscape(name)
	}
	return strings.Join(escaped, ",")
}

func parseStores(text string) (names []string, err error) {
	for _, escaped := range strings.Split(text, ",") {
		name, err := url.QueryUnescape(escaped)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if k := (KeyMarks{Stores: names}).storesText(); k == "" || len(k) > maxStores {
		return nil, nil // as it would be written
	}
	return names, nil
}

const markerVersion = "1"

var markerForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\[latchkey ((?:[a-z]+=(?:\{.*\}|[^ \]]*) ?)+)\]$`) })

// Head returns how the markers of an owner begin, up to the credential.
func Head(owner string) string {
	return fmt.Sprintf("[latchkey v=%s owner=%s credential=", markerVersion, owner)
}

// Text returns the marker as it is written in a description.
func (m Marker) Text() string {
	var b strings.Builder
	b.WriteString(Head(m.Owner) + m.Credential)
	for _, mark := range m.times() {
		if !mark.at.IsZero() {
			fmt.Fprintf(&b, " %s=%s", mark.name, mark.at.UTC().Format(time.RFC3339Nano))
		}
	}
	if stores := m.storesText(); stores != "" && len(stores) <= maxStores {
		fmt.Fprintf(&b, " stores=%s", stores)
	}
	if m.RenewCause != "" {
		fmt.Fprintf(&b, " cause=%s", url.QueryEscape(m.RenewCause))
	}
	if m.Refusal != "" {
		fmt.Fprintf(&b, " refusal=%s", m.Refusal)
	}
	if m.Current != "" {
		fmt.Fprintf(&b, " current=%s", m.Current)
	}
	if m.Replaces != "" {
		fmt.Fprintf(&b, " replaces=%s", m.Replaces)
	}
	for _, field := range m.Unknown {
		b.WriteByte(' ')
		b.WriteString(field)
	}
	if len(m.With) > 0 {
		with, err := json.Marshal(m.With)
		if err != nil {
			panic(fmt.Sprintf("encoding a map of strings: %v", err))
		}
		fmt.Fprintf(&b, " with=%s", with)
	}
	b.WriteByte(']')
	return b.String()
}

// Describe returns a description: the user's text, then the marker.
func (m Marker) Describe(text string) string { return strings.TrimSpace(text + " " + m.Text()) }

// Parse parses the marker at the end of a description and returns the text
// before it. It returns false if there is no marker of a known version.
func Parse(description string) (m Marker, text string, ok bool) {
	loc := markerForm().FindStringSubmatchIndex(description)
	if loc == nil {
		return Marker{}, description, false
	}
	text = strings.TrimSpace(description[:loc[0]])
	body := description[loc[2]:loc[3]]
	if i := strings.Index(body, " with="); i >= 0 {
		if err := json.Unmarshal([]byte(body[i+len(" with="):]), &m.With); err != nil {
			return Marker{}, description, false
		}
		if len(m.With) == 0 {
			m.With = nil
		}
		body = body[:i]
	}
	version, times := "", m.times()
	for _, field := range strings.Fields(body) {
		name, value, _ := strings.Cut(field, "=")
		if name == "v" {
			version = value
		} else if err := m.set(times, name, value, field); err != nil {
			return Marker{}, description, false
		}
	}
	if version != markerVersion || m.Owner == "" || m.Credential == "" {
		return Marker{}, description, false
	}
	return m, text, true
}

// Newer reports whether a description ends with a marker of this owner in a version that
// is not known here. A newer latchkey manages the thing, and this one leaves it alone.
func Newer(description, owner string) bool {
	found := markerForm().FindStringSubmatch(description)
	if found == nil {
		return false
	}
	body, _, _ := strings.Cut(found[1], " with=")
	version, own := "", false
	for _, field := range strings.Fields(body) {
		switch name, value, _ := strings.Cut(field, "="); name {
		case "v":
			version = value
		case "owner":
			own = value == owner
		}
	}
	return own && version != "" && version != markerVersion
}

// set sets one field of a marker that is parsed.
func (m *Marker) set(times []timeMark, name, value, field string) (err error) {
	for _, mark := range times {
		if mark.name == name {
			*mark.at, err = time.Parse(time.RFC3339Nano, value)
			return err
		}
	}
	switch name {
	case "owner":
		m.Owner = value
	case "credential":
		m.Credential = value
	case "stores":
		m.Stores, err = parseStores(value)
	case "cause":
		m.RenewCause, err = url.QueryUnescape(value)
		m.RenewCause = Recordable(m.RenewCause)
	case "refusal":
		m.Refusal = reason.Reason(value)
	case "current":
		m.Current = value
	case "replaces":
		m.Replaces = value
	default:
		m.Unknown = append(m.Unknown, field)
	}
	return err
}

// times returns the marks that are times, in the order in which they are written.
func (m *Marker) times() []timeMark {
	return []timeMark{
		{"superseded", &m.Superseded}, {"renew", &m.Renew}, {"answers", &m.Answers}, {"leaked", &m.Leaked},
		{"withdrawn", &m.Withdrawn}, {"served", &m.Served}, {"since", &m.Since}, {"claimed", &m.Claimed}, {"refused", &m.Refused},
		{"deprovision", &m.Deprovision}, {"suspended", &m.Suspended},
	}
}

type timeMark struct {
	name string
	at   *time.Time
}

// stampForm is the format of the minting time in a key's name. It has
// milliseconds, because demands are compared with it and IAM's created_at only has
// minutes.
const stampForm = "20060102T150405.000Z"

// KeyName returns a key's name: CREDENTIAL.UTC-STAMP.RANDOM.
func KeyName(credential string, at time.Time, random string) string {
	return credential + "." + at.UTC().Format(stampForm) + "." + random
}

// printSize is the length of a value's print in a key's name.
const printSize = 8

// Print returns the last part of a key's name. It is made from the value, and does
// not reveal it.
func Print(v secret.Value) string {
	sum := sha256.Sum256([]byte("name of " + v.Expose()))
	return hex.EncodeToString(sum[:printSize/2])
}

var keyNameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\.(\d{8}T\d{6}\.\d{3}Z)\.[^.]+$`) })

// Stamp returns the minting time in a key's name, or zero if there is none.
func Stamp(keyName string) time.Time {
	m := keyNameForm().FindStringSubmatch(keyName)
	if m == nil {
		return time.Time{}
	}
	at, err := time.Parse(stampForm, m[1])
	if err != nil {
		return time.Time{}
	}
	return at
}

// Mark sets the fields of a key that come from its name and its marker.
func Mark(k protocol.Key, name string, m Marker) protocol.Key {
	k.AsOf = Stamp(name)
	if i := strings.LastIndexByte(name, '.'); !k.AsOf.IsZero() && len(name[i+1:]) == printSize {
		k.Print = name[i+1:]
	}
	if m.Answers.After(k.AsOf) {
		k.AsOf = m.Answers
	}
	k.Stores = m.Stores
	k.Superseded, k.Renew, k.Served = m.Superseded, m.Renew, m.Served
	if !m.Leaked.IsZero() { // else IAM may show that the key leaked
		k.Leaked = m.Leaked
	}
	k.Refused, k.Refusal = m.Refused, m.Refusal
	k.Suspended = m.Suspended
	k.RenewCause, k.Replaces = m.RenewCause, m.Replaces
	return k
}
