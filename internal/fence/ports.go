package fence

import (
	"context"
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// Identities returns the port behind the fence.
func (f *Fence) Identities(p port.Identities) port.Identities { return identities{p, f} }

type identities struct {
	port.Identities
	f *Fence
}

// Create creates a service ID.
func (g identities) Create(ctx context.Context, name, description string) (id port.ServiceID, err error) {
	err = g.f.write(ctx, time.Time{}, func() (err error) {
		id, err = g.Identities.Create(ctx, name, description)
		return err
	})
	return id, err
}

// Remove deletes a service ID.
func (g identities) Remove(ctx context.Context, id string) error {
	return g.f.write(ctx, time.Time{}, func() error { return g.Identities.Remove(ctx, id) })
}

// Grant creates a policy.
func (g identities) Grant(ctx context.Context, iamID string, p access.Policy) error {
	return g.f.write(ctx, time.Time{}, func() error { return g.Identities.Grant(ctx, iamID, p) })
}

// Narrow takes down a policy, or roles of it.
func (g identities) Narrow(ctx context.Context, iamID string, p access.Policy, keep []string) error {
	return g.f.write(ctx, time.Time{}, func() error { return g.Identities.Narrow(ctx, iamID, p, keep) })
}

// Mark writes a marker. One that clears the new key for publication is as
// urgent as the publication.
func (g identities) Mark(ctx context.Context, id port.ServiceID, m marker.Marker) error {
	return g.f.write(ctx, g.f.birth(m.Current), func() error { return g.Identities.Mark(ctx, id, m) })
}

// Join adds a member to an access group.
func (g identities) Join(ctx context.Context, iamID, group string) error {
	return g.f.write(ctx, time.Time{}, func() error { return g.Identities.Join(ctx, iamID, group) })
}

// Profiles returns the port behind the fence, or nil for none.
func (f *Fence) Profiles(p port.Profiles) port.Profiles {
	if p == nil {
		return nil
	}
	return profiles{p, f}
}

type profiles struct {
	port.Profiles
	f *Fence
}

// CreateProfile creates a trusted profile.
func (g profiles) CreateProfile(ctx context.Context, name, description string) (p port.Profile, err error) {
	err = g.f.write(ctx, time.Time{}, func() (err error) {
		p, err = g.Profiles.CreateProfile(ctx, name, description)
		return err
	})
	return p, err
}

// LinkProfile links a trusted profile to a compute resource.
func (g profiles) LinkProfile(ctx context.Context, id string, l keyless.Link) error {
	return g.f.write(ctx, time.Time{}, func() error { return g.Profiles.LinkProfile(ctx, id, l) })
}

// RemoveProfile deletes a trusted profile.
func (g profiles) RemoveProfile(ctx context.Context, id string) error {
	return g.f.write(ctx, time.Time{}, func() error { return g.Profiles.RemoveProfile(ctx, id) })
}

// Keys returns the port behind the fence, with a call to withdraw a new key.
func (f *Fence) Keys(p port.Keys) Keys { return Keys{p, f, &answers{}} }

// Keys is port.Keys behind a fence.
type Keys struct {
	port.Keys
	f *Fence
	a *answers
}

// List returns keys, without marks that can't be true.
func (g Keys) List(ctx context.Context, iamID string, credentials ...string) (port.KeyList, error) {
	l, err := g.Keys.List(ctx, iamID, credentials...)
	for i, k := range l.Keys {
		l.Keys[i] = plausible(k, l.Date)
	}
	return l, err
}

// Get returns a key, without marks that can't be true, and compares the clocks again.
func (g Keys) Get(ctx context.Context, keyID string) (port.KeyRecord, error) {
	rec, err := g.Keys.Get(ctx, keyID)
	if err == nil {
		err = g.f.Check(rec.Date)
	}
	rec.Key = plausible(rec.Key, rec.Date)
	return rec, err
}

// Retire deletes a key.
func (g Keys) Retire(ctx context.Context, keyID string) error {
	return g.f.write(ctx, time.Time{}, func() error { return g.Keys.Retire(ctx, keyID) })
}

// Withdraw deletes a key that this round made and no store can hold. That is
// right at any age of the run. Once the clock has moved, or if a transport that asks
// MayWrite refuses it, the key's fuse ends it.
func (g Keys) Withdraw(ctx context.Context, keyID string) error {
	if g.f.drifted.Load() {
		return ErrDrift
	}
	return Answered(g.Keys.Retire(ctx, keyID))
}

// Disable stops a key from authenticating.
func (g Keys) Disable(ctx context.Context, keyID string) error {
	return g.f.write(ctx, time.Time{}, func() error { return g.Keys.Disable(ctx, keyID) })
}

// Enable lets a key authenticate again.
func (g Keys) Enable(ctx context.Context, keyID string) error {
	return g.f.write(ctx, time.Time{}, func() error { return g.Keys.Enable(ctx, keyID) })
}

// Adopt writes a marker on a key.
func (g Keys) Adopt(ctx context.Context, rec port.KeyRecord, m marker.Marker) error {
	return g.f.write(ctx, time.Time{}, func() error { return g.Keys.Adopt(ctx, rec, m) })
}

// Store returns the store behind the fence.
func (f *Fence) Store(p port.Store) Store { return Store{p, f} }

// Store is a port.Store behind a fence. It releases and removes entries if the store
// can.
type Store struct {
	port.Store
	f *Fence
}

// Read returns the entry, if it has the form of one.
func (g Store) Read(ctx context.Context) (port.Entry, error) {
	e, err := g.Store.Read(ctx)
	return formed(e), Answered(err)
}

// Publish writes the entry.
func (g Store) Publish(ctx context.Context, e port.Entry, revision string) error {
	return g.f.write(ctx, g.f.birth(e.KeyID), func() error { return g.Store.Publish(ctx, e, revision) })
}

// Release unlocks the entry of a key that has ended, in a store that locks
// entries.
func (g Store) Release(ctx context.Context, keyID string) error {
	r, ok := g.Store.(port.Releaser)
	if !ok {
		return nil
	}
	return g.f.write(ctx, time.Time{}, func() error { return r.Release(ctx, keyID) })
}

// Remove removes the entry, in a store that can.
func (g Store) Remove(ctx context.Context, revision string) error {
	r, ok := g.Store.(port.Remover)
	if !ok {
		return fmt.Errorf("%w: this kind of store can't remove an entry", port.ErrRefused)
	}
	return g.f.write(ctx, time.Time{}, func() error { return r.Remove(ctx, revision) })
}

// Consumers returns the port behind the fence.
func (f *Fence) Consumers(p port.Consumers) port.Consumers { return consumers{p, f} }

type consumers struct {
	consumers port.Consumers
	f         *Fence
}

// Consumers lists the consumers.
func (g consumers) Consumers(ctx context.Context) ([]protocol.Consumer, error) {
	return g.consumers.Consumers(ctx)
}

// Restart restarts a consumer.
func (g consumers) Restart(ctx context.Context, name, keyID string) error {
	return g.f.write(ctx, time.Time{}, func() error { return g.consumers.Restart(ctx, name, keyID) })
}
