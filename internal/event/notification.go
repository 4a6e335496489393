package event

import (
	"cmp"
	"encoding/json"
	"errors"
)

// errNoEnvelope means that neither the header nor the body identifies an event.
var errNoEnvelope = errors.New("no ce- headers (ce-specversion is missing)")

// notification reads the envelope of Event Notifications. It resembles a structured
// event but is not legal: notification_id contains an underscore, its time may not
// be RFC 3339, and no header identifies it. Only the type is required; other
// missing or illegal attributes are replaced or omitted.
func notification(body []byte) (Event, error) {
	fields, err := object(body)
	if err != nil {
		return Event{}, malformed("%w: the body is not a notification: %w", errNoEnvelope, err)
	}
	text := func(name string) string {
		var s string
		if err := json.Unmarshal(fields[name], &s); err != nil {
			return "" // absent or not a string
		}
		return s
	}
	sender, id := text("ibmensourceid"), text("notification_id")
	if sender == "" && id == "" {
		return Event{}, malformed("%w, and the body has neither ibmensourceid nor notification_id", errNoEnvelope)
	}
	attributes := []attribute{
		{"specversion", cmp.Or(text("specversion"), "1.0")},
		// Identifies the sender, which times out early.
		{"ibmensourceid", cmp.Or(sender, "unknown")},
	}
	add := func(name, value string, legal bool) {
		if value != "" && legal {
			attributes = append(attributes, attribute{name, value})
		}
	}
	add("id", cmp.Or(text("id"), id), true)
	add("source", cmp.Or(text("source"), sender), true)
	for _, name := range []string{"type", "subject", "ibmenseverity"} {
		add(name, text(name), true)
	}
	_, err = parseTime(text("time"))
	add("time", text("time"), err == nil)
	add("datacontenttype", text("datacontenttype"), checkMediaType(text("datacontenttype")) == nil)
	e, err := assemble(attributes)
	if err != nil {
		return Event{}, err
	}
	if data := fields["data"]; data != nil && !isNull(data) {
		e.DataEncoded = data
	}
	return e, nil
}
