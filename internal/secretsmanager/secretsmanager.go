// Package secretsmanager publishes keys to IBM Cloud Secrets Manager and
// completes its tasks. A key is the payload of a secret of the type arbitrary,
// or one entry in a secret of the type kv, whose other entries latchkey keeps.
//
// Each publication creates a version. The version's custom metadata describe its
// key, under the name "latchkey" in an arbitrary secret and
// "latchkey_<entry>" in a kv secret, as one text:
//
//	{"key_id":"ApiKey-…","owner":"prod","created":"2026-11-24T10:00:00Z","iam_id":"iam-ServiceId-…"}
//
// An entry of a kv secret also has two companions in the data. They survive a
// version of another writer, which lacks latchkey's metadata:
//
//	IAM_API_KEY_ID        the key's ID
//	IAM_API_KEY_LATCHKEY  the rest of the same text
//
// # Lists
//
// A list of secrets has no versions. So the write of a version also sets the custom
// metadata of the secret to the same text, with the number of versions that the secret
// then has:
//
//	{"key_id":"ApiKey-…","version":7,"owner":"prod",…}
//
// The text is valid while the secret has that number of versions. The looks of one sweep
// share the list of an instance. A look that the list does not answer reads the secret.
//
// # No compare-and-set
//
// Secrets Manager has no entity tags, so a version replaces another without a
// comparison. The store re-reads before each write, and returns a conflict if
// the version changed or names a newer key. It re-reads after the write, too.
// Another write may still happen in between. Only the first publication is
// guarded, by the secret's name. The store is therefore not Guarded.
//
// # Locks
//
// A lock marks a version as in use. While the previous version is locked,
// Secrets Manager rejects a new one, and so the publication is refused.
//
// With StoreConfig.Lock each published version has a lock named LockName, which
// names the key and its credential. The lock has two effects. Other users cannot
// rotate or delete the secret while consumers may use its previous key, until
// latchkey deletes that key and calls Release. And publications that start from
// the same version exclude each other:
//
//  1. lock the version that was read, unless it has our lock;
//  2. remove our lock, and no other, from the version before it;
//  3. create the new version, which fails while the previous one is locked;
//  4. lock the new version.
//
// If two publications read the same version, the slower one finds it as the
// previous version, locked in step 1. It gets a conflict and changes nothing.
// This does not replace a comparison. A publication that pauses after step 2
// still succeeds if another version was created meanwhile and the one before it
// was unlocked again: by step 2 of the publication after that, or because its
// key was deleted.
//
// Any two steps may be separated by a crash. Step 1 of the next publication
// repeats a failed step 4, so that failure is port.ErrUnlocked, and the
// publication stands. Locks are placed on a version's ID, never on an alias, so a
// delayed process changes no version that it has not read.
//
// # Expiry
//
// An arbitrary secret has its key's expiry as its expiration date. Secrets
// Manager then sends secret_about_to_expire, which makes latchkey check the
// credential. On that date Secrets Manager destroys the data, unless they are
// locked, and accepts no more versions until a person deletes the secret. A kv
// secret has no such date.
//
// # Permissions
//
// The role Writer on the instance or secret group is enough. A custom role that
// cannot read values can publish to an arbitrary secret, since the metadata name
// its key. In a kv secret it can only create the secret, since the other entries
// must be read to be kept. Locks need the role Manager: a Writer can place them
// but not remove them, so latchkey then places none. The facts are from
// https://cloud.ibm.com/docs/secrets-manager?topic=secrets-manager-iam,
// https://cloud.ibm.com/docs/secrets-manager?topic=secrets-manager-secret-locks
// and the models of IBM's SDK.
package secretsmanager

import (
	"context"
	"net/http"
	"sync"

	"github.com/latchkey-io/latchkey/internal/hosts"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Config describes how to reach Secrets Manager and how to log in.
type Config struct {
	// Endpoint, if set, replaces IBM's address of every instance. Requests still
	// name the instance's host. The emulator uses it.
	Endpoint string
	// Private selects the addresses inside IBM's network.
	Private bool
	// HTTP sends every request and logs in. If nil, it is a client with the
	// default transport.
	HTTP *http.Client
	// Account returns our account. If nil, answers about any account's objects count.
	Account func(context.Context) (string, error)
}

// Client accesses all instances. It is safe for concurrent use.
type Client struct {
	cfg Config

	mu        sync.Mutex // guards what follows
	instances map[string]upstream.Service
	groups    map[groupName]string // IDs of secret groups
}

// groupName is the name of a secret group in an instance.
type groupName struct{ instance, name string }

// New returns a client. It sends no request.
func New(cfg Config) *Client {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	return &Client{cfg: cfg, instances: map[string]upstream.Service{}, groups: map[groupName]string{}}
}

// instance returns the service of one instance.
func (c *Client) instance(id, region string) upstream.Service {
	c.mu.Lock()
	defer c.mu.Unlock()
	host := hosts.SecretsManager(id, region, c.cfg.Private)
	if api, known := c.instances[host]; known {
		return api
	}
	service := upstream.SecretsManager
	service.Account = c.cfg.Account
	api := upstream.Server{API: service, Host: host, Endpoint: c.cfg.Endpoint, HTTP: c.cfg.HTTP}.Service()
	c.instances[host] = api
	return api
}
