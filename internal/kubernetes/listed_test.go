package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
	"github.com/latchkey-io/latchkey/internal/listing"
	"github.com/latchkey-io/latchkey/internal/port"
)

// reads counts the reads of a client, by the last segment of their path.
type reads struct {
	mu    sync.Mutex
	count map[string]int
}

func (r *reads) wrap(next http.RoundTripper) http.RoundTripper {
	return tripper(func(req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodGet {
			r.mu.Lock()
			r.count[req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]]++
			r.mu.Unlock()
		}
		return next.RoundTrip(req)
	})
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestStoresOfOneNamespaceShareItsLists(t *testing.T) {
	list := append([]kubetest.Rule{{Resources: []string{"secrets"}, Verbs: []string{"list"}}}, kubetest.Everything...)
	for name, c := range map[string]struct {
		rules   []kubetest.Rule
		looks   int  // at Secrets that a list could show
		another bool // there is a Secret of another writer
	}{
		"with the verb list":         {rules: list},
		"without the verb list":      {rules: kubetest.Everything, looks: 5},
		"beside an unlabelled entry": {rules: list, another: true},
	} {
		t.Run(name, func(t *testing.T) {
			k := newCorner(t, kubetest.Fake(t), c.rules...)
			k.Workload(t, "deployment", k.namespace, "web", nil, nil)
			made := reads{count: map[string]int{}}
			client := kubernetes.New(kubernetes.Config{Kubeconfig: func(context.Context) ([]byte, error) { return k.Kubeconfig(k.proxy), nil }, Pace: made.wrap})
			lists := new(listing.Shared)
			var stores []*kubernetes.Store
			for i := range 6 {
				s := client.Store(kubernetes.StoreConfig{
					Namespace: k.namespace, Secret: fmt.Sprint("s", i), Entry: kubernetes.LogsAgentEntry, Owner: "prod", Restart: kubernetes.Restart{All: true},
				})
				switch {
				case i < 5:
					if err := s.Publish(t.Context(), entry(i), ""); err != nil {
						t.Fatal(err)
					}
				case c.another:
					k.Do(t, "POST", k.secrets(), map[string]any{"metadata": map[string]any{"name": "s5"}, "data": map[string]any{kubernetes.LogsAgentEntry: coded("another")}})
				}
				stores = append(stores, s)
				lists.Want(s)
			}
			clear(made.count)
			ctx := lists.With(t.Context())
			for i, s := range stores {
				listed, lerr := s.Read(ctx)
				if _, err := s.Consumers().Consumers(ctx); err != nil {
					t.Error(err)
				}
				alone, err := s.Read(t.Context())
				if !errors.Is(err, lerr) && !errors.Is(lerr, port.ErrNotFound) || listed.KeyID != alone.KeyID || listed.Revision != alone.Revision || !listed.Value.Equal(alone.Value) {
					t.Errorf("s%d: %v, %v: %+v, alone %+v", i, lerr, err, listed, alone)
				}
			}
			alone := 0
			for i := range 5 {
				alone += made.count[fmt.Sprint("s", i)] - 1
			}
			if made.count["secrets"] != 1 || alone != c.looks || made.count["s5"] != 2 || made.count["deployments"] != 1 {
				t.Errorf("calls: %v", made.count)
			}
			few := new(listing.Shared)
			few.Want(stores[0])
			if _, err := stores[0].Read(few.With(t.Context())); err != nil || made.count["secrets"] != 1 {
				t.Errorf("a look at one Secret lists the others (%v)", err)
			}
		})
	}
}
