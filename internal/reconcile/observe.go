package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// run is one round over one credential: what it has read, and what it has done.
type run struct {
	*Reconciler
	fence      *fence.Fence
	Identities port.Identities // in place of the Reconciler's, behind the fence
	Keys       fence.Keys

	c   port.Credential
	req Request
	log *slog.Logger
	out *result.Outcome
	facts
	attempt
}

// facts are what a round has observed, for its decision.
type facts struct {
	id      port.ServiceID
	ours    []port.ServiceID  // all service IDs of ours with the name, including id
	busy    map[string]bool   // our service IDs, by ID, that have keys
	home    map[string]string // the IAM ID of the service ID that each key is on
	strange map[string]bool   // keys that a store names, and that IAM shows not to be this credential's
	forged  []port.Forgery    // what carries our marker and is not ours
	left    bool              // the credential comes to its end, or has come to it
	why     string            // why that is blocked
	taken   bool              // a service ID with the name has no marker of ours
	ahead   bool              // the service ID or a key of it has the marker of a newer latchkey
	posing  bool              // the only service ID with the name and our marker is not ours
	twice   bool              // a store names a key of a second service ID of ours, with another name
	holder  port.ServiceID    // a service ID with the name that belongs to another credential
	cached  bool              // id came from an earlier run
	login   bool              // we are logged in as one of ours
	keys    []rotation.Key
	foreign map[string]int // how many keys of each service ID, by IAM ID, are not ours
	granted []access.Policy
	member  []port.Group
	// curious lets the run read access groups that the config does not name.
	curious bool
	other   string          // the key to revoke, if it is not ours
	adopted map[string]bool // stores, by name, that hold the value of the key to adopt
	entries []reading       // in the order of c.Stores
	serving []rotation.Consumer
	// consumerErr is the first error of listing consumers.
	consumerErr error
	whose       map[string]owned // by the name that the plan uses
}

// attempt is what a round decided and did.
type attempt struct {
	before string // the key that was published when the run observed
	fresh  *minted
	// wanted is the demand as it was when the plan was made. The clock may move
	// later.
	wanted  rotation.Trigger
	spent   bool                          // an earlier round of this run has minted
	renewed atomic.Pointer[rotation.Step] // the demand that was recorded, once it was
	last    bool                          // no other round follows
}

// owned is a consumer, with the port that restarts it and its name there.
type owned struct {
	by   port.Consumers
	name string
}

// reading is one store's entry, or the error of reading it.
type reading struct {
	store port.Store
	port.Entry
	err error
	// altered is set if the value is not that of the key that the entry names, and
	// unproven if that is not known.
	altered, unproven bool
}

// now returns the time by IAM's clock.
func (ru *run) now() time.Time { return ru.fence.Now() }

// observe reads IAM, the stores and the consumers concurrently.
func (ru *run) observe(ctx context.Context) error {
	ru.entries = make([]reading, len(ru.c.Stores))
	ru.whose = map[string]owned{}
	var identity error

	var g errgroup.Group
	g.Go(func() error {
		identity = ru.rescue(func() error { return ru.observeIdentity(ctx) })
		return nil
	})
	for i, st := range ru.c.Stores {
		g.Go(func() error {
			var e port.Entry
			err := ru.rescue(func() (err error) {
				e, err = st.Read(ctx)
				return err
			})
			if errors.Is(err, port.ErrNotFound) {
				e, err = port.Entry{Revision: e.Revision}, nil
			}
			ru.entries[i] = reading{store: st, Entry: e, err: err}
			return nil
		})
	}
	listed := make([][]rotation.Consumer, len(ru.c.Consumers))
	unread := make([]error, len(ru.c.Consumers))
	for i, cs := range ru.c.Consumers {
		g.Go(func() error {
			var found []rotation.Consumer
			err := ru.rescue(func() (err error) {
				found, err = cs.Consumers(ctx)
				return err
			})
			if err != nil {
				unread[i] = err
				ru.log.Warn("reading consumers", "error", err.Error())
				found = []rotation.Consumer{{Name: fmt.Sprintf("consumers of store %d", i+1), Unknown: true}}
			}
			listed[i] = found
			return nil
		})
	}
	_ = g.Wait() // the functions record their own errors
	if identity != nil {
		return identity
	}
	ru.consumerErr = cmp.Or(unread...)
	for i, found := range listed {
		for _, c := range found {
			// An app may read two entries, and two projects may have apps with the
			// same name. Each is a consumer of its own.
			own := owned{by: ru.c.Consumers[i], name: c.Name}
			if _, taken := ru.whose[c.Name]; taken {
				c.Name = fmt.Sprintf("%s (of store %d)", c.Name, i+1)
			}
			ru.serving = append(ru.serving, c)
			ru.whose[c.Name] = own
		}
	}
	if err := ru.observeLogin(ctx); err != nil {
		return err
	}
	ru.distrust()
	if err := ru.observeNamed(ctx); err != nil {
		return err
	}
	ru.attest(ctx)
	if err := ru.preferOwner(ctx); err != nil {
		return err
	}
	if err := ru.observeLeaked(ctx); err != nil {
		return err
	}
	if err := ru.observeAdoptable(ctx); err != nil {
		return err
	}
	ru.observeUse(ctx)
	ru.spareRemoved()
	return ru.observeQuiet(ctx)
}

