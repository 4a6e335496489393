package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/trace"
	"github.com/latchkey-io/latchkey/internal/upstream"
	"github.com/latchkey-io/latchkey/internal/vault"
)

// storeClients are the clients of clusters and vaults that stores name. The
// first store that names one builds its client, which all of them share. A
// client reads and calls nothing before its first use.
type storeClients struct {
	env   environment
	pace  *pace.Pacer
	sent  func(upstream.Call) // receives each request
	reads *upstream.Reads     // shares what is read, or nil
	log   *slog.Logger

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

func (c *storeClients) kubernetes(s config.KubernetesStore, restart config.Restart, owner string, form *format.Form) *kubernetes.Store {
	c.mu.Lock()
	defer c.mu.Unlock()
	client := c.clusters[s.Cluster()]
	if client == nil {
		cfg := kubernetes.Config{Cluster: s.Cluster(), Context: s.Context, File: s.KubeconfigFile, Log: c.log}
		cfg.Pace = func(next http.RoundTripper) http.RoundTripper { return c.paced("kubernetes", s.Cluster(), next) }
		if s.KubeconfigEnv != "" || s.KubeconfigFile != "" {
			cfg.Kubeconfig = func(ctx context.Context) ([]byte, error) {
				text, err := secret.Read(ctx, c.env, s.KubeconfigEnv, s.KubeconfigFile)
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
		Namespace: s.Namespace, Secret: s.Secret, Entry: s.Entry, Form: form, Owner: owner,
		Restart: kubernetes.Restart{All: restart.All, Names: restart.Names},
	})
}

// checkKubeconfigs returns why the kubeconfigs that are here can't be used. One that
// is elsewhere is among what the config needs.
func checkKubeconfigs(ctx context.Context, env environment, cfg *config.Config) error {
	var faults []error
	for _, k := range cfg.Kubeconfigs {
		text, err := secret.Read(ctx, env, k.Env, k.File)
		if err != nil {
			continue
		}
		if err := kubernetes.Check([]byte(text.Expose()), k.Context, k.File); err != nil {
			faults = append(faults, fmt.Errorf("checking %s: %w", k.At, err))
		}
	}
	return errors.Join(faults...)
}

func (c *storeClients) vault(s config.VaultStore, owner string, form *format.Form) *vault.Store {
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
			Address: s.Address, Namespace: s.Namespace, Auth: c.vaultAuth(s.Auth), HTTP: &http.Client{Transport: c.paced("vault", "", upstream.NewTransportTrusting(s.CAFile))}, Hosts: c.vaultHosts, Log: c.log,
		})
		if c.vaults == nil {
			c.vaults = map[vaultLogin]*vault.Client{}
		}
		c.vaults[where] = client
	}
	return client.Store(vault.StoreConfig{Mount: s.Mount, Path: s.Path, Entry: s.Entry, Form: form, Owner: owner})
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
		return func(ctx context.Context) (secret.Value, error) {
			return secret.Read(ctx, c.env, env, file)
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

// paced lets a transport send each call to a service in its turn, as an identity. A run
// that has become too old while a call waited does not write.
func (c *storeClients) paced(service, identity string, next http.RoundTripper) http.RoundTripper {
	next = upstream.Measure(trace.Transport(next), service, c.sent)
	if c.pace == nil {
		return next
	}
	next = c.pace.Transport(fence.Writes(next), upstream.Unsent)
	return c.reads.Transport(next, identity, "Accept", "Authorization", "X-Vault-Token", "X-Vault-Namespace")
}
