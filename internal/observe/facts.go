package observe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// Facts are what one round has observed. They are read once and never written: what a
// run does since is the attempt's.
type Facts struct {
	// ServiceID is the credential's service ID, or zero. Name is the name that it has,
	// or gets.
	ServiceID port.ServiceID
	Name      string
	// Ours are all service IDs of ours with the name, including ServiceID. Busy are those
	// of them, by ID, that have keys.
	Ours []port.ServiceID
	Busy map[string]bool
	// Cached is set if ServiceID came from an earlier run.
	Cached bool
	// Login is set if we are logged in as one of ours.
	Login bool
	// Taken is a service ID with the name that is not ours, if there is none of ours.
	// Posing is set if it has our marker.
	Taken  port.ServiceID
	Posing bool
	// Newer is set if the service ID or a key of it has the marker of a newer latchkey.
	Newer bool
	// Twice is set if a store names a key of a second service ID of ours, with another
	// name.
	Twice bool
	// Holder is a service ID with the name that belongs to another credential.
	Holder port.ServiceID
	// Forged is what carries our marker and is not ours.
	Forged []port.Forgery

	// Keys are the credential's keys, Home is the IAM ID of the service ID that each is
	// on, and Foreign says how many keys of each service ID, by IAM ID, are not ours.
	Keys    []protocol.Key
	Home    map[string]string
	Foreign map[string]int
	// Strange are the keys that a store names, and that IAM shows not to be this
	// credential's.
	Strange map[string]bool
	// Stranger is the key to revoke, if it is not ours. Elsewhere is set if it is another
	// credential's.
	Stranger  string
	Elsewhere bool

	Granted []access.Policy
	Member  []port.Group

	// Profile is the trusted profile with the configured name, whosever it is, and
	// ProfileErr why it could not be read. ProfileGranted are its policies, if it is ours.
	Profile        port.Profile
	ProfileErr     error
	ProfileGranted []access.Policy

	// Entries are those of the stores, in the order of the config. Adopted are the
	// stores, by name, that hold the value of the key to adopt.
	Entries []Reading
	Adopted map[string]bool
	// Consumers are those of all stores. ConsumerErr is the first error of listing them.
	Consumers   []protocol.Consumer
	ConsumerErr error

	whose map[string]Restarter // by the consumer's name
	owner string
	c     port.Credential
	clock *fence.Clock
}

// Reading is one store's entry, or the error of reading it.
type Reading struct {
	Store port.Store
	port.Entry
	Err error
	// Altered is set if the value is not that of the key that the entry names, or gone, and
	// Unproven if that is not known.
	Altered, Unproven bool
}

// Restarter is the port that restarts a consumer, and the consumer's name there.
type Restarter struct {
	By   port.Consumers
	Name string
}

// Restarter returns what restarts the consumer with a name.
func (f *Facts) Restarter(consumer string) Restarter { return f.whose[consumer] }

// Reading returns the entry of a store.
func (f *Facts) Reading(store string) Reading {
	i := slices.IndexFunc(f.Entries, func(e Reading) bool { return e.Store.Name() == store })
	return f.Entries[i]
}

// Named reports whether a store that was read names the key.
func (f *Facts) Named(keyID string) bool {
	return slices.ContainsFunc(f.Entries, func(e Reading) bool { return e.Err == nil && e.KeyID == keyID })
}

// Count returns the number of keys for which holds is true.
func (f *Facts) Count(holds func(protocol.Key) bool) (n int) {
	for _, k := range f.Keys {
		if holds(k) {
			n++
		}
	}
	return n
}

// Newest returns the published key, or the newest that a store names if none is
// published.
func (f *Facts) Newest(published string) (newest protocol.Key) {
	for _, k := range f.Keys {
		if k.ID == published || published == "" && f.Named(k.ID) && (newest.ID == "" || k.Compare(newest) > 0) {
			newest = k
		}
	}
	return newest
}

// Replaced returns the key that a new one takes the place of: the published one, or what
// stores name or had if none is published. It is "" for the credential's first key.
func (f *Facts) Replaced(published string) string {
	id := cmp.Or(published, f.Newest("").ID)
	for _, e := range f.Entries {
		if id == "" && e.Err == nil && !f.Strange[e.KeyID] {
			id = e.KeyID // IAM does not have it any more
		}
	}
	for _, k := range f.Keys {
		if id == "" && !k.Fused(f.c.Rules) {
			id = k.ID
		}
	}
	return id
}

// Unread reports whether a store could not be read.
func (f *Facts) Unread() bool {
	return slices.ContainsFunc(f.Entries, func(e Reading) bool { return e.Err != nil })
}

// Listed reports whether IAM has returned the key.
func (f *Facts) Listed(keyID string) bool {
	return slices.ContainsFunc(f.Keys, func(k protocol.Key) bool { return k.ID == keyID })
}

// Unseen reports whether a store names the key, and IAM does not return it, but the
// key is so young that this proves nothing.
func (f *Facts) Unseen(keyID string) bool {
	return !f.Listed(keyID) && !f.Strange[keyID] && slices.ContainsFunc(f.Entries, func(e Reading) bool {
		return e.Err == nil && e.KeyID == keyID && f.clock.Now().Before(e.Created.Add(2*f.c.Rules.Window))
	})
}

// HadKey reports whether a store had a key of the credential.
func (f *Facts) HadKey() bool {
	return slices.ContainsFunc(f.Keys, func(k protocol.Key) bool { return !k.Fused(f.c.Rules) })
}

// Collision says who else uses the credential's name or location, or nothing.
func (f *Facts) Collision() error {
	switch {
	case f.c.Collides != "":
		return errors.New(f.c.Collides)
	case f.Holder.ID != "":
		return fmt.Errorf("service ID %s has the name %q and belongs to %s: when that is not needed any more, ibmcloud iam service-id-delete %s",
			f.Holder.ID, f.Holder.Name, f.Holder.Marker.Credential, f.Holder.ID)
	}
	return nil
}

// TakenBy says which service ID has the credential's name, and who made it.
func (f *Facts) TakenBy() error {
	return fmt.Errorf("service ID %s has the name %q, made by %s", f.Taken.ID, f.Taken.Name, cmp.Or(f.Taken.Creator, "an identity that IAM does not name"))
}

// Still reports whether the credential's service ID, read again, is ours. Without a
// record of its creation, the keys that were read have shown that.
func (f *Facts) Still(id port.ServiceID, observed port.ServiceID) bool {
	return f.owns(id) || f.claims(id) && id.Creator == "" && id.ID == observed.ID && observed.Ours
}

// ourIdentity reports whether an IAM ID is that of a service ID of ours.
func (f *Facts) ourIdentity(iamID string) bool {
	return slices.ContainsFunc(f.Ours, func(d port.ServiceID) bool { return d.IAMID == iamID })
}

// claims reports whether a service ID's marker has our owner and this credential.
func (f *Facts) claims(id port.ServiceID) bool {
	return id.Marked && id.Marker.Owner == f.owner && slices.Contains(f.c.Names(), id.Marker.Credential)
}

// owns reports whether a service ID is ours and belongs to this credential.
func (f *Facts) owns(id port.ServiceID) bool { return id.Ours && f.claims(id) }
