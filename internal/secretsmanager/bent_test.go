package secretsmanager_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
	"github.com/latchkey-io/latchkey/internal/upstream"
	"github.com/latchkey-io/latchkey/internal/upstream/benttest"
)

func TestBentAnswers(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	for _, kind := range []string{secretsmanager.Arbitrary, secretsmanager.KeyValue} {
		if err := w.store(kind).Publish(t.Context(), entry(1), ""); err != nil {
			t.Fatal(err)
		}
	}
	behind, err := url.Parse(w.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.Transport = w.http.Transport
	carrier := &http.Transport{}
	t.Cleanup(carrier.CloseIdleConnections)
	id, strong := w.Cloud().AddIdentity("manager")
	w.Cloud().Grant(id.IAMID, "secrets-manager", manager)
	login := w.login(strong.Value, carrier)
	client := func(at string) *secretsmanager.Client {
		return secretsmanager.New(secretsmanager.Config{Endpoint: at, HTTP: login, Account: func(context.Context) (string, error) { return cloud.AccountID, nil }})
	}
	store := func(at, kind string, change ...func(*secretsmanager.StoreConfig)) *secretsmanager.Store {
		c := config(kind)
		for _, f := range change {
			f(&c)
		}
		return client(at).Store(c)
	}
	locked := func(c *secretsmanager.StoreConfig) { c.Lock, c.Credential = true, "c" }
	number := 1
	publish := func(ctx context.Context, s *secretsmanager.Store) error {
		number++
		e, err := s.Read(ctx)
		if err != nil && !errors.Is(err, port.ErrNotFound) {
			return err
		}
		next := entry(number % 50)
		next.Created = start.Add(time.Duration(number) * time.Minute)
		return s.Publish(ctx, next, e.Revision)
	}
	task := func(at string) *secretsmanager.Task {
		return client(at).Task(secretsmanager.TaskConfig{
			Instance: cloud.SecretsInstanceID, Region: cloud.SecretsInstanceRegion, Secret: "s", Task: "t", Pause: time.Millisecond,
		})
	}
	name := func(r *http.Request) (string, bool, bool) {
		route, ok := upstream.SecretsManager.Route(r)
		return route.Method + " " + route.Path, route.Empty, ok
	}
	spares := []string{"GET /api/v2/secrets/{id}/metadata"} // later sweeps, some calls
	table := benttest.Table{
		Account: cloud.AccountID,
		Route:   name,
		Good: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.Path, "/tasks/") { // a task that waits for its key
				proxy.ServeHTTP(rw, r)
				return
			}
			rw.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(rw, `{"id":"t","type":"create_credentials","status":"queued"}`)
		}),
		Ops: []benttest.Op{
			{Name: "Read", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := store(at, secretsmanager.Arbitrary).Read(ctx)
				return err
			}},
			{Name: "Read an entry", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := store(at, secretsmanager.KeyValue).Read(ctx)
				return err
			}},
			{Name: "Publish the first", Do: func(ctx context.Context, at string) error {
				number++
				return store(at, secretsmanager.Arbitrary, func(c *secretsmanager.StoreConfig) { c.Secret = fmt.Sprint("bent-", number) }).Publish(ctx, entry(1), "")
			}},
			{Name: "Publish", Resolves: spares, Do: func(ctx context.Context, at string) error { return publish(ctx, store(at, secretsmanager.Arbitrary)) }},
			{Name: "Publish with locks", Resolves: spares, Do: func(ctx context.Context, at string) error {
				return publish(ctx, store(at, secretsmanager.KeyValue, locked))
			}},
			{Name: "Remove", Do: func(ctx context.Context, at string) error {
				over := func(c *secretsmanager.StoreConfig) { c.Secret = "over" }
				if _, err := store(w.URL(), secretsmanager.Arbitrary, over).Read(ctx); errors.Is(err, port.ErrNotFound) {
					if err := store(w.URL(), secretsmanager.Arbitrary, over).Publish(ctx, entry(1), ""); err != nil {
						return err
					}
				}
				s := store(at, secretsmanager.Arbitrary, over)
				e, err := s.Read(ctx)
				if err != nil {
					return err
				}
				return s.Remove(ctx, e.Revision)
			}},
			{Name: "Read a task", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := task(at).Read(ctx)
				return err
			}},
			{Name: "Complete a task", Do: func(ctx context.Context, at string) error { return task(at).Publish(ctx, entry(1), "") }},
		},
	}
	for _, r := range upstream.SecretsManager.Routes {
		table.Routes = append(table.Routes, r.Method+" "+r.Path)
	}
	table.Run(t)
}
