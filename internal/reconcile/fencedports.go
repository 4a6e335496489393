package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// A run writes through these ports only. Each rejects a write if the run is too
// old, and keeps the adapter's error apart from the context that the steps add.

// newRun returns one round over a credential, with fenced ports.
func (r *Reconciler) newRun(c port.Credential, req Request, log *slog.Logger, out *result.Outcome) *run {
	ru := &run{Reconciler: r, c: c, req: req, log: log, out: out}
	ru.Identities = fencedIdentities{r.Identities, ru}
	ru.Keys = fencedKeys{r.Keys, ru}
	ru.c.Stores = make([]port.Store, len(c.Stores))
	for i, st := range c.Stores {
		ru.c.Stores[i] = fencedStore{st, ru}
	}
	ru.c.Consumers = make([]port.Consumers, len(c.Consumers))
	for i, cs := range c.Consumers {
		ru.c.Consumers[i] = fencedConsumers{cs, ru}
	}
	return ru
}

// underWay is how long a write may take to arrive. Other replicas may end the
// key a window after its birth, so the last write leaves that much earlier.
const underWay = 2 * time.Minute

// mayWrite returns errTooLate once the run is older than a window, or the key
// that it writes is about to be. It reads the wall clock, so a process that was
// suspended notices. A step may be under way when another one shows that the clock
// moved.
func (ru *run) mayWrite(ctx context.Context, born time.Time) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", errTooLate, err)
	}
	if ru.drifted.Load() {
		return errDrift
	}
	age := ru.wall().Sub(ru.started)
	if !born.IsZero() {
		age = max(age, ru.now().Sub(born)+underWay)
	}
	if age < 0 || age >= ru.c.Rules.Window {
		return fmt.Errorf("%w: %s old", errTooLate, age.Round(time.Second))
	}
	return nil
}

// write makes one call that changes something, unless the run is too old.
func (ru *run) write(ctx context.Context, born time.Time, call func() error) error {
	if err := ru.mayWrite(ctx, born); err != nil {
		return err
	}
	return answered(call())
}

// born returns the birth of a key that this round minted, and zero for others.
func (ru *run) born(keyID string) time.Time {
	if ru.fresh != nil && ru.fresh.ID == keyID {
		return ru.fresh.Created
	}
	return time.Time{}
}

// answer is an error as a port returned it.
type answer struct{ error }

// Unwrap returns what the adapter wrapped.
func (a answer) Unwrap() error { return a.error }

func answered(err error) error {
	if err == nil {
		return nil
	}
	return answer{err}
}

// words returns the text of an adapter's error without the steps' context.
func words(err error) string {
	if a := (answer{}); errors.As(err, &a) {
		return a.Error()
	}
	return err.Error()
}

type fencedIdentities struct {
	port.Identities
	ru *run
}

// Create creates a service ID.
func (g fencedIdentities) Create(ctx context.Context, name, description string) (id port.ServiceID, err error) {
	err = g.ru.write(ctx, time.Time{}, func() (err error) {
		id, err = g.Identities.Create(ctx, name, description)
		return err
	})
	return id, err
}

// Remove deletes a service ID.
func (g fencedIdentities) Remove(ctx context.Context, id string) error {
	return g.ru.write(ctx, time.Time{}, func() error { return g.Identities.Remove(ctx, id) })
}

// Grant creates a policy.
func (g fencedIdentities) Grant(ctx context.Context, iamID string, p access.Policy) error {
	return g.ru.write(ctx, time.Time{}, func() error { return g.Identities.Grant(ctx, iamID, p) })
}

// Narrow takes down a policy, or roles of it.
func (g fencedIdentities) Narrow(ctx context.Context, iamID string, p access.Policy, keep []string) error {
	return g.ru.write(ctx, time.Time{}, func() error { return g.Identities.Narrow(ctx, iamID, p, keep) })
}

// Mark writes a marker. One that clears the new key for publication is as
// urgent as the publication.
func (g fencedIdentities) Mark(ctx context.Context, id port.ServiceID, m marker.Marker) error {
	return g.ru.write(ctx, g.ru.born(m.Current), func() error { return g.Identities.Mark(ctx, id, m) })
}

// Join adds a member to an access group.
func (g fencedIdentities) Join(ctx context.Context, iamID, group string) error {
	return g.ru.write(ctx, time.Time{}, func() error { return g.Identities.Join(ctx, iamID, group) })
}

