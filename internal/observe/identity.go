package observe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// observeIdentity finds the service ID, its keys and its policies. A service ID
// from an earlier run is read by its ID instead, as long as it has keys.
func (o *observation) observeIdentity(ctx context.Context) error {
	if o.c.Given != "" {
		return o.observeGiven(ctx)
	}
	if id, ok := o.by.Memory.recall(o.c.Name, o.clock.Wall()); ok && slices.Contains([]string{o.Name, o.c.OwnName}, id.Name) {
		configured := o.Name
		o.Name = id.Name
		if now, ok := o.readKnown(ctx, id); ok {
			o.ServiceID, o.Ours, o.Cached = now, []port.ServiceID{now}, true
			return nil
		}
		o.by.Memory.Forget(o.c.Name)
		o.Name = configured
		o.drop()
	}
	ours, err := o.find(ctx)
	if err == nil && len(ours) == 0 && o.c.OwnName != "" && o.gives() {
		o.Name = o.c.OwnName
		ours, err = o.find(ctx)
	}
	if err != nil || len(ours) == 0 {
		return err
	}
	slices.SortFunc(ours, func(a, b port.ServiceID) int {
		if d := a.Created.Compare(b.Created); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
	o.ServiceID, o.Ours = ours[0], ours
	if err := o.read(ctx, ours...); err != nil {
		return err
	}
	if len(ours) == 1 && len(o.Keys) > 0 { // else the next run must find the second service ID, too
		o.by.Memory.Remember(o.c.Name, o.ServiceID, o.clock.Wall())
	}
	return nil
}

// find returns the service IDs of ours that have the credential's name and belong to
// it. If there is none, it notes whether the name is taken.
func (o *observation) find(ctx context.Context) ([]port.ServiceID, error) {
	asked := o.clock.Wall()
	found, date, err := o.by.Identities.Find(ctx, o.Name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	if err := o.settleClock(asked, date); err != nil {
		return nil, err
	}
	o.Taken, o.Posing, o.Holder = port.ServiceID{}, false, port.ServiceID{}
	forged := len(o.Forged)
	ours, err := o.sift(ctx, found)
	if err != nil || len(ours) > 0 {
		return ours, err
	}
	if len(found) > 0 {
		o.Taken = found[0]
	}
	o.Posing = len(o.Forged) > forged
	o.Newer = slices.ContainsFunc(found, func(id port.ServiceID) bool { return id.Newer })
	for _, id := range found {
		if id.Ours && !slices.Contains(o.c.Names(), id.Marker.Credential) {
			o.Holder = id
		}
	}
	return nil, nil
}

// gives reports whether the credential leaves its name to that of another project.
// The same project under another entry is a renamed entry, which a person resolves.
func (o *observation) gives() bool {
	other := o.Holder.Marker.With["project"]
	return o.c.SharesName || other != "" && other != o.c.With["project"]
}

// readKnown reads a service ID from an earlier run together with its keys. It
// returns false if it is not what it was, or has no keys of ours any more.
func (o *observation) readKnown(ctx context.Context, id port.ServiceID) (port.ServiceID, bool) {
	var now port.ServiceID
	var g errgroup.Group
	g.Go(o.rescued(func() (err error) {
		now, err = o.by.Identities.Lookup(ctx, id.IAMID)
		return err
	}))
	g.Go(o.rescued(func() error { return o.read(ctx, id) }))
	if err := g.Wait(); err != nil || now.Name != o.Name || len(o.Keys) == 0 {
		return port.ServiceID{}, false
	}
	// Without a record of its creation, its keys show that it is ours.
	now.Ours = now.Ours || now.Creator == ""
	return now, o.owns(now)
}

// observeGiven reads the existing service ID that the config names, together with its
// keys. It has no marker of ours.
func (o *observation) observeGiven(ctx context.Context) error {
	var id port.ServiceID
	var missing, unread error
	var both sync.WaitGroup
	both.Go(func() {
		missing = o.rescue(func() (err error) {
			id, err = o.by.Identities.Lookup(ctx, "iam-"+o.c.Given)
			return err
		})
	})
	both.Go(func() {
		unread = o.rescue(func() error { return o.read(ctx, port.ServiceID{ID: o.c.Given, IAMID: "iam-" + o.c.Given}) })
	})
	both.Wait()
	switch {
	case errors.Is(missing, port.ErrNotFound):
		o.drop()
		return nil
	case missing != nil:
		return fmt.Errorf("%w: %w", ErrFailed, missing)
	case unread != nil:
		return unread
	}
	o.ServiceID, o.Ours = id, []port.ServiceID{id}
	return nil
}

// drop forgets what was read of a service ID that turned out not to be the credential's.
func (o *observation) drop() { o.Keys, o.Busy, o.Forged, o.Granted = nil, nil, nil, nil }

// sift returns the service IDs that are ours, and notes those that only have our
// marker. If IAM has no record of who made one, a key that we made for this
// credential shows that it is ours.
func (o *observation) sift(ctx context.Context, found []port.ServiceID) (ours []port.ServiceID, err error) {
	for _, id := range found {
		if !o.claims(id) {
			continue
		}
		if !id.Ours && id.Creator == "" {
			l, err := o.by.Keys.List(ctx, id.IAMID, o.c.Names()...)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrFailed, err)
			}
			id.Ours = len(l.Keys) > 0
		}
		if !id.Ours {
			o.Forged = append(o.Forged, port.Forgery{ID: id.ID, Creator: id.Creator})
			continue
		}
		ours = append(ours, id)
	}
	return ours, nil
}

// read lists the keys of all our service IDs, and the policies of the first,
// concurrently. Keys of duplicates are ours too.
func (o *observation) read(ctx context.Context, ids ...port.ServiceID) error {
	lists := make([]port.KeyList, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	for i, id := range ids {
		g.Go(o.rescued(func() error {
			asked := o.clock.Wall()
			l, err := o.by.Keys.List(ctx, id.IAMID, o.c.Names()...)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrFailed, err)
			}
			if lists[i] = l; i == 0 {
				return o.settleClock(asked, l.Date) // at once: the other answers may take minutes
			}
			return nil
		}))
	}
	g.Go(o.rescued(func() error { return o.readAccess(ctx, ids[0]) }))
	if err := g.Wait(); err != nil {
		return err
	}
	for i, l := range lists {
		o.take(ids[i], l)
	}
	return nil
}

