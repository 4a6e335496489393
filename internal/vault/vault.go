// Package vault publishes keys to the key value engine, version 2, of
// HashiCorp Vault and of OpenBao, which has the same API.
//
// An entry is one key of a secret's data. It has two companions there, so that
// a value and whose it is change in one step; for the entry IAM_API_KEY they
// are
//
//	IAM_API_KEY_ID        the key's ID
//	IAM_API_KEY_LATCHKEY  {"owner":"prod","created":"2026-11-24T10:00:00Z","iam_id":"iam-ServiceId-…"}
//
// The same stands in the secret's custom metadata, for people and for a policy
// that may not read values:
//
//	latchkey.IAM_API_KEY  {"key_id":"ApiKey-…","version":7,"owner":…,"created":…,"iam_id":…}
//
// It is written after the data, so it says which version it is about, and
// counts only while that is the current one. Everything else in the secret and
// its metadata is somebody else's and is kept.
package vault

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Source returns a secret from where it is kept, each time that it is needed.
type Source func() (secret.Value, error)

// Auth is how we log in: one of its fields is set.
type Auth struct {
	// Token is used as it is.
	Token Source
	// AppRole exchanges a role ID and a secret ID.
	AppRole *AppRole
	// JWT exchanges a token that somebody else issued: the method "jwt", and
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

// Config says how a vault is reached, and as whom.
type Config struct {
	// Address is its URL, such as https://vault.example.com:8200.
	Address string
	// Namespace is one of Vault Enterprise or OpenBao; empty is the root.
	Namespace string
	Auth      Auth
	// HTTP carries every call; nil is a client with the default transport.
	HTTP *http.Client
	// Now is the clock that tells when a token has to be renewed; nil is
	// time.Now.
	Now func() time.Time
	// Log is told what no error says; nil is silence.
	Log *slog.Logger
}

// Client reaches one vault. It is safe for concurrent use.
type Client struct {
	cfg Config

	turn chan struct{} // who holds it logs in
	held *session      // guarded by turn; nil before the first login
}

// New makes a client. Nothing is read or called yet.
func New(cfg Config) *Client {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Transport: http.DefaultTransport}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{cfg: cfg, turn: make(chan struct{}, 1)}
}

// open builds the library's client. It takes a token and a namespace from the
// environment, and repeats calls: neither is wanted. A write that is repeated
// after a lost answer would lose against itself.
func (c *Client) open(token string) (*api.Client, error) {
	carrier := *c.cfg.HTTP // the library changes its own
	carrier.Transport = reconcile.GuardWrites(carrier.Transport)
	v, err := api.NewClient(&api.Config{Address: c.cfg.Address, HttpClient: &carrier, DisableRedirects: true})
	if err != nil {
		return nil, fmt.Errorf("setting up the vault %s: %w: its address or a VAULT_ variable can't be used", c.cfg.Address, reconcile.ErrRefused)
	}
	v.SetMaxRetries(0)
	v.SetToken(token)
	v.ClearNamespace()
	if c.cfg.Namespace != "" {
		v.SetNamespace(c.cfg.Namespace)
	}
	return v, nil
}

var errNoLogin = errors.New("no way to log in is configured")
