package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"mime"
	"slices"
	"strconv"
	"strings"
)

// structured reads structured mode: everything in one JSON object.
func structured(body []byte) (Event, error) {
	fields, err := object(body)
	if err != nil {
		return Event{}, malformed("the body: %w", err)
	}
	attributes := make([]attribute, 0, len(fields))
	names := slices.AppendSeq(make([]string, 0, len(fields)), maps.Keys(fields))
	slices.Sort(names)
	for _, name := range names {
		if name == "data" || name == "data_base64" {
			continue
		}
		if !legalName(name) {
			return Event{}, badName(name)
		}
		if isNull(fields[name]) {
			continue // null is unset
		}
		value, err := member(fields[name])
		if _, isText := value.(string); !isText && defined(name) {
			return Event{}, malformed("%s is not a string", name)
		}
		if err != nil {
			return Event{}, malformed("attribute %s: %w", quote(name), err)
		}
		attributes = append(attributes, attribute{name, value})
	}
	e, err := assemble(attributes)
	if err != nil {
		return Event{}, err
	}
	data, encoded := fields["data"], fields["data_base64"]
	switch {
	case data != nil && encoded != nil:
		return Event{}, malformed("data and data_base64 exclude each other")
	case encoded != nil && !isNull(encoded):
		var s string // not []byte: that would also take an array of numbers
		err := json.Unmarshal(encoded, &s)
		b, berr := base64.StdEncoding.Strict().DecodeString(s)
		if err != nil || berr != nil || strings.ContainsAny(s, "\r\n") {
			return Event{}, malformed("data_base64 is not base64")
		}
		e.DataEncoded, e.DataBase64 = b, true
	case data != nil && !isNull(data):
		if e.DataEncoded, err = payload(e, data); err != nil {
			return Event{}, err
		}
	}
	return e, nil
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

// member returns the value of an attribute in the envelope.
func member(raw json.RawMessage) (any, error) {
	switch c := raw[0]; c {
	case '"':
		if !bytes.ContainsRune(raw, '\\') {
			return string(raw[1 : len(raw)-1]), nil
		}
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case 't', 'f':
		return c == 't', nil
	case '{', '[':
		return nil, errors.New("it is neither a string, a number nor a boolean")
	}
	n, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil {
		return nil, errors.New("it is not a 32-bit integer")
	}
	return int32(n), nil
}

// payload returns the data of a structured event in the form of binary mode. JSON is
// returned verbatim, JSON strings included. Data of any other type is the text of
// a JSON string.
func payload(e Event, data json.RawMessage) ([]byte, error) {
	if media, _, _ := mime.ParseMediaType(e.DataContentType()); media == "" || media == "text/json" ||
		strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json") {
		return data, nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, malformed("data: with datacontenttype %s it must be a string", quote(e.DataContentType()))
	}
	return []byte(s), nil
}
