package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/port"
)

var _ port.Site = (*Store)(nil)

// Readers lists the workloads of the namespace that read the entry, and says who manages
// the cluster. It needs the right to list the nodes of the cluster for the latter, and
// the workloads.
func (s *Store) Readers(ctx context.Context) (keyless.Readers, error) {
	r := keyless.Readers{PullsImages: s.cfg.Entry == entry.DockerConfig, LogsAgent: s.cfg.Entry == LogsAgentEntry && s.cfg.Secret == LogsAgentSecret}
	w := &workloads{store: s}
	err := w.every(ctx, func(kind string, got *unstructured.Unstructured) {
		if w.reads(got) {
			r.Names = append(r.Names, w.label(kind, got.GetName()))
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

var nodes = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}

// manager returns who manages the cluster, and the account. A node of IBM's clusters
// has its worker's ID in a label, and the account in its provider ID:
// ibm://<account>///<cluster>/<worker>. Other clusters may have the provider ID too.
func (c *Client) manager(ctx context.Context) (keyless.Platform, string, error) {
	doing := "listing the nodes of cluster " + c.cfg.Cluster
	api, err := c.open()
	if err != nil {
		return keyless.Cluster, "", fmt.Errorf("%s: %w", doing, err)
	}
	page, err := api.Resource(nodes).List(ctx, metav1.ListOptions{Limit: 1})
	if err := c.fault(ctx, doing, "list on nodes", err); err != nil {
		return keyless.Cluster, "", err
	}
	if len(page.Items) == 0 {
		return keyless.Cluster, "", nil
	}
	node := &page.Items[0]
	if node.GetLabels()["ibm-cloud.kubernetes.io/worker-id"] == "" {
		return keyless.Elsewhere, "", nil
	}
	platform := keyless.Kubernetes
	if node.GetLabels()["node.openshift.io/os_id"] != "" {
		platform = keyless.OpenShift
	}
	rest, _ := strings.CutPrefix(text(node.Object, "spec", "providerID"), "ibm://")
	account, _, _ := strings.Cut(rest, "/")
	return platform, account, nil
}
