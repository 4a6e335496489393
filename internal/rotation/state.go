package rotation

import (
	"cmp"
	"time"
)

// Key is what IAM says of one of our keys: never its value.
type Key struct {
	ID string
	// Created is IAM's created_at, which has whole minutes only.
	Created time.Time
	// Minted is the second at which we asked for the key, by IAM's clock: the
	// stamp in its name. Zero for a key that was adopted.
	Minted time.Time
	// Expires is zero for a key that never expires.
	Expires  time.Time
	Disabled bool
	Locked   bool

	// Superseded is when somebody started this key's overlap.
	Superseded time.Time
	// Renew remembers a demand for a key newer than this moment that could not
	// be met at once.
	Renew time.Time
	// Answers is the latest demand that the key was minted to meet. The clock
	// of whoever demands may be ahead of IAM's, so birth alone cannot tell.
	Answers time.Time
	// Leaked is when somebody asked for the key's revocation. It is ended as
	// soon as no store names it, however young or wanted it is.
	Leaked time.Time
	// Stores are where the key was to be published when it was minted; empty
	// when that is not known.
	Stores []string
	// Used is the key's last known authentication, asked for near the end of an
	// overlap only; zero when it is not known. IAM tells it late, so it never
	// ends a key: it only lengthens an overlap.
	Used time.Time
}

// Meets reports whether the key satisfies a demand for one newer than t.
func (k Key) Meets(t time.Time) bool { return !k.Born().Before(t) || !k.Answers.Before(t) }

// After is a moment not before t that a demand can name and the key does not
// meet: the clocks of who minted it and of who demanded it may be ahead.
func (k Key) After(t time.Time) time.Time {
	for _, met := range []time.Time{k.Born(), k.Answers} {
		if !t.After(met) {
			t = met.Add(time.Millisecond)
		}
	}
	return t
}

// Born is the best knowledge of when the key came to be.
func (k Key) Born() time.Time {
	if k.Minted.IsZero() {
		return k.Created
	}
	return k.Minted
}

// Live reports whether IAM lets the key authenticate at now.
func (k Key) Live(now time.Time) bool { return !k.Disabled && !k.Expired(now) }

// Expired reports whether IAM has ended the key by its expiry.
func (k Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && !k.Expires.After(now) }

// Fused reports whether the key still carries the expiry it was born with.
// The slack covers IAM's rounding to minutes, and the clock of whoever minted
// it: one that moved in mid-run must not make a fuse look like a full life.
func (k Key) Fused(r Rules) bool {
	return k.Superseded.IsZero() && !k.Expires.IsZero() && !k.Expires.After(k.Created.Add(r.Fuse+fuseSlack))
}

const fuseSlack = 15 * time.Minute

// Ending reports whether a superseded key's overlap is near its end: then it is
// worth asking when the key was last used.
func (k Key) Ending(r Rules, now time.Time) bool {
	if k.Superseded.IsZero() || k.Locked || !k.Leaked.IsZero() || !k.Live(now) || k.Expires.IsZero() {
		return false
	}
	return !now.Before(k.Expires.Add(-max(r.Overlap/4, 2*r.SweepEvery)))
}

// Compare orders keys by birth, then by ID: the lowest wins an election, the
// highest is the newest.
func (k Key) Compare(other Key) int {
	return cmp.Or(k.Born().Compare(other.Born()), cmp.Compare(k.ID, other.ID))
}

// Identity is what is known of the credential's service ID.
type Identity struct {
	// Exists is false when IAM has no service ID with our marker.
	Exists bool
	// Locked service IDs accept no policies and no deletion.
	Locked bool
	// NameTaken: the exact name exists, without our marker or with another
	// credential's.
	NameTaken bool
	// Collides: another credential wants this name, or a place in a store that
	// this one writes.
	Collides bool
	// Given service IDs are named by the config and belong to somebody else:
	// nothing but our keys is ever changed on them.
	Given bool
	// Former is the name under which the service ID is marked, when the config
	// has renamed its credential since.
	Former string
	// Duplicates are keyless service IDs of ours with the same name, older than
	// Window: two instances created them at once.
	Duplicates []string
	// Unsatisfied names each wanted policy that no policy of the service ID
	// fulfils.
	Unsatisfied []string
}

