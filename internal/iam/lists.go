package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamidentityv1"
	"github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
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

// listed is what one reading of the lists showed.
type listed struct {
	byName  map[string]*listedID
	byID    map[string]*listedID // by IAM ID
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
// three. Lists with more than twice the pages that the credentials need, and with more
// than half as many as there are credentials, are therefore an error. A list of policies
// that can't be read is none: Granted asks IAM then.
//
// The lists of service IDs and keys are those of a group. Read reads the default group and
// the groups of given service IDs, as far as earlier answers showed them, side by side.
func (l *Lists) Read(ctx context.Context, credentials []port.Credential) error {
	most := max(2*(len(credentials)/100+1)+2, len(credentials)/2)
	next := listed{byName: map[string]*listedID{}, byID: map[string]*listedID{}, grants: map[string][]access.Policy{}}
	names, given, policies := map[string]string{}, map[string]bool{}, false
	for _, c := range credentials {
		for _, name := range []string{c.ServiceIDName, c.OwnName} {
			if name != "" {
				names[name] = name
			}
		}
		if c.Given != "" {
			given[iamPrefix+c.Given] = true
		}
		policies = policies || len(c.Policies) > 0
	}
	groups := l.groupsOf(given)
	var mu sync.Mutex // guards what follows, and next
	creators := map[string]string{}
	pages := atMost(most)
	err := each(groups, func(group string) error {
		opts := &iamidentityv1.ListServiceIdsOptions{}
		if group != "" {
			opts.GroupID = &group
		}
		date, err := l.eachServiceID(ctx, "listing service IDs", opts, pages, func(id port.ServiceID, description string) {
			mu.Lock()
			defer mu.Unlock()
			name, named := names[id.Name]
			if !named && !given[id.IAMID] || next.byID[id.IAMID] != nil { // a page may repeat an item
				return
			}
			if !named {
				name = id.Name
			}
			kept := &listedID{
				iamID: id.IAMID, name: name, description: description, creator: same(creators, id.Creator), created: stampOf(id.Created),
				locked: id.Locked, ours: id.Ours, newer: id.Newer,
			}
			next.byID[id.IAMID] = kept
			if named {
				kept.next, next.byName[name] = next.byName[name], kept
			}
		})
		mu.Lock()
		defer mu.Unlock()
		next.date, next.at = date, l.cfg.Now()
		return err
	})
	if err != nil {
		return err
	}
	var g errgroup.Group
	if policies {
		g.Go(func() error {
			next.granted = l.readPolicies(ctx, most, next) == nil
			return nil
		})
	}
	pages = atMost(most)
	err = each(groups, func(group string) error {
		opts := &iamidentityv1.ListAPIKeysOptions{Scope: core.StringPtr("account"), Type: core.StringPtr("serviceid")}
		if group != "" {
			opts.GroupID = &group
		}
		_, err := l.eachKey(ctx, "listing keys", opts, pages, func(r record) {
			mu.Lock()
			defer mu.Unlock()
			if id := next.byID[r.iamID]; id != nil && !slices.ContainsFunc(id.keys, func(k listedKey) bool { return k.id == r.ID }) {
				id.keys = append(id.keys, listedKeyOf(r, creators))
			}
		})
		return err
	})
	if err := errors.Join(err, g.Wait()); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed = next
	return nil
}

// groupsOf returns the default group and the known groups of service IDs.
func (l *Lists) groupsOf(iamIDs map[string]bool) []string {
	groups := []string{""}
	for id := range iamIDs {
		if group, _ := l.knownGroup(id); !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	return groups
}

// each calls f for all groups at once.
func each(groups []string, f func(group string) error) error {
	var g errgroup.Group
	for _, group := range groups {
		g.Go(func() error { return f(group) })
	}
	return g.Wait()
}

func (l *Lists) readPolicies(ctx context.Context, most int, into listed) error {
	own, err := l.ownIDs(ctx)
	if err != nil {
		return err
	}
	return l.eachPolicy(ctx, "listing policies", &iampolicymanagementv1.ListV2PoliciesOptions{}, atMost(most),
		func(account string, p *iampolicymanagementv1.V2PolicyTemplateMetaData) {
			iamID := subjectOf(p.Subject)
			if into.byID[iamID] == nil {
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
	var found []port.ServiceID
	for id := l.byName[name]; id != nil; id = id.next {
		found = append(found, id.serviceID())
	}
	if len(found) == 0 {
		return nil, time.Time{}, fmt.Errorf("finding service ID %q: %w: %w", name, port.ErrUnavailable, errUnlisted)
	}
	slices.Reverse(found) // as they were listed
	return found, l.now(l.cfg.Now()), nil
}

// Lookup returns a listed service ID.
func (l *Lists) Lookup(_ context.Context, iamID string) (port.ServiceID, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if id := l.byID[iamID]; id != nil {
		return id.serviceID(), nil
	}
	return port.ServiceID{}, fmt.Errorf("reading service ID %s: %w: %w", iamID, port.ErrUnavailable, errUnlisted)
}

// List returns the listed keys of a service ID.
func (l *Lists) List(_ context.Context, iamID string, credentials ...string) (port.KeyList, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	id := l.byID[iamID]
	if id == nil {
		return port.KeyList{}, fmt.Errorf("listing the keys of %s: %w: %w", iamID, port.ErrUnavailable, errUnlisted)
	}
	var out port.KeyList
	for _, k := range id.keys {
		classify(&out, k.record(), credentials)
	}
	out.Date = l.now(l.cfg.Now())
	return out, nil
}

// Granted returns the listed policies of a service ID.
func (l *Lists) Granted(ctx context.Context, iamID string) ([]access.Policy, error) {
	l.mu.RLock()
	listed := l.granted && l.byID[iamID] != nil
	policies := l.grants[iamID]
	l.mu.RUnlock()
	if !listed {
		return l.Client.Granted(ctx, iamID)
	}
	return policies, nil
}

// listedID is a service ID in few bytes. Its description is parsed when it is asked for.
type listedID struct {
	iamID, name, description, creator string
	created                           int64
	locked, ours, newer               bool
	keys                              []listedKey
	next                              *listedID // with the same name
}

// serviceID returns the service ID without its version: no write follows from a list.
func (s *listedID) serviceID() port.ServiceID {
	id := port.ServiceID{
		ID: strings.TrimPrefix(s.iamID, iamPrefix), IAMID: s.iamID, Name: s.name, Creator: s.creator, Created: timeOf(s.created),
		Locked: s.locked, Ours: s.ours, Newer: s.newer,
	}
	id.Marker, id.Text, id.Marked = marker.Parse(s.description)
	return id
}

// listedKey is a key in few bytes, like listedID.
type listedKey struct {
	id, name, description, creator, disabledBy string
	created, expires                           int64
	disabled, locked, ours, forged, newer      bool
}

func listedKeyOf(r record, creators map[string]string) listedKey {
	k := listedKey{
		id: r.ID, creator: same(creators, r.creator), disabledBy: same(creators, r.DisabledBy), created: stampOf(r.Created), expires: stampOf(r.Expires),
		disabled: r.Disabled, locked: r.Locked, ours: r.ours, forged: r.forged, newer: r.newer,
	}
	if r.ours { // nothing else is read from those of others
		k.name, k.description = r.name, r.description
	}
	return k
}

// record returns the key without its name, description, version and history.
func (k listedKey) record() port.KeyRecord {
	key := protocol.Key{
		ID: k.id, Created: timeOf(k.created), Expires: timeOf(k.expires), Disabled: k.disabled, DisabledBy: k.disabledBy, Locked: k.locked,
	}
	out := port.KeyRecord{Key: key, Creator: k.creator, Ours: k.ours, Forged: k.forged, Newer: k.newer}
	if m, _, marked := marker.Parse(k.description); marked {
		out.Credential = m.Credential
		if k.ours {
			out.Key = marker.Mark(key, k.name, m)
		}
	}
	return out
}

// same returns the first string that was equal to this one, so that it is kept once.
func same(first map[string]string, s string) string {
	if found, ok := first[s]; ok {
		return found
	}
	first[s] = s
	return s
}

// stampOf returns a time as a number, 0 for the zero time.
func stampOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func timeOf(stamp int64) time.Time {
	if stamp == 0 {
		return time.Time{}
	}
	return time.Unix(0, stamp).UTC()
}
