package vault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/storetest"
	"github.com/latchkey-io/latchkey/internal/upstream/benttest"
	"github.com/latchkey-io/latchkey/internal/vault"
	"github.com/latchkey-io/latchkey/internal/vault/vaulttest"
)

func TestBentAnswers(t *testing.T) {
	c := newCorner(t, vaulttest.Fake(t))
	c.edit(t, map[string]any{entry: canary})
	behind, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := storetest.Insecure()
	carrier := &http.Transport{}
	t.Cleanup(func() {
		forward.CloseIdleConnections()
		carrier.CloseIdleConnections()
	})
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.Transport = forward
	number := 0
	whole := rootOf(c.Server, t)
	blind, _ := c.Token(t, c.Blind(c.path))
	role, secretID := c.AppRole(t, c.Full(c.path), time.Hour, 0)
	with := func(at, path string, auth vault.Auth) *vault.Store {
		return vault.New(vault.Config{Address: at, HTTP: &http.Client{Transport: carrier}, Auth: auth}).
			Store(vault.StoreConfig{Mount: c.Mount, Path: path, Entry: entry, Owner: "prod"})
	}
	token := func(v string) vault.Auth { return vault.Auth{Token: always(v)} }
	// A token's lifetime may stay unknown. The custom metadata repeat what the
	// companions hold.
	unneeded, describes := []string{"GET auth/token/lookup-self"}, "PATCH /metadata/"
	publish := func(ctx context.Context, s *vault.Store) error {
		e, err := s.Read(ctx)
		if err != nil && !errors.Is(err, port.ErrNotFound) {
			return err
		}
		return s.Publish(ctx, made(1), e.Revision)
	}
	table := benttest.Table{
		Route: vault.RouteOf, Routes: vault.RouteNames(), Good: proxy,
		Writes: func(r *http.Request) bool {
			return r.Method != http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/"+c.Mount+"/")
		},
		Ops: []benttest.Op{
			{Name: "Read", Reads: true, Resolves: unneeded, Do: func(ctx context.Context, at string) error {
				_, err := with(at, c.path, token(whole)).Read(ctx)
				return err
			}},
			{Name: "Read what is absent", Reads: true, Resolves: unneeded, Do: func(ctx context.Context, at string) error {
				_, err := with(at, "team/absent", token(whole)).Read(ctx)
				return err
			}},
			{Name: "Read without values", Reads: true, Resolves: unneeded, Do: func(ctx context.Context, at string) error {
				_, err := with(at, c.path, token(blind)).Read(ctx)
				return err
			}},
			{Name: "Publish the first", Resolves: append(unneeded, describes), Do: func(ctx context.Context, at string) error {
				number++
				return publish(ctx, with(at, fmt.Sprintf("team/bent/%d", number), token(whole)))
			}},
			{Name: "Publish", Resolves: append(unneeded, describes), Do: func(ctx context.Context, at string) error {
				return publish(ctx, with(at, c.path, token(whole)))
			}},
			{Name: "Publish without reading", Resolves: unneeded, Do: func(ctx context.Context, at string) error {
				return publish(ctx, with(at, c.path, token(blind)))
			}},
			{Name: "Renew", Reads: true, Resolves: []string{"PUT auth/token/renew-self"}, Do: func(ctx context.Context, at string) error {
				now := time.Now()
				s := vault.New(vault.Config{
					Address: at, HTTP: &http.Client{Transport: carrier}, Now: func() time.Time { return now },
					Auth: vault.Auth{AppRole: &vault.AppRole{RoleID: role, SecretID: func(context.Context) (secret.Value, error) { return secret.New(secretID()), nil }}},
				}).Store(vault.StoreConfig{Mount: c.Mount, Path: c.path, Entry: entry})
				if _, err := s.Read(ctx); err != nil {
					return err
				}
				now = now.Add(40 * time.Minute)
				_, err := s.Read(ctx)
				return err
			}},
		},
	}
	table.Run(t)
}
