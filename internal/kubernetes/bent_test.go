package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
	"github.com/latchkey-io/latchkey/internal/listing"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/storetest"
	"github.com/latchkey-io/latchkey/internal/upstream"
	"github.com/latchkey-io/latchkey/internal/upstream/benttest"
)

func TestBentAnswers(t *testing.T) {
	k := newCorner(t, kubetest.Fake(t))
	k.edit(t, map[string]any{"data": map[string]any{kubernetes.LogsAgentEntry: coded(canary)}})
	k.Grant(t, "", kubetest.Rule{Resources: []string{"nodes"}, Verbs: []string{"list"}})
	k.Workload(t, "deployment", k.namespace, "web", nil, nil)
	k.Rollout(t, "deployment", k.namespace, "web", 1, 1)
	behind, err := url.Parse(k.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := storetest.Insecure()
	t.Cleanup(forward.CloseIdleConnections)
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.Transport = forward
	number := 0
	with := func(at, name string, restart kubernetes.Restart) *kubernetes.Store {
		return kubernetes.New(kubernetes.Config{
			Patience: time.Nanosecond,
			Kubeconfig: func(context.Context) ([]byte, error) {
				return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":%q}}],`+
					`"users":[{"name":"u","user":{"token":"rotator-token"}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`, at), nil
			},
		}).Store(kubernetes.StoreConfig{Namespace: k.namespace, Secret: name, Entry: kubernetes.LogsAgentEntry, Owner: "prod", Restart: restart})
	}
	key := port.Entry{KeyID: "ApiKey-1", Value: secret.New(canary), Created: time.Unix(1, 0)}
	publish := func(ctx context.Context, s *kubernetes.Store) error {
		e, err := s.Read(ctx)
		if err != nil && !errors.Is(err, port.ErrNotFound) {
			return err
		}
		return s.Publish(ctx, key, e.Revision)
	}
	table := benttest.Table{
		Route: func(r *http.Request) (string, bool, bool) {
			route, ok := upstream.Kubernetes.Route(r)
			return route.Method + " " + route.Path, route.Empty, ok
		},
		Writes: func(r *http.Request) bool { return r.Method != http.MethodGet && r.URL.Query().Get("dryRun") == "" },
		Good: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Authorization", "Bearer rotator-token") // a client sends it by TLS only
			proxy.ServeHTTP(w, r)
		}),
		Ops: []benttest.Op{
			{Name: "Read", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := with(at, kubernetes.LogsAgentSecret, kubernetes.Restart{}).Read(ctx)
				return err
			}},
			{Name: "Read in a sweep", Reads: true, Resolves: []string{"GET /api/v1/namespaces/{metadata.namespace}/secrets"}, Do: func(ctx context.Context, at string) error {
				s, lists := with(at, kubernetes.LogsAgentSecret, kubernetes.Restart{}), new(listing.Shared)
				for range 4 {
					lists.Want(s)
				}
				_, err := s.Read(lists.With(ctx))
				return err
			}},
			{Name: "Read what is absent", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := with(at, "absent", kubernetes.Restart{}).Read(ctx)
				return err
			}},
			{Name: "Publish", Do: func(ctx context.Context, at string) error {
				return publish(ctx, with(at, kubernetes.LogsAgentSecret, kubernetes.Restart{}))
			}},
			{Name: "Publish the first", Do: func(ctx context.Context, at string) error {
				number++
				return with(at, fmt.Sprint("bent-", number), kubernetes.Restart{}).Publish(ctx, key, "")
			}},
			{Name: "Remove", Do: func(ctx context.Context, at string) error {
				k.Grant(t, k.namespace, append(slices.Clone(kubetest.Everything), kubetest.Rule{Resources: []string{"secrets"}, Verbs: []string{"delete"}})...)
				over := k.store(func(c *kubernetes.StoreConfig) { c.Secret = "over" })
				if e, err := over.Read(ctx); errors.Is(err, port.ErrNotFound) {
					if err := over.Publish(ctx, key, e.Revision); err != nil {
						return err
					}
				}
				s := with(at, "over", kubernetes.Restart{})
				e, err := s.Read(ctx)
				if err != nil {
					return err
				}
				return s.Remove(ctx, e.Revision)
			}},
			{Name: "Consumers", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := with(at, kubernetes.LogsAgentSecret, kubernetes.Restart{All: true, Names: []string{"deployment/web"}}).Consumers().Consumers(ctx)
				return err
			}},
			{Name: "Readers", Reads: true, Resolves: []string{"GET /api/v1/nodes"}, Do: func(ctx context.Context, at string) error {
				_, err := with(at, kubernetes.LogsAgentSecret, kubernetes.Restart{}).Readers(ctx)
				return err
			}},
			{Name: "Restart", Do: func(ctx context.Context, at string) error {
				number++
				err := with(at, kubernetes.LogsAgentSecret, kubernetes.Restart{All: true}).Consumers().
					Restart(ctx, "deployment/"+k.namespace+"/web", fmt.Sprint("ApiKey-", number))
				if err != nil && strings.Contains(err.Error(), "rollout is not complete") {
					return nil // the fake has no controller; the patch was answered
				}
				return err
			}},
		},
	}
	for _, r := range upstream.Kubernetes.Routes {
		table.Routes = append(table.Routes, r.Method+" "+r.Path)
	}
	table.Run(t)
}
