package event

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
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

func tooLarge() error { return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxBody) }

// Decode reads one event from an HTTP request. A batch is for DecodeBatch.
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
