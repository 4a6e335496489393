// Package secretsmanager keeps keys in IBM Cloud Secrets Manager: in a secret of
// the type arbitrary, which is the key's value, or in one entry of a secret of
// the type kv, beside whatever others keep there.
//
// Each publication is a new version, whose version_custom_metadata says which
// key it has: under the name "latchkey" in an arbitrary secret, and
// "latchkey_<entry>" in a kv secret,
//
//	{"key_id":"ApiKey-…","owner":"prod","created":"2026-11-24T10:00:00Z","iam_id":"iam-ServiceId-…"}
//
// as one text. An entry of a kv secret has two companions in the data as well,
// so that a neighbour's new version, which has no metadata of ours, keeps them:
//
//	IAM_API_KEY_ID        the key's ID
//	IAM_API_KEY_LATCHKEY  the rest of the same text
//
// # What Secrets Manager has no guard for
//
// A version replaces another without a comparison: there is no entity tag. The
// store looks before it writes, refuses what changed since the read or names a
// newer key, and looks again behind its write; between look and write another
// may still slip in. Only the first publication is guarded, by the secret's name.
//
// # Locks
//
// A lock on the previous version says that somebody still uses it: Secrets
// Manager then refuses the next version, and so the publication is refused.
//
// With StoreConfig.Lock every version that is published has a lock named
// LockName, which says whose key, and which, is in use. It does two things.
// People don't roll on or delete while consumers may hold the key before, until
// latchkey has ended it: Release. And publications that start from one version
// exclude each other:
//
//  1. our lock is put on the version that was read, unless it has it already;
//  2. our lock, and no other, is taken off the version before it;
//  3. the new version is made: the server refuses while the previous is locked;
//  4. our lock is put on the new version.
//
// Of two who read the same version the second finds it as the previous one,
// locked in step 1, and gets a conflict: nothing was changed. That is no
// comparison: who stands still after step 2 still gets through if meanwhile
// another version was made and the one before it unlocked again, by the
// publication after that, between its steps 2 and 3, or since its key ended. So
// the store is not Guarded.
//
// Any two steps may be torn apart: step 1 of the next publication does what step
// 4 did not, and so a failing step 4 is reconcile.ErrUnlocked, which hides no
// publication. To repeat it would only hold up what comes after. Locks go by a
// version's ID, never by an alias, so a process that is late does not touch
// another version than it has read.
//
// # Expiry
//
// An arbitrary secret gets the key's expiry as its expiration date, so that
// Secrets Manager announces it by secret_about_to_expire, which latchkey takes
// for a reason to look. When the date passes Secrets Manager destroys the data,
// unless it is locked, and takes no more versions: a person has to delete the
// secret. A kv secret has no such date.
//
// # Permissions
//
// Writer on the instance or secret group is enough. Who may not read values
// (a custom role) can publish to an arbitrary secret, since which key it has is
// metadata; an entry of a kv secret can only be created then, because the others
// have to be read to be kept. Locks need Manager: a Writer may place them, but
// not take them off, and therefore places none here. The facts are from
// https://cloud.ibm.com/docs/secrets-manager?topic=secrets-manager-iam,
// https://cloud.ibm.com/docs/secrets-manager?topic=secrets-manager-secret-locks
// and the models of IBM's SDK.
package secretsmanager

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Config says how Secrets Manager is reached, and as whom.
type Config struct {
	// Endpoint serves every instance in place of IBM's addresses: the
	// emulator's URL. Requests still name the instance's host. Empty is IBM
	// Cloud.
	Endpoint string
	// Private takes the addresses inside IBM's network.
	Private bool
	// HTTP carries every call; nil is a client with the default transport.
	HTTP *http.Client
	// Auth logs in. Nil means that HTTP does.
	Auth core.Authenticator
}

// Client reaches all instances. It is safe for concurrent use.
type Client struct {
	cfg Config

	mu        sync.Mutex // guards what follows
	instances map[string]*sm.SecretsManagerV2
	groups    map[place]string // IDs of secret groups by name
}

// place is something in an instance, by name.
type place struct{ instance, name string }

// New builds a client. Nothing is called yet: each instance's SDK client is
// built when it is first used.
func New(cfg Config) *Client {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	return &Client{cfg: cfg, instances: map[string]*sm.SecretsManagerV2{}, groups: map[place]string{}}
}

func (c *Client) host(instance, region string) string {
	if c.cfg.Private {
		region = "private." + region
	}
	return instance + "." + region + ".secrets-manager.appdomain.cloud"
}

// instance returns the SDK's client for one instance. Its retries stay off:
// they would repeat a version whose answer was lost.
func (c *Client) instance(id, region string) (*sm.SecretsManagerV2, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	host := c.host(id, region)
	if api := c.instances[host]; api != nil {
		return api, nil
	}
	client, base := upstream.Server{Host: host, Endpoint: c.cfg.Endpoint, HTTP: c.cfg.HTTP, Auth: c.cfg.Auth}.Client()
	api, err := sm.NewSecretsManagerV2(&sm.SecretsManagerV2Options{URL: base, Authenticator: &core.NoAuthAuthenticator{}}) // the client logs in
	if err != nil {
		return nil, fmt.Errorf("setting up Secrets Manager in %s: %w: %w", region, reconcile.ErrRefused, err)
	}
	api.Service.SetHTTPClient(client)
	c.instances[host] = api
	return api, nil
}

// text is what a field of the SDK's models holds.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
