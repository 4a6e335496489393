package kubernetes_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
)

// node makes the only node of the cluster.
func (k *corner) node(t *testing.T, labels map[string]any, providerID string) {
	t.Helper()
	k.Do(t, "POST", "/api/v1/nodes", map[string]any{"metadata": map[string]any{"name": "one", "labels": labels}, "spec": map[string]any{"providerID": providerID}})
}

func TestAClusterShowsWhoManagesIt(t *testing.T) {
	const worker, provider = "ibm-cloud.kubernetes.io/worker-id", "ibm://a0bc0c5466544e968bff315fba51e594///c0d19dnd0uii3pk7po40/kube-1"
	const account = "a0bc0c5466544e968bff315fba51e594"
	for sentence, c := range map[string]struct {
		labels   map[string]any
		provider string
		want     keyless.Readers
	}{
		"a worker of IBM's Kubernetes names the account": {map[string]any{worker: "kube-1"}, provider, keyless.Readers{Platform: keyless.Kubernetes, Account: account}},
		"a worker of IBM's OpenShift has a label of it":  {map[string]any{worker: "kube-1", "node.openshift.io/os_id": "rhel"}, provider, keyless.Readers{Platform: keyless.OpenShift, Account: account}},
		"a cluster of one's own on IBM's servers is not": {nil, provider, keyless.Readers{Platform: keyless.Elsewhere}},
		"a cluster of another cloud is not":              {nil, "aws:///eu-central-1a/i-1", keyless.Readers{Platform: keyless.Elsewhere}},
	} {
		t.Run(sentence, func(t *testing.T) {
			k := newCorner(t, kubetest.Fake(t))
			k.Grant(t, "", kubetest.Rule{Resources: []string{"nodes"}, Verbs: []string{"list"}})
			k.node(t, c.labels, c.provider)
			got, err := k.store(func(s *kubernetes.StoreConfig) { s.Secret = "other" }).Readers(t.Context())
			if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	t.Run("without the right to list nodes it is not known", func(t *testing.T) {
		got, err := newCorner(t, kubetest.Fake(t)).store().Readers(t.Context())
		if err != nil || got.Platform != keyless.Cluster || !got.LogsAgent || got.PullsImages {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestTheReadersAreAllWorkloadsThatHaveTheEntry(t *testing.T) {
	k := newCorner(t, kubetest.Fake(t))
	k.Workload(t, "daemonset", k.namespace, "agent", fromEnvironment(), nil)
	k.Workload(t, "deployment", k.namespace, "mounted", map[string]any{"volumes": []any{map[string]any{"name": "keys", "secret": map[string]any{"secretName": "logs-agent"}}}}, nil)
	k.Workload(t, "deployment", k.namespace, "stranger", nil, nil)
	got, err := k.store().Readers(t.Context())
	want := []string{"daemonset/" + k.namespace + "/agent", "deployment/" + k.namespace + "/mounted"}
	if err != nil || !slices.Equal(got.Names, want) {
		t.Errorf("%v, %v, want %v", got.Names, err, want)
	}
	pulls, err := k.store(func(s *kubernetes.StoreConfig) { s.Entry = ".dockerconfigjson" }).Readers(t.Context())
	if err != nil || !pulls.PullsImages || pulls.LogsAgent || strings.Contains(fmt.Sprint(pulls.Names), "agent") {
		t.Errorf("%+v, %v", pulls, err)
	}
}