// take adds the keys of one service ID of ours.
func (o *observation) take(id port.ServiceID, l port.KeyList) {
	if o.Busy == nil {
		o.Busy, o.Home, o.Foreign = map[string]bool{}, map[string]string{}, map[string]int{}
	}
	for _, k := range l.Keys {
		o.add(k, id.IAMID)
	}
	o.Foreign[id.IAMID] += l.Foreign
	o.Newer = o.Newer || l.Newer
	o.Forged = append(o.Forged, l.Forged...)
	o.Busy[id.ID] = len(l.Keys)+l.Foreign > 0
}

func (o *observation) add(k protocol.Key, iamID string) {
	if o.Home == nil {
		o.Home = map[string]string{} // no service ID is ours
	}
	o.Keys, o.Home[k.ID] = append(o.Keys, k), iamID
}

// readAccess reads the identity's policies and access groups, if the config has
// any. Access groups that are read for a note only may stay unread.
func (o *observation) readAccess(ctx context.Context, id port.ServiceID) (err error) {
	o.Granted, o.Member = nil, nil
	if len(o.c.Policies) > 0 {
		if o.Granted, err = o.by.Identities.Granted(ctx, id.IAMID); err != nil {
			return fmt.Errorf("%w: %w", ErrFailed, err)
		}
	}
	if len(o.c.Groups) > 0 {
		if o.Member, err = o.by.Identities.Groups(ctx, id.IAMID); err != nil {
			return fmt.Errorf("%w: %w", ErrFailed, err)
		}
	} else if o.by.Memberships {
		if o.Member, err = o.by.Identities.Groups(ctx, id.IAMID); err != nil {
			o.by.Log.Debug("reading access groups", "serviceID", id.ID, "error", err.Error())
		}
	}
	return nil
}
