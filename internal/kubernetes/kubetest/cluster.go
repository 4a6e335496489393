// Package kubetest provides clusters for tests of the Kubernetes store. Fake is
// an API server in this process with the behavior that the tests need. With the
// build tag real, Real starts Kubernetes' own API server and etcd. Both pass the
// same tests, which keeps the fake faithful.
package kubetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/storetest"
)

// The tokens of a cluster's two users. The admin has all rights, the other user
// those that Grant gives.
const (
	adminToken = "admin-token"
	userToken  = "rotator-token"
	user       = "rotator"
)

// Cluster is an API server.
type Cluster struct {
	// URL is the address of the server, whose certificate is self-signed.
	URL     string
	forward http.RoundTripper
}

// Proxy starts a proxy in front of the cluster. It does not count dry runs as
// writes.
func (c *Cluster) Proxy(t testing.TB) *storetest.Proxy {
	p := storetest.NewProxy(t, c.URL, c.forward)
	p.Writes = func(r *http.Request) bool {
		return r.Method != http.MethodGet && r.URL.Query().Get("dryRun") == ""
	}
	return p
}

// Kubeconfig returns a kubeconfig for the user whose rights Grant sets. It
// connects through the proxy.
func (c *Cluster) Kubeconfig(p *storetest.Proxy) []byte {
	text, err := json.Marshal(map[string]any{ // JSON is YAML
		"apiVersion": "v1", "kind": "Config", "current-context": user,
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": p.URL, "certificate-authority-data": p.Certificate}}},
		"users":    []any{map[string]any{"name": user, "user": map[string]any{"token": userToken}}},
		"contexts": []any{map[string]any{"name": user, "context": map[string]any{"cluster": "c", "user": user}}},
	})
	if err != nil {
		panic(err)
	}
	return text
}

// AdminKubeconfig returns a kubeconfig for the user with all rights.
func (c *Cluster) AdminKubeconfig() []byte {
	return fmt.Appendf(nil, `{"apiVersion": "v1", "kind": "Config", "current-context": "admin",
"clusters": [{"name": "c", "cluster": {"server": %q, "insecure-skip-tls-verify": true}}],
"users": [{"name": "admin", "user": {"token": %q}}],
"contexts": [{"name": "admin", "context": {"cluster": "c", "user": "admin"}}]}`, c.URL, adminToken)
}

// try calls the API and returns the status and the answer. A patch is a merge
// patch.
func (c *Cluster) try(t testing.TB, token, method, path string, body any) (int, map[string]any) {
	t.Helper()
	sent, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, c.URL+path, bytes.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := c.forward.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	var answer map[string]any
	_ = json.Unmarshal(got, &answer) // an answer without JSON has an error status
	return resp.StatusCode, answer
}

// Do calls the API as the admin and fails the test unless the call succeeds.
func (c *Cluster) Do(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	status, answer := c.try(t, adminToken, method, path, body)
	if status >= 300 {
		t.Fatalf("%s %s: status %d, %v", method, path, status, answer["message"])
	}
	return answer
}

// Has reports whether an object exists at the path.
func (c *Cluster) Has(t testing.TB, path string) bool {
	t.Helper()
	status, _ := c.try(t, adminToken, http.MethodGet, path, nil)
	return status == http.StatusOK
}

// Rule is a rule of a role.
type Rule struct {
	Group     string // "" is the core group
	Resources []string
	Verbs     []string
}

// Everything is the set of rights that the store and its restarts use.
var Everything = []Rule{
	{Resources: []string{"secrets"}, Verbs: []string{"get", "create", "patch"}},
	{Group: "apps", Resources: []string{"daemonsets", "deployments", "statefulsets"}, Verbs: []string{"get", "list", "patch"}},
}

// Namespace creates a namespace and grants the user the rules.
func (c *Cluster) Namespace(t testing.TB, name string, rules ...Rule) {
	t.Helper()
	c.Do(t, "POST", "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": name}})
	c.Grant(t, name, rules...)
}

// Grant sets the user's rights in the namespace and waits until they are
// effective.
func (c *Cluster) Grant(t testing.TB, namespace string, rules ...Rule) {
	t.Helper()
	granted := []any{}
	for _, r := range rules {
		granted = append(granted, map[string]any{"apiGroups": []string{r.Group}, "resources": r.Resources, "verbs": r.Verbs})
	}
	base := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace
	role := map[string]any{"metadata": map[string]any{"name": "latchkey"}, "rules": granted}
	if c.Has(t, base+"/roles/latchkey") {
		c.Do(t, "PATCH", base+"/roles/latchkey", role)
	} else {
		c.Do(t, "POST", base+"/roles", role)
		c.Do(t, "POST", base+"/rolebindings", map[string]any{
			"metadata": map[string]any{"name": "latchkey"},
			"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "latchkey"},
			"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}},
		})
	}
	for _, r := range Everything {
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				want := false
				for _, g := range rules {
					want = want || g.Group == r.Group && contains(g.Resources, resource) && contains(g.Verbs, verb)
				}
				Eventually(t, fmt.Sprintf("whether %s on %s is granted is %v", verb, resource, want), func() bool {
					return c.may(t, namespace, r.Group, resource, verb) == want
				})
			}
		}
	}
}

