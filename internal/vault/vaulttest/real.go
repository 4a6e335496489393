//go:build real

package vaulttest

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Real starts the core of Vault and stops it at the end of the test. make
// real-servers builds it and LATCHKEY_VAULT names it; without that variable the
// test fails.
func Real(t testing.TB) *Server {
	t.Helper()
	program := os.Getenv("LATCHKEY_VAULT")
	if program == "" {
		t.Fatal("LATCHKEY_VAULT is not set: run make test-real")
	}
	server := exec.Command(program) //nolint:noctx // Cleanup kills it, after the test's context has ended
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	var ready struct{ Address, Token, Version string }
	lines := bufio.NewScanner(out)
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &ready) != nil {
		t.Fatalf("reading the vault's address: got %q", lines.Text())
	}
	t.Logf("Vault %s", ready.Version)
	forward := &http.Transport{}
	t.Cleanup(forward.CloseIdleConnections)
	s := &Server{URL: ready.Address, Mount: "secret", token: ready.Token, forward: forward}
	s.Do(t, "POST", "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	s.Do(t, "POST", "sys/mounts/old", map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
	s.Do(t, "POST", "sys/auth/approle", map[string]any{"type": "approle"})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 { // the engine sets itself up in the background
		if status, _ := s.Try(t, ready.Token, http.MethodGet, "secret/data/none", nil); status == http.StatusNotFound {
			return s
		}
		<-tick.C
	}
	t.Fatal("the key value engine is not ready")
	return nil
}
