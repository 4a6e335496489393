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
	// for. It is zero for an adopted key, which is as fresh as its creation.
	AsOf time.Time
	// Print is the print of its value in the key's name. Empty for an adopted key.
	Print string
	// Expires is zero for a key that never expires.
	Expires  time.Time
	Disabled bool
	// Suspended is when a deprovisioning disabled the key. Zero if none did.
	Suspended time.Time
	// DisabledBy is the identity that disabled the key, as far as IAM tells.
	DisabledBy string
	Locked     bool
	// Elsewhere is set if the key is on a second service ID of ours, with a limit of
	// its own.
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
	// Leaked is when the key's revocation was requested.
	Leaked time.Time
	// Refused is when a run could not publish the key to a store, and Refusal is why.
	Refused time.Time
	Refusal reason.Reason
	// Stores are the stores of the config when the key was minted, if that is known.
	Stores []string
	// Used is the key's last known authentication, read only near the end of an
	// overlap. IAM reports it late, so it only ever extends an overlap.
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

// Fused reports whether the key still has the expiry that it was created with. The
// slack covers IAM's rounding and a clock that moved during the run that minted it.
func (k Key) Fused(r Rules) bool {
	return k.Superseded.IsZero() && !k.Expires.IsZero() && !k.Expires.After(k.Created.Add(r.Fuse+fuseSlack))
}

const fuseSlack = 15 * time.Minute

// Ending reports whether an overlap is near its end, so that the key's last use matters.
func (k Key) Ending(r Rules, now time.Time) bool {
	runs := !k.Superseded.IsZero() && !k.Locked && k.Leaked.IsZero() && k.Live(now)
	return runs && k.Expired(now.Add(max(r.Overlap/4, 2*r.SweepEvery)))
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
	// NameTaken is set if only service IDs of others have the exact name. Posing is
	// set if one of them carries our marker.
	NameTaken, Posing bool
	// Newer is set if a newer version of latchkey manages it, or one of its keys.
	Newer bool
	// Twice is set if a store names a key of a second service ID of ours that has
	// another name.
	Twice bool
	// Collides is set if another credential uses its name, or a location of its stores.
	Collides bool
	// Given is set if the config names the service ID. Only our keys on it are changed.
	Given bool
	// Former is the name in the marker, if the config has renamed the credential since.
	Former string
	// Duplicates are our keyless service IDs with the same name, older than Window, of
	// replicas that created one at the same time.
	Duplicates []string
	// Unsatisfied are the labels of the policies in the config that it does not have.
	Unsatisfied []string
	// Excess are the IDs of the policies of ours to take down.
	Excess []string
}

// Store is the observed state of one store's entry.
type Store struct {
	Name string
	// Key is the key ID that the entry names. Empty if there is no entry.
	Key string
	// Foreign is the key that the entry names, if IAM shows that it is not this
	// credential's. The entry counts as empty, so Key is empty then.
	Foreign string
	// Created is the named key's creation time, as a writer of the store wrote it.
	Created time.Time
	// Guarded stores compare and set. The first guarded store is the arbiter.
	Guarded bool
	// Required stores must answer before a key is minted.
	Required bool
	// Readable is set if the entry returns the value, so that it can be copied.
	Readable bool
	// Altered is set if the value is not that of the key that the entry names.
	Altered bool
	// Adoptable is the key to adopt, if the entry holds its value without a key ID.
	Adoptable string
	// Fault is why the entry is unknown or unusable. Empty if it is fine.
	Fault reason.Reason
}

// others reports whether the entry was read and has a value that is not latchkey's.
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
	// Keys are our keys in IAM's list, and those that a store names and IAM has.
	Keys []Key
	// Foreign counts the keys of the service ID that are not ours.
	Foreign int
	// Stores are in the order of the config.
	Stores    []Store
	Consumers []Consumer
	// Skew is IAM's clock minus the local clock.
	Skew   time.Duration
	Paused bool
	// Storm is set if this hour's limit of demanded rotations is reached, LeakStorm if
	// that of revocations is.
	Storm, LeakStorm bool
	// Stranger is the key whose revocation is requested, if it is not ours.
	Stranger string
	// Adopting is the existing key that the config asks to adopt.
	Adopting string
	// Gone is set if the project is deleted and the config asks to end its keys.
	Gone bool
}

// Rules are the durations and limits of the protocol.
type Rules struct {
	// After, less Jitter, is the age at which a published key is rotated.
	After, Jitter time.Duration
	// Expire is a published key's lifetime, from its creation.
	Expire time.Duration
	// Overlap is how long a superseded key still works.
	Overlap time.Duration
	// SweepEvery is the interval between sweeps.
	SweepEvery time.Duration
	// BlockDisabled is set if a published key that was disabled is not replaced.
	BlockDisabled bool

	// The others are the same for every credential. See Standard.
	Fuse, Window, MinAge, ExpiryMargin, MaxSkew time.Duration
	// MaxKeys is the maximum number of live keys for a new key that an event demands.
	// One that is needed anyway may have Spare more, so that it never waits for keys
	// that demands made. KeyLimit is that of all keys of the service ID.
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

// Jitter returns up to a tenth of after, so that credentials are due at different
// times. It is FNV-1a of the name, written out because a change would move all of them.
func Jitter(credential string, after time.Duration) time.Duration {
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
	// Expiry is the expiry date of a secret that the demand is about. A key that
	// served it meets the demand.
	Expiry time.Time
	// NotKey demands that another key is published. Resolve turns it into a time.
	NotKey string
	// Leaked demands that this key ends as soon as consumers have another one.
	// Contain disables it first.
	Leaked  string
	Contain bool
}

// Resolve turns a demand for another key than NotKey into one for a newer key. If
// there is no such key, NotKey stays and demands nothing.
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
