// Package kubernetes publishes keys to Secrets of a Kubernetes cluster and
// restarts the workloads that read them only at start.
//
// A store entry is one key of a Secret's data. Its metadata is in annotations of
// the Secret: see package entry. A write is one merge patch under the Secret's
// resourceVersion. The patch names only the entry and its annotations, so the
// server keeps everything else. A restart writes to the pod template
//
//	key-id.latchkey.dev/<secret>.<entry>    the key's ID
//	kubectl.kubernetes.io/restartedAt       the time, as kubectl rollout restart does
//
// The first annotation shows a later run which key the workload was started
// with. The workload's own metadata has an annotation of the same name, which counts
// the restarts with this key: a controller may remove the first one after each.
package kubernetes

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// The Secret, the entry and the workload of the IBM Cloud Logs agent when Helm
// installs it under its usual name.
//
// Source: https://cloud.ibm.com/docs/cloud-logs?topic=cloud-logs-agent-helm-kube-deploy
const (
	LogsAgentNamespace = "ibm-observe"
	LogsAgentSecret    = "logs-agent"
	LogsAgentEntry     = "IAM_API_KEY"
	LogsAgentWorkload  = "daemonset/logs-agent"
)

// Config configures the access to one cluster.
type Config struct {
	// Cluster names the cluster in the names of stores. Empty is "in-cluster".
	Cluster string
	// Kubeconfig returns the text of a kubeconfig. It is called before each use,
	// so that a new text replaces the old one. Nil is the cluster that this
	// process runs in, with its service account.
	Kubeconfig func(context.Context) ([]byte, error)
	// File is the path of the kubeconfig. The files that it names must be in its
	// folder. Empty allows no files.
	File string
	// Context is a context of the kubeconfig. Empty is the current one.
	Context string
	// Patience is how long a restart waits for the rollout. Zero is a minute.
	// A later run observes the result of a longer rollout.
	Patience time.Duration
	// Pace wraps the transport, so that each call is sent in its turn. If nil,
	// calls are sent at once.
	Pace func(http.RoundTripper) http.RoundTripper
	// Now returns the time that a restart writes. Nil is time.Now.
	Now func() time.Time
	// Log receives diagnostics that are not returned as errors. If nil, nothing
	// is logged.
	Log *slog.Logger
}

// Client calls the API of one cluster. It is safe for concurrent use.
type Client struct {
	cfg Config

	account string // the folder of the service account

	mu      sync.Mutex
	api     *upstream.Service // guarded by mu; nil until the cluster is first used
	text    []byte            // guarded by mu; the kubeconfig of api
	carrier *carrier          // guarded by mu; of the last api
}

// New returns a client. It reads and calls nothing.
func New(cfg Config) *Client {
	if cfg.Cluster == "" {
		cfg.Cluster = "in-cluster"
	}
	if cfg.Patience == 0 {
		cfg.Patience = time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{cfg: cfg, account: serviceAccount}
}

// open returns the API server. It connects on first use, and again when the kubeconfig
// has changed. A kubeconfig that can't be read for a moment, as while it is replaced,
// changes nothing.
func (c *Client) open(ctx context.Context) (upstream.Service, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, err := c.kubeconfig(ctx)
	if c.api != nil && (err != nil || bytes.Equal(text, c.text)) {
		return *c.api, nil
	}
	var at *server
	if err == nil {
		at, err = c.server(ctx, text)
	}
	if err != nil {
		meaning := port.ErrRefused
		if ctx.Err() != nil {
			meaning = port.ErrUnavailable
		}
		return upstream.Service{}, fmt.Errorf("connecting to cluster %s: %w: %w", c.cfg.Cluster, meaning, err)
	}
	c.text = text
	if c.carrier == nil || c.carrier.made != at.mark() {
		if c.carrier != nil {
			c.carrier.retire()
		}
		c.carrier = at.carrier()
	}
	c.api = &upstream.Service{Base: at.base, HTTP: &http.Client{Transport: at.login.transport(c.strict(at.base)), CheckRedirect: upstream.NoRedirect}}
	return *c.api, nil
}

// strict returns a transport that sends calls in their turn, and lets only answers of
// Kubernetes pass. The caller holds mu.
func (c *Client) strict(base string) http.RoundTripper {
	next := fence.Writes(c.carrier)
	if c.cfg.Pace != nil {
		next = c.cfg.Pace(next)
	}
	return finishing{upstream.Kubernetes.At(base).Strict(next), c.carrier}
}

// kubeconfig returns the text of the kubeconfig, or nil in a cluster.
func (c *Client) kubeconfig(ctx context.Context) ([]byte, error) {
	if c.cfg.Kubeconfig == nil {
		return nil, nil
	}
	return c.cfg.Kubeconfig(ctx)
}

func (c *Client) server(ctx context.Context, text []byte) (*server, error) {
	if c.cfg.Kubeconfig == nil {
		return inCluster(ctx, folder(c.account), c.cfg.Log)
	}
	known, err := usedOf(text, c.cfg.Context, c.cfg.File)
	if err != nil {
		return nil, err
	}
	return known.server(ctx)
}

// forget makes the next call read the kubeconfig and the files that it names
// again, because its token or its certificate authority may have been replaced. It does
// nothing if that has happened since the failed API was opened.
func (c *Client) forget(failed upstream.Service) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api != nil && c.api.HTTP == failed.HTTP {
		c.api = nil
	}
}
