// Package iam is latchkey's door to IBM Cloud IAM: service IDs, their policies
// and their API keys, and the tokens that keys are exchanged for.
//
// It uses IBM's SDKs with their retries off, since those repeat creates, and
// with a login of its own: the SDK's authenticators ignore the request's
// context and hold a lock that is shared by the whole process.
//
// Lists see the default group of service IDs only. That is where service IDs
// are made that name no group, and they cannot be moved, so ours are there.
//
// Facts about IAM are from IBM's documents and SDK models; what they leave
// open is named in unknowns.go.
package iam

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamaccessgroupsv2"
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
	// HTTP carries every call; nil is a client with the default transport. Its
	// CheckRedirect is not used: redirects are never followed.
	HTTP *http.Client
	// Now is the clock that our own token's life is measured by; nil is
	// time.Now.
	Now func() time.Time
	// Log is told what no error says; nil is silence.
	Log *slog.Logger

	APIKey secret.Value
	// Profile is the name or ID of a trusted profile; TokenFile is where the
	// platform puts the compute resource token that it trusts.
	Profile, TokenFile string
}

// Client implements what reconcile wants of IAM. It is safe for concurrent
// use.
type Client struct {
	cfg      Config
	bare     *http.Client // without our token: for other people's keys
	login    *login
	http     *http.Client // with our token
	identity *iamidentityv1.IamIdentityV1
	policies *iampolicymanagementv1.IamPolicyManagementV1
	groups   *iamaccessgroupsv2.IamAccessGroupsV2
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
	if u, err := url.Parse(cfg.URL); err != nil || u.Host == "" {
		return nil, fmt.Errorf("checking IAM's URL %q: not a URL", cfg.URL)
	}
	if cfg.APIKey.Empty() == (cfg.Profile == "") {
		return nil, errors.New("setting up our login: give either an API key or a trusted profile")
	}
	if cfg.Profile != "" && cfg.TokenFile == "" {
		return nil, errors.New("setting up our login: a trusted profile needs the file of the compute resource token")
	}
	if core.GetLogger().IsLogLevelEnabled(core.LevelDebug) {
		return nil, errors.New("setting up IAM: the SDK's debug log is on, and it prints keys")
	}
	cfg.URL = strings.TrimSuffix(cfg.URL, "/")
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	bare := *cfg.HTTP
	bare.CheckRedirect = stay
	l := newLogin(cfg, bare)
	ours := bare
	ours.Transport = &authorized{login: l, next: transport(bare)}

	c := &Client{cfg: cfg, bare: &bare, login: l, http: &ours, sleep: sleep}
	var err error
	if c.identity, err = iamidentityv1.NewIamIdentityV1(&iamidentityv1.IamIdentityV1Options{URL: cfg.URL, Authenticator: l}); err != nil {
		return nil, fmt.Errorf("setting up the identity API: %w", err)
	}
	if c.policies, err = iampolicymanagementv1.NewIamPolicyManagementV1(&iampolicymanagementv1.IamPolicyManagementV1Options{URL: cfg.URL, Authenticator: l}); err != nil {
		return nil, fmt.Errorf("setting up the policy API: %w", err)
	}
	if c.groups, err = iamaccessgroupsv2.NewIamAccessGroupsV2(&iamaccessgroupsv2.IamAccessGroupsV2Options{URL: cfg.URL, Authenticator: l}); err != nil {
		return nil, fmt.Errorf("setting up the access group API: %w", err)
	}
	c.groups.Service.SetHTTPClient(c.http)
	c.identity.Service.SetHTTPClient(c.http)
	c.policies.Service.SetHTTPClient(c.http)
	return c, nil
}

// stay follows no redirect: it would carry a key or token to whoever it names.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func transport(c http.Client) http.RoundTripper {
	if c.Transport == nil {
		return http.DefaultTransport
	}
	return c.Transport
}

// HTTP is a client whose requests are ours: those that do not carry a token
// yet are given ours, and a token that a service no longer takes is forgotten.
// The other adapters share it.
func (c *Client) HTTP() *http.Client { return c.http }

// Authenticator is our login for an SDK. Use it with HTTP, which sees when a
// service no longer takes the token.
func (c *Client) Authenticator() core.Authenticator { return c.login }

// Account is the account that our own token is for.
func (c *Client) Account(ctx context.Context) (string, error) {
	t, err := c.login.token(ctx)
	return t.claims.Account.BSS, err
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
