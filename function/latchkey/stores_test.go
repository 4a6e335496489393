package main

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/port"
)

func TestWhatAStoreAbroadLacksIsSaidAtTheFirstLook(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &storeClients{env: func(string) string { return "" }, log: slog.New(slog.DiscardHandler)}
	cluster := config.KubernetesStore{Namespace: "tools", Secret: "logs", Entry: "KEY"}
	vault := config.VaultStore{Address: server.URL, Mount: "secret", Path: "logs", Entry: "KEY"}
	for says, st := range map[string]port.Store{
		"KUBECONFIG_EAST is not set": a.kubernetes(with(cluster, func(s *config.KubernetesStore) { s.KubeconfigEnv = "KUBECONFIG_EAST" }), config.Restart{}, "prod", nil),
		empty + " is empty":          a.kubernetes(with(cluster, func(s *config.KubernetesStore) { s.KubeconfigFile = empty }), config.Restart{}, "prod", nil),
		"VAULT_LOGIN is not set":     a.vault(with(vault, func(s *config.VaultStore) { s.Auth.TokenEnv = "VAULT_LOGIN" }), "prod", nil),
		"no such file": a.vault(with(vault, func(s *config.VaultStore) {
			s.Auth.AppRole = &config.VaultAppRole{Mount: "approle", RoleID: "r", SecretIDFile: empty + "-not"}
		}), "prod", nil),
	} {
		_, err := st.Read(t.Context())
		if !errors.Is(err, port.ErrRefused) || !strings.Contains(err.Error(), says) {
			t.Errorf("store %s: error %v; want a refusal that says %q", st.Name(), err, says)
		}
	}
}

func TestAVaultsAuthorityIsReadWhenItIsNeeded(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("hvs.x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &storeClients{env: func(string) string { return "" }, log: slog.New(slog.DiscardHandler)}
	for says, caFile := range map[string]string{
		"has no certificate in PEM": token,
		"reading caFile":            token + "-not",
		"certificate":               "", // the system does not know the server's authority
	} {
		st := a.vault(config.VaultStore{
			Address: server.URL, CAFile: caFile, Mount: "secret", Path: "logs", Entry: "KEY", Auth: config.VaultAuth{TokenFile: token},
		}, "prod", nil)
		_, err := st.Read(t.Context())
		if err == nil || !strings.Contains(err.Error(), says) || (caFile != "") != errors.Is(err, port.ErrRefused) {
			t.Errorf("with caFile %q: error %v; want one that says %q", caFile, err, says)
		}
	}
}

func TestStoresOfOneVaultOrClusterShareItsClient(t *testing.T) {
	a := &storeClients{env: func(string) string { return "" }, log: slog.New(slog.DiscardHandler)}
	for _, path := range []string{"one", "two"} {
		// Each entry of a config has values of its own.
		role := &config.VaultAppRole{Mount: "approle", RoleID: "r", SecretIDEnv: "ID"}
		a.vault(config.VaultStore{Address: "https://v", Mount: "secret", Path: path, Entry: "K", Auth: config.VaultAuth{AppRole: role}}, "prod", nil)
		a.kubernetes(config.KubernetesStore{Namespace: path, Secret: "s", Entry: "K"}, config.Restart{}, "prod", nil)
	}
	a.vault(config.VaultStore{Address: "https://v", Mount: "secret", Path: "one", Entry: "K", Auth: config.VaultAuth{TokenEnv: "T"}}, "prod", nil)
	a.kubernetes(config.KubernetesStore{KubeconfigEnv: "A", Namespace: "one", Secret: "s", Entry: "K"}, config.Restart{}, "prod", nil)
	if len(a.vaults) != 2 || len(a.clusters) != 2 {
		t.Errorf("%d vaults and %d clusters, want 2 and 2", len(a.vaults), len(a.clusters))
	}
}

func with[T any](v T, change func(*T)) T {
	change(&v)
	return v
}
