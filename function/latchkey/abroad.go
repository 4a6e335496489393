package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/vault"
)

// abroad are the clusters and vaults outside of IBM Cloud that stores name. A
// client is made when the first store names it, shared by all that do, and
// reads and calls nothing before it is used.
type abroad struct {
	env func(string) string
	log *slog.Logger

	mu       sync.Mutex // guards what follows
	clusters map[string]*kubernetes.Client
	vaults   map[login]*vault.Client
}

// login is one way into one vault.
type login struct {
	address, namespace, caFile, tokenEnv, tokenFile string
	appRole                                         config.VaultAppRole
	jwt                                             config.VaultJWT
}

func (a *abroad) kubernetes(s config.KubernetesStore, restart config.Restart, owner string) *kubernetes.Store {
	a.mu.Lock()
	defer a.mu.Unlock()
	client := a.clusters[s.Cluster()]
	if client == nil {
		cfg := kubernetes.Config{Cluster: s.Cluster(), Context: s.Context, Log: a.log}
		if s.KubeconfigEnv != "" || s.KubeconfigFile != "" {
			cfg.Kubeconfig = func() ([]byte, error) {
				text, err := a.read(s.KubeconfigEnv, s.KubeconfigFile)
				return []byte(text), err
			}
		}
		client = kubernetes.New(cfg)
		if a.clusters == nil {
			a.clusters = map[string]*kubernetes.Client{}
		}
		a.clusters[s.Cluster()] = client
	}
	return client.Store(kubernetes.StoreConfig{
		Namespace: s.Namespace, Secret: s.Secret, Entry: s.Entry, Owner: owner,
		Restart: kubernetes.Restart{All: restart.All, Names: restart.Names},
	})
}

func (a *abroad) vault(s config.VaultStore, owner string) *vault.Store {
	a.mu.Lock()
	defer a.mu.Unlock()
	where := login{address: s.Address, namespace: s.Namespace, caFile: s.CAFile, tokenEnv: s.Auth.TokenEnv, tokenFile: s.Auth.TokenFile}
	if s.Auth.AppRole != nil {
		where.appRole = *s.Auth.AppRole
	}
	if s.Auth.JWT != nil {
		where.jwt = *s.Auth.JWT
	}
	client := a.vaults[where]
	if client == nil {
		client = vault.New(vault.Config{
			Address: s.Address, Namespace: s.Namespace, Auth: a.auth(s.Auth), HTTP: trusting(s.CAFile), Log: a.log,
		})
		if a.vaults == nil {
			a.vaults = map[login]*vault.Client{}
		}
		a.vaults[where] = client
	}
	return client.Store(vault.StoreConfig{Mount: s.Mount, Path: s.Path, Entry: s.Entry, Owner: owner})
}

func (a *abroad) auth(auth config.VaultAuth) vault.Auth {
	from := func(env, file string) vault.Source {
		return func() (secret.Value, error) {
			v, err := a.read(env, file)
			return secret.New(strings.TrimSpace(v)), err
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

// read takes what the config names from the environment or from a file.
func (a *abroad) read(env, file string) (string, error) {
	if env != "" {
		v := a.env(env)
		if v == "" {
			return "", fmt.Errorf("%s is not set", env)
		}
		return v, nil
	}
	v, err := os.ReadFile(file)
	switch {
	case err != nil:
		return "", err
	case len(strings.TrimSpace(string(v))) == 0:
		return "", fmt.Errorf("%s is empty", file)
	}
	return string(v), nil
}

// trusting is a client for a server whose certificate is from an authority of
// its own; without a file, from one that this system knows.
func trusting(caFile string) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile == "" {
		return &http.Client{Transport: transport}
	}
	return &http.Client{Transport: &lateTrust{file: caFile, transport: transport}}
}

// lateTrust reads the authority's certificate when the first call is made.
type lateTrust struct {
	file      string
	transport *http.Transport
	once      sync.Once
	err       error
}

// RoundTrip satisfies http.RoundTripper.
func (l *lateTrust) RoundTrip(req *http.Request) (*http.Response, error) {
	l.once.Do(func() {
		text, err := os.ReadFile(l.file)
		roots := x509.NewCertPool()
		switch {
		case err != nil:
			l.err = fmt.Errorf("reading caFile: %w: %w", reconcile.ErrRefused, err)
		case !roots.AppendCertsFromPEM(text):
			l.err = fmt.Errorf("reading caFile: %w: %s has no certificate in PEM", reconcile.ErrRefused, l.file)
		}
		l.transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	})
	if l.err != nil {
		return nil, l.err
	}
	return l.transport.RoundTrip(req)
}
