// Package kubernetes publishes keys to Secrets of a Kubernetes cluster, and
// restarts the workloads that read them only when they start.
//
// An entry is one key of a Secret's data. What belongs to it stands in the
// Secret's annotations; for the entry IAM_API_KEY they are
//
//	key-id.latchkey.dev/IAM_API_KEY     the key's ID
//	created.latchkey.dev/IAM_API_KEY    IAM's created_at of the key, RFC 3339
//	iam-id.latchkey.dev/IAM_API_KEY     whose key it is
//	owner.latchkey.dev/IAM_API_KEY      which latchkey wrote it
//
// A write is one merge patch under the Secret's resourceVersion that names
// nothing but the entry and these, so that everything else is kept by the
// server itself. A restart writes on the pod template
//
//	key-id.latchkey.dev/<secret>.<entry>    the key's ID
//	kubectl.kubernetes.io/restartedAt       when, as kubectl rollout restart does
//
// The first is how a later run knows which key a workload was started with.
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

// The place where the agent of IBM Cloud Logs has its key when Helm installed
// it under its usual name, and the workload that has to be restarted.
//
// Source: https://cloud.ibm.com/docs/cloud-logs?topic=cloud-logs-agent-helm-kube-deploy
const (
	LogsAgentNamespace = "ibm-observe"
	LogsAgentSecret    = "logs-agent"
	LogsAgentEntry     = "IAM_API_KEY"
	LogsAgentWorkload  = "daemonset/logs-agent"
)

// Config says which cluster is meant, and how patient we are with it.
type Config struct {
	// Cluster tells it from others in the names of stores. Empty is
	// "in-cluster".
	Cluster string
	// Kubeconfig returns the text of a kubeconfig. It is asked when the cluster
	// is first used, and again after the cluster has refused who we are. Nil
	// means the cluster that this process runs in, by its service account.
	Kubeconfig func() ([]byte, error)
	// Context picks one of the kubeconfig; empty is its current one.
	Context string
	// Patience is how long a restart waits for the roll-out; zero is a minute.
	// A later run finds out what became of one that takes longer.
	Patience time.Duration
	// Now is the clock of the stamp that a restart leaves; nil is time.Now.
	Now func() time.Time
	// Log is told what no error says; nil is silence.
	Log *slog.Logger
}

// Client reaches one cluster. It is safe for concurrent use.
type Client struct {
	cfg Config

	mu  sync.Mutex
	api dynamic.Interface // guarded by mu; nil until the cluster is first used
}

// New makes a client. Nothing is read or called yet.
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

// The kinds of objects that this package has to do with.
var (
	secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	kinds   = map[string]schema.GroupVersionResource{
		"daemonset":   {Group: "apps", Version: "v1", Resource: "daemonsets"},
		"deployment":  {Group: "apps", Version: "v1", Resource: "deployments"},
		"statefulset": {Group: "apps", Version: "v1", Resource: "statefulsets"},
	}
)

// open returns the API, and sets it up when it is first needed.
func (c *Client) open() (dynamic.Interface, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api != nil {
		return c.api, nil
	}
	cfg, err := c.config()
	if err != nil {
		return nil, fmt.Errorf("setting up the cluster %s: %w: %w", c.cfg.Cluster, reconcile.ErrRefused, err)
	}
	cfg.UserAgent = "latchkey"
	cfg.QPS = -1 // our own sweep has a limit; the client's would be 5 calls a second
	cfg.WarningHandler = rest.NoWarnings{}
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return once{next} })
	cfg.Wrap(reconcile.GuardWrites)
	api, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("setting up the cluster %s: %w: %w", c.cfg.Cluster, reconcile.ErrRefused, err)
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
		// What YAML says of a text may repeat it, and there are tokens in this.
		return nil, errors.New("the kubeconfig can't be read as one")
	}
	return clientcmd.NewNonInteractiveClientConfig(*known, c.cfg.Context, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
}

// forget makes the next call read the kubeconfig again: its token may have been
// replaced.
func (c *Client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.api = nil
}

// once keeps the client from repeating a write whose answer says "later": the
// server may have done it, and a repetition would then lose against ourselves.
type once struct{ next http.RoundTripper }

// RoundTrip satisfies http.RoundTripper.
func (o once) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.next.RoundTrip(req)
	if err == nil && req.Method != http.MethodGet {
		resp.Header.Del("Retry-After")
	}
	return resp, err
}
