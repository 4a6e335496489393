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

// Parts are what a hook's Map makes of a delivery.
type Parts struct {
	Type    string
	Subject string // "": none
	Time    string // RFC 3339; "": the time that the sender signed, or none
	Data    any    // as encoding/json encodes it; nil: none
	// Leaked is the value of a key that somebody found in public. It is not in
	// the data.
	Leaked secret.Value
}

// Hook is one path that a system outside calls.
type Hook struct {
	Name     string
	Verifier *Verifier
	// Map makes the parts of an event. body is what encoding/json would give,
	// with int64 for whole numbers; header has lower-case names, and none that
	// proves who calls. An error wraps one of package event's.
	Map func(body any, header map[string]string) (Parts, error)
}

// Event makes the event of a delivery that was verified. The errors are those
// of package event, and repeat nothing of the body but what an attribute of a
// CloudEvent may show.
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
		// The same delivery is the same event, however often it is sent: the
		// IDs in headers are not signed.
		sum := sha256.Sum256(append([]byte(h.Name+"\x00"), body...))
		id = hex.EncodeToString(sum[:16])
	}
	envelope := map[string]any{
		"specversion": "1.0", "id": id, "source": "/hooks/" + h.Name, "type": parts.Type, "datacontenttype": "application/json",
	}
	if parts.Subject != "" {
		envelope["subject"] = parts.Subject
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
		return none, nil, fmt.Errorf("%w: what the hook makes of the body is no JSON", event.ErrMalformed)
	}
	e, err := event.Decode(http.Header{"Content-Type": {"application/cloudevents+json"}}, text)
	return e, parts.Leaked, err
}

// visible are the headers that expressions get to see.
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
