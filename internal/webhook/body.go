package webhook

import (
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/latchkey-io/latchkey/internal/event"
)

// Bounds of a body. GitHub sends up to 25 MB; deliveries for latchkey have a few KiB.
const (
	// MaxBody is the length of the longest body that is read, in bytes. It leaves
	// room for the attributes of the event that contains the body.
	MaxBody   = event.MaxBody - 4<<10
	maxDepth  = 40 // levels; what a hook makes of the body may nest deeper, up to an event's 64
	maxValues = 100_000
)

// readable rejects a body that is not plain JSON. A compressed body is never
// decompressed, because a small one can exhaust the memory.
func readable(h http.Header) error {
	for _, encoding := range h.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return fmt.Errorf("%w: Content-Encoding: send the body uncompressed", event.ErrUnsupported)
		}
	}
	given := h.Values("Content-Type")
	if len(given) == 0 || len(given) == 1 && given[0] == "" {
		return nil // parsing decides
	}
	media, _, err := mime.ParseMediaType(given[0])
	if err != nil || len(given) > 1 || media != "application/json" && !strings.HasSuffix(media, "+json") {
		return fmt.Errorf("%w: Content-Type: a hook accepts only application/json", event.ErrUnsupported)
	}
	return nil
}
