// Package vault publishes keys to the key value engine, version 2, of HashiCorp
// Vault and of OpenBao, which has the same API.
//
// A store entry is one key of a secret's data. Its two companions are in the
// same data, so one write changes the value and its metadata: see package entry.
// The custom metadata of the secret repeats the metadata, for readers whose
// policy does not allow reading values:
//
//	latchkey.IAM_API_KEY  {"key_id":"ApiKey-…","version":7,"owner":…,"created":…,"iam_id":…}
//
// It is written after the data and names the version that it describes. It is
// valid only while that version is the current one. The store keeps everything
// else in the secret and its metadata.
package vault

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Source returns a secret. It is called each time that the secret is needed.
type Source func(context.Context) (secret.Value, error)

// Auth configures the login. Exactly one field is set.
type Auth struct {
	// Token is used without a login.
	Token Source
	// AppRole logs in with a role ID and a secret ID.
	AppRole *AppRole
	// JWT logs in with a token of a third party: the method "jwt", or
	// "kubernetes" with the token of a service account.
	JWT *JWT
}

// AppRole is a login by AppRole.
type AppRole struct {
	Mount    string // empty is approle
	RoleID   string
	SecretID Source
}

// JWT is a login by a token of a third party.
type JWT struct {
	Mount string // such as jwt or kubernetes
	Role  string
	Token Source
}

// Config configures the access to one vault.
type Config struct {
	// Address is the vault's URL, such as https://vault.example.com:8200.
	Address string
	// Namespace is a namespace of Vault Enterprise or OpenBao. Empty is the root.
	Namespace string
	Auth      Auth
	// HTTP sends every request. Nil is a client with the transport of all
	// upstreams. Its CheckRedirect is ignored.
	HTTP *http.Client
	// Hosts returns names that a redirect may lead to, besides the address's own.
	// A standby redirects to the active node. Nil has none.
	Hosts func() []string
	// Now decides when to renew a token. Nil is time.Now.
	Now func() time.Time
	// Log receives diagnostics that are not returned as errors. If nil, nothing
	// is logged.
	Log *slog.Logger
}

// Client calls the API of one vault. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client

	turn    chan struct{} // a lock that can be awaited with a context
	current *session      // guarded by turn; nil before the first login
}

// New returns a client. It reads and calls nothing.
func New(cfg Config) *Client {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	carrier := *cfg.HTTP
	if carrier.Transport == nil {
		carrier.Transport = upstream.NewTransport(nil)
	}
	carrier.Transport = upstream.BoundWithRedirects(fence.Writes(carrier.Transport))
	carrier.CheckRedirect = upstream.RedirectWithin(cfg.Hosts)
	return &Client{cfg: cfg, http: &carrier, turn: make(chan struct{}, 1)}
}

var errNoLogin = errors.New("no login is configured")