type fencedKeys struct {
	port.Keys
	ru *run
}

// List returns keys, without marks that can't be true.
func (g fencedKeys) List(ctx context.Context, iamID string, credentials ...string) (port.KeyList, error) {
	l, err := g.Keys.List(ctx, iamID, credentials...)
	for i, k := range l.Keys {
		l.Keys[i] = plausible(k, l.Date)
	}
	return l, err
}

// Get returns a key, without marks that can't be true.
func (g fencedKeys) Get(ctx context.Context, keyID string) (port.KeyRecord, error) {
	rec, err := g.Keys.Get(ctx, keyID)
	rec.Key = plausible(rec.Key, rec.Date)
	return rec, err
}

// Mint creates a key.
func (g fencedKeys) Mint(ctx context.Context, m port.MintRequest, v secret.Value) (k rotation.Key, err error) {
	err = g.ru.write(ctx, time.Time{}, func() (err error) {
		k, err = g.Keys.Mint(ctx, m, v)
		return err
	})
	return k, err
}

// Update changes a key.
func (g fencedKeys) Update(ctx context.Context, rec port.KeyRecord, c port.KeyChange) error {
	return g.ru.write(ctx, time.Time{}, func() error { return g.Keys.Update(ctx, rec, c) })
}

// Retire deletes a key.
func (g fencedKeys) Retire(ctx context.Context, keyID string) error {
	return g.ru.write(ctx, time.Time{}, func() error { return g.Keys.Retire(ctx, keyID) })
}

// withdraw deletes a key that this round made and no store can hold. That is
// right at any age of the run. Once the clock has moved, or if a transport that asks
// MayWrite refuses it, the key's fuse ends it.
func (g fencedKeys) withdraw(ctx context.Context, keyID string) error {
	if g.ru.drifted.Load() {
		return errDrift
	}
	return answered(g.Keys.Retire(ctx, keyID))
}

// Disable stops a key from authenticating.
func (g fencedKeys) Disable(ctx context.Context, keyID string) error {
	return g.ru.write(ctx, time.Time{}, func() error { return g.Keys.Disable(ctx, keyID) })
}

// Enable lets a key authenticate again.
func (g fencedKeys) Enable(ctx context.Context, keyID string) error {
	return g.ru.write(ctx, time.Time{}, func() error { return g.Keys.Enable(ctx, keyID) })
}

// Adopt writes a marker on a key.
func (g fencedKeys) Adopt(ctx context.Context, rec port.KeyRecord, m marker.Marker) error {
	return g.ru.write(ctx, time.Time{}, func() error { return g.Keys.Adopt(ctx, rec, m) })
}

type fencedStore struct {
	port.Store
	ru *run
}

// Read returns the entry, if it has the form of one.
func (g fencedStore) Read(ctx context.Context) (port.Entry, error) {
	e, err := g.Store.Read(ctx)
	return formed(e), answered(err)
}

// Publish writes the entry.
func (g fencedStore) Publish(ctx context.Context, e port.Entry, revision string) error {
	return g.ru.write(ctx, g.ru.born(e.KeyID), func() error { return g.Store.Publish(ctx, e, revision) })
}

// Release unlocks the entry of a key that has ended, in a store that locks
// entries.
func (g fencedStore) Release(ctx context.Context, keyID string) error {
	r, ok := g.Store.(port.Releaser)
	if !ok {
		return nil
	}
	return g.ru.write(ctx, time.Time{}, func() error { return r.Release(ctx, keyID) })
}

// Remove removes the entry, in a store that can.
func (g fencedStore) Remove(ctx context.Context, revision string) error {
	r, ok := g.Store.(port.Remover)
	if !ok {
		return fmt.Errorf("%w: this kind of store can't remove an entry", port.ErrRefused)
	}
	return g.ru.write(ctx, time.Time{}, func() error { return r.Remove(ctx, revision) })
}

type fencedConsumers struct {
	consumers port.Consumers
	ru        *run
}

// Consumers lists the consumers.
func (g fencedConsumers) Consumers(ctx context.Context) ([]rotation.Consumer, error) {
	return g.consumers.Consumers(ctx)
}

// Restart restarts a consumer.
func (g fencedConsumers) Restart(ctx context.Context, name, keyID string) error {
	return g.ru.write(ctx, time.Time{}, func() error { return g.consumers.Restart(ctx, name, keyID) })
}
