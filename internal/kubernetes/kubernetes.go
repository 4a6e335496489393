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
// with.
package kubernetes

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/latchkey-io/latchkey/internal/reconcile"
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
	// Kubeconfig returns the text of a kubeconfig. It is called on first use and
	// again after the cluster has rejected the login. Nil is the cluster that
	// this process runs in, with its service account.
	Kubeconfig func() ([]byte, error)
	// Context is a context of the kubeconfig. Empty is the current one.
	Context string
	// Patience is how long a restart waits for the rollout. Zero is a minute.
	// A later run observes the result of a longer rollout.
	Patience time.Duration
	// Now returns the time that a restart writes. Nil is time.Now.
	Now func() time.Time
	// Log receives diagnostics that are not returned as errors. If nil, nothing
	// is logged.
	Log *slog.Logger
}

// Client calls the API of one cluster. It is safe for concurrent use.
type Client struct {
	cfg Config

	mu  sync.Mutex
	api dynamic.Interface // guarded by mu; nil until the cluster is first used
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
	return &Client{cfg: cfg}
}

// The kinds of objects that this package reads and writes.
var (
	secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	kinds   = map[string]schema.GroupVersionResource{
		"daemonset":   {Group: "apps", Version: "v1", Resource: "daemonsets"},
		"deployment":  {Group: "apps", Version: "v1", Resource: "deployments"},
		"statefulset": {Group: "apps", Version: "v1", Resource: "statefulsets"},
	}
)

// open returns the API client and builds it on first use.
func (c *Client) open() (dynamic.Interface, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api != nil {
		return c.api, nil
	}
	cfg, err := c.config()
	if err != nil {
		return nil, fmt.Errorf("connecting to cluster %s: %w: %w", c.cfg.Cluster, reconcile.ErrRefused, err)
	}
	cfg.UserAgent = "latchkey"
	cfg.QPS = -1 // a sweep limits itself; the default is 5 calls a second
	cfg.WarningHandler = rest.NoWarnings{}
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return once{next} })
	cfg.Wrap(reconcile.GuardWrites)
	api, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to cluster %s: %w: %w", c.cfg.Cluster, reconcile.ErrRefused, err)
	}
	c.api = api
	return api, nil
}

func (c *Client) config() (*rest.Config, error) {
	if c.cfg.Kubeconfig == nil {
		return rest.InClusterConfig()
	}
	text, err := c.cfg.Kubeconfig()
	if err != nil {
		return nil, err
	}
	known, err := clientcmd.Load(text)
	if err != nil {
		// A YAML error may quote the text, which contains tokens.
		return nil, errors.New("the kubeconfig is not valid")
	}
	return clientcmd.NewNonInteractiveClientConfig(*known, c.cfg.Context, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
}

// forget makes the next call read the kubeconfig again, because its token may
// have been replaced.
func (c *Client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.api = nil
}

// once removes Retry-After from the answer to a write, so that the client does
// not repeat it. The server may have done the write, and the repetition would
// then conflict with it.
type once struct{ next http.RoundTripper }

// RoundTrip satisfies http.RoundTripper.
func (o once) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.next.RoundTrip(req)
	if err == nil && req.Method != http.MethodGet {
		resp.Header.Del("Retry-After")
	}
	return resp, err
}
