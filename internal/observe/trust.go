package observe

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
func (o *observation) distrust() {
	o.Strange = map[string]bool{}
	for i := range o.Entries {
		e := &o.Entries[i].Entry
		if e.KeyID == "" || e.Created.After(o.clock.Now().Add(o.c.Rules.Window)) {
			e.Created = time.Time{}
		}
	}
}

// attest compares the stores' values with the keys that they name. A key's name
// ends in a print of its value. IAM is asked once for the key of an adopted value. A
// value that the store has destroyed counts as altered.
func (o *observation) attest(ctx context.Context) {
	for i := range o.Entries {
		e := &o.Entries[i]
		e.Altered = e.Cleared
		for _, k := range o.Keys {
			if k.ID != e.KeyID || e.Value.Empty() {
				continue
			}
			print := k.Print
			if print == "" {
				print = o.printOf(ctx, k.ID, e.Value)
			}
			e.Altered, e.Unproven = print != "" && marker.Print(e.Value) != print, print == ""
		}
	}
}

// printOf returns the print of an adopted key, or nothing if it is unknown. It is
// remembered once a store has shown the key's value.
func (o *observation) printOf(ctx context.Context, keyID string, v secret.Value) string {
	if known := o.by.Memory.print(keyID); known != "" {
		return known
	}
	rec, err := o.by.Keys.Identify(ctx, v)
	switch {
	case errors.Is(err, port.ErrNotFound), err == nil && rec.ID != keyID:
		return "another"
	case err != nil:
		o.by.Log.Warn("identifying a value", "key", keyID, "error", err.Error())
		return ""
	}
	print := marker.Print(v)
	o.by.Memory.setPrint(keyID, print)
	return print
}
