//go:build real

package kubernetes_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
)

// TestRealChart installs deploy/helm/latchkey with Helm, tries the rights that it gives,
// changes the form, and removes it.
func TestRealChart(t *testing.T) {
	program := os.Getenv("LATCHKEY_HELM")
	if program == "" {
		t.Fatal("LATCHKEY_HELM is not set: run make test-real")
	}
	c := kubetest.Real(t)
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(kubeconfig, c.AdminKubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	chart := filepath.Join("..", "..", "deploy", "helm", "latchkey")
	helm := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, append(args, "--kubeconfig", kubeconfig, "-n", "latchkey")...)
		cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+dir, "HELM_CONFIG_HOME="+dir, "HELM_DATA_HOME="+dir)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := helm(args...)
		if err != nil {
			t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	for _, n := range []struct{ name, enforce string }{{"latchkey", "restricted"}, {"team-a", ""}, {"team-b", ""}} {
		labels := map[string]any{}
		if n.enforce != "" {
			labels["pod-security.kubernetes.io/enforce"] = n.enforce
		}
		c.Do(t, "POST", "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": n.name, "labels": labels}})
	}
	values := []string{
		"--set", "image=registry.example/latchkey@sha256:0", "--set", "targets={team-a}", "--set", "files.secret=latchkey-files",
		"--set-file", "config=" + filepath.Join("..", "..", "deploy", "examples", "emulator.yaml"),
	}
	with := func(args ...string) []string { return append(args, values...) }
	const pods = "/api/v1/namespaces/latchkey/pods?fieldValidation=Strict&dryRun=All"

	for name, tc := range map[string]struct {
		values []string
		want   string
	}{
		"an image is needed":            {[]string{"--set", "config=x"}, "set image"},
		"a config is needed":            {[]string{"--set", "image=x"}, "set config"},
		"there are two forms":           {with("--set", "form=daemonset"), "deployment"},
		"a misspelled value is a fault": {with("--set", "replica=2"), "replica"},
	} {
		if out, err := helm(append([]string{"template", "latchkey", chart}, tc.values...)...); err == nil || !strings.Contains(out, tc.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	run(with("lint", chart, "--strict")...)
	run(with("install", "latchkey", chart)...)
	checkRights(t, c)
	deployment := c.Do(t, "GET", "/apis/apps/v1/namespaces/latchkey/deployments/latchkey", nil)
	c.Do(t, "POST", pods, podOf(t, deployment, "spec", "template")) // the namespace takes restricted pods only
	for _, at := range []string{
		"/api/v1/namespaces/latchkey/services/latchkey", "/api/v1/namespaces/latchkey/configmaps/latchkey-config",
		"/apis/networking.k8s.io/v1/namespaces/latchkey/networkpolicies/latchkey", "/apis/policy/v1/namespaces/latchkey/poddisruptionbudgets/latchkey",
	} {
		c.Do(t, "GET", at, nil)
	}

	run(with("upgrade", "latchkey", chart, "--set", "form=cronjob", "--set", "restart=false")...)
	cron := c.Do(t, "GET", "/apis/batch/v1/namespaces/latchkey/cronjobs/latchkey", nil)
	c.Do(t, "POST", pods, podOf(t, cron, "spec", "jobTemplate", "spec", "template"))
	kubetest.Eventually(t, "restarts are not allowed any more", func() bool { return !mayDo(t, c, "team-a", "apps", "deployments", "patch") })
	if out := run("get", "manifest", "latchkey"); strings.Contains(out, "kind: Deployment") || strings.Contains(out, "kind: Service\n") {
		t.Errorf("the deployment is left:\n%s", out)
	}

	run("uninstall", "latchkey")
	kubetest.Eventually(t, "the rights are gone", func() bool { return !mayDo(t, c, "team-a", "", "secrets", "get") })
}

// podOf returns the pod of a template inside of an object.
func podOf(t *testing.T, object map[string]any, path ...string) map[string]any {
	t.Helper()
	for _, name := range path {
		next, ok := object[name].(map[string]any)
		if !ok {
			t.Fatalf("the object has no %s", name)
		}
		object = next
	}
	object["metadata"].(map[string]any)["name"] = "latchkey"
	return object
}