// observeLogin notes whether the service ID is the one that we are logged in as.
func (ru *run) observeLogin(ctx context.Context) error {
	if ru.Self == nil {
		return nil
	}
	self, err := ru.Self(ctx)
	if err != nil {
		return fmt.Errorf("%w: reading who we are logged in as: %w", ErrObserve, err)
	}
	ru.login = slices.ContainsFunc(ru.ours, func(id port.ServiceID) bool { return id.IAMID == self })
	return nil
}

// preferOwner chooses one of several service IDs of ours: the one of the newest
// key that a store names, else the oldest. IAM says how old a key is and whose.
func (ru *run) preferOwner(ctx context.Context) error {
	if len(ru.ours) < 2 {
		return nil
	}
	var newest rotation.Key
	for _, k := range ru.keys {
		if ru.named(k.ID) && !k.Created.Before(newest.Created) {
			newest = k
		}
	}
	i := slices.IndexFunc(ru.ours, func(id port.ServiceID) bool { return id.IAMID == ru.home[newest.ID] })
	if i < 0 || ru.ours[i].ID == ru.id.ID {
		return nil
	}
	ru.id = ru.ours[i]
	return ru.readAccess(ctx, ru.id)
}

// observeIdentity finds the service ID, its keys and its policies. A service ID
// from an earlier run is read by its ID instead, as long as it has keys.
func (ru *run) observeIdentity(ctx context.Context) error {
	if ru.c.Given != "" {
		return ru.observeGiven(ctx)
	}
	if id, ok := ru.recall(ru.c.Name); ok && slices.Contains([]string{ru.c.ServiceIDName, ru.c.OwnName}, id.Name) {
		configured := ru.c.ServiceIDName
		ru.c.ServiceIDName = id.Name
		if now, ok := ru.readKnown(ctx, id); ok {
			ru.id, ru.ours, ru.cached = now, []port.ServiceID{now}, true
			return nil
		}
		ru.remember(ru.c.Name, port.ServiceID{})
		ru.c.ServiceIDName = configured
		ru.keys, ru.busy, ru.forged, ru.granted = nil, nil, nil, nil
	}
	ours, err := ru.find(ctx)
	if err == nil && len(ours) == 0 && ru.c.OwnName != "" && ru.gives() {
		ru.c.ServiceIDName = ru.c.OwnName
		ours, err = ru.find(ctx)
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
	ru.id, ru.ours = ours[0], ours
	if err := ru.read(ctx, ours...); err != nil {
		return err
	}
	if len(ours) == 1 && len(ru.keys) > 0 { // else the next run must find the second service ID, too
		ru.remember(ru.c.Name, ru.id)
	}
	return nil
}

// find returns the service IDs of ours that have the credential's name and belong to
// it. If there is none, it notes whether the name is taken.
func (ru *run) find(ctx context.Context) ([]port.ServiceID, error) {
	asked := ru.wall()
	found, date, err := ru.Identities.Find(ctx, ru.c.ServiceIDName)
	if err != nil {
		return nil, fmt.Errorf("%w: finding service ID %q: %w", ErrObserve, ru.c.ServiceIDName, err)
	}
	if err := ru.settleClock(asked, date); err != nil {
		return nil, err
	}
	ru.taken, ru.posing, ru.holder = false, false, port.ServiceID{}
	forged := len(ru.forged)
	ours, err := ru.sift(ctx, found)
	if err != nil || len(ours) > 0 {
		return ours, err
	}
	ru.taken, ru.posing = len(found) > 0, len(ru.forged) > forged
	ru.ahead = slices.ContainsFunc(found, func(id port.ServiceID) bool { return id.Newer })
	for _, id := range found {
		if id.Ours && !slices.Contains(ru.c.Names(), id.Marker.Credential) {
			ru.holder = id
		}
	}
	return nil, nil
}

// gives reports whether the credential leaves its name to that of another project.
// The same project under another entry is a renamed entry, which a person resolves.
func (ru *run) gives() bool {
	other := ru.holder.Marker.With["project"]
	return ru.c.SharesName || other != "" && other != ru.c.With["project"]
}

// collision says who else uses the credential's name or location, or nothing.
func (ru *run) collision() error {
	switch {
	case ru.c.Collides != "":
		return errors.New(ru.c.Collides)
	case ru.holder.ID != "":
		return fmt.Errorf("service ID %s has the name %q and belongs to %s: when that is not needed any more, ibmcloud iam service-id-delete %s",
			ru.holder.ID, ru.holder.Name, ru.holder.Marker.Credential, ru.holder.ID)
	}
	return nil
}

// readKnown reads a service ID from an earlier run together with its keys. It
// returns false if it is not what it was, or has no keys of ours any more.
func (ru *run) readKnown(ctx context.Context, id port.ServiceID) (port.ServiceID, bool) {
	var now port.ServiceID
	var g errgroup.Group
	g.Go(ru.rescued(func() (err error) {
		now, err = ru.Identities.Lookup(ctx, id.IAMID)
		return err
	}))
	g.Go(ru.rescued(func() error { return ru.read(ctx, id) }))
	if err := g.Wait(); err != nil || now.Name != ru.c.ServiceIDName || len(ru.keys) == 0 {
		return port.ServiceID{}, false
	}
	// Without a record of its creation, its keys show that it is ours.
	now.Ours = now.Ours || now.Creator == ""
	return now, ru.owns(now)
}

// observeGiven reads the existing service ID that the config names. It has no
// marker of ours.
func (ru *run) observeGiven(ctx context.Context) error {
	id, err := ru.Identities.Lookup(ctx, "iam-"+ru.c.Given)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("%w: reading service ID %s: %w", ErrObserve, ru.c.Given, err)
	}
	ru.id, ru.ours = id, []port.ServiceID{id}
	return ru.read(ctx, id)
}

