// Package port declares what the protocol needs from outside: a credential, the
// interfaces behind which IAM, stores, consumers and proofs are, the types that these
// exchange, and their errors.
//
// Each outside system has an adapter package. Adapters sort errors by the sentinels in
// errors.go, which say what the caller may do next.
package port

import (
	"context"
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// ServiceID is a service ID in IAM.
type ServiceID struct {
	// ID is "ServiceId-…". IAMID is "iam-ServiceId-…"; policies and keys use it.
	ID, IAMID string
	Name      string
	// Text is the description without our marker.
	Text    string
	Locked  bool
	Created time.Time
	// Creator is the IAM ID of the identity that made the service ID. It is empty
	// if IAM has no record of that.
	Creator string
	// Ours is set if IAM shows that we made the service ID, or that we claimed it.
	Ours bool
	// Newer is set if we made it and its marker has a version that we do not know.
	Newer bool
	// Version is IAM's entity tag, which an update needs. Lookup always sets it.
	Version string
	// Marker is valid if Marked is set. Any identity that may create a service ID
	// can write it, so it only says which credential one of ours belongs to.
	Marker marker.Marker
	Marked bool
}

// Forgery is a service ID or key that carries our marker, although IAM does not
// show that we made it. It is foreign.
type Forgery struct {
	// ID is "ServiceId-…" or "ApiKey-…". Creator is the IAM ID of the identity
	// that made it, or empty if IAM does not say.
	ID, Creator string
}

// IdentityReader reads service IDs, their policies and their access groups.
type IdentityReader interface {
	// Find returns every service ID with exactly this name, ours or not. Names
	// are not unique. The time is IAM's clock.
	Find(ctx context.Context, name string) ([]ServiceID, time.Time, error)
	// Lookup returns one service ID by its IAM ID, or ErrNotFound.
	Lookup(ctx context.Context, iamID string) (ServiceID, error)
	// Granted returns the access policies of an identity, complete with attributes,
	// tags and rules.
	Granted(ctx context.Context, iamID string) ([]access.Policy, error)
	// Groups returns the access groups of which an identity is a member.
	Groups(ctx context.Context, iamID string) ([]Group, error)
}

// Identities manages service IDs, their policies and their access groups.
type Identities interface {
	IdentityReader
	// Create creates a service ID. It must not repeat a create whose result is
	// unknown, since two service IDs could have the same name.
	Create(ctx context.Context, name, description string) (ServiceID, error)
	// Remove deletes a service ID with its keys and policies. It succeeds if the
	// service ID does not exist.
	Remove(ctx context.Context, id string) error
	// Mark writes our marker on a service ID. It returns ErrConflict if the
	// service ID's version is not that of id.
	Mark(ctx context.Context, id ServiceID, m marker.Marker) error
	// Grant creates a policy unless it exists. IAM may report success and grant
	// less, so the caller reads the policy back with Granted.
	Grant(ctx context.Context, iamID string, p access.Policy) error
	// Narrow takes down a policy of ours, or all of its roles but some. It returns
	// ErrConflict if the policy is not what p says, and succeeds if it does not exist.
	Narrow(ctx context.Context, iamID string, p access.Policy, keep []string) error
	// Join adds an identity to the access group with this ID or name, or returns
	// ErrNotFound.
	Join(ctx context.Context, iamID, group string) error
}

// Profile is a trusted profile in IAM.
type Profile struct {
	// ID is "Profile-…". IAMID is "iam-Profile-…"; policies use it.
	ID, IAMID, Name string
	// Ours is set if IAM shows that we made the profile, and it has our owner's marker.
	// Marker is valid then.
	Ours   bool
	Marker marker.Marker
	Links  []keyless.Link
	// Assumed is when the profile was last assumed, or zero.
	Assumed time.Time
}

// Profiles manages trusted profiles. Their policies are those of Identities.
type Profiles interface {
	// FindProfile returns the profile with this name, which is unique, or ErrNotFound.
	FindProfile(ctx context.Context, name string) (Profile, error)
	// CreateProfile creates a profile. It returns ErrConflict if the name is taken.
	CreateProfile(ctx context.Context, name, description string) (Profile, error)
	// LinkProfile lets a compute resource assume a profile. It succeeds if it may
	// already.
	LinkProfile(ctx context.Context, id string, l keyless.Link) error
	// RemoveProfile deletes a profile with its links and policies. It succeeds if the
	// profile does not exist.
	RemoveProfile(ctx context.Context, id string) error
}

// Group is an access group.
type Group struct{ ID, Name string }

// KeyList is one listing of a service ID's keys.
type KeyList struct {
	// Keys are those that IAM shows to be ours and that carry the marker of this
	// credential.
	Keys []protocol.Key
	// Foreign counts the other keys. Forged are those of them that carry our
	// marker.
	Foreign int
	Forged  []Forgery
	// Newer is set if we made one of the other keys, and its marker has a version that
	// we do not know.
	Newer bool
	// Date is IAM's clock.
	Date time.Time
}

// KeyRecord is one key with the fields that an update needs.
type KeyRecord struct {
	protocol.Key
	IAMID string
	// Creator is the IAM ID of the identity that made the key.
	Creator string
	// Ours is set if IAM shows that we made or adopted the key, and it has our
	// owner's marker. Forged is set if it only has the marker. Credential is the
	// name in the marker.
	Ours, Forged bool
	Credential   string
	// Newer is set if we made the key and its marker has a version that we do not know.
	Newer bool
	// Version is IAM's entity tag, which an update needs. It is empty if the answer
	// did not have it.
	Version string
	// Name and Description are those in IAM. An update replaces both, and the
	// expiry.
	Name, Description string
	// Changes are IAM's record of what was done to the key, as far as it reaches.
	Changes []Change
	Date    time.Time
}

// Change is one entry of IAM's record of a key.
type Change struct {
	At time.Time
	// Action is IAM's word, such as CREATED or DISABLED. By is an IAM ID.
	Action, By string
}

// AccountKey is an API key of the account, whoever made it.
type AccountKey struct {
	ID, Name string
	// Of is the IAM ID of the user or service ID that the key authenticates. Creator
	// is the IAM ID of the identity that made it.
	Of, Creator      string
	Created, Expires time.Time
	Disabled, Locked bool
	// Login is set if the key authenticates latchkey itself.
	Login bool
	// Credential is the name in our marker, if the key is ours.
	Credential string
}

// KeyChange is the change of an update. Zero fields stay as they are.
type KeyChange struct {
	Expires                   time.Time
	Superseded, Renew, Leaked time.Time
	Withdrawn, Served         time.Time
	Suspended                 time.Time
	Refused                   time.Time
	Refusal                   reason.Reason
	RenewCause                string // written with Renew
}

// Kept returns an error if a key, as IAM answered the change, keeps its fuse or outlives
// its overlap.
func (c KeyChange) Kept(k protocol.Key, r protocol.Rules) error {
	early := k.Expires.Before(c.Expires) && k.Fused(r)
	late := !c.Superseded.IsZero() && k.Expires.After(c.Expires)
	switch asked := c.Expires.Format(time.RFC3339); {
	case !c.Superseded.IsZero() && k.Expires.IsZero():
		return fmt.Errorf("changing key %s: %w: IAM answered that it never expires, not that it expires at %s", k.ID, ErrRefused, asked)
	case early, late:
		return fmt.Errorf("changing key %s: %w: IAM answered that it expires at %s, not at %s", k.ID, ErrRefused, k.Expires.Format(time.RFC3339), asked)
	}
	return nil
}

// MintRequest describes a key to create. Expires is its fuse.
type MintRequest struct {
	IAMID       string
	Name        string
	Description string
	Expires     time.Time
	// OnLeak is IAM's action_when_leaked: none, disable or delete.
	OnLeak string
	// Reason is why the key is due.
	Reason reason.Reason
}

// KeyReader reads the API keys of service IDs.
type KeyReader interface {
	// List returns all keys of one identity. Those of the credential are marked
	// with one of its names.
	List(ctx context.Context, iamID string, credentials ...string) (KeyList, error)
	// Get returns one key, or ErrNotFound.
	Get(ctx context.Context, keyID string) (KeyRecord, error)
	// Used returns when the key last authenticated, or zero if it never did. The
	// call is expensive for IAM.
	Used(ctx context.Context, keyID string) (time.Time, error)
	// Identify returns the key with this value, or ErrNotFound.
	Identify(ctx context.Context, v secret.Value) (KeyRecord, error)
}

// Keys manages the API keys of service IDs.
type Keys interface {
	KeyReader
	// Mint creates a key with the value v and returns it with its marks. It can
	// be repeated with the same v, because IAM rejects a second key with the same
	// value.
	Mint(ctx context.Context, m MintRequest, v secret.Value) (KeyRecord, error)
	// Update changes a key and returns it as it is then. It returns ErrConflict if
	// the key's version is not that of rec.
	Update(ctx context.Context, rec KeyRecord, c KeyChange) (KeyRecord, error)
	// Retire deletes a key. It succeeds if the key does not exist.
	Retire(ctx context.Context, keyID string) error
	// Disable stops a key from authenticating. It succeeds if the key does not
	// exist. Access tokens that were issued for it stay valid for up to 60
	// minutes.
	Disable(ctx context.Context, keyID string) error
	// Enable lets a disabled key authenticate again. It returns ErrNotFound if the key
	// does not exist.
	Enable(ctx context.Context, keyID string) error
	// Adopt writes our marker on a foreign key. It returns ErrConflict if the
	// key's version is not that of rec.
	Adopt(ctx context.Context, rec KeyRecord, m marker.Marker) error
}

// Bearer is the identity that a key authenticates, with its access token.
type Bearer struct {
	IAMID, Account string
	Token          secret.Value
}

// Exchange exchanges a key's value for an access token, as a consumer does. It
// returns ErrNotYet if IAM does not know the key, since a new key is not valid at
// once.
type Exchange interface {
	Exchange(ctx context.Context, v secret.Value) (Bearer, error)
}

// Proof is the input of a Prover: a new key and an access token for it.
type Proof struct {
	Credential, KeyID string
	Token             secret.Value
}

// Prover proves that a new key works. Prove returns ErrNotYet if IAM's lag may
// explain the failure, ErrUnavailable if there was no clear answer, and
// ErrRefused if the key will never work.
type Prover interface {
	Name() string
	Prove(ctx context.Context, p Proof) error
}

// Patient is a Prover that may need longer than a minute.
type Patient interface {
	// Patience is how long IAM's lag may explain a failure.
	Patience() time.Duration
}

// Entry is a credential's entry in a store.
type Entry struct {
	KeyID   string
	Value   secret.Value
	Created time.Time // IAM's created_at of the key
	IAMID   string    // the identity that the key belongs to
	Owner   string
	// Cleared is set if the store has destroyed the value, so that no consumer can read it.
	Cleared bool
	// Revision is the store's version of the location, for compare-and-set.
	Revision string
}

// Unmarked reports whether the entry has a value that latchkey did not write.
func (e Entry) Unmarked() bool { return e.KeyID == "" && !e.Value.Empty() }

// Store is a location that consumers read the key from.
type Store interface {
	// Name is unique among the stores of a credential.
	Name() string
	// Guarded reports whether Publish compares the revision.
	Guarded() bool
	// Read returns the entry, or ErrNotFound if there is none. The revision is
	// valid in both cases, so that the entry can be added to an existing secret.
	Read(ctx context.Context) (Entry, error)
	// Publish writes e. A guarded store returns ErrConflict if the revision has
	// changed. Publish keeps all other content of the secret. It returns
	// ErrUnavailable if the result is unknown, and ErrUnlocked if e was written
	// but not locked.
	Publish(ctx context.Context, e Entry, revision string) error
}

// Releaser is a Store that locks the entry of a key that is in use.
type Releaser interface {
	// Release removes the lock for a key that was deleted. It succeeds if there is
	// none. The next publication makes up for a failure.
	Release(ctx context.Context, keyID string) error
}

// Remover is a Store that can remove an entry.
type Remover interface {
	// Remove removes the entry and what Publish wrote beside it, and keeps all other
	// content. It removes the secret too if nothing else is in it. A guarded store
	// returns ErrConflict if the revision has changed. Remove succeeds if there is no
	// entry.
	Remove(ctx context.Context, revision string) error
}

// Site is a Store that shows which programs read it, and where they run.
type Site interface {
	// Readers lists the programs, whether or not they are restarted.
	Readers(ctx context.Context) (keyless.Readers, error)
}

// Consumers manages the programs that read a store only when they start.
type Consumers interface {
	// Consumers lists them with the key that each runs with.
	Consumers(ctx context.Context) ([]protocol.Consumer, error)
	// Restart restarts one consumer, unless it was restarted for this key, and
	// waits for a limited time until it runs with the key. It returns ErrNotActive
	// if it does not yet, and ErrRefused if it does not start.
	Restart(ctx context.Context, name, keyID string) error
}
