package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	ce "github.com/cloudevents/sdk-go/v2/event"
)

// Event is the SDK's type. Its receiver is not used: it neither decodes header
// values nor sees parameters of a content type.
type Event = ce.Event

// MaxBody is the longest body that is read.
const MaxBody = 1 << 20

// What is wrong with what was sent.
var (
	// ErrMalformed: it is no event, or its data is not what its type promises.
	ErrMalformed = errors.New("malformed event")
	// ErrUnsupported: a format that is not understood here.
	ErrUnsupported = errors.New("unsupported format")
	// ErrTooLarge: the body is longer than MaxBody.
	ErrTooLarge = errors.New("body too large")
	// ErrNotForUs: understood, and nothing that latchkey acts on.
	ErrNotForUs = errors.New("not for us")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// quote makes a sender's text fit for an answer and a log.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	return fmt.Sprintf("%q", s)
}

const (
	batchType      = "application/cloudevents-batch"
	structuredType = "application/cloudevents"
)

// Decode reads one event from an HTTP request.
func Decode(h http.Header, body []byte) (Event, error) {
	if len(body) > MaxBody {
		return Event{}, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxBody)
	}
	contentType := strings.ToLower(strings.TrimSpace(h.Get("Content-Type")))
	switch {
	case strings.HasPrefix(contentType, batchType):
		return Event{}, fmt.Errorf("%w: batches were not asked for; send one event", ErrUnsupported)
	case strings.HasPrefix(contentType, structuredType):
		media, _, err := mime.ParseMediaType(contentType)
		if err != nil || media != structuredType+"+json" {
			return Event{}, fmt.Errorf("%w: Content-Type %s: of the structured formats only JSON is read", ErrUnsupported, quote(contentType))
		}
		return structured(body)
	case hasEventHeaders(h):
		return binary(h, body)
	}
	media, _, _ := mime.ParseMediaType(contentType)
	if contentType == "" || media == "application/json" {
		if e, ok, err := notification(body); ok {
			return e, err
		}
	}
	return Event{}, malformed("no ce- headers, Content-Type %s: header ce-specversion is missing", quote(contentType))
}

func hasEventHeaders(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(strings.ToLower(name), "ce-") {
			return true
		}
	}
	return false
}

// binary has the attributes in headers and the data in the body.
func binary(h http.Header, body []byte) (Event, error) {
	attributes := map[string]any{}
	for name, values := range h {
		attribute, is := strings.CutPrefix(strings.ToLower(name), "ce-")
		if !is {
			continue
		}
		if len(values) != 1 {
			return Event{}, malformed("header ce-%s occurs %d times", attribute, len(values))
		}
		if attribute == "datacontenttype" {
			return Event{}, malformed("header ce-datacontenttype: Content-Type says it")
		}
		value, err := headerValue(values[0])
		if err != nil {
			return Event{}, malformed("header ce-%s %s: %v", attribute, quote(values[0]), err)
		}
		attributes[attribute] = value
	}
	contentType := h.Get("Content-Type")
	if contentType != "" {
		attributes["datacontenttype"] = contentType
	}
	e, err := assemble(attributes)
	if err != nil || len(body) == 0 {
		return e, err
	}
	e.DataEncoded = body
	return e, nil
}

// headerValue undoes what the HTTP binding does to a value: first quotes, then
// one round of percent-encoding.
func headerValue(s string) (string, error) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		var b strings.Builder
		inner := s[1 : len(s)-1]
		for i := 0; i < len(inner); i++ {
			if inner[i] == '\\' && i+1 < len(inner) {
				i++
			}
			b.WriteByte(inner[i])
		}
		s = b.String()
	}
	s, err := url.PathUnescape(s)
	if err != nil {
		return "", errors.New("the percent-encoding is broken")
	}
	if !utf8.ValidString(s) {
		return "", errors.New("it is not UTF-8")
	}
	return s, nil
}

// structured has everything in one JSON object.
func structured(body []byte) (Event, error) {
	fields, err := object(body)
	if err != nil {
		return Event{}, malformed("%v", err)
	}
	attributes := map[string]any{}
	for name, raw := range fields {
		if name == "data" || name == "data_base64" || string(raw) == "null" {
			continue
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return Event{}, malformed("attribute %s: %v", quote(name), err)
		}
		switch v.(type) {
		case string, bool, float64:
			attributes[name] = v
		default:
			return Event{}, malformed("attribute %s is neither a string, a number nor a boolean", quote(name))
		}
	}
	e, err := assemble(attributes)
	if err != nil {
		return e, err
	}
	data, encoded := fields["data"], fields["data_base64"]
	switch {
	case data != nil && encoded != nil:
		return Event{}, malformed("data and data_base64 exclude each other")
	case encoded != nil && string(encoded) != "null":
		var b []byte
		if err := json.Unmarshal(encoded, &b); err != nil {
			return Event{}, malformed("data_base64 is not base64")
		}
		e.DataEncoded, e.DataBase64 = b, true
	case data != nil && string(data) != "null":
		e.DataEncoded = data
	}
	return e, nil
}

