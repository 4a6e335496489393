package reconcile

import (
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// recordedCause returns the cause of the latest recorded demand, or "".
func (ru *run) recordedCause() string {
	var latest rotation.Key
	for _, k := range ru.facts.Keys {
		if k.Renew.After(latest.Renew) {
			latest = k
		}
	}
	return latest.RenewCause
}

// describeKey returns the text before a new key's marker: what the key is for, what
// the run was requested by, and the cause of a recorded demand.
func (ru *run) describeKey(due reason.Reason) string {
	texts := []string{ru.c.KeyDescription, ru.req.Cause, ""}
	if cause := ru.recordedCause(); due == reason.Remembered && cause != "" {
		texts[2] = "demanded earlier: " + cause
	}
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), "; ")
}
