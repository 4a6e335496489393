package event

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
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
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

// quote makes a sender's text fit for an answer and a log.
func quote(s string) string { return strconv.Quote(clip(s)) }

// clip shortens s, and cuts no character in two.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// shown is an attribute with its value where that is fit to be told: the value
// of an extension can be anything, a credential too, and a URI can hold one.
func shown(name, value string) string {
	switch name {
	case "specversion", "id", "type", "subject", "time", "datacontenttype":
		return name + " " + quote(value)
	}
	return quote(name)
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
	sent, attributes, err := header(h)
	if err != nil {
		return Event{}, err
	}
	contentType := strings.ToLower(sent)
	switch {
	case strings.HasPrefix(contentType, batchType):
		return Event{}, fmt.Errorf("%w: batches were not asked for; send one event", ErrUnsupported)
	case strings.HasPrefix(contentType, structuredType):
		media, _, err := mime.ParseMediaType(contentType)
		if err != nil || media != structuredType+"+json" {
			return Event{}, fmt.Errorf("%w: Content-Type %s: of the structured formats only JSON is read", ErrUnsupported, quote(contentType))
		}
		// How Event Notifications labels its delivery is not documented. Its
		// envelope is no legal event either way.
		if bytes.Contains(body, []byte(`"notification_id"`)) {
			if e, err := notification(body); err == nil {
				return e, nil
			}
		}
		return structured(body)
	case len(attributes) > 0:
		return binary(sent, attributes, body)
	}
	media, _, _ := mime.ParseMediaType(contentType)
	if contentType == "" || media == "application/json" {
		return notification(body)
	}
	return Event{}, malformed("no ce- headers, Content-Type %s: header ce-specversion is missing", quote(contentType))
}

// attribute is one of an event's: a string, a bool or an int32.
type attribute struct {
	name  string
	value any
}

// header takes the content type and the ce- headers, whatever the case of
// their names: not everything that calls here went through net/http.
func header(h http.Header) (contentType string, attributes []attribute, err error) {
	const prefix = "ce-"
	types := 0
	for key, values := range h {
		switch {
		case strings.EqualFold(key, "Content-Type") && len(values) > 0:
			types += len(values)
			contentType = strings.TrimSpace(values[0])
		case len(key) >= len(prefix) && strings.EqualFold(key[:len(prefix)], prefix):
			name := strings.ToLower(key[len(prefix):])
			for _, value := range values {
				attributes = append(attributes, attribute{name, value})
			}
		}
	}
	if types > 1 {
		return "", nil, malformed("header Content-Type occurs %d times", types)
	}
	return contentType, attributes, nil
}

