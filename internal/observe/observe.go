// Package observe reads what a run decides about: service ID, policies, keys, stores
// and consumers, and IAM's clock. It writes nothing.
//
//	observe.go   the order of reading
//	identity.go  the service ID, its policies and the list of its keys
//	keys.go      keys that the list does not have, and when keys were used
//	trust.go     drop what stores say that can't be true
//	profile.go   the trusted profile that may replace the keys
//	memory.go    what a process remembers between runs
//	facts.go     what was read
//	state.go     the same as the input of each decision
//	explain.go   what was observed that a reason is about
package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

var (
	// ErrFailed means that IAM could not be read. Nothing was changed.
	ErrFailed = errors.New("observing the credential")
	// ErrAgain means that the state changed since it was observed. The run
	// observes and decides again.
	ErrAgain = errors.New("the state changed")
)

// Observer is what credentials are observed with.
type Observer struct {
	Identities port.IdentityReader
	Keys       port.KeyReader
	// Profiles reads trusted profiles. If nil, none is read.
	Profiles port.Profiles
	// Clock is compared with IAM's.
	Clock  *fence.Clock
	Memory *Memory
	// Owner is the name of this installation in every marker.
	Owner string
	// Self returns the IAM ID that we are logged in as. If nil, it is not known.
	Self func(context.Context) (string, error)
	Log  *slog.Logger
	// Memberships lets access groups be read that the config does not name.
	Memberships bool
}

// observation is one reading of a credential.
type observation struct {
	by     Observer
	leaked string          // the key to revoke, or ""
	end    offboard.Demand // about the end of the credential
	Facts
}

// Observe reads a credential, and the key to revoke if it is not one of the
// credential's. It returns ErrFailed, or ErrAgain if a second observation will be
// another one.
func (by Observer) Observe(ctx context.Context, c port.Credential, leaked string, end offboard.Demand) (*Facts, error) {
	o := &observation{by: by, leaked: leaked, end: end, Facts: Facts{Name: c.ServiceIDName, owner: by.Owner, c: c, clock: by.Clock}}
	if err := o.observe(ctx); err != nil {
		return nil, err
	}
	for i, k := range o.Keys {
		o.Keys[i].Elsewhere = o.Home[k.ID] != o.ServiceID.IAMID
	}
	return &o.Facts, nil
}

// observe reads IAM, the stores and the consumers concurrently.
func (o *observation) observe(ctx context.Context) error {
	o.Entries = make([]Reading, len(o.c.Stores))
	o.whose = map[string]Restarter{}
	var identity error

	var g errgroup.Group
	g.Go(func() error {
		identity = o.rescue(func() error { return o.observeIdentity(ctx) })
		return nil
	})
	for i, st := range o.c.Stores {
		g.Go(func() error {
			var e port.Entry
			err := o.rescue(func() (err error) {
				e, err = st.Read(ctx)
				return err
			})
			if errors.Is(err, port.ErrNotFound) {
				e, err = port.Entry{Revision: e.Revision}, nil
			}
			if err != nil {
				o.by.Log.Warn("reading store", "store", st.Name(), "error", err.Error())
			}
			o.Entries[i] = Reading{Store: st, Entry: e, Err: err}
			return nil
		})
	}
	listed := make([][]protocol.Consumer, len(o.c.Consumers))
	unread := make([]error, len(o.c.Consumers))
	for i, cs := range o.c.Consumers {
		g.Go(func() error {
			var found []protocol.Consumer
			err := o.rescue(func() (err error) {
				found, err = cs.Consumers(ctx)
				return err
			})
			if err != nil {
				unread[i] = err
				o.by.Log.Warn("reading consumers", "error", err.Error())
				found = []protocol.Consumer{{Name: fmt.Sprintf("consumers of store %d", i+1), Unknown: true}}
			}
			listed[i] = found
			return nil
		})
	}
	_ = g.Wait() // the functions record their own errors
	if identity != nil {
		return identity
	}
	o.ConsumerErr = cmp.Or(unread...)
	for i, found := range listed {
		for _, c := range found {
			// An app may read two entries, and two projects may have apps with the
			// same name. Each is a consumer of its own.
			own := Restarter{By: o.c.Consumers[i], Name: c.Name}
			if _, taken := o.whose[c.Name]; taken {
				c.Name = fmt.Sprintf("%s (of store %d)", c.Name, i+1)
			}
			o.Consumers = append(o.Consumers, c)
			o.whose[c.Name] = own
		}
	}
	if err := o.observeLogin(ctx); err != nil {
		return err
	}
	o.distrust()
	if err := o.observeNamed(ctx); err != nil {
		return err
	}
	o.attest(ctx)
	if err := o.preferOwner(ctx); err != nil {
		return err
	}
	if err := o.observeLeaked(ctx); err != nil {
		return err
	}
	if err := o.observeAdoptable(ctx); err != nil {
		return err
	}
	o.observeUse(ctx)
	o.observeProfile(ctx)
	o.spareRemoved()
	return o.observeQuiet(ctx)
}

