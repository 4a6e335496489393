package event

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// MaxBatch is how many events a batch may contain.
const MaxBatch = 100

// Item is one event of a batch, or its error.
type Item struct {
	Event Event
	Err   error // wraps ErrMalformed; Event is then empty
}

// Batched reports whether the Content-Type is that of a batch, in any format. Call it
// before Decode, because a batch's media type starts with that of a single
// event.
func Batched(h http.Header) bool {
	sent, _, _ := header(h)
	return strings.HasPrefix(strings.ToLower(sent), batchType)
}

// DecodeBatch reads a batch of events, which may be empty. An error in one event is
// returned in its item; an error in the batch itself is returned as err.
func DecodeBatch(h http.Header, body []byte) ([]Item, error) {
	if len(body) > MaxBody {
		return nil, tooLarge()
	}
	sent, _, err := header(h)
	if err != nil {
		return nil, err
	}
	if media, _, err := mime.ParseMediaType(sent); err != nil || media != batchType+"+json" {
		return nil, fmt.Errorf("%w: Content-Type %s: the only batch format supported is JSON", ErrUnsupported, quote(sent))
	}
	if !utf8.Valid(body) {
		return nil, malformed("the body: it is not UTF-8")
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(body, &elements); err != nil || elements == nil {
		return nil, malformed("the body: it is not one JSON array")
	}
	if len(elements) > MaxBatch {
		return nil, fmt.Errorf("%w: %d events in one batch; the maximum is %d", ErrTooLarge, len(elements), MaxBatch)
	}
	items := make([]Item, len(elements))
	for i, raw := range elements {
		items[i].Event, items[i].Err = structured(raw)
	}
	return items, nil
}