// claims reports whether a service ID's marker has our owner and this credential.
func (ru *run) claims(id port.ServiceID) bool {
	return id.Marked && id.Marker.Owner == ru.Owner && slices.Contains(ru.c.Names(), id.Marker.Credential)
}

// owns reports whether a service ID is ours and belongs to this credential.
func (ru *run) owns(id port.ServiceID) bool { return id.Ours && ru.claims(id) }

// still reports whether the run's service ID, read again, is ours. Without a record
// of its creation, the keys that the run has read have shown that.
func (ru *run) still(id port.ServiceID) bool {
	return ru.owns(id) || ru.claims(id) && id.Creator == "" && id.ID == ru.id.ID && ru.id.Ours
}

// sift returns the service IDs that are ours, and notes those that only have our
// marker. If IAM has no record of who made one, a key that we made for this
// credential shows that it is ours.
func (ru *run) sift(ctx context.Context, found []port.ServiceID) (ours []port.ServiceID, err error) {
	for _, id := range found {
		if !ru.claims(id) {
			continue
		}
		if !id.Ours && id.Creator == "" {
			l, err := ru.Keys.List(ctx, id.IAMID, ru.c.Names()...)
			if err != nil {
				return nil, fmt.Errorf("%w: listing keys of %s: %w", ErrObserve, id.ID, err)
			}
			id.Ours = len(l.Keys) > 0
		}
		if !id.Ours {
			ru.forged = append(ru.forged, port.Forgery{ID: id.ID, Creator: id.Creator})
			continue
		}
		ours = append(ours, id)
	}
	return ours, nil
}

