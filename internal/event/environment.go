package event

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Triggered is the event that a Code Engine job run was started with, as an HTTP
// request would carry it.
type Triggered struct {
	Header http.Header
	Body   []byte
	// Known: the sender needs an authorization to start jobs, so it may request
	// what jobs.allow lists. Other events can only trigger a look.
	Known bool
}

// FromEnvironment reads the event of a job run; false when there is none. Three
// names together tell an event from Code Engine's own variables, which have the
// same prefix. It comes from a timer or from Kafka, where any writer of the topic
// chooses its type, so its sender is unknown. Event Notifications uses ibmendata
// instead, and needs an authorization to start jobs.
func FromEnvironment(env func(string) string) (Triggered, bool) {
	if data := env("ibmendata"); data != "" {
		return Triggered{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(data), Known: true}, true
	}
	for _, name := range []string{"CE_ID", "CE_TYPE", "CE_SPECVERSION"} {
		if env(name) == "" {
			return Triggered{}, false
		}
	}
	header := http.Header{}
	for _, name := range []string{"ID", "TYPE", "SPECVERSION", "SOURCE", "SUBJECT", "TIME", "DATASCHEMA", "TICKET", "TRACEPARENT"} {
		if v := env("CE_" + name); v != "" {
			header.Set("Ce-"+name, EncodeHeader(v))
		}
	}
	if ct := env("CONTENT_TYPE"); ct != "" {
		header.Set("Content-Type", ct)
	}
	return Triggered{Header: header, Body: jobData(env("CE_DATA"))}, true
}

// EncodeHeader percent-encodes the value of an attribute as the HTTP binding has
// it in a header: blanks, quotes, percent signs and everything that is not
// printable ASCII.
func EncodeHeader(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '"' || c == '%' || c > '~' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// jobData is the data as sent. The form of binary data is not documented; base64
// of a JSON text is recognized by its content.
func jobData(s string) []byte {
	if trimmed := strings.TrimSpace(s); trimmed != "" && trimmed[0] != '{' && trimmed[0] != '[' {
		if b, err := base64.StdEncoding.DecodeString(trimmed); err == nil && json.Valid(b) {
			return b
		}
	}
	return []byte(s)
}
