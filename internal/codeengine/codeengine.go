// Package codeengine lists the projects of IBM Cloud Code Engine, publishes keys
// to their generic secrets, and restarts the apps that read a secret only when
// they start. It lists the apps and jobs that read one.
//
// A generic secret has no metadata, so an entry has two companions in its data.
// Those of the entry IAM_API_KEY are
//
//	IAM_API_KEY_ID        the key's ID
//	IAM_API_KEY_LATCHKEY  {"owner":"prod","created":"2026-11-24T10:00:00Z","iam_id":"iam-ServiceId-…"}
//
// An app with the whole secret in its environment sees them too, which is
// harmless, since neither holds a value. latchkey keeps all other data of the
// secret.
package codeengine

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"
	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/hosts"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// apiVersion is the date of the API version in use. Before 2024-05-13 an app's
// run_env_variables included Code Engine's own CE_* variables, and sending those
// back would turn them into the user's. In the current version a volume mount
// has no name, which does not matter, since latchkey sends no mounts.
const apiVersion = "2025-07-10"

// Config describes how to reach Code Engine and how to log in.
type Config struct {
	// Endpoint, if set, replaces IBM's address of every region. Requests still
	// name the region's host. The emulator uses it.
	Endpoint string
	// Private selects the addresses inside IBM's network.
	Private bool
	// HTTP sends every request. If nil, it is a client with the default
	// transport.
	HTTP *http.Client
	// Auth logs in. If nil, HTTP does.
	Auth core.Authenticator
	// Account returns our account. If nil, answers about any account's objects count.
	Account func(context.Context) (string, error)
	// Patience is how long the restarts of one run wait in all for new revisions.
	// Zero is 20 seconds. What is not ready by then is looked at by the next run.
	Patience time.Duration
	// Log receives diagnostics that are not returned as errors. If nil, nothing
	// is logged.
	Log *slog.Logger
}

// Client accesses Code Engine in all regions. It is safe for concurrent use.
type Client struct {
	cfg Config

	mu      sync.Mutex // guards what follows
	regions map[string]*codeenginev2.CodeEngineV2
	ids     map[projectName]string // IDs of the projects that were looked up
	queues  map[appName]*queue     // restarts under way
	written map[string]publication // what this process has last written, by the store's name
}

// projectName is the name of a project in a region.
type projectName struct{ region, name string }

// New returns a client. It sends no request; a region's SDK client is created
// when it is first used.
func New(cfg Config) *Client {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	if cfg.Patience == 0 {
		cfg.Patience = 20 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{cfg: cfg, regions: map[string]*codeenginev2.CodeEngineV2{}, ids: map[projectName]string{}, queues: map[appName]*queue{}, written: map[string]publication{}}
}

// region returns the SDK's client for one region. Its retries are off, since
// they would repeat a create whose answer was lost.
func (c *Client) region(name string) (*codeenginev2.CodeEngineV2, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if api := c.regions[name]; api != nil {
		return api, nil
	}
	service := upstream.CodeEngine
	service.Account = c.cfg.Account
	client, base := upstream.Server{
		API: service, Host: hosts.CodeEngine(name, c.cfg.Private), Endpoint: c.cfg.Endpoint, Query: url.Values{"version": {apiVersion}}, HTTP: c.cfg.HTTP, Auth: c.cfg.Auth,
	}.Client()
	api, err := codeenginev2.NewCodeEngineV2(&codeenginev2.CodeEngineV2Options{
		URL: base + "/v2", Authenticator: &core.NoAuthAuthenticator{}, // the client logs in
	})
	if err != nil {
		return nil, fmt.Errorf("setting up Code Engine in %s: %w: %w", name, port.ErrRefused, err)
	}
	api.Service.SetHTTPClient(client)
	c.regions[name] = api
	return api, nil
}

// text returns the value of an SDK field, or "" for nil.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// next returns the token of the next page, or nil.
func next(m *codeenginev2.ListNextMetadata) *string {
	if m == nil {
		return nil
	}
	return m.Start
}