// read lists the keys of all our service IDs, and the policies of the first,
// concurrently. Keys of duplicates are ours too.
func (ru *run) read(ctx context.Context, ids ...port.ServiceID) error {
	lists := make([]port.KeyList, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	for i, id := range ids {
		g.Go(ru.rescued(func() error {
			asked := ru.wall()
			l, err := ru.Keys.List(ctx, id.IAMID, ru.c.Names()...)
			if err != nil {
				return fmt.Errorf("%w: listing keys of %s: %w", ErrObserve, id.ID, err)
			}
			if lists[i] = l; i == 0 {
				return ru.settleClock(asked, l.Date) // at once: the other answers may take minutes
			}
			return nil
		}))
	}
	g.Go(ru.rescued(func() error { return ru.readAccess(ctx, ids[0]) }))
	if err := g.Wait(); err != nil {
		return err
	}
	for i, l := range lists {
		ru.take(ids[i], l)
	}
	return nil
}

// take adds the keys of one service ID of ours.
func (ru *run) take(id port.ServiceID, l port.KeyList) {
	if ru.busy == nil {
		ru.busy, ru.home, ru.foreign = map[string]bool{}, map[string]string{}, map[string]int{}
	}
	for _, k := range l.Keys {
		ru.add(k, id.IAMID)
	}
	ru.foreign[id.IAMID] += l.Foreign
	ru.ahead = ru.ahead || l.Newer
	ru.forged = append(ru.forged, l.Forged...)
	ru.busy[id.ID] = len(l.Keys)+l.Foreign > 0
}

func (ru *run) add(k rotation.Key, iamID string) {
	ru.keys, ru.home[k.ID] = append(ru.keys, k), iamID
}

// readAccess reads the identity's policies and access groups, if the config has
// any. Access groups that are read for a note only may stay unread.
func (ru *run) readAccess(ctx context.Context, id port.ServiceID) (err error) {
	ru.granted, ru.member = nil, nil
	if len(ru.c.Policies) > 0 {
		if ru.granted, err = ru.Identities.Granted(ctx, id.IAMID); err != nil {
			return fmt.Errorf("%w: reading policies of %s: %w", ErrObserve, id.ID, err)
		}
	}
	if len(ru.c.Groups) > 0 {
		if ru.member, err = ru.Identities.Groups(ctx, id.IAMID); err != nil {
			return fmt.Errorf("%w: reading access groups of %s: %w", ErrObserve, id.ID, err)
		}
	} else if ru.curious {
		if ru.member, err = ru.Identities.Groups(ctx, id.IAMID); err != nil {
			ru.log.Debug("reading access groups", "serviceID", id.ID, "error", err.Error())
		}
	}
	return nil
}

// settleClock compares the clocks with the Date of an answer by IAM that was asked for at
// a time.
func (ru *run) settleClock(asked, date time.Time) error {
	if err := ru.fence.Settle(asked, date); err != nil {
		return fmt.Errorf("%w: %w", ErrObserve, err)
	}
	return nil
}

// lookUp reads a key that is not in the list, and compares the clocks again.
func (ru *run) lookUp(ctx context.Context, keyID string) (port.KeyRecord, error) {
	rec, err := ru.Keys.Get(ctx, keyID)
	if err == nil {
		err = ru.fence.Check(rec.Date)
	}
	return rec, err
}

// observeNamed reads the keys that a store names and the list does not contain.
// IAM's lists lag, so only a lookup by ID can show that a key is deleted.
func (ru *run) observeNamed(ctx context.Context) error {
	for _, e := range ru.entries {
		if e.err != nil || e.KeyID == "" || ru.listed(e.KeyID) {
			continue
		}
		if err := ru.lookAt(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// lookAt reads the key that a store names, and adds it if it is the credential's.
func (ru *run) lookAt(ctx context.Context, e reading) error {
	rec, err := ru.lookUp(ctx, e.KeyID)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("%w: reading key %s that store %s names: %w", ErrObserve, e.KeyID, e.store.Name(), err)
	case !rec.Ours || !slices.Contains(ru.c.Names(), rec.Credential):
	case ru.ourIdentity(rec.IAMID):
		ru.add(rec.Key, rec.IAMID)
	case ru.cached:
		ru.remember(ru.c.Name, port.ServiceID{})
		return fmt.Errorf("%w: store %s names key %s of another service ID", errAgain, e.store.Name(), e.KeyID)
	case ru.c.Given == "":
		if err := ru.admit(ctx, rec); err != nil {
			return err
		}
	}
	if !ru.listed(rec.ID) {
		ru.strange[rec.ID] = true
	}
	if rec.Forged && !slices.ContainsFunc(ru.forged, func(f port.Forgery) bool { return f.ID == rec.ID }) {
		ru.forged = append(ru.forged, port.Forgery{ID: rec.ID, Creator: rec.Creator})
	}
	return nil
}

// admit adds the service ID of a key that a store names, although its name is not
// that in the config. The config or a person has renamed it.
func (ru *run) admit(ctx context.Context, rec port.KeyRecord) error {
	id, err := ru.Identities.Lookup(ctx, rec.IAMID)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("%w: reading the service ID of key %s: %w", ErrObserve, rec.ID, err)
	case !ru.claims(id) || !id.Ours && id.Creator != "": // without a record, the key shows that it is ours
		return nil
	case id.Name == ru.c.ServiceIDName && ru.id.ID == "":
		return fmt.Errorf("%w: IAM's list does not contain service ID %s, which exists", ErrObserve, id.ID)
	case id.Name != ru.c.ServiceIDName && ru.id.ID != "":
		ru.twice = true // which of them to use is for a person to say
	}
	l, err := ru.Keys.List(ctx, id.IAMID, ru.c.Names()...)
	if err != nil {
		return fmt.Errorf("%w: listing keys of %s: %w", ErrObserve, id.ID, err)
	}
	if id.Name != ru.c.OwnName {
		ru.log.Warn("the name of the service ID differs from the config", "service_id", id.ID, "name", id.Name, "config_name", ru.c.ServiceIDName)
	}
	id.Ours = true
	ru.ours = append(ru.ours, id)
	ru.take(id, l)
	ru.busy[id.ID] = true
	if !ru.listed(rec.ID) {
		ru.add(rec.Key, rec.IAMID)
	}
	if ru.id.ID != "" {
		return nil
	}
	ru.id = id
	return ru.readAccess(ctx, id)
}

// observeLeaked reads the key to revoke, if it is not in the list.
func (ru *run) observeLeaked(ctx context.Context) error {
	id := ru.req.Trigger.Leaked
	ru.out.Leaked = ""
	if id == "" || ru.listed(id) {
		return nil
	}
	rec, err := ru.lookUp(ctx, id)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil // it is deleted
	case err != nil:
		return fmt.Errorf("%w: reading key %s to revoke: %w", ErrObserve, id, err)
	case rec.Ours && ru.ourIdentity(rec.IAMID) && slices.Contains(ru.c.Names(), rec.Credential):
		ru.add(rec.Key, rec.IAMID)
	case rec.Ours && ru.cached && slices.Contains(ru.c.Names(), rec.Credential):
		ru.remember(ru.c.Name, port.ServiceID{})
		return fmt.Errorf("%w: key %s to revoke belongs to another service ID", errAgain, id)
	case rec.Ours:
		ru.out.Leaked = result.LeakedElsewhere
	default:
		ru.other = id
	}
	return nil
}

// observeAdoptable finds the stores that hold the value of the key to adopt. IAM
// identifies the key of a value.
func (ru *run) observeAdoptable(ctx context.Context) error {
	if ru.c.AdoptKey == "" || ru.id.ID == "" {
		return nil
	}
	ru.adopted = map[string]bool{}
	for _, e := range ru.entries {
		if e.err != nil || !e.Unmarked() {
			continue
		}
		rec, err := ru.Keys.Identify(ctx, e.Value)
		switch {
		case errors.Is(err, port.ErrNotFound):
		case err != nil:
			return fmt.Errorf("%w: identifying the value in store %s: %w", ErrObserve, e.store.Name(), err)
		default:
			ru.adopted[e.store.Name()] = rec.ID == ru.c.AdoptKey && rec.IAMID == ru.id.IAMID
		}
	}
	return nil
}

// observeUse reads the last use of keys near the end of their overlap. If that
// fails, they end as planned.
func (ru *run) observeUse(ctx context.Context) {
	for i, k := range ru.keys {
		if ru.named(k.ID) || !k.Ending(ru.c.Rules, ru.now()) {
			continue
		}
		used, err := ru.Keys.Used(ctx, k.ID)
		if err != nil {
			ru.log.Warn("reading when a key was last used", "key", k.ID, "error", err.Error())
			continue
		}
		ru.keys[i].Used = used
	}
}
