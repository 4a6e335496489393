package event

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// MaxBatch is how many events one batch may have.
const MaxBatch = 100

// Item is one event of a batch, or what is wrong with it.
type Item struct {
	Event Event
	Err   error // ErrMalformed; Event is empty then
}

// Batched reports whether a request says that it is a batch, in whatever
// format. It is asked before anything else: the name of a batch's media type
// begins with that of a single event.
func Batched(h http.Header) bool {
	sent, _, _ := header(h)
	return strings.HasPrefix(strings.ToLower(sent), batchType)
}

// DecodeBatch reads a batch of events, which may be empty. What is wrong with
// one event is said in its item; an error says that there is no batch.
func DecodeBatch(h http.Header, body []byte) ([]Item, error) {
	if len(body) > MaxBody {
		return nil, tooLarge()
	}
	sent, _, err := header(h)
	if err != nil {
		return nil, err
	}
	if media, _, err := mime.ParseMediaType(sent); err != nil || media != batchType+"+json" {
		return nil, fmt.Errorf("%w: Content-Type %s: of the batch formats only JSON is read", ErrUnsupported, quote(sent))
	}
	if !utf8.Valid(body) {
		return nil, malformed("the body: it is not UTF-8")
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(body, &elements); err != nil || elements == nil {
		return nil, malformed("the body: it is not one JSON array")
	}
	if len(elements) > MaxBatch {
		return nil, fmt.Errorf("%w: %d events in one batch; the most is %d", ErrTooLarge, len(elements), MaxBatch)
	}
	items := make([]Item, len(elements))
	for i, raw := range elements {
		items[i].Event, items[i].Err = structured(raw)
	}
	return items, nil
}
