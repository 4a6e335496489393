// Command vault runs the core of HashiCorp Vault with its HTTP API for the tests of
// the Vault store. It listens on loopback, stores everything in memory, and has
// the parts that the tests use: the key value engine and logins by token and
// AppRole. When it is ready it prints one line of JSON: {"address", "token",
// "version"}.
//
// Vault is under the Business Source License 1.1. This program is for tests only;
// latchkey does not link it. The full vault command can't be built from Vault's
// modules. This program can't be built with the sdk version that the release
// pins, so go.mod requires another one.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	if err := serve(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context) error {
	core, token, err := open(ctx)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	ready := map[string]string{"address": "http://" + listener.Addr().String(), "token": token, "version": version()}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return fmt.Errorf("printing the address: %w", err)
	}
	server := &http.Server{
		Handler:           vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}}),
		ReadHeaderTimeout: time.Minute,
	}
	return server.Serve(listener)
}

// open creates a vault in memory and unseals it.
func open(ctx context.Context) (core *vault.Core, token string, err error) {
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, log)
	if err != nil {
		return nil, "", fmt.Errorf("making the storage: %w", err)
	}
	core, err = vault.NewCore(&vault.CoreConfig{
		Physical: storage, Logger: log, DisableMlock: true, BuiltinRegistry: linked,
		LogicalBackends:    map[string]logical.Factory{"kv": kv.Factory},
		CredentialBackends: map[string]logical.Factory{"approle": approle.Factory},
	})
	if err != nil {
		return nil, "", fmt.Errorf("making the core: %w", err)
	}
	one := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1, StoredShares: 1}
	initialized, err := core.Initialize(ctx, &vault.InitParams{BarrierConfig: one, RecoveryConfig: &vault.SealConfig{}})
	if err != nil {
		return nil, "", fmt.Errorf("initializing: %w", err)
	}
	open, err := core.Unseal(initialized.SecretShares[0])
	if err != nil {
		return nil, "", fmt.Errorf("unsealing: %w", err)
	}
	if !open {
		return nil, "", errors.New("unsealing: one share was not enough")
	}
	return core, initialized.RootToken, nil
}

// version returns the version of the vault module.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/hashicorp/vault" {
				return m.Version
			}
		}
	}
	return "unknown"
}

// catalog holds the factories of the built-in plugins by kind and name.
type catalog map[consts.PluginType]map[string]logical.Factory

var linked = catalog{
	consts.PluginTypeSecrets:    {"kv": kv.Factory},
	consts.PluginTypeCredential: {"approle": approle.Factory},
}

// Contains reports whether a plugin is built in.
func (c catalog) Contains(name string, kind consts.PluginType) bool { return c[kind][name] != nil }

// Get returns a plugin's factory.
func (c catalog) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	factory := c[kind][name]
	return func() (any, error) { return factory, nil }, factory != nil
}

// Keys returns the names of the plugins of one kind.
func (c catalog) Keys(kind consts.PluginType) (names []string) {
	for name := range c[kind] {
		names = append(names, name)
	}
	return names
}

// DeprecationStatus returns that every built-in plugin is supported.
func (c catalog) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, c.Contains(name, kind)
}

// IsBuiltinEntPlugin returns false: no plugin is of the enterprise edition.
func (catalog) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