// binary has the attributes in headers and the data in the body.
func binary(contentType string, attributes []attribute, body []byte) (Event, error) {
	slices.SortStableFunc(attributes, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	for i, a := range attributes {
		if a.name == "datacontenttype" {
			return Event{}, malformed("header ce-datacontenttype: Content-Type says it")
		}
		if i > 0 && a.name == attributes[i-1].name { // readers differ on which one counts
			return Event{}, malformed("header ce-%s occurs more than once", clip(a.name))
		}
		encoded, _ := a.value.(string)
		value, err := headerValue(encoded)
		if err != nil {
			return Event{}, malformed("header ce-%s: %w", shown(a.name, encoded), err)
		}
		attributes[i].value = value
	}
	if contentType != "" {
		attributes = append(attributes, attribute{"datacontenttype", contentType})
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
	if strings.HasPrefix(s, `"`) {
		inner, err := unquote(s)
		if err != nil {
			return "", err
		}
		s = inner
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

// unquote reads a quoted string of RFC 9110: a backslash takes the next
// character as it is, and the first bare quote has to be the last character.
func unquote(s string) (string, error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' && i == len(s)-1:
			return b.String(), nil
		case c == '"':
			return "", errors.New("something follows the quoted string")
		case c == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", errors.New("the quoted string has no end")
}

// structured has everything in one JSON object.
func structured(body []byte) (Event, error) {
	fields, err := object(body)
	if err != nil {
		return Event{}, malformed("the body: %w", err)
	}
	var attributes []attribute
	for _, name := range slices.Sorted(maps.Keys(fields)) {
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

// member is the value of an attribute in the envelope.
func member(raw json.RawMessage) (any, error) {
	switch c := raw[0]; c {
	case '"':
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

// payload is the data of a structured event as binary mode would carry it:
// JSON as it stands, a string of JSON too; any other type has its text in a
// string.
func payload(e Event, data json.RawMessage) ([]byte, error) {
	if media, _, _ := mime.ParseMediaType(e.DataContentType()); media == "" || media == "text/json" ||
		strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json") {
		return data, nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, malformed("data: for datacontenttype %s it has to be a string", quote(e.DataContentType()))
	}
	return []byte(s), nil
}

// notification reads the envelope of Event Notifications. It looks like a
// structured event and is not a legal one: notification_id has an underscore,
// its time need not be RFC 3339, and no header says what it is. Only its type
// has to be there; what else is missing or illegal is made up for or left out.
func notification(body []byte) (Event, error) {
	fields, err := object(body)
	if err != nil {
		return Event{}, malformed("no ce- headers (ce-specversion is missing), and the body is no notification: %w", err)
	}
	text := func(name string) string {
		var s string
		if err := json.Unmarshal(fields[name], &s); err != nil {
			return "" // absent, or no string
		}
		return s
	}
	sender, id := text("ibmensourceid"), text("notification_id")
	if sender == "" && id == "" {
		return Event{}, malformed("no ce- headers (ce-specversion is missing), and the body has neither ibmensourceid nor notification_id")
	}
	attributes := []attribute{
		{"specversion", cmp.Or(text("specversion"), "1.0")},
		// Marks the sender, whose patience is short.
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

func legalName(s string) bool {
	return s != "" && s != "data" && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

func badName(name string) error {
	return malformed("attribute name %s: a name has lower-case letters and digits", quote(name))
}

// assemble checks the attributes, which occur once each, and makes the event.
func assemble(attributes []attribute) (Event, error) {
	find := func(name string) any {
		for _, a := range attributes {
			if a.name == name {
				return a.value
			}
		}
		return nil
	}
	if v, _ := find("specversion").(string); v != "1.0" {
		if v == "" {
			return Event{}, malformed("specversion is missing")
		}
		return Event{}, malformed("specversion %s: only 1.0 is read", quote(v))
	}
	e := ce.New("1.0")
	for _, a := range attributes {
		name, value := a.name, a.value
		if !legalName(name) {
			return Event{}, badName(name)
		}
		text, isText := value.(string)
		if isText {
			if strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || (r >= 0x7f && r <= 0x9f) }) {
				return Event{}, malformed("%s has a control character", shown(name, text))
			}
		}
		var err error
		switch name {
		case "specversion":
		case "id", "type", "source", "subject", "datacontenttype", "dataschema", "time":
			if !isText {
				return Event{}, malformed("%s is not a string", name)
			}
			if strings.TrimSpace(text) == "" {
				return Event{}, malformed("%s is empty", name)
			}
			err = setCore(&e, name, text)
		default:
			err = e.Context.SetExtension(name, value)
		}
		if err != nil {
			return Event{}, malformed("%s: %w", shown(name, text), err)
		}
	}
	for _, name := range []string{"id", "source", "type"} {
		if find(name) == nil {
			return Event{}, malformed("%s is missing", name)
		}
	}
	return e, nil
}

// setCore sets an attribute that the specification names. The SDK's own errors
// repeat the value at full length, so none is passed on.
func setCore(e *Event, name, text string) error {
	switch name {
	case "id":
		return e.Context.SetID(text)
	case "type":
		return e.Context.SetType(text)
	case "subject":
		return e.Context.SetSubject(text)
	case "source":
		// "#" is a reference, and an empty one.
		if err := e.Context.SetSource(text); err != nil || e.Source() == "" {
			return errors.New("not a URI reference")
		}
		return nil
	case "dataschema":
		if u, err := url.Parse(text); err != nil || !u.IsAbs() {
			return errors.New("not an absolute URI")
		}
		return e.Context.SetDataSchema(text)
	case "datacontenttype":
		if err := checkMediaType(text); err != nil {
			return err
		}
		return e.Context.SetDataContentType(text)
	}
	t, err := parseTime(text)
	if err != nil {
		return err
	}
	return e.Context.SetTime(t)
}

func checkMediaType(s string) error {
	media, _, err := mime.ParseMediaType(s)
	if err != nil || !strings.Contains(media, "/") {
		return errors.New("not a media type")
	}
	return nil
}

// rfc3339 is the shape of a time; time.Parse alone also takes 9:00 and commas.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// parseTime keeps to the years that can be written in UTC. The zero time is
// none: elsewhere it means that there is no time.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, strings.ToUpper(s))
	if y := t.UTC().Year(); err != nil || !rfc3339.MatchString(s) || t.IsZero() || y < 1 || y > 9999 {
		return time.Time{}, errors.New("not an RFC 3339 time")
	}
	return t, nil
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
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, errors.New("it is not one JSON object")
	}
	return fields, nil
}

func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("it is not UTF-8") // json would put U+FFFD there
	}
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
			return errors.New("it is not JSON")
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
