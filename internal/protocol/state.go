package protocol

import (
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/reason"
)

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

// Consumer is a program that reads a store only when it starts.
type Consumer struct {
	Name string
	// Store is the store that it reads. Empty if unknown.
	Store string
	// Key is the key that the consumer runs with, as far as a restart left its ID.
	Key string
	// Next is the key that the last restart left it, if the consumer does not run with
	// that yet. It decides nothing.
	Next string
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
	// Spread leaves a key that is only old to a later sweep: see Routine.
	Spread bool
	// Stranger is the key whose revocation is requested, if it is not ours.
	Stranger string
	// Adopting is the existing key that the config asks to adopt.
	Adopting string
	// Gone is set if the project is deleted and the config asks to end its keys.
	Gone bool
}

// Replaced reports whether a later key shows that a store had k, which had its fuse then.
func (s State) Replaced(k Key) bool {
	return slices.ContainsFunc(s.Keys, func(o Key) bool { return o.Replaces == k.ID })
}

// PutBack returns a note for each store that names a key which a newer one had replaced. A
// store may have been read shortly before that, so the first window after it does not count.
func (s State) PutBack(r Rules, now time.Time) (notes []Note) {
	for _, st := range s.Stores {
		if k := s.Key(st.Key); !k.Superseded.IsZero() && !now.Before(k.Superseded.Add(r.Window)) {
			notes = append(notes, Note{Reason: reason.PutBack, Key: k.ID, Store: st.Name, At: k.Superseded})
		}
	}
	return notes
}

// Key returns the key with this ID, or the zero Key.
func (s State) Key(id string) Key {
	if i := slices.IndexFunc(s.Keys, func(k Key) bool { return k.ID == id }); i >= 0 {
		return s.Keys[i]
	}
	return Key{}
}

// Unfused returns the state once IAM has answered when some keys end whose fuses were on.
func (s State) Unfused(r Rules, ends map[string]time.Time) State {
	s.Keys = slices.Clone(s.Keys)
	for i, k := range s.Keys {
		if at, answered := ends[k.ID]; answered && k.Fused(r) {
			s.Keys[i].Expires = at
		}
	}
	return s
}