// observeLogin notes whether the service ID is the one that we are logged in as.
func (o *observation) observeLogin(ctx context.Context) error {
	if o.by.Self == nil {
		return nil
	}
	self, err := o.by.Self(ctx)
	if err != nil {
		return fmt.Errorf("%w: reading who we are logged in as: %w", ErrFailed, err)
	}
	o.Login = slices.ContainsFunc(o.Ours, func(id port.ServiceID) bool { return id.IAMID == self })
	return nil
}

// preferOwner chooses one of several service IDs of ours: the one of the newest
// key that a store names, else the oldest. IAM says how old a key is and whose.
func (o *observation) preferOwner(ctx context.Context) error {
	if len(o.Ours) < 2 {
		return nil
	}
	var newest protocol.Key
	for _, k := range o.Keys {
		if o.Named(k.ID) && !k.Created.Before(newest.Created) {
			newest = k
		}
	}
	i := slices.IndexFunc(o.Ours, func(id port.ServiceID) bool { return id.IAMID == o.Home[newest.ID] })
	if i < 0 || o.Ours[i].ID == o.ServiceID.ID {
		return nil
	}
	o.ServiceID = o.Ours[i]
	return o.readAccess(ctx, o.ServiceID)
}

// settleClock compares the clocks with the Date of an answer by IAM that was asked for at
// a time.
func (o *observation) settleClock(asked, date time.Time) error {
	if err := o.clock.Settle(asked, date); err != nil {
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return nil
}

// observeQuiet reads the last use of all keys before a deprovisioning begins, or while a
// trusted profile that consumers have assumed may replace them. A credential whose profile
// was not read does not end.
func (o *observation) observeQuiet(ctx context.Context) error {
	d := o.c.Ending(o.end, o.clock.Now())
	if d.Ask == offboard.End && o.ProfileErr != nil {
		return fmt.Errorf("%w: %w", ErrFailed, o.ProfileErr)
	}
	ends := d.Ask == offboard.End && !d.Force
	if !ends && !o.replaces() || !o.ServiceID.Marker.Deprovision.IsZero() {
		return nil
	}
	for i, k := range o.Keys {
		used, err := o.by.Keys.Used(ctx, k.ID)
		if err != nil && !errors.Is(err, port.ErrNotFound) {
			return fmt.Errorf("%w: %w", ErrFailed, err)
		}
		o.Keys[i].Used = used
	}
	return nil
}

// spareRemoved leaves out the stores whose entry the owner removed, if the config says
// that none is made again.
func (o *observation) spareRemoved() {
	if !o.c.NotAgain || o.ServiceID.ID == "" || !o.HadKey() {
		return
	}
	removed := func(e Reading) bool { return e.Err == nil && e.KeyID == "" && e.Value.Empty() }
	if !slices.ContainsFunc(o.Entries, func(e Reading) bool { return !removed(e) }) {
		return // all are, and the credential is blocked
	}
	o.Entries = slices.DeleteFunc(o.Entries, removed)
}

// rescue calls f and returns an error if it panics.
func (o *observation) rescue(f func() error) error { return fence.Rescue(o.by.Log, f) }

// rescued returns f for a goroutine of its own.
func (o *observation) rescued(f func() error) func() error {
	return func() error { return o.rescue(f) }
}
