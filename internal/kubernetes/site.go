package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

var _ port.Site = (*Store)(nil)

// Readers lists the workloads of the namespace that read the entry, and says who manages
// the cluster. It needs the right to list the nodes of the cluster for the latter, and
// the workloads.
func (s *Store) Readers(ctx context.Context) (keyless.Readers, error) {
	r := keyless.Readers{PullsImages: s.cfg.Entry == entry.DockerConfig, LogsAgent: s.cfg.Entry == LogsAgentEntry && s.cfg.Secret == LogsAgentSecret}
	w := &workloads{store: s}
	err := w.every(ctx, func(kind string, got object) {
		if w.reads(got) {
			r.Names = append(r.Names, w.label(kind, got.name()))
		}
	})
	if err != nil {
		return r, err
	}
	r.Platform, r.Account, err = s.client.manager(ctx)
	if errors.Is(err, port.ErrDenied) {
		return r, nil // the platform says that it is not known
	}
	return r, err
}

// manager returns who manages the cluster, and the account. A node of IBM's clusters
// has its worker's ID in a label, and the account in its provider ID:
// ibm://<account>///<cluster>/<worker>. Other clusters may have the provider ID too.
func (c *Client) manager(ctx context.Context) (keyless.Platform, string, error) {
	doing := "listing the nodes of cluster " + c.cfg.Cluster
	nodes, err := c.resource(ctx, "Node", "nodes", upstream.Path("/api/v1/nodes"))
	if err != nil {
		return keyless.Cluster, "", fmt.Errorf("%s: %w", doing, err)
	}
	page, err := nodes.list(ctx, doing, url.Values{"limit": {"1"}})
	if err != nil {
		return keyless.Cluster, "", err
	}
	all := page.list("items")
	if len(all) == 0 {
		return keyless.Cluster, "", nil
	}
	node := all[0]
	if node.text("metadata", "labels", "ibm-cloud.kubernetes.io/worker-id") == "" {
		return keyless.Elsewhere, "", nil
	}
	platform := keyless.Kubernetes
	if node.text("metadata", "labels", "node.openshift.io/os_id") != "" {
		platform = keyless.OpenShift
	}
	rest, _ := strings.CutPrefix(node.text("spec", "providerID"), "ibm://")
	account, _, _ := strings.Cut(rest, "/")
	return platform, account, nil
}
