package observe

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey-io/latchkey/internal/port"
)

// observeNamed reads the keys that a store names and the list does not contain.
// IAM's lists lag, so only a lookup by ID can show that a key is deleted.
func (o *observation) observeNamed(ctx context.Context) error {
	for _, e := range o.Entries {
		if e.Err != nil || e.KeyID == "" || o.Listed(e.KeyID) {
			continue
		}
		if err := o.lookAt(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// lookAt reads the key that a store names, and adds it if it is the credential's.
func (o *observation) lookAt(ctx context.Context, e Reading) error {
	rec, err := o.by.Keys.Get(ctx, e.KeyID)
	switch {
	case errors.Is(err, port.ErrNotFound), errors.Is(err, port.ErrRefused), errors.Is(err, port.ErrDenied) && !errors.Is(err, port.ErrLogin):
		return nil // we may read each key of ours, so this is the ID of another, or of none
	case err != nil:
		return fmt.Errorf("%w: the key that store %s names: %w", ErrFailed, e.Store.Name(), err)
	case !rec.Ours:
	case !slices.Contains(o.c.Names(), rec.Credential):
		if err := o.renamed(ctx, rec); err != nil {
			return err
		}
	case o.ourIdentity(rec.IAMID):
		o.add(rec.Key, rec.IAMID)
	case o.Cached:
		o.by.Memory.Forget(o.c.Name)
		return fmt.Errorf("%w: store %s names key %s of another service ID", ErrAgain, e.Store.Name(), e.KeyID)
	case o.c.Given == "":
		if err := o.admit(ctx, rec); err != nil {
			return err
		}
	}
	if !o.Listed(rec.ID) {
		o.Strange[rec.ID] = true
	}
	if rec.Forged && !slices.ContainsFunc(o.Forged, func(f port.Forgery) bool { return f.ID == rec.ID }) {
		o.Forged = append(o.Forged, port.Forgery{ID: rec.ID, Creator: rec.Creator})
	}
	return nil
}

// renamed returns ErrAgain if a store names a young key of another credential on a
// service ID of this one, or on one with its name. Another replica has renamed the
// credential and is at work, or was just now.
func (o *observation) renamed(ctx context.Context, rec port.KeyRecord) error {
	if o.c.Given != "" || o.clock.Now().Sub(rec.Created) >= o.c.Rules.Window {
		return nil
	}
	if !o.ourIdentity(rec.IAMID) {
		id, err := o.by.Identities.Lookup(ctx, rec.IAMID)
		switch {
		case errors.Is(err, port.ErrNotFound):
			return nil
		case err != nil:
			return fmt.Errorf("%w: the service ID of key %s: %w", ErrFailed, rec.ID, err)
		case !id.Ours || id.Name != o.Name:
			return nil
		}
	}
	o.by.Memory.Forget(o.c.Name)
	return fmt.Errorf("%w: key %s is of %s, by which name another replica knows the credential", ErrAgain, rec.ID, rec.Credential)
}

// admit adds the service ID of a key that a store names, although its name is not
// that in the config. The config or a person has renamed it.
func (o *observation) admit(ctx context.Context, rec port.KeyRecord) error {
	id, err := o.by.Identities.Lookup(ctx, rec.IAMID)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("%w: the service ID of key %s: %w", ErrFailed, rec.ID, err)
	case !o.claims(id) || !id.Ours && id.Creator != "": // without a record, the key shows that it is ours
		return nil
	case id.Name == o.Name && o.ServiceID.ID == "":
		return fmt.Errorf("%w: IAM's list does not contain service ID %s, which exists", ErrFailed, id.ID)
	case id.Name != o.Name && o.ServiceID.ID != "":
		o.Twice = true // which of them to use is for a person to say
	}
	l, err := o.by.Keys.List(ctx, id.IAMID, o.c.Names()...)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	if id.Name != o.c.OwnName {
		o.by.Log.Warn("the name of the service ID differs from the config", "service_id", id.ID, "name", id.Name, "config_name", o.Name)
	}
	id.Ours = true
	o.Ours = append(o.Ours, id)
	o.take(id, l)
	o.Busy[id.ID] = true
	if !o.Listed(rec.ID) {
		o.add(rec.Key, rec.IAMID)
	}
	if o.ServiceID.ID != "" {
		return nil
	}
	o.ServiceID = id
	return o.readAccess(ctx, id)
}

// observeLeaked reads the key to revoke, if it is not in the list.
func (o *observation) observeLeaked(ctx context.Context) error {
	id := o.leaked
	if id == "" || o.Listed(id) {
		return nil
	}
	rec, err := o.by.Keys.Get(ctx, id)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil // it is deleted
	case err != nil:
		return fmt.Errorf("%w: the key to revoke: %w", ErrFailed, err)
	case rec.Ours && o.ourIdentity(rec.IAMID) && slices.Contains(o.c.Names(), rec.Credential):
		o.add(rec.Key, rec.IAMID)
	case rec.Ours && o.Cached && slices.Contains(o.c.Names(), rec.Credential):
		o.by.Memory.Forget(o.c.Name)
		return fmt.Errorf("%w: key %s to revoke belongs to another service ID", ErrAgain, id)
	case rec.Ours && slices.Contains(o.c.Names(), rec.Credential):
		return o.addHidden(ctx, rec)
	case rec.Ours:
		o.Elsewhere = true
	default:
		o.Stranger = id
	}
	return nil
}

// addHidden adds a key of the credential whose service ID was not found. IAM's list may
// lag, or a person may have removed the marker.
func (o *observation) addHidden(ctx context.Context, rec port.KeyRecord) error {
	if err := o.admit(ctx, rec); err != nil {
		return err
	}
	if !o.Listed(rec.ID) {
		o.add(rec.Key, rec.IAMID)
	}
	return nil
}

// observeAdoptable finds the stores that hold the value of the key to adopt. IAM
// identifies the key of a value.
func (o *observation) observeAdoptable(ctx context.Context) error {
	if o.c.AdoptKey == "" || o.ServiceID.ID == "" {
		return nil
	}
	o.Adopted = map[string]bool{}
	for _, e := range o.Entries {
		if e.Err != nil || !e.Unmarked() {
			continue
		}
		rec, err := o.by.Keys.Identify(ctx, e.Value)
		switch {
		case errors.Is(err, port.ErrNotFound):
		case err != nil:
			return fmt.Errorf("%w: the value in store %s: %w", ErrFailed, e.Store.Name(), err)
		default:
			o.Adopted[e.Store.Name()] = rec.ID == o.c.AdoptKey && rec.IAMID == o.ServiceID.IAMID
		}
	}
	return nil
}

// observeUse reads the last use of keys near the end of their overlap, and of those whose
// overlap was extended. If that fails, they end as planned.
func (o *observation) observeUse(ctx context.Context) {
	for i, k := range o.Keys {
		if now := o.clock.Now(); o.Named(k.ID) || !k.OverlapEnds(o.c.Rules, now) && !k.Extended(o.c.Rules, now) {
			continue
		}
		used, err := o.by.Keys.Used(ctx, k.ID)
		if err != nil {
			o.by.Log.Warn("reading when a key was last used", "key", k.ID, "error", err.Error())
			continue
		}
		o.Keys[i].Used = used
	}
}
