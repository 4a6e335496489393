package fence

import (
	"regexp"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

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

// Ahead is how far ahead of IAM a sender's clock may be.
const Ahead = 5 * time.Minute

// mostNotice is how long before its date Secrets Manager says that a secret
// expires.
const mostNotice = 100 * 24 * time.Hour

// plausible returns the key without marks that can't be true. A person may have
// edited them: those of a key that is ours can be changed by administrators only.
func plausible(k protocol.Key, now time.Time) protocol.Key {
	const slack = 15 * time.Minute // of clocks, IAM's minutes and a slow create
	latest := now.Add(Ahead + slack)
	if most := k.Created.Add(Ahead + slack); k.AsOf.After(most) {
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
