// Package codeengine is latchkey's door to IBM Cloud Code Engine: the projects
// that credentials are made for, the generic secrets that hold their keys, and
// the apps that see a change only when they are restarted.
//
// A secret has nothing but its data, so an entry has two companions there: for
// the entry IAM_API_KEY they are
//
//	IAM_API_KEY_ID        the key's ID
//	IAM_API_KEY_LATCHKEY  {"owner":"prod","created":"2026-11-24T10:00:00Z","iam_id":"iam-ServiceId-…"}
//
// An app that takes the whole secret into its environment sees them too, which
// is harmless: neither holds a value. Everything else in the secret is somebody
// else's and is kept.
package codeengine

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"
	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// apiVersion is the date of the API that answers are shaped for. Before
// 2024-05-13 an app's run_env_variables also held Code Engine's own CE_*
// variables, and sending those back would make them the user's. From this date
// on a volume mount has no name; the SDK does not mind, since we send none.
const apiVersion = "2025-07-10"

// Config says how Code Engine is reached, and as whom.
type Config struct {
	// Endpoint serves every region in place of IBM's addresses: the emulator's
	// URL. Requests still name the region's host, so that it knows which is
	// meant. Empty is IBM Cloud.
	Endpoint string
	// Private takes the addresses inside IBM's network.
	Private bool
	// HTTP carries every call; nil is a client with the default transport.
	HTTP *http.Client
	// Auth logs in. Nil means that HTTP does.
	Auth core.Authenticator
	// Log is told what no error says; nil is silence.
	Log *slog.Logger
}

// Client reaches all regions. It is safe for concurrent use.
type Client struct {
	cfg Config

	mu      sync.Mutex // guards what follows
	regions map[string]*codeenginev2.CodeEngineV2
	ids     map[place]string // IDs of projects that were named
}

// place is a project by region and name.
type place struct{ region, name string }

// New builds a client. Nothing is called yet: each region's SDK client is
// built when it is first used.
func New(cfg Config) *Client {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{cfg: cfg, regions: map[string]*codeenginev2.CodeEngineV2{}, ids: map[place]string{}}
}

func (c *Client) host(region string) string {
	if c.cfg.Private {
		return "api.private." + region + ".codeengine.cloud.ibm.com"
	}
	return "api." + region + ".codeengine.cloud.ibm.com"
}

// region returns the SDK's client for one region. Its retries stay off: they
// would repeat a create whose answer was lost.
func (c *Client) region(name string) (*codeenginev2.CodeEngineV2, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if api := c.regions[name]; api != nil {
		return api, nil
	}
	client, base := upstream.Server{
		Host: c.host(name), Endpoint: c.cfg.Endpoint, Query: url.Values{"version": {apiVersion}}, HTTP: c.cfg.HTTP, Auth: c.cfg.Auth,
	}.Client()
	api, err := codeenginev2.NewCodeEngineV2(&codeenginev2.CodeEngineV2Options{
		URL: base + "/v2", Authenticator: &core.NoAuthAuthenticator{}, // the client logs in
	})
	if err != nil {
		return nil, fmt.Errorf("setting up Code Engine in %s: %w: %w", name, reconcile.ErrRefused, err)
	}
	api.Service.SetHTTPClient(client)
	c.regions[name] = api
	return api, nil
}

// text is what a field of the SDK's models holds.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
