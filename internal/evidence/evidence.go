// Package evidence gathers what IAM and the stores show of each credential's keys, and
// derives the life of each key from it.
//
// latchkey has no database. The marks on a key, IAM's record of changes and of use, and
// the audit records that the caller has show its life. Each of these ends
// somewhere, and the life says where.
package evidence

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/result"
)

// IAM is what evidence is read from; iam.Client is one.
type IAM interface {
	// Marked returns the keys of an identity that are ours and whose credential has the
	// prefix.
	Marked(ctx context.Context, iamID, prefix string) ([]port.KeyRecord, error)
	// Granted returns the access policies of an identity.
	Granted(ctx context.Context, iamID string) ([]access.Policy, error)
	// Used returns when a key last authenticated, or zero if it never did.
	Used(ctx context.Context, keyID string) (time.Time, error)
}

// Key is one key of a credential.
type Key struct {
	protocol.Key
	// Creator is the IAM ID of the identity that made the key. Cause is what the run was
	// requested by: a caller, an event, a ticket.
	Creator, Cause string
	// Used is the last known use. It counts only if UseRead is set.
	Used    time.Time
	UseRead bool
	// Stores are those that name the key now.
	Stores []string
	// Changes are IAM's record of the key.
	Changes []port.Change
}

// Credential is a credential with all its keys.
type Credential struct {
	result.Outcome
	// Keys are in the order of their creation.
	Keys []Key
	// Granted are the policies that the service ID has. Wider are those of them that
	// the config does not request.
	Granted, Wider []string
	// Unread says what could not be read.
	Unread []string
}

// Of returns what a run has seen of a credential. It calls nothing.
func Of(o result.Outcome) Credential {
	c := Credential{Outcome: o}
	for _, k := range o.Keys {
		c.Keys = append(c.Keys, Key{Key: k, Stores: naming(o, k.ID)})
	}
	c.sort()
	return c
}

func naming(o result.Outcome, keyID string) (stores []string) {
	for _, s := range o.Stores {
		if s.Key == keyID {
			stores = append(stores, s.Name)
		}
	}
	return stores
}

func (c *Credential) sort() {
	slices.SortFunc(c.Keys, func(a, b Key) int { return a.Compare(b.Key) })
}

// width is how many credentials are read at once. The hosts' rates bound the calls.
const width = 32

// Gather adds what IAM shows to the outcomes of looks. What cannot be read is in the
// credential's Unread. The outcomes are those of the credentials, in any order.
func Gather(ctx context.Context, iam IAM, credentials []port.Credential, outcomes []result.Outcome) []Credential {
	wanted := map[string]port.Credential{}
	for _, c := range credentials {
		wanted[c.Name] = c
	}
	all := make([]Credential, len(outcomes))
	var g errgroup.Group
	g.SetLimit(width)
	for i, o := range outcomes {
		g.Go(func() error {
			all[i] = Of(o)
			if o.ServiceID != "" {
				all[i].read(ctx, iam, wanted[o.Credential])
			}
			return nil
		})
	}
	_ = g.Wait() // each error is in its credential
	return all
}

// read reads a service ID's keys with their use, and its policies.
func (c *Credential) read(ctx context.Context, iam IAM, wanted port.Credential) {
	iamID := "iam-" + c.ServiceID
	unread := func(what string, err error) {
		if err != nil {
			c.Unread = append(c.Unread, fmt.Sprintf("%s: %s", what, err))
		}
	}
	records, err := iam.Marked(ctx, iamID, "")
	unread("keys", err)
	for _, r := range records {
		if r.Credential != c.Credential && !slices.Contains(wanted.Former, r.Credential) {
			continue
		}
		_, cause, _ := marker.Parse(r.Description)
		cause = strings.TrimPrefix(strings.TrimPrefix(cause, wanted.KeyDescription), "; ") // what is before the cause
		k := Key{Key: r.Key, Creator: r.Creator, Cause: cause, Stores: naming(c.Outcome, r.ID), Changes: r.Changes}
		k.Used, err = iam.Used(ctx, r.ID)
		unread("the use of "+r.ID, err)
		k.UseRead = err == nil
		c.put(k)
	}
	c.sort()
	granted, err := iam.Granted(ctx, iamID)
	unread("policies", err)
	for _, p := range granted {
		c.Granted = append(c.Granted, p.Label())
	}
	if wanted.Given == "" { // the policies of a given service ID are not latchkey's
		c.Wider = access.Missing(granted, wanted.Policies)
	}
}

// Uses returns when each key was last used, and zero if it never was. A key whose use
// could not be read is not in the map, and err is the first reason.
func Uses(ctx context.Context, iam IAM, keyIDs []string) (used map[string]time.Time, err error) {
	used = map[string]time.Time{}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(width)
	for _, id := range keyIDs {
		g.Go(func() error {
			at, uerr := iam.Used(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			if uerr == nil {
				used[id] = at
			} else if err == nil {
				err = uerr
			}
			return nil
		})
	}
	_ = g.Wait() // err is the first error
	return used, err
}

// put adds a key, in place of what the run has seen of it.
func (c *Credential) put(k Key) {
	i := slices.IndexFunc(c.Keys, func(was Key) bool { return was.ID == k.ID })
	if i < 0 {
		c.Keys = append(c.Keys, k)
		return
	}
	c.Keys[i] = k
}
