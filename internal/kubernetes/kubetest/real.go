//go:build real

package kubetest

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/latchkey-io/latchkey/internal/storetest"
)

// Real starts etcd and the API server of Kubernetes on loopback and stops them at
// the end of the test. LATCHKEY_ETCD and LATCHKEY_KUBE_APISERVER name the
// programs; make test-real sets them, and without them the test fails. No
// controllers run, so a test sets the status of a workload itself.
func Real(t testing.TB) *Cluster {
	t.Helper()
	dir := t.TempDir()
	client, peer, secure := "http://127.0.0.1:"+freePort(t), "http://127.0.0.1:"+freePort(t), freePort(t)
	start(t, "LATCHKEY_ETCD", filepath.Join(dir, "etcd.log"),
		"--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	accounts := filepath.Join(dir, "accounts.key")
	write(t, accounts, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	tokens := filepath.Join(dir, "tokens.csv")
	write(t, tokens, fmt.Appendf(nil, "%s,admin,1,\"system:masters\"\n%s,%s,2\n", adminToken, userToken, user))
	ended := start(t, "LATCHKEY_KUBE_APISERVER", filepath.Join(dir, "apiserver.log"),
		"--etcd-servers", client, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", secure,
		"--cert-dir", filepath.Join(dir, "certs"), "--token-auth-file", tokens, "--authorization-mode", "RBAC",
		"--service-account-key-file", accounts, "--service-account-signing-key-file", accounts,
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-cluster-ip-range", "10.0.0.0/24",
		"--disable-admission-plugins", "ServiceAccount", "--endpoint-reconciler-type", "none")

	forward := storetest.Insecure()
	t.Cleanup(forward.CloseIdleConnections)
	c := &Cluster{URL: "https://127.0.0.1:" + secure, forward: forward}
	Eventually(t, "the API server is ready", func() bool {
		select {
		case <-ended:
			t.Fatal("the API server ended")
		default:
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+adminToken)
		resp, err := forward.RoundTrip(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	version := c.Do(t, "GET", "/version", nil)
	t.Logf("Kubernetes %v", version["gitVersion"])
	return c
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// freePort returns a port that is not in use.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// start runs a server until the end of the test. If the test failed, it logs the
// server's last lines.
func start(t testing.TB, variable, log string, args ...string) (ended chan struct{}) {
	t.Helper()
	program := os.Getenv(variable)
	if program == "" {
		t.Fatalf("%s is not set: run make test-real", variable)
	}
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(program, args...) //nolint:noctx // Cleanup kills it, after the test's context has ended
	server.Stdout, server.Stderr = out, out
	if err := server.Start(); err != nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	ended = make(chan struct{})
	go func() {
		_ = server.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = server.Process.Kill()
		<-ended
		out.Close()
		if t.Failed() {
			said, _ := os.ReadFile(log)
			lines := bytes.Split(bytes.TrimSpace(said), []byte("\n"))
			t.Logf("the last lines of %s:\n%s", filepath.Base(program), bytes.Join(lines[max(0, len(lines)-20):], []byte("\n")))
		}
	})
	return ended
}
