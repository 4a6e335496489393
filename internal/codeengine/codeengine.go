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
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/hosts"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// apiVersion is the date of the API version in use. Before 2024-05-13 an app's
// run_env_variables included Code Engine's own CE_* variables, and sending those
// back would turn them into the user's. In the current version a volume mount
// has no name, which does not matter, since latchkey sends no mounts.
const apiVersion = "2025-07-10"

// Config describes how to reach Code Engine.
type Config struct {
	// Endpoint, if set, replaces IBM's address of every region. Requests still
	// name the region's host. The emulator uses it.
	Endpoint string
	// Private selects the addresses inside IBM's network.
	Private bool
	// HTTP sends every request and logs in. If nil, it is a client with the default
	// transport.
	HTTP *http.Client
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
	regions map[string]upstream.Service
	ids     map[projectName]string // IDs of the projects that were looked up
	queues  map[appName]*queue     // restarts under way
	written map[string]publication // what this process has last written, by the store's name
}

// projectName is the name of a project in a region.
type projectName struct{ region, name string }

// New returns a client. It sends no request.
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
	return &Client{cfg: cfg, regions: map[string]upstream.Service{}, ids: map[projectName]string{}, queues: map[appName]*queue{}, written: map[string]publication{}}
}

// region returns the server of one region.
func (c *Client) region(name string) upstream.Service {
	c.mu.Lock()
	defer c.mu.Unlock()
	if api, known := c.regions[name]; known {
		return api
	}
	service := upstream.CodeEngine
	service.Account = c.cfg.Account
	api := upstream.Server{
		API: service, Host: hosts.CodeEngine(name, c.cfg.Private), Endpoint: c.cfg.Endpoint, Query: url.Values{"version": {apiVersion}}, HTTP: c.cfg.HTTP,
	}.Service()
	c.regions[name] = api
	return api
}

// in returns the path of what is in a project, such as apps and an app's name.
func in(project string, names ...string) []string {
	return append(upstream.Path("/v2/projects", project), names...)
}

// page is what every page of a list has: where the next one starts, if there is one.
type page struct {
	Next *struct {
		Start string `json:"start"`
	} `json:"next"`
}

// following returns where the next page starts. It returns false if this page leads to one
// and does not say where that starts.
func (p page) following() (start string, ok bool) {
	if p.Next == nil {
		return "", true
	}
	return p.Next.Start, p.Next.Start != ""
}

// pages reads the pages of a list.
func pages[P interface {
	following() (start string, ok bool)
}](ctx context.Context, doing string, api upstream.Service, path []string, read func(P)) error {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	seen := upstream.Pages{Doing: doing, Most: maxPages}
	for {
		got, reply, err := upstream.Send[P](ctx, api, upstream.Request{Method: http.MethodGet, Path: path, Query: query})
		if err = fault(ctx, doing, reply, err); err != nil {
			return err
		}
		if got == nil {
			return upstream.Incomplete(doing, "body")
		}
		read(*got)
		start, ok := (*got).following()
		if !ok {
			return upstream.Incomplete(doing, "start of the next page")
		}
		if more, err := seen.Next(start); !more {
			return err
		}
		query.Set("start", start)
	}
}
