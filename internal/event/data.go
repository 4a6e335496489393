package event

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Data returns the data of an event as values. JSON becomes nil, bool, int64, float64,
// string, []any and map[string]any; other text becomes a string; anything else
// a []byte. Only a Kafka record can contain several values.
//
// The error wraps ErrMalformed, for JSON that readers interpret differently.
func Data(e Event) ([]any, error) {
	raw := e.Data()
	switch {
	case len(raw) == 0:
		return []any{nil}, nil
	case !utf8.Valid(raw):
		return []any{raw}, nil
	case !json.Valid(raw) && e.Type() != typeKafka:
		return []any{string(raw)}, nil
	}
	if e.Type() == typeKafka && !streamed(raw) {
		return []any{string(raw)}, nil
	}
	values, err := parseStream(raw)
	if err != nil {
		return nil, malformed("data: %w", err)
	}
	if e.Type() != typeKafka {
		return values, nil
	}
	var records []any
	for _, v := range values {
		if list, ok := v.([]any); ok {
			records = append(records, list...)
			continue
		}
		records = append(records, v)
	}
	return records, nil
}

// streamed reports whether raw is a sequence of JSON values.
func streamed(raw []byte) bool {
	d := json.NewDecoder(bytes.NewReader(raw))
	for {
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return len(bytes.TrimSpace(raw[d.InputOffset():])) == 0
		}
	}
}

// Ours reports whether data is an audit event that latchkey itself caused.
func (r Reader) Ours(e Event, data any) bool {
	if e.Type() != typeKafka || r.Self == nil {
		return false
	}
	record, _ := data.(map[string]any)
	initiator, _ := record["initiator"].(map[string]any)
	id, _ := initiator["id"].(string)
	return id != "" && id == r.Self()
}

// Newer returns the demand for a key that is newer than the event. It is an error if
// the event's time is absent or in the future, since no key could meet the
// demand.
func (r Reader) Newer(e Event) (Request, error) {
	q := Request{Verb: Rotate}
	q.Trigger.NewerThan = e.Time()
	switch {
	case e.Time().IsZero():
		return Request{}, malformed("time is missing: the demand needs a time that the new key is newer than")
	case e.Time().After(r.Now().Add(ahead)):
		return Request{}, malformed("time %s is in the future", quote(e.Time().String()))
	}
	return q, nil
}
