package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Parts are the parts of an event that Map makes from a delivery.
type Parts struct {
	Type    string       // type of the event
	Subject string       // "": none
	Ticket  string       // reference of the ticket that asks; "": none
	Time    string       // RFC 3339; "": the signed time, or none
	Data    any          // a value for encoding/json; nil: none
	Leaked  secret.Value // value of a key that was found in public; nil: none
}

// Hook is one webhook.
type Hook struct {
	Name     string // last part of the path /hooks/NAME
	Verifier *Verifier
	// Map makes the parts of an event. body is a value as event.ParseJSON returns it;
	// header has lower-case names and omits credentials. An error wraps one of
	// package event's.
	Map func(body any, header map[string]string) (Parts, error)
}

// Event makes an event from a verified delivery. It also returns the value of a leaked
// key, if any. Errors wrap those of package event and repeat only attributes that
// event.Decode repeats.
func (h *Hook) Event(c Claim, header http.Header, body []byte) (event.Event, secret.Value, error) {
	none := event.Event{}
	if err := readable(header); err != nil {
		return none, nil, err
	}
	parsed, err := event.ParseJSON(body, event.Limits{Depth: maxDepth, Values: maxValues})
	if err != nil {
		return none, nil, fmt.Errorf("%w: the body: %w", event.ErrMalformed, err)
	}
	parts, err := h.Map(parsed, h.Verifier.visible(header))
	if err != nil {
		return none, nil, err
	}
	id := c.ID
	if id == "" {
		// A repeated delivery gets the same ID. IDs in headers are not signed.
		sum := sha256.Sum256(append([]byte(h.Name+"\x00"), body...))
		id = hex.EncodeToString(sum[:16])
	}
	envelope := map[string]any{
		"specversion": "1.0", "id": id, "source": "/hooks/" + h.Name, "type": parts.Type, "datacontenttype": "application/json",
	}
	if parts.Subject != "" {
		envelope["subject"] = parts.Subject
	}
	if parts.Ticket != "" {
		envelope[event.TicketExtension] = parts.Ticket
	}
	switch {
	case parts.Time != "":
		envelope["time"] = parts.Time
	case !c.Time.IsZero():
		envelope["time"] = c.Time.Format(time.RFC3339)
	}
	if parts.Data != nil {
		envelope["data"] = parts.Data
	}
	text, err := json.Marshal(envelope)
	if err != nil {
		return none, nil, fmt.Errorf("%w: the hook's data cannot be encoded as JSON", event.ErrMalformed)
	}
	e, err := event.Decode(http.Header{"Content-Type": {"application/cloudevents+json"}}, text)
	return e, parts.Leaked, err
}

// visible returns the headers that expressions can read.
func (v *Verifier) visible(h http.Header) map[string]string {
	out := make(map[string]string, len(h))
	hidden := append([]string{"Authorization", "Proxy-Authorization", "Cookie"}, v.hidden...)
	for name, values := range h {
		if slices.ContainsFunc(hidden, func(s string) bool { return strings.EqualFold(s, name) }) {
			continue
		}
		out[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return out
}
