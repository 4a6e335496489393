package webhook

import (
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/latchkey-io/latchkey/internal/event"
)

// Bounds of a body. GitHub sends up to 25 MB; what latchkey is told about has a
// few KiB, and an event that is made of it has to fit too.
const (
	// MaxBody is the longest body that is read, in bytes.
	MaxBody   = event.MaxBody - 4<<10
	maxDepth  = 40 // levels; what a hook makes of the body may nest deeper, up to an event's 64
	maxValues = 100_000
)

// readable refuses what is not JSON as it stands. A compressed body is never
// unpacked: a small one can be the size of the machine.
func readable(h http.Header) error {
	for _, encoding := range h.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return fmt.Errorf("%w: Content-Encoding: send the body as it is", event.ErrUnsupported)
		}
	}
	given := h.Values("Content-Type")
	if len(given) == 0 || len(given) == 1 && given[0] == "" {
		return nil // the body tells
	}
	media, _, err := mime.ParseMediaType(given[0])
	if err != nil || len(given) > 1 || media != "application/json" && !strings.HasSuffix(media, "+json") {
		return fmt.Errorf("%w: Content-Type: a hook takes application/json", event.ErrUnsupported)
	}
	return nil
}
