package reconcile

import (
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// recordedMost bounds, in bytes, what the mark of a recorded demand keeps of its
// cause.
const recordedMost = 100

// recordable returns the end of a cause, which has the ticket and the caller, for a
// mark.
func recordable(cause string) string {
	return strings.TrimSpace(strings.Map(printable, cause[max(0, len(cause)-recordedMost):]))
}

// recordedCause returns the cause of the latest recorded demand, or "".
func (ru *run) recordedCause() string {
	var latest rotation.Key
	for _, k := range ru.keys {
		if k.Renew.After(latest.Renew) {
			latest = k
		}
	}
	return latest.RenewCause
}

// describeKey returns the text before a new key's marker: what the key is for, what
// the run was requested by, and the cause of a recorded demand.
func (ru *run) describeKey(due rotation.Reason) string {
	texts := []string{ru.c.KeyDescription, ru.req.Cause, ""}
	if cause := ru.recordedCause(); due == rotation.Remembered && cause != "" {
		texts[2] = "demanded earlier: " + cause
	}
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), "; ")
}