// Store is one store's view of the credential.
type Store struct {
	Name string
	// Key is the ID that the store names; empty when it has no entry.
	Key string
	// Created is the named key's time of birth, as the entry records it.
	Created time.Time
	// Guarded stores compare and set: the first of them is the arbiter.
	Guarded bool
	// Required stores must answer before a key is minted.
	Required bool
	// Readable entries hold a value that can be copied to another store.
	Readable bool
	// Adoptable is the existing key whose value an entry without a key ID holds,
	// when the config says that it is to be taken over.
	Adoptable string
	// Fault says why nothing is known; empty when the store answered.
	Fault Reason
}

// Consumer is something that reads a store only when it starts.
type Consumer struct {
	Name string
	// Store is the one that it reads; empty when that is not known.
	Store string
	// Key is the ID that the last restart wrote on the consumer.
	Key string
	// Unknown is set when the consumer could not be read.
	Unknown bool
}

// State is everything that a decision rests on, read in one run.
type State struct {
	Identity Identity
	// Keys are ours, as IAM lists them, plus those that a store names and that
	// were found by ID.
	Keys []Key
	// Foreign counts the service ID's keys that are not ours.
	Foreign int
	// Stores are in the order of the config.
	Stores    []Store
	Consumers []Consumer
	// Skew is the local clock's distance from IAM's.
	Skew   time.Duration
	Paused bool
	// Storm: as many forced rotations as an hour may see have happened.
	Storm bool
	// Stranger is the key whose revocation is asked for, if it exists and is not
	// one of ours.
	Stranger string
	// Adopting is the existing key that the config says is to be taken over.
	Adopting string
	// Gone: what the credential was for is gone for good, and the config says
	// that its keys end with it.
	Gone bool
}

// Rules are the durations and limits that decide.
type Rules struct {
	// After is the age at which a published key is replaced; Jitter, at most a
	// tenth of it, is subtracted so that not all credentials are due at once.
	After, Jitter time.Duration
	// Expire is a published key's life, counted from its creation.
	Expire time.Duration
	// Overlap is how long a superseded key still works.
	Overlap time.Duration
	// SweepEvery is how often somebody looks.
	SweepEvery time.Duration

	// The rest are the same for every credential: see Standard.
	Fuse, Window, MinAge, ExpiryMargin, MaxSkew time.Duration
	MaxKeys, KeyLimit                           int
}

// Standard has the limits that no config changes.
func Standard() Rules {
	return Rules{
		Fuse:         24 * time.Hour,
		Window:       15 * time.Minute,
		MinAge:       10 * time.Minute,
		ExpiryMargin: 5 * time.Minute,
		MaxSkew:      5 * time.Minute,
		MaxKeys:      4,
		KeyLimit:     15,
	}
}

// Jitter spreads the due times of many credentials: a deterministic part, up
// to a tenth, of after, drawn from the credential's name.
func Jitter(credential string, after time.Duration) time.Duration {
	// FNV-1a, written out since it is five lines and fixes the due times of
	// every installation for ever.
	h := uint64(14695981039346656037)
	for i := range len(credential) {
		h = (h ^ uint64(credential[i])) * 1099511628211
	}
	return time.Duration(float64(after/10) * float64(h%1000) / 1000)
}

// Trigger is what an event demands. The zero Trigger only looks.
type Trigger struct {
	// NewerThan demands that a key born at or after this moment is published.
	NewerThan time.Time
	// NotKey demands that a key other than this one is published.
	NotKey string
	// Leaked demands that this key ends as soon as consumers have another;
	// Contain ends it first.
	Leaked  string
	Contain bool
}

// Owes reports whether the key leaves the demand open, and nothing on it
// remembers that.
func (k Key) Owes(t Trigger) bool {
	if !t.unmet(k) {
		return false
	}
	return k.Meets(k.Renew) || k.Renew.Before(t.NewerThan)
}

// unmet reports whether a published key leaves the demand open.
func (t Trigger) unmet(k Key) bool {
	return !k.Meets(t.NewerThan) || (t.NotKey != "" && k.ID == t.NotKey)
}
