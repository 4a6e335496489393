package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	ce "github.com/cloudevents/sdk-go/v2/event"
)

// Event is the SDK's type. The SDK's receiver is not used, because it neither decodes
// header values nor reads parameters of a content type.
type Event = ce.Event

// MaxBody is the length of the longest body that is read, in bytes (1 MiB).
const MaxBody = 1 << 20

// Errors of Decode, DecodeBatch and Interpret.
var (
	// ErrMalformed means that the body is not an event, or that its data does not
	// match its type.
	ErrMalformed = errors.New("malformed event")
	// ErrUnsupported means that the format is not supported.
	ErrUnsupported = errors.New("unsupported format")
	// ErrTooLarge means that the body is longer than MaxBody.
	ErrTooLarge = errors.New("body too large")
	// ErrNotForUs means that the event is valid and latchkey does not handle it.
	ErrNotForUs = errors.New("not for us")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

// quote makes a sender's text safe for an answer and a log.
func quote(s string) string { return strconv.Quote(Clip(s)) }

// Clip returns at most 80 bytes of a text that a sender chose, for logs and answers. It
// shortens s without splitting a character.
func Clip(s string) string {
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

// shown returns the name of an attribute, and its value if it cannot be
// a credential. The value of an extension can be one, and a URI can contain one.
func shown(name, value string) string {
	switch name {
	case "specversion", "id", "type", "subject", "time", "datacontenttype":
		return name + " " + quote(value)
	case "source", "dataschema":
		return name
	}
	return quote(name)
}

const (
	batchType      = "application/cloudevents-batch"
	structuredType = "application/cloudevents"
)

func tooLarge() error { return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxBody) }

// Decode reads one event from an HTTP request. Use DecodeBatch for a batch.
func Decode(h http.Header, body []byte) (Event, error) {
	if len(body) > MaxBody {
		return Event{}, tooLarge()
	}
	sent, attributes, err := header(h)
	if err != nil {
		return Event{}, err
	}
	contentType := strings.ToLower(sent)
	switch {
	case strings.HasPrefix(contentType, batchType):
		return Event{}, fmt.Errorf("%w: a batch, where one event is expected", ErrUnsupported)
	case strings.HasPrefix(contentType, structuredType):
		media, _, err := mime.ParseMediaType(contentType)
		if err != nil || media != structuredType+"+json" {
			return Event{}, fmt.Errorf("%w: Content-Type %s: the only structured format supported is JSON", ErrUnsupported, quote(contentType))
		}
		// The Content-Type of Event Notifications is not documented. Its envelope
		// is not a legal event with any.
		if bytes.Contains(body, []byte(`"notification_id"`)) {
			if e, err := notification(body); err == nil {
				return e, nil
			}
		}
		return structured(body)
	case len(attributes) > 0:
		return binary(sent, attributes, body)
	}
	err = malformed("no ce- headers, Content-Type %s: header ce-specversion is missing", quote(contentType))
	if media, _, _ := mime.ParseMediaType(contentType); contentType == "" || media == "application/json" {
		var e Event
		if e, err = notification(body); !errors.Is(err, errNoEnvelope) {
			return e, err
		}
	}
	if want := mislabelled(body); want != "" {
		return Event{}, malformed("no ce- headers, and Content-Type %s: send this body with Content-Type %s", quote(contentType), want)
	}
	return Event{}, err
}

// mislabelled returns the Content-Type that a body without ce- headers needs: that of
// a structured event or of a batch. It returns "" for any other body.
func mislabelled(body []byte) string {
	kind := structuredType + "+json"
	if b := bytes.TrimLeft(body, " \t\r\n"); len(b) > 0 && b[0] == '[' {
		var list []json.RawMessage
		if json.Unmarshal(b, &list) != nil || len(list) == 0 {
			return ""
		}
		body, kind = list[0], batchType+"+json"
	}
	if fields, err := object(body); err != nil || fields["specversion"] == nil {
		return ""
	}
	return kind
}