func contains(list []string, word string) bool {
	return strings.Contains(" "+strings.Join(list, " ")+" ", " "+word+" ")
}

// may reports whether the user has a right.
func (c *Cluster) may(t testing.TB, namespace, group, resource, verb string) bool {
	t.Helper()
	status, answer := c.try(t, userToken, http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", map[string]any{
		"spec": map[string]any{"resourceAttributes": map[string]any{"namespace": namespace, "group": group, "resource": resource, "verb": verb}},
	})
	if status != http.StatusCreated {
		t.Fatalf("asking what is granted: status %d, %v", status, answer)
	}
	outcome, _ := answer["status"].(map[string]any)
	allowed, _ := outcome["allowed"].(bool)
	return allowed
}

// Eventually waits until so returns true. It fails the test after 30 seconds.
func Eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		if so() {
			return
		}
	}
	t.Fatalf("timed out waiting until %s", what)
}

// Fill uses up the namespace's quota of Secrets.
func (c *Cluster) Fill(t testing.TB, namespace string) {
	t.Helper()
	path := "/api/v1/namespaces/" + namespace + "/resourcequotas"
	full := map[string]any{"hard": map[string]any{"secrets": "1"}, "used": map[string]any{"secrets": "1"}}
	c.Do(t, "POST", path, map[string]any{"metadata": map[string]any{"name": "few"}, "spec": map[string]any{"hard": full["hard"]}})
	c.Do(t, "PATCH", path+"/few/status", map[string]any{"status": full})
	Eventually(t, "the quota holds", func() bool {
		status, _ := c.try(t, adminToken, http.MethodPost, "/api/v1/namespaces/"+namespace+"/secrets?dryRun=All",
			map[string]any{"metadata": map[string]any{"name": "one-more"}})
		return status == http.StatusForbidden
	})
}

// Workload creates a Deployment, DaemonSet or StatefulSet with one container.
func (c *Cluster) Workload(t testing.TB, kind, namespace, name string, container, spec map[string]any) {
	t.Helper()
	labels := map[string]any{"app": name}
	whole := map[string]any{
		"selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{}},
	}
	if kind != "daemonset" {
		whole["replicas"] = pods
	}
	if kind == "statefulset" {
		whole["serviceName"] = name
	}
	one := map[string]any{"name": "main", "image": "example.test/agent"}
	pod := map[string]any{"containers": []any{one}}
	for k, v := range container {
		if k == "volumes" {
			pod[k] = v
			continue
		}
		one[k] = v
	}
	whole["template"].(map[string]any)["spec"] = pod
	for k, v := range spec {
		whole[k] = v
	}
	c.Do(t, "POST", workloads(kind, namespace), map[string]any{"metadata": map[string]any{"name": name}, "spec": whole})
}

// pods is the number of pods of every workload.
const pods = 2

func workloads(kind, namespace string) string {
	return "/apis/apps/v1/namespaces/" + namespace + "/" + kind + "s"
}

// Template returns the annotations of a workload's pod template, and the
// workload's generation.
func (c *Cluster) Template(t testing.TB, kind, namespace, name string) (annotations map[string]any, generation float64) {
	t.Helper()
	got := c.Do(t, "GET", workloads(kind, namespace)+"/"+name, nil)
	spec, _ := got["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	meta, _ := template["metadata"].(map[string]any)
	annotations, _ = meta["annotations"].(map[string]any)
	generation, _ = got["metadata"].(map[string]any)["generation"].(float64)
	return annotations, generation
}

// Rollout sets a workload's status as a controller would: the newest generation
// as observed, and how many of two pods are updated and ready. Neither kind of
// cluster runs controllers.
func (c *Cluster) Rollout(t testing.TB, kind, namespace, name string, updated, ready int) {
	t.Helper()
	_, generation := c.Template(t, kind, namespace, name)
	status := map[string]any{"observedGeneration": generation}
	switch kind {
	case "daemonset":
		status["desiredNumberScheduled"], status["currentNumberScheduled"], status["numberMisscheduled"] = pods, pods, 0
		status["updatedNumberScheduled"], status["numberAvailable"], status["numberReady"] = updated, ready, ready
	case "statefulset":
		status["replicas"], status["updatedReplicas"], status["readyReplicas"] = pods, updated, ready
	default:
		status["replicas"], status["updatedReplicas"], status["readyReplicas"], status["availableReplicas"] = pods, updated, ready, ready
	}
	c.Do(t, "PATCH", workloads(kind, namespace)+"/"+name+"/status", map[string]any{"status": status})
}

// Entry returns the key ID and the value of a Secret's entry.
func (c *Cluster) Entry(t testing.TB, namespace, secret, entry string) (key, value string) {
	t.Helper()
	_, got := c.try(t, adminToken, http.MethodGet, "/api/v1/namespaces/"+namespace+"/secrets/"+secret, nil)
	meta, _ := got["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	data, _ := got["data"].(map[string]any)
	key, _ = annotations["key-id.latchkey.dev/"+entry].(string)
	coded, _ := data[entry].(string)
	plain, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(plain)
}
