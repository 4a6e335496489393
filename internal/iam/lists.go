package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamidentityv1"
	"github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/port"
)

// Lists answers reads from lists of the whole account, at a hundred service IDs or keys a
// call. What it returns is as old as the lists. It is for finding the credentials that
// need nothing: absence from a list proves nothing, so what no list shows is unknown.
// What it does not list, such as access groups, it asks IAM for.
type Lists struct {
	*Client

	mu sync.RWMutex
	listed
}

// listed is what one reading of the lists showed, by name or IAM ID.
type listed struct {
	byName  map[string][]port.ServiceID
	byID    map[string]port.ServiceID
	keys    map[string][]port.KeyRecord // without names, descriptions and versions
	grants  map[string][]access.Policy
	granted bool // grants was listed
	// date is IAM's clock at the local time at.
	date, at time.Time
}

// Lists returns lists that are empty until they are read.
func (c *Client) Lists() *Lists { return &Lists{Client: c} }

var errUnlisted = errors.New("no list shows it")

// Read reads the lists and keeps what concerns the credentials. In an account with many
// other service IDs, lists may cost more calls than looks at each credential, which take
// three. A list with more than twice the pages that the credentials need, and with more
// than half as many as there are credentials, is therefore an error. A list of policies
// that can't be read is none: Granted asks IAM then.
func (l *Lists) Read(ctx context.Context, credentials []port.Credential) error {
	most := max(2*(len(credentials)/100+1)+2, len(credentials)/2)
	next := listed{
		byName: map[string][]port.ServiceID{}, byID: map[string]port.ServiceID{}, keys: map[string][]port.KeyRecord{},
		grants: map[string][]access.Policy{},
	}
	wanted, policies := map[string]bool{}, false
	for _, c := range credentials {
		wanted[c.ServiceIDName] = true
		if c.OwnName != "" {
			wanted[c.OwnName] = true
		}
		policies = policies || len(c.Policies) > 0
	}
	date, err := l.eachServiceID(ctx, "listing service IDs", nil, most, func(id port.ServiceID) {
		if _, again := next.byID[id.IAMID]; wanted[id.Name] && !again { // a page may repeat an item
			next.byName[id.Name], next.byID[id.IAMID] = append(next.byName[id.Name], id), id
		}
	})
	if err != nil {
		return err
	}
	next.date, next.at = date, l.cfg.Now()
	var g errgroup.Group
	g.Go(func() error {
		opts := &iamidentityv1.ListAPIKeysOptions{Scope: core.StringPtr("account"), Type: core.StringPtr("serviceid")}
		_, err := l.eachKey(ctx, "listing keys", opts, most, func(r record) {
			again := slices.ContainsFunc(next.keys[r.iamID], func(k port.KeyRecord) bool { return k.ID == r.ID })
			if _, kept := next.byID[r.iamID]; kept && !again {
				k := l.whole(r, "", time.Time{})
				k.Name, k.Description = "", ""
				next.keys[r.iamID] = append(next.keys[r.iamID], k)
			}
		})
		return err
	})
	if policies {
		g.Go(func() error {
			next.granted = l.readPolicies(ctx, most, next) == nil
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed = next
	return nil
}

func (l *Lists) readPolicies(ctx context.Context, most int, into listed) error {
	own, err := l.ownIDs(ctx)
	if err != nil {
		return err
	}
	return l.eachPolicy(ctx, "listing policies", &iampolicymanagementv1.ListV2PoliciesOptions{}, most,
		func(account string, p *iampolicymanagementv1.V2PolicyTemplateMetaData) {
			iamID := subjectOf(p.Subject)
			if _, kept := into.byID[iamID]; !kept {
				return
			}
			if one, ok := l.policyOf(p, account, iamID, own); ok {
				into.grants[iamID] = append(into.grants[iamID], one)
			}
		})
}

// now returns IAM's clock, as far as the lists show it.
func (l *listed) now(local time.Time) time.Time { return l.date.Add(local.Sub(l.at)) }

// Find returns the listed service IDs with this name. That there is none is not known.
func (l *Lists) Find(_ context.Context, name string) ([]port.ServiceID, time.Time, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	found := l.byName[name]
	if len(found) == 0 {
		return nil, time.Time{}, fmt.Errorf("finding service ID %q: %w: %w", name, port.ErrUnavailable, errUnlisted)
	}
	return found, l.now(l.cfg.Now()), nil
}

// Lookup returns a listed service ID.
func (l *Lists) Lookup(_ context.Context, iamID string) (port.ServiceID, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if id, ok := l.byID[iamID]; ok {
		return id, nil
	}
	return port.ServiceID{}, fmt.Errorf("reading service ID %s: %w: %w", iamID, port.ErrUnavailable, errUnlisted)
}

// List returns the listed keys of a service ID.
func (l *Lists) List(_ context.Context, iamID string, credentials ...string) (port.KeyList, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if _, ok := l.byID[iamID]; !ok {
		return port.KeyList{}, fmt.Errorf("listing the keys of %s: %w: %w", iamID, port.ErrUnavailable, errUnlisted)
	}
	var out port.KeyList
	for _, k := range l.keys[iamID] {
		classify(&out, k, credentials)
	}
	out.Date = l.now(l.cfg.Now())
	return out, nil
}

// Granted returns the listed policies of a service ID.
func (l *Lists) Granted(ctx context.Context, iamID string) ([]access.Policy, error) {
	l.mu.RLock()
	_, ok := l.byID[iamID]
	policies, granted := l.grants[iamID], l.granted
	l.mu.RUnlock()
	if !ok || !granted {
		return l.Client.Granted(ctx, iamID)
	}
	return policies, nil
}
