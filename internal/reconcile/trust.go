package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// What a store says is a hint from a writer of the store. Its form is checked
// here, IAM is asked whether it is true (observeNamed), and what it says about
// times and identities decides nothing.

// distrust drops times of stores that can't be true.
func (ru *run) distrust() {
	ru.strange = map[string]bool{}
	for i := range ru.entries {
		e := &ru.entries[i].Entry
		if e.KeyID == "" || e.Created.After(ru.now().Add(ru.c.Rules.Window)) {
			e.Created = time.Time{}
		}
	}
}

// attest compares the stores' values with the keys that they name. A key's name
// ends in a print of its value. IAM is asked once for the key of an adopted value.
func (ru *run) attest(ctx context.Context) {
	for i := range ru.entries {
		e := &ru.entries[i]
		for _, k := range ru.keys {
			if k.ID != e.KeyID || e.Value.Empty() {
				continue
			}
			print := k.Print
			if print == "" {
				print = ru.printOf(ctx, k.ID, e.Value)
			}
			e.altered, e.unproven = print != "" && marker.Print(e.Value) != print, print == ""
		}
	}
}

// printOf returns the print of an adopted key, or nothing if it is unknown. It is
// remembered once a store has shown the key's value.
func (ru *run) printOf(ctx context.Context, keyID string, v secret.Value) string {
	ru.mu.Lock()
	known := ru.prints[keyID]
	ru.mu.Unlock()
	if known != "" {
		return known
	}
	rec, err := ru.Keys.Identify(ctx, v)
	switch {
	case errors.Is(err, port.ErrNotFound), err == nil && rec.ID != keyID:
		return "another"
	case err != nil:
		ru.log.Warn("identifying a value", "key", keyID, "error", err.Error())
		return ""
	}
	ru.mu.Lock()
	defer ru.mu.Unlock()
	if ru.prints == nil {
		ru.prints = map[string]string{}
	}
	ru.prints[keyID] = marker.Print(v)
	return ru.prints[keyID]
}
