package reconcile

import (
	"context"
	"errors"
	"regexp"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// What a store says is a hint from a writer of the store. Its form is checked
// here, IAM is asked whether it is true (observeNamed), and what it says about
// times and identities decides nothing.

// keyForm is the form of a key's ID.
var keyForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^ApiKey-[A-Za-z0-9-]{1,64}$`) })

// formed returns the entry without a key ID that IAM can't have given. Latchkey did
// not write such an entry.
func formed(e port.Entry) port.Entry {
	if !keyForm().MatchString(e.KeyID) {
		e.KeyID = ""
	}
	return e
}

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

// ahead is how far ahead of IAM a sender's clock may be.
const ahead = 5 * time.Minute

// mostNotice is how long before its date Secrets Manager says that a secret
// expires.
const mostNotice = 100 * 24 * time.Hour

// plausible returns the key without marks that can't be true. A person may have
// edited them: those of a key that is ours can be changed by administrators only.
func plausible(k rotation.Key, now time.Time) rotation.Key {
	const slack = 15 * time.Minute // of clocks, IAM's minutes and a slow create
	latest := now.Add(ahead + slack)
	if most := k.Created.Add(ahead + slack); k.AsOf.After(most) {
		k.AsOf = most
	} else if !k.AsOf.IsZero() && k.AsOf.Before(k.Created.Add(-slack)) {
		k.AsOf = k.Created
	}
	if k.Superseded.After(latest) {
		k.Superseded = time.Time{}
	} else if !k.Superseded.IsZero() && k.Superseded.Before(k.Created) {
		k.Superseded = k.Created
	}
	if k.Renew.After(latest) {
		k.Renew = time.Time{} // no event can have demanded that
	}
	if k.Served.After(latest.Add(mostNotice)) {
		k.Served = time.Time{}
	}
	if k.Leaked.After(latest) {
		k.Leaked = now
	}
	if k.Refused.After(latest) || k.Refusal.Sentence() == "" {
		k.Refused, k.Refusal = time.Time{}, ""
	}
	return k
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
