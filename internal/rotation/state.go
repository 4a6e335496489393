package rotation

import (
	"cmp"
	"time"

	"github.com/latchkey-io/latchkey/internal/reason"
)

// Key is the metadata of one of our keys in IAM. It never has the value.
type Key struct {
	ID string
	// Created is IAM's created_at, in whole minutes.
	Created time.Time
	// AsOf is how fresh the key is: it meets all demands up to this time. It is when
	// we requested the key, by IAM's clock, or the latest demand that it was minted
	// for, since a sender's clock may be ahead. It is zero for an adopted key, which
	// is as fresh as its creation.
	AsOf time.Time
	// Print is the part of the key's name that is made from its value. It is empty
	// for an adopted key.
	Print string
	// Expires is zero for a key that never expires.
	Expires  time.Time
	Disabled bool
	// Suspended is when a deprovisioning disabled the key. Zero if none did.
	Suspended time.Time
	// DisabledBy is the identity that disabled the key, as far as IAM tells.
	DisabledBy string
	Locked     bool
	// Elsewhere is set if the key is on a second service ID of ours. It does not count
	// toward IAM's limit of the first.
	Elsewhere bool

	// Superseded is when this key's overlap started.
	Superseded time.Time
	// Renew is a recorded demand for a key newer than this time.
	Renew time.Time
	// RenewCause is what the recorded demand was requested by. It decides nothing.
	RenewCause string
	// Served is the latest expiry date of a secret that this key, or one before
	// it, was minted for.
	Served time.Time
	// Leaked is when the key's revocation was requested. The key is ended as soon
	// as no store names it, whatever its age.
	Leaked time.Time
	// Refused is when a run could not publish the key to a store, and Refusal is why.
	Refused time.Time
	Refusal reason.Reason
	// Stores are the stores of the config when the key was minted. Empty if
	// unknown.
	Stores []string
	// Used is the key's last known authentication. It is only read near the end
	// of an overlap, and zero if unknown. IAM reports it late, so it only ever
	// extends an overlap.
	Used time.Time
}

// Meets reports whether the key satisfies a demand for one newer than t.
func (k Key) Meets(t time.Time) bool { return !k.asOf().Before(t) }

func (k Key) asOf() time.Time {
	if k.AsOf.IsZero() {
		return k.Created
	}
	return k.AsOf
}

// Live reports whether the key can authenticate at now.
func (k Key) Live(now time.Time) bool { return !k.Disabled && !k.Expired(now) }

// Expired reports whether the key has expired at now.
func (k Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && !k.Expires.After(now) }

// Fused reports whether the key still has the expiry that it was created with.
// The slack covers IAM's rounding to minutes and a clock that moved during the
// run that minted the key.
func (k Key) Fused(r Rules) bool {
	return k.Superseded.IsZero() && !k.Expires.IsZero() && !k.Expires.After(k.Created.Add(r.Fuse+fuseSlack))
}

const fuseSlack = 15 * time.Minute

// Ending reports whether a superseded key's overlap is near its end, so that its
// last use matters.
func (k Key) Ending(r Rules, now time.Time) bool {
	if k.Superseded.IsZero() || k.Locked || !k.Leaked.IsZero() || !k.Live(now) || k.Expires.IsZero() {
		return false
	}
	return !now.Before(k.Expires.Add(-max(r.Overlap/4, 2*r.SweepEvery)))
}

// Compare orders keys by freshness, then by ID. The highest is the newest.
func (k Key) Compare(other Key) int {
	return cmp.Or(k.asOf().Compare(other.asOf()), cmp.Compare(k.ID, other.ID))
}

// Identity is the observed state of the credential's service ID.
type Identity struct {
	// Exists is false if IAM has no service ID of ours.
	Exists bool
	// Created is when the service ID was created. Zero if unknown.
	Created time.Time
	// Locked service IDs accept no policies and cannot be deleted.
	Locked bool
	// NameTaken is set if a service ID with the exact name exists that is not ours,
	// and none of ours. Posing is set if it carries our marker.
	NameTaken, Posing bool
	// Newer is set if a newer version of latchkey manages the service ID or one of its
	// keys.
	Newer bool
	// Twice is set if a store names a key of a second service ID of ours that has
	// another name.
	Twice bool
	// Collides is set if another credential uses this name or one of these
	// locations in a store.
	Collides bool
	// Given is set if the config names an existing service ID. Only our keys on
	// it are changed.
	Given bool
	// Former is the credential's name in the marker, if the config has renamed
	// the credential since.
	Former string
	// Duplicates are our keyless service IDs with the same name, older than
	// Window. Two replicas that create a service ID at the same time leave them.
	Duplicates []string
	// Unsatisfied are the labels of the policies in the config that the service
	// ID does not have.
	Unsatisfied []string
	// Excess are the IDs of policies that we granted, and that the config asks to take
	// down because it does not say them.
	Excess []string
}

