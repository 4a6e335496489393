// Package iam is latchkey's door to IBM Cloud IAM: service IDs, their policies
// and their API keys, and the tokens that keys are exchanged for.
//
// It uses IBM's SDKs with their retries off, since those repeat creates, and
// with their authenticators bypassed: a token fetch in the SDK ignores the
// request's context, and an error of it loses its cause. Login does it in the
// transport instead, where both survive.
//
// Facts about IAM are from IBM's documents and SDK models; what they leave
// open is named in unknowns.go.
package iam

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamidentityv1"
	"github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Config says where IAM is and who we are. Either APIKey or Profile is set.
type Config struct {
	// URL is IAM's base, such as https://iam.cloud.ibm.com.
	URL   string
	Owner string // stands in every marker
	// HTTP carries every call; nil is a client with the default transport.
	HTTP *http.Client
	// Now is the clock that our own token's life is measured by; nil is
	// time.Now.
	Now func() time.Time
	Log *slog.Logger

	APIKey secret.Value
	// Profile is the name or ID of a trusted profile; TokenFile is where the
	// platform puts the compute resource token that it trusts.
	Profile, TokenFile string
}

// Client implements what reconcile wants of IAM.
type Client struct {
	cfg      Config
	login    *login
	identity *iamidentityv1.IamIdentityV1
	policies *iampolicymanagementv1.IamPolicyManagementV1
	roles    roleBook
	sleep    func(context.Context, time.Duration) error
}

var (
	_ reconcile.Identities = (*Client)(nil)
	_ reconcile.Keys       = (*Client)(nil)
	_ reconcile.Exchange   = (*Client)(nil)
)

// New builds a client. Nothing is called yet.
func New(cfg Config) (*Client, error) {
	if _, err := url.Parse(cfg.URL); err != nil || cfg.URL == "" {
		return nil, fmt.Errorf("checking IAM's URL %q: not a URL", cfg.URL)
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l, err := newLogin(cfg)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, login: l, sleep: sleep}
	if c.identity, err = iamidentityv1.NewIamIdentityV1(&iamidentityv1.IamIdentityV1Options{
		URL: cfg.URL, Authenticator: &core.NoAuthAuthenticator{},
	}); err != nil {
		return nil, fmt.Errorf("setting up the identity API: %w", err)
	}
	if c.policies, err = iampolicymanagementv1.NewIamPolicyManagementV1(&iampolicymanagementv1.IamPolicyManagementV1Options{
		URL: cfg.URL, Authenticator: &core.NoAuthAuthenticator{},
	}); err != nil {
		return nil, fmt.Errorf("setting up the policy API: %w", err)
	}
	c.identity.Service.SetHTTPClient(l.client)
	c.policies.Service.SetHTTPClient(l.client)
	return c, nil
}

// HTTP is a client whose requests are ours: it logs in, and logs in anew when
// a service no longer takes the token. The other adapters share it.
func (c *Client) HTTP() *http.Client { return c.login.client }

// Account is the account that our own token is for.
func (c *Client) Account(ctx context.Context) (string, error) {
	t, err := c.login.token(ctx)
	return t.claims.account(), err
}

// Self is our own IAM ID.
func (c *Client) Self(ctx context.Context) (string, error) {
	t, err := c.login.token(ctx)
	return t.claims.IAMID, err
}

// Usable reports whether our identity gets a token.
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

// roleBook remembers the CRN of each role by service and display name.
type roleBook struct {
	mu    sync.Mutex
	known map[string]map[string]string
}
