//go:build real

package kubernetes_test

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
)

func TestRealKubernetes(t *testing.T) {
	c := kubetest.Real(t)
	t.Run("store", func(t *testing.T) { storeScenarios(t, c) })
	t.Run("consumers", func(t *testing.T) { consumerScenarios(t, c) })
}

// TestRealManifests applies deploy/kubernetes and tries the rights that it gives.
func TestRealManifests(t *testing.T) {
	c := kubetest.Real(t)
	apply := func(folder, namespace string, query string) (applied []map[string]any) {
		for _, m := range manifests(t, folder) {
			kind, meta := m["kind"].(string), m["metadata"].(map[string]any)
			at, known := map[string]string{
				"Namespace": "/api/v1/namespaces", "ServiceAccount": "/api/v1/namespaces/NS/serviceaccounts", "Service": "/api/v1/namespaces/NS/services",
				"Deployment":          "/apis/apps/v1/namespaces/NS/deployments",
				"NetworkPolicy":       "/apis/networking.k8s.io/v1/namespaces/NS/networkpolicies",
				"PodDisruptionBudget": "/apis/policy/v1/namespaces/NS/poddisruptionbudgets",
				"Role":                "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/roles",
				"RoleBinding":         "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings",
			}[kind]
			if !known {
				t.Fatalf("%s: unknown kind %s", folder, kind)
			}
			own, _ := meta["namespace"].(string)
			c.Do(t, "POST", strings.Replace(at, "NS", cmp.Or(own, namespace), 1)+query, m)
			applied = append(applied, m)
		}
		return applied
	}
	const strict = "?fieldValidation=Strict" // a field that does not exist is an error
	applied := apply("latchkey", "", strict)
	for _, m := range applied {
		if m["kind"] != "Deployment" {
			continue
		}
		pod := m["spec"].(map[string]any)["template"].(map[string]any)
		pod["metadata"].(map[string]any)["name"] = "latchkey"
		// The namespace takes restricted pods only.
		c.Do(t, "POST", "/api/v1/namespaces/latchkey/pods"+strict+"&dryRun=All", pod)
	}
	for _, namespace := range []string{"team-a", "team-b"} {
		c.Do(t, "POST", "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": namespace}})
	}
	apply("target", "team-a", strict)
	checkRights(t, c)
}

// checkRights tries the rights of the service account latchkey: those that the store
// needs in the namespace team-a, and no others.
func checkRights(t *testing.T, c *kubetest.Cluster) {
	t.Helper()
	allowed := func(namespace, group, resource, verb string) bool {
		return mayDo(t, c, namespace, group, resource, verb)
	}
	for _, rule := range kubetest.Everything {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				kubetest.Eventually(t, verb+" on "+resource, func() bool { return allowed("team-a", rule.Group, resource, verb) })
				if allowed("team-b", rule.Group, resource, verb) || allowed("latchkey", rule.Group, resource, verb) {
					t.Errorf("%s on %s is allowed in other namespaces", verb, resource)
				}
			}
		}
	}
	for _, verb := range []string{"list", "watch", "delete", "update"} {
		if allowed("team-a", "", "secrets", verb) {
			t.Errorf("%s on secrets is allowed", verb)
		}
	}
}

func mayDo(t *testing.T, c *kubetest.Cluster, namespace, group, resource, verb string) bool {
	t.Helper()
	review := c.Do(t, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", map[string]any{"spec": map[string]any{
		"user":               "system:serviceaccount:latchkey:latchkey",
		"resourceAttributes": map[string]any{"namespace": namespace, "group": group, "resource": resource, "verb": verb},
	}})
	return review["status"].(map[string]any)["allowed"] == true
}

// manifests reads the objects that a kustomization lists.
func manifests(t *testing.T, folder string) (all []map[string]any) {
	t.Helper()
	at := filepath.Join("..", "..", "deploy", "kubernetes", folder)
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(at, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var k struct{ Resources []string }
	if err := yaml.Unmarshal(read("kustomization.yaml"), &k); err != nil {
		t.Fatal(err)
	}
	for _, name := range k.Resources {
		for text := range strings.SplitSeq(string(read(name)), "\n---\n") {
			var m map[string]any
			if err := yaml.Unmarshal([]byte(text), &m); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, m)
		}
	}
	return all
}
