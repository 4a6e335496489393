// Package iam manages service IDs, their policies, access groups and API keys in
// IBM Cloud IAM, and exchanges keys for tokens.
//
// A request that changes something is sent once. Who repeats it looks first whether it had
// an effect.
//
// Lists cover one group of service IDs, which is the default group unless the
// request names another. IAM creates a service ID in the default group unless the
// request names another, and cannot move it, so all service IDs that latchkey
// creates are there. A given service ID may be in any group: its keys are listed
// with its group.
//
// Facts about IAM come from IBM's documents and SDK models. The file
// unknowns.go lists the questions that they leave open.
package iam

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Config describes how to reach IAM and how to log in. Exactly one of APIKey and
// Profile is set.
type Config struct {
	// URL is IAM's base, such as https://iam.cloud.ibm.com.
	URL string
	// Owner is the owner in every marker.
	Owner string
	// Formerly are the IAM IDs that this installation logged in as before. What
	// they made is ours.
	Formerly []string
	// Account is the only account to work in. A login for another account fails,
	// so nothing is read or written there. If empty, it is the login's account.
	Account string
	// HTTP sends every request. If nil, it is a client with the default
	// transport. Its CheckRedirect is ignored: redirects are never followed.
	HTTP *http.Client
	// Now measures the life of our own token. If nil, it is time.Now.
	Now func() time.Time
	// Sleep waits between tries. If nil, it uses a timer.
	Sleep func(context.Context, time.Duration) error
	// Log receives diagnostics that are not returned as errors. If nil, nothing
	// is logged.
	Log *slog.Logger

	// APIKey is the API key to log in with.
	APIKey secret.Value
	// Profile is the name or ID of a trusted profile. TokenFile is the file of
	// the compute resource token, which the platform writes.
	Profile, TokenFile string
}

// Client implements reconcile's ports to IAM. It is safe for concurrent use.
type Client struct {
	cfg      Config
	tokens   tokenServer
	login    *login
	http     *http.Client // with our token
	api      upstream.Service
	roles    roleBook
	idGroups groupBook
	lookups  sync.Map // IAM ID of a service ID → a channel, closed when the lookup under way ends
	sleep    func(context.Context, time.Duration) error
}

var (
	_ port.Identities = (*Client)(nil)
	_ port.Keys       = (*Client)(nil)
	_ port.Exchange   = (*Client)(nil)
)

// New returns a client. It sends no request.
func New(cfg Config) (*Client, error) {
	if u, err := url.Parse(cfg.URL); err != nil || u.Host == "" {
		return nil, fmt.Errorf("checking IAM's URL %q: it has no host", cfg.URL)
	}
	if cfg.APIKey.Empty() == (cfg.Profile == "") {
		return nil, errors.New("setting up our login: exactly one of API key and trusted profile must be set")
	}
	if cfg.Profile != "" && cfg.TokenFile == "" {
		return nil, errors.New("setting up our login: a trusted profile needs the file of the compute resource token")
	}
	cfg.URL = strings.TrimSuffix(cfg.URL, "/")
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	bare := *cfg.HTTP
	bare.CheckRedirect = upstream.NoRedirect
	bare.Transport = upstream.Bound(bare.Transport)
	tokens := tokenServer{url: cfg.URL, http: &bare}
	l := &login{cfg: cfg, tokens: tokens}
	ours := bare
	ours.Transport = &authorized{login: l, next: bare.Transport}

	c := &Client{cfg: cfg, tokens: tokens, login: l, http: &ours, sleep: cfg.Sleep}
	api, strict := upstream.IAM.At(cfg.URL), ours
	api.Account = c.Account
	strict.Transport = api.Strict(ours.Transport)
	c.api = upstream.Service{Base: cfg.URL, HTTP: &strict}
	return c, nil
}

// HTTP returns a client that adds our token to requests without one. It drops
// the token when a service rejects it. The other adapters share this client.
func (c *Client) HTTP() *http.Client { return c.http }

// Account returns the account of our own token.
func (c *Client) Account(ctx context.Context) (string, error) {
	t, err := c.login.token(ctx)
	return t.claims.Account.BSS, err
}

// Self returns our own IAM ID.
func (c *Client) Self(ctx context.Context) (string, error) {
	t, err := c.login.token(ctx)
	return t.claims.IAMID, err
}

// ownIDs returns our own IAM ID and those of earlier logins.
func (c *Client) ownIDs(ctx context.Context) ([]string, error) {
	self, err := c.Self(ctx)
	if err != nil {
		return nil, err
	}
	return append([]string{self}, c.cfg.Formerly...), nil
}

// Usable returns an error if we cannot log in.
func (c *Client) Usable(ctx context.Context) error {
	_, err := c.login.token(ctx)
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