// notification reads the envelope of Event Notifications. It looks like a
// structured event and is not a legal one: notification_id has an underscore,
// its time need not be RFC 3339, and no header says what it is. ok is false
// when the body is something else.
func notification(body []byte) (e Event, ok bool, err error) {
	fields, oerr := object(body)
	if oerr != nil || (fields["ibmensourceid"] == nil && fields["notification_id"] == nil) {
		return Event{}, false, nil //nolint:nilerr // what is no JSON object is no notification
	}
	attributes := map[string]any{}
	for _, name := range []string{"specversion", "id", "source", "type", "subject", "ibmensourceid", "ibmenseverity", "time", "datacontenttype"} {
		var s string
		if json.Unmarshal(fields[name], &s) == nil && s != "" {
			attributes[name] = s
		}
	}
	if attributes["ibmensourceid"] == nil {
		attributes["ibmensourceid"] = "unknown" // marks the sender, whose patience is short
	}
	if t, _ := attributes["time"].(string); t != "" {
		if _, terr := time.Parse(time.RFC3339, t); terr != nil {
			delete(attributes, "time")
		}
	}
	e, err = assemble(attributes)
	if err != nil {
		return Event{}, true, err
	}
	if data := fields["data"]; data != nil && string(data) != "null" {
		e.DataEncoded = data
	}
	return e, true, nil
}

var attributeName = regexp.MustCompile(`^[a-z0-9]+$`)

// assemble checks the attributes and makes the event.
func assemble(attributes map[string]any) (Event, error) {
	if v, _ := attributes["specversion"].(string); v != "1.0" {
		if v == "" {
			return Event{}, malformed("specversion is missing")
		}
		return Event{}, malformed("specversion %s: only 1.0 is read", quote(v))
	}
	e := ce.New("1.0")
	for name, value := range attributes {
		if !attributeName.MatchString(name) || name == "data" {
			return Event{}, malformed("attribute name %s: a name has lower-case letters and digits", quote(name))
		}
		text, isText := value.(string)
		if isText {
			if strings.TrimSpace(text) == "" {
				return Event{}, malformed("%s is empty", name)
			}
			if strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || (r >= 0x7f && r <= 0x9f) }) {
				return Event{}, malformed("%s %s has a control character", name, quote(text))
			}
		}
		var err error
		switch name {
		case "specversion":
		case "id", "type", "source", "subject", "datacontenttype", "dataschema", "time":
			if !isText {
				return Event{}, malformed("%s is not a string", name)
			}
			err = setCore(&e, name, text)
		default:
			if f, ok := value.(float64); ok {
				if f != float64(int32(f)) {
					return Event{}, malformed("%s is not a 32-bit integer", name)
				}
				value = int32(f)
			}
			err = e.Context.SetExtension(name, value)
		}
		if err != nil {
			return Event{}, malformed("%s %s: %v", name, quote(fmt.Sprint(value)), err)
		}
	}
	for _, name := range []string{"id", "source", "type"} {
		if attributes[name] == nil {
			return Event{}, malformed("%s is missing", name)
		}
	}
	return e, nil
}

func setCore(e *Event, name, text string) error {
	switch name {
	case "id":
		return e.Context.SetID(text)
	case "type":
		return e.Context.SetType(text)
	case "source":
		return e.Context.SetSource(text)
	case "subject":
		return e.Context.SetSubject(text)
	case "dataschema":
		return e.Context.SetDataSchema(text)
	case "datacontenttype":
		if _, _, err := mime.ParseMediaType(text); err != nil {
			return errors.New("not a media type")
		}
		return e.Context.SetDataContentType(text)
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return errors.New("not an RFC 3339 time")
	}
	return e.Context.SetTime(t)
}

// maxDepth bounds how deep JSON may nest.
const maxDepth = 64

// object splits a JSON object into its members, each as raw JSON. A name that
// occurs twice, at any depth, is refused: readers differ on which one counts.
func object(body []byte) (map[string]json.RawMessage, error) {
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, errors.New("the body is not a JSON object")
	}
	return fields, nil
}

func checkJSON(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	type level struct {
		names map[string]bool // nil in an array
		key   bool            // a name comes next
	}
	var stack []*level
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			if len(stack) > 0 {
				return errors.New("the JSON ends early")
			}
			return nil
		}
		if err != nil {
			return errors.New("the body is not JSON")
		}
		top := func() *level {
			if len(stack) == 0 {
				return nil
			}
			return stack[len(stack)-1]
		}
		if name, is := t.(string); is && top() != nil && top().names != nil && top().key {
			if top().names[name] {
				return fmt.Errorf("the name %s occurs twice", quote(name))
			}
			top().names[name], top().key = true, false
			continue
		}
		if delim, is := t.(json.Delim); is {
			switch delim {
			case '{':
				stack = append(stack, &level{names: map[string]bool{}, key: true})
			case '[':
				stack = append(stack, &level{})
			default:
				stack = stack[:len(stack)-1]
			}
			if len(stack) > maxDepth {
				return fmt.Errorf("the JSON nests deeper than %d", maxDepth)
			}
			if delim == '{' || delim == '[' {
				continue
			}
		}
		if l := top(); l != nil && l.names != nil {
			l.key = true
		}
	}
}
