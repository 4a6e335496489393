package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
	"github.com/latchkey-io/latchkey/internal/vault"
)

// storeClients are the clients of clusters and vaults that stores name. The
// first store that names one builds its client, which all of them share. A
// client reads and calls nothing before its first use.
type storeClients struct {
	env  environment
	pace *pace.Pacer
	log  *slog.Logger

	mu       sync.Mutex // guards what follows
	clusters map[string]*kubernetes.Client
	vaults   map[vaultLogin]*vault.Client
}

// vaultLogin is one way to log in to one vault.
type vaultLogin struct {
	address, namespace, caFile, tokenEnv, tokenFile string
	appRole                                         config.VaultAppRole
	jwt                                             config.VaultJWT
}

func (c *storeClients) kubernetes(s config.KubernetesStore, restart config.Restart, owner string) *kubernetes.Store {
	c.mu.Lock()
	defer c.mu.Unlock()
	client := c.clusters[s.Cluster()]
	if client == nil {
		cfg := kubernetes.Config{Cluster: s.Cluster(), Context: s.Context, File: s.KubeconfigFile, Pace: c.paced, Log: c.log}
		if s.KubeconfigEnv != "" || s.KubeconfigFile != "" {
			cfg.Kubeconfig = func() ([]byte, error) {
				text, err := readSecret(c.env, s.KubeconfigEnv, s.KubeconfigFile)
				return []byte(text.Expose()), err
			}
		}
		client = kubernetes.New(cfg)
		if c.clusters == nil {
			c.clusters = map[string]*kubernetes.Client{}
		}
		c.clusters[s.Cluster()] = client
	}
	return client.Store(kubernetes.StoreConfig{
		Namespace: s.Namespace, Secret: s.Secret, Entry: s.Entry, Owner: owner,
		Restart: kubernetes.Restart{All: restart.All, Names: restart.Names},
	})
}

func (c *storeClients) vault(s config.VaultStore, owner string) *vault.Store {
	c.mu.Lock()
	defer c.mu.Unlock()
	where := vaultLogin{address: s.Address, namespace: s.Namespace, caFile: s.CAFile, tokenEnv: s.Auth.TokenEnv, tokenFile: s.Auth.TokenFile}
	if s.Auth.AppRole != nil {
		where.appRole = *s.Auth.AppRole
	}
	if s.Auth.JWT != nil {
		where.jwt = *s.Auth.JWT
	}
	client := c.vaults[where]
	if client == nil {
		client = vault.New(vault.Config{
			Address: s.Address, Namespace: s.Namespace, Auth: c.vaultAuth(s.Auth), HTTP: &http.Client{Transport: c.paced(newVaultTransport(s.CAFile))}, Hosts: c.vaultHosts, Log: c.log,
		})
		if c.vaults == nil {
			c.vaults = map[vaultLogin]*vault.Client{}
		}
		c.vaults[where] = client
	}
	return client.Store(vault.StoreConfig{Mount: s.Mount, Path: s.Path, Entry: s.Entry, Owner: owner})
}

// vaultHosts returns the names of the vaults in use. A vault may redirect to
// another one of them.
func (c *storeClients) vaultHosts() (hosts []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for where := range c.vaults {
		if u, err := url.Parse(where.address); err == nil {
			hosts = append(hosts, u.Hostname())
		}
	}
	return hosts
}

func (c *storeClients) vaultAuth(auth config.VaultAuth) vault.Auth {
	from := func(env, file string) vault.Source {
		return func() (secret.Value, error) {
			return readSecret(c.env, env, file)
		}
	}
	switch r, j := auth.AppRole, auth.JWT; {
	case r != nil:
		return vault.Auth{AppRole: &vault.AppRole{Mount: r.Mount, RoleID: r.RoleID, SecretID: from(r.SecretIDEnv, r.SecretIDFile)}}
	case j != nil:
		return vault.Auth{JWT: &vault.JWT{Mount: j.Mount, Role: j.Role, Token: from(j.TokenEnv, j.TokenFile)}}
	}
	return vault.Auth{Token: from(auth.TokenEnv, auth.TokenFile)}
}

// paced lets a transport send each call in its turn. A run that has become too old
// while a call waited does not write.
func (c *storeClients) paced(next http.RoundTripper) http.RoundTripper {
	if c.pace == nil {
		return next
	}
	return c.pace.Transport(reconcile.FenceWrites(next), upstream.Unsent)
}

// newVaultTransport returns the transport to a vault. It trusts the certificate
// authorities in the file, or those of the system if there is no file.
func newVaultTransport(caFile string) http.RoundTripper {
	if caFile == "" {
		return upstream.NewTransport(nil)
	}
	return &fileTrust{file: caFile}
}

// fileTrust trusts the certificate authorities in a file. It reads the file
// before each call, since it may be replaced while the process runs. While the
// file can't be read or has no certificate, the last authorities count.
type fileTrust struct {
	file string

	mu        sync.Mutex // guards what follows
	text      []byte
	transport *http.Transport // nil until the file was read
}

// RoundTrip satisfies http.RoundTripper.
func (f *fileTrust) RoundTrip(req *http.Request) (*http.Response, error) {
	transport, err := f.current()
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was sent
		}
		return nil, err
	}
	return transport.RoundTrip(req)
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (f *fileTrust) CloseIdleConnections() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.transport != nil {
		f.transport.CloseIdleConnections()
	}
}

func (f *fileTrust) current() (*http.Transport, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, err := os.ReadFile(f.file)
	roots := x509.NewCertPool()
	switch {
	case f.transport != nil && (err != nil || bytes.Equal(text, f.text)):
		return f.transport, nil
	case err != nil:
		return nil, fmt.Errorf("reading caFile: %w: %w", reconcile.ErrRefused, err)
	case roots.AppendCertsFromPEM(text):
	case f.transport != nil:
		return f.transport, nil
	default:
		return nil, fmt.Errorf("reading caFile: %w: %s has no certificate in PEM", reconcile.ErrRefused, f.file)
	}
	old := f.transport
	f.text, f.transport = text, upstream.NewTransport(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	if old != nil {
		old.CloseIdleConnections()
	}
	return f.transport, nil
}