// Store is the observed state of one store's entry.
type Store struct {
	Name string
	// Key is the key ID that the entry names. Empty if there is no entry.
	Key string
	// Foreign is the key that the entry names, if IAM shows that it is not this
	// credential's. The entry then counts as empty, so Key is empty too.
	Foreign string
	// Created is the named key's creation time, from the entry. A writer of the store
	// may have chosen it.
	Created time.Time
	// Guarded stores compare and set. The first guarded store is the arbiter.
	Guarded bool
	// Required stores must answer before a key is minted.
	Required bool
	// Readable is set if the entry returns the value, so that it can be copied.
	Readable bool
	// Altered is set if the value is not that of the key that the entry names. The
	// store still names the key, and nothing is copied from it.
	Altered bool
	// Adoptable is the key to adopt, if the entry holds its value and names no
	// key ID.
	Adoptable string
	// Fault is why the entry is unknown or unusable. Empty if it is fine.
	Fault reason.Reason
}

// others reports whether the entry was read and has a value that is not latchkey's.
// Only a required store is then in the way.
func (st Store) others() bool {
	return st.Fault == reason.EntryUnmarked || st.Fault == reason.EntryForeign
}

// Consumer is a program that reads a store only when it starts.
type Consumer struct {
	Name string
	// Store is the store that it reads. Empty if unknown.
	Store string
	// Key is the key that the consumer runs with, as far as a restart left its ID.
	Key string
	// Unknown is set if the consumer could not be read.
	Unknown bool
}

// State is the input of a decision, observed in one run.
type State struct {
	Identity Identity
	// Keys are our keys in IAM's list, and those that a store names and a lookup
	// by ID found.
	Keys []Key
	// Foreign counts the keys of the service ID that are not ours.
	Foreign int
	// Stores are in the order of the config.
	Stores    []Store
	Consumers []Consumer
	// Skew is IAM's clock minus the local clock.
	Skew   time.Duration
	Paused bool
	// Storm is set if a limit of demanded rotations for this hour is reached, LeakStorm
	// if that of revocations is.
	Storm, LeakStorm bool
	// Stranger is the key whose revocation is requested, if it exists and is not
	// ours.
	Stranger string
	// Adopting is the existing key that the config asks to adopt.
	Adopting string
	// Gone is set if the credential's project is deleted and the config asks to
	// end its keys.
	Gone bool
}

// Rules are the durations and limits of the protocol.
type Rules struct {
	// After is the age at which a published key is rotated. Jitter, at most a
	// tenth of After, is subtracted so that credentials are due at different
	// times.
	After, Jitter time.Duration
	// Expire is a published key's lifetime, from its creation.
	Expire time.Duration
	// Overlap is how long a superseded key still works.
	Overlap time.Duration
	// SweepEvery is the interval between sweeps.
	SweepEvery time.Duration
	// BlockDisabled is set if a published key that another identity disables blocks
	// the credential. Otherwise the key is replaced.
	BlockDisabled bool

	// The others are the same for every credential. See Standard.
	Fuse, Window, MinAge, ExpiryMargin, MaxSkew time.Duration
	// MaxKeys is the maximum number of live keys for a new key that an event
	// demands. One that is needed without an event may have Spare more: consumers
	// have none, or will have none, so it must not wait for keys that demands made.
	MaxKeys, Spare, KeyLimit int
}

// Standard returns the rules that the config cannot change.
func Standard() Rules {
	return Rules{
		Fuse:         24 * time.Hour,
		Window:       15 * time.Minute,
		MinAge:       10 * time.Minute,
		ExpiryMargin: 5 * time.Minute,
		MaxSkew:      5 * time.Minute,
		MaxKeys:      4,
		Spare:        2,
		KeyLimit:     15,
	}
}

// Jitter returns up to a tenth of after, derived from the credential's name. It
// spreads the due times of many credentials.
func Jitter(credential string, after time.Duration) time.Duration {
	// FNV-1a is written out because a change of it would move the due times of
	// every installation.
	h := uint64(14695981039346656037)
	for i := range len(credential) {
		h = (h ^ uint64(credential[i])) * 1099511628211
	}
	return time.Duration(float64(after/10) * float64(h%1000) / 1000)
}

// Trigger is what an event demands. The zero Trigger demands nothing.
type Trigger struct {
	// NewerThan demands that a key born at or after this time is published.
	NewerThan time.Time
	// Expiry is the expiry date of a secret that the demand is about. A key is
	// minted once per date: NewerThan does not count for a key that served it.
	Expiry time.Time
	// NotKey demands that a key other than this one is published. Resolve turns it
	// into a time.
	NotKey string
	// Leaked demands the revocation of this key as soon as consumers have another
	// one. Contain revokes it first.
	Leaked  string
	Contain bool
}

// Resolve turns a demand for another key than NotKey into one for a newer key. If
// there is no such key, NotKey stays, and demands nothing.
func (t Trigger) Resolve(keys []Key) Trigger {
	for _, k := range keys {
		if k.ID != t.NotKey {
			continue
		}
		if newer := k.asOf().Add(time.Millisecond); t.NewerThan.Before(newer) {
			t.NewerThan = newer
		}
		t.NotKey, t.Expiry = "", time.Time{}
	}
	return t
}

// Unmet reports whether a published key does not meet the demand.
func (t Trigger) Unmet(k Key) bool {
	served := !t.Expiry.IsZero() && !k.Served.Before(t.Expiry)
	return !served && !k.Meets(t.NewerThan)
}
