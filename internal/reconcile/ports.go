package reconcile

import (
	"context"
	"time"

	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// ServiceID is a service ID as IAM knows it.
type ServiceID struct {
	// ID is "ServiceId-…", IAMID is "iam-ServiceId-…": policies and keys go by
	// the latter.
	ID, IAMID string
	Name      string
	// Text is the description without our marker.
	Text    string
	Locked  bool
	Created time.Time
	// Version is IAM's entity tag: an update carries it. A list may know it, a
	// Lookup does.
	Version string
	// Marker is valid when Marked: the service ID is some latchkey's.
	Marker Marker
	Marked bool
}

// Policy grants roles on a service, or on one instance or resource group of
// it.
type Policy struct {
	Service       string   `json:"service"`
	Roles         []string `json:"roles"` // display names, as the config has them
	Instance      string   `json:"instance,omitempty"`
	ResourceGroup string   `json:"resourceGroup,omitempty"`
}

// Identities are IAM's service IDs and their policies.
type Identities interface {
	// Find returns every service ID of exactly this name, ours or not: names
	// are not unique. The time is IAM's clock when it answered.
	Find(ctx context.Context, name string) ([]ServiceID, time.Time, error)
	// Lookup returns one service ID by its IAM ID; ErrNotFound.
	Lookup(ctx context.Context, iamID string) (ServiceID, error)
	// Create makes a service ID. It must not repeat an unclear create: two
	// would have the same name.
	Create(ctx context.Context, name, description string) (ServiceID, error)
	// Remove deletes a service ID with its keys and policies; absent is
	// success.
	Remove(ctx context.Context, id string) error
	// Granted returns the access policies of an identity, as far as they are a
	// plain grant on a service, an instance or a resource group.
	Granted(ctx context.Context, iamID string) ([]Policy, error)
	// Grant makes sure that a policy exists. IAM may answer success and grant
	// less: read back with Granted.
	Grant(ctx context.Context, iamID string, p Policy) error
	// Mark writes our marker on a service ID only if it still is as id says:
	// ErrConflict.
	Mark(ctx context.Context, id ServiceID, m Marker) error
	// Groups returns the access groups that an identity is a member of.
	Groups(ctx context.Context, iamID string) ([]Group, error)
	// Join makes an identity a member of the access group of this ID or name;
	// ErrNotFound.
	Join(ctx context.Context, iamID, group string) error
}

// Group is an access group.
type Group struct{ ID, Name string }

// KeyList is one listing of a service ID's keys.
type KeyList struct {
	// Keys are those with our owner's and this credential's marker.
	Keys    []rotation.Key
	Foreign int
	// Date is IAM's clock when it answered.
	Date time.Time
}

// KeyRecord is one key with what an update needs.
type KeyRecord struct {
	rotation.Key
	IAMID string
	// Ours is false for a key without our owner's marker; Credential is the name
	// in the marker.
	Ours       bool
	Credential string
	// Version is IAM's entity tag: an update carries it.
	Version string
	// Name and Description as IAM has them: an update replaces all three.
	Name, Description string
	Date              time.Time
}

// KeyChange is what an update sets; zero fields stay as they are.
type KeyChange struct {
	Expires                   time.Time
	Superseded, Renew, Leaked time.Time
	Withdrawn                 time.Time
}

// MintRequest describes a key to be created, fuse on.
type MintRequest struct {
	IAMID       string
	Name        string
	Description string
	Expires     time.Time
	// OnLeak is IAM's action_when_leaked: none, disable or delete.
	OnLeak string
}

// Keys are the API keys of service IDs.
type Keys interface {
	// List returns the keys of one identity, all pages. Ours are those marked
	// with one of the credential's names.
	List(ctx context.Context, iamID string, credentials ...string) (KeyList, error)
	// Get reads one key; ErrNotFound.
	Get(ctx context.Context, keyID string) (KeyRecord, error)
	// Mint creates a key with the value v and returns it with its marks. It is
	// safe to repeat with the same v: IAM refuses a second key with a value
	// that it has.
	Mint(ctx context.Context, m MintRequest, v secret.Value) (rotation.Key, error)
	// Update changes a key only if it still is as rec says: ErrConflict.
	Update(ctx context.Context, rec KeyRecord, c KeyChange) error
	// Retire deletes a key; absent is success.
	Retire(ctx context.Context, keyID string) error
	// Disable stops a key from authenticating; absent is success. Access tokens
	// that were issued for it live on, for up to 60 minutes.
	Disable(ctx context.Context, keyID string) error
	// Used returns when the key last authenticated, as far as IAM tells; zero
	// when it never did. IAM calls the question expensive.
	Used(ctx context.Context, keyID string) (time.Time, error)
	// Identify returns the key that has this value; ErrNotFound.
	Identify(ctx context.Context, v secret.Value) (KeyRecord, error)
	// Adopt writes our marker on somebody's key only if it still is as rec
	// says: ErrConflict.
	Adopt(ctx context.Context, rec KeyRecord, m Marker) error
}

// Bearer is who a key turned out to be.
type Bearer struct {
	IAMID, Account string
	Token          secret.Value
}

// Exchange turns a key's value into an access token, as a consumer would.
// ErrNotYet when IAM does not know the key: a new key is not valid at once.
type Exchange interface {
	Exchange(ctx context.Context, v secret.Value) (Bearer, error)
}

// Proof is what a Prover has to show: that the bearer of token, who holds the
// key, can do the job.
type Proof struct {
	Credential, KeyID string
	Token             secret.Value
}

// Prover shows that a key does its job. ErrNotYet when the lag of a policy
// explains the refusal, ErrUnavailable when nothing was learned, ErrRefused
// when it will never work.
type Prover interface {
	Name() string
	Prove(ctx context.Context, p Proof) error
}

// Entry is what a store holds of a credential.
type Entry struct {
	KeyID   string
	Value   secret.Value
	Created time.Time // IAM's created_at of the key
	IAMID   string    // whose key it is
	Owner   string
	// Revision is the server's version of the place, for compare-and-set.
	Revision string
}

// Unmarked reports whether there is a value that latchkey did not write.
func (e Entry) Unmarked() bool { return e.KeyID == "" && !e.Value.Empty() }

// Store is a place that consumers read the key from.
type Store interface {
	// Name tells the store from the others of the same credential.
	Name() string
	// Guarded reports whether Publish compares and sets.
	Guarded() bool
	// Read returns the entry. ErrNotFound when there is none; the revision is
	// then still valid, so that it can be created beside its neighbours.
	Read(ctx context.Context) (Entry, error)
	// Publish writes e if the place still has the revision: ErrConflict. It
	// keeps everything that is not ours. An unclear answer is ErrUnavailable;
	// ErrUnlocked is a success that people should know about.
	Publish(ctx context.Context, e Entry, revision string) error
}

// Releaser is a Store that says, where it keeps a key, that the key is in use.
type Releaser interface {
	// Release ends that for a key which was deleted. Absent is success, and
	// nothing depends on it: the next publication makes up for a failure.
	Release(ctx context.Context, keyID string) error
}

// Consumers are the programs that read a store only when they start.
type Consumers interface {
	// Consumers lists them with the key ID that the last restart left on each.
	Consumers(ctx context.Context) ([]rotation.Consumer, error)
	// Restart restarts one and leaves the key's ID on it.
	Restart(ctx context.Context, name, keyID string) error
}
