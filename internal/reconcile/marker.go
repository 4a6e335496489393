package reconcile

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// Marker is how a later run knows a service ID or a key as ours. It stands at
// the end of the description, behind the person's own text:
//
//	Sends the logs of team-a [latchkey v=1 owner=prod credential=logs-sender/4f… with={"project":"4f…"}]
//
// An unknown version is left alone, so a newer latchkey's things are foreign
// to an older one.
type Marker struct {
	Owner      string
	Credential string
	// With are the parameters that expand the config entry to this credential
	// again.
	With map[string]string
	// Current is the key that was last cleared for publication, where no store
	// compares and sets: then this settles who of two instances was first.
	// Since is when.
	Current string
	Since   time.Time
	// KeyMarks are written on keys only.
	KeyMarks
}

// KeyMarks are what one run leaves on a key for the later ones.
type KeyMarks struct {
	Superseded, Renew, Answers, Leaked time.Time
	// Withdrawn is when somebody was about to delete the key as one that no store
	// took. It decides nothing: that the key was changed is what counts.
	Withdrawn time.Time
	// Stores are where the key was to be published when it was minted.
	Stores []string
}

// maxStores bounds what the names of the stores may take of a description,
// which IAM bounds: if they need more they are left out, and nobody hears when
// one of them leaves the config.
const maxStores = 300

// storesText is the names in a form without spaces, commas and brackets.
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

var markerForm = regexp.MustCompile(`\[latchkey ((?:[a-z]+=(?:\{.*\}|[^ \]]*) ?)+)\]$`)

// Text is the marker as it stands in a description.
func (m Marker) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[latchkey v=%s owner=%s credential=%s", markerVersion, m.Owner, m.Credential)
	for _, mark := range []struct {
		name string
		at   time.Time
	}{{"superseded", m.Superseded}, {"renew", m.Renew}, {"answers", m.Answers}, {"leaked", m.Leaked}, {"withdrawn", m.Withdrawn}, {"since", m.Since}} {
		if !mark.at.IsZero() {
			fmt.Fprintf(&b, " %s=%s", mark.name, mark.at.UTC().Format(time.RFC3339Nano))
		}
	}
	if stores := m.storesText(); stores != "" && len(stores) <= maxStores {
		fmt.Fprintf(&b, " stores=%s", stores)
	}
	if m.Current != "" {
		fmt.Fprintf(&b, " current=%s", m.Current)
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

// Describe puts the marker behind a person's text.
func (m Marker) Describe(text string) string { return strings.TrimSpace(text + " " + m.Text()) }

// ParseMarker reads the marker at the end of a description. It returns the
// text before it, and false when there is no marker that this version knows.
func ParseMarker(description string) (m Marker, text string, ok bool) {
	loc := markerForm.FindStringSubmatchIndex(description)
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
	version := ""
	for _, field := range strings.Fields(body) {
		name, value, _ := strings.Cut(field, "=")
		var err error
		switch name {
		case "v":
			version = value
		case "owner":
			m.Owner = value
		case "credential":
			m.Credential = value
		case "superseded":
			m.Superseded, err = time.Parse(time.RFC3339Nano, value)
		case "renew":
			m.Renew, err = time.Parse(time.RFC3339Nano, value)
		case "answers":
			m.Answers, err = time.Parse(time.RFC3339Nano, value)
		case "leaked":
			m.Leaked, err = time.Parse(time.RFC3339Nano, value)
		case "withdrawn":
			m.Withdrawn, err = time.Parse(time.RFC3339Nano, value)
		case "since":
			m.Since, err = time.Parse(time.RFC3339Nano, value)
		case "stores":
			m.Stores, err = parseStores(value)
		case "current":
			m.Current = value
		}
		if err != nil {
			return Marker{}, description, false
		}
	}
	if version != markerVersion || m.Owner == "" || m.Credential == "" {
		return Marker{}, description, false
	}
	return m, text, true
}

// stampForm is the moment of minting in a key's name. It has milliseconds,
// which IAM's created_at lacks: a demand is compared with it.
const stampForm = "20060102T150405.000Z"

// KeyName is <credential>.<UTC stamp>.<random>.
func KeyName(credential string, at time.Time, random string) string {
	return credential + "." + at.UTC().Format(stampForm) + "." + random
}

var keyNameForm = regexp.MustCompile(`\.(\d{8}T\d{6}\.\d{3}Z)\.[^.]+$`)

// Stamp is the moment of minting in a key's name, or zero.
func Stamp(keyName string) time.Time {
	m := keyNameForm.FindStringSubmatch(keyName)
	if m == nil {
		return time.Time{}
	}
	at, err := time.Parse(stampForm, m[1])
	if err != nil {
		return time.Time{}
	}
	return at
}

// Mark puts what the name and the description say on a key that IAM listed.
func Mark(k rotation.Key, name string, m Marker) rotation.Key {
	k.Minted = Stamp(name)
	k.Stores = m.Stores
	k.Superseded, k.Renew, k.Answers, k.Leaked = m.Superseded, m.Renew, m.Answers, m.Leaked
	return k
}
