package iam

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/marker"
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

// listed is what one reading of the lists showed.
type listed struct {
	index   index
	granted bool // the policies were listed
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
	next := listed{index: index{head: marker.Head(l.cfg.Owner)}}
	names, given, policies, groups := map[string]struct{}{}, map[ident]struct{}{}, false, []string{""}
	for _, c := range credentials {
		for _, name := range []string{c.ServiceIDName, c.OwnName} {
			if name != "" {
				names[name] = struct{}{}
			}
		}
		if c.Given != "" {
			id, _, _ := next.index.words.ident(serviceIDPrefix, iamPrefix+c.Given, true)
			given[id] = struct{}{}
			if group, _ := l.knownGroup(iamPrefix + c.Given); !slices.Contains(groups, group) {
				groups = append(groups, group)
			}
		}
		policies = policies || len(c.Policies) > 0
	}
	var mu sync.Mutex // guards what follows, and next
	pages := atMost(most)
	err := each(groups, func(group string) error {
		query := url.Values{}
		if group != "" {
			query.Set("group_id", group)
		}
		date, err := l.eachServiceID(ctx, "listing service IDs", query, pages, func(id port.ServiceID, description string) {
			mu.Lock()
			defer mu.Unlock()
			_, named := names[id.Name]
			at, _, known := next.index.words.ident(serviceIDPrefix, id.IAMID, false)
			_, wanted := given[at]
			if named || known && wanted {
				next.index.addID(id, description, named)
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
	next.index.arrange()
	var g errgroup.Group
	if policies {
		g.Go(func() error {
			next.granted = l.readPolicies(ctx, most, &next.index, &mu) == nil
			return nil
		})
	}
	pages = atMost(most)
	err = each(groups, func(group string) error {
		query := url.Values{"scope": {"account"}, "type": {"serviceid"}}
		if group != "" {
			query.Set("group_id", group)
		}
		_, err := l.eachKey(ctx, "listing keys", query, pages, func(r record) {
			mu.Lock()
			defer mu.Unlock()
			next.index.addKey(r)
		})
		return err
	})
	if err := errors.Join(err, g.Wait()); err != nil {
		return err
	}
	if next.index.texts.full {
		return fmt.Errorf("listing keys: %w: the lists are too long", port.ErrUnavailable)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed = next
	return nil
}

// each calls f for all groups at once.
func each(groups []string, f func(group string) error) error {
	var g errgroup.Group
	for _, group := range groups {
		g.Go(func() error { return f(group) })
	}
	return g.Wait()
}

func (l *Lists) readPolicies(ctx context.Context, most int, into *index, mu *sync.Mutex) error {
	own, err := l.ownIDs(ctx)
	if err != nil {
		return err
	}
	all := policyIndex{into, map[string]uint32{}}
	err = l.eachPolicy(ctx, "listing policies", url.Values{}, atMost(most), func(account string, p *policy) {
		iamID := subjectOf(p.Subject)
		mu.Lock()
		defer mu.Unlock()
		if to, ok := into.find(iamID); ok {
			if one, ok := l.policyOf(p, account, iamID, own); ok {
				all.add(to, one)
			}
		}
	})
	all.arrange() // nothing else reads or writes policies meanwhile
	return err
}

// now returns IAM's clock, as far as the lists show it.
func (l *listed) now(local time.Time) time.Time { return l.date.Add(local.Sub(l.at)) }

// Find returns the listed service IDs with this name. That there is none is not known.
func (l *Lists) Find(_ context.Context, name string) ([]port.ServiceID, time.Time, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	found := l.index.findNamed(name)
	if len(found) == 0 {
		return nil, time.Time{}, fmt.Errorf("finding service ID %q: %w: %w", name, port.ErrUnavailable, errUnlisted)
	}
	return found, l.now(l.cfg.Now()), nil
}

// Lookup returns a listed service ID.
func (l *Lists) Lookup(_ context.Context, iamID string) (port.ServiceID, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if at, ok := l.index.find(iamID); ok {
		return l.index.serviceID(at), nil
	}
	return port.ServiceID{}, fmt.Errorf("reading service ID %s: %w: %w", iamID, port.ErrUnavailable, errUnlisted)
}

// List returns the listed keys of a service ID.
func (l *Lists) List(_ context.Context, iamID string, credentials ...string) (port.KeyList, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	at, ok := l.index.find(iamID)
	if !ok {
		return port.KeyList{}, fmt.Errorf("listing the keys of %s: %w: %w", iamID, port.ErrUnavailable, errUnlisted)
	}
	var out port.KeyList
	for _, k := range l.index.keysOf(at) {
		classify(&out, k, credentials)
	}
	out.Date = l.now(l.cfg.Now())
	return out, nil
}

// Granted returns the listed policies of a service ID.
func (l *Lists) Granted(ctx context.Context, iamID string) ([]access.Policy, error) {
	l.mu.RLock()
	at, listed := l.index.find(iamID)
	if !l.granted || !listed {
		l.mu.RUnlock()
		return l.Client.Granted(ctx, iamID)
	}
	defer l.mu.RUnlock()
	return l.index.policiesOf(at), nil
}
