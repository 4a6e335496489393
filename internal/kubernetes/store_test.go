package kubernetes_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/storetest"
)

const canary = "canary-7f3e9d-hunter2-kT5uW9xQ2mZ7rB4nC8vL1p"

// TestStore and TestConsumers hold for the cluster in this process; the same
// scenarios run against a real one with the build tag real.
func TestStore(t *testing.T)     { storeScenarios(t, kubetest.Fake(t)) }
func TestConsumers(t *testing.T) { consumerScenarios(t, kubetest.Fake(t)) }

// corner is a namespace of its own, as one test has it.
type corner struct {
	*kubetest.Cluster
	t         *testing.T
	proxy     *storetest.Proxy
	namespace string
	now       time.Time
	form      *format.Form // of stores that are made later
}

var namespaces atomic.Int32

func newCorner(t *testing.T, c *kubetest.Cluster, rules ...kubetest.Rule) *corner {
	t.Helper()
	k := &corner{
		Cluster: c, t: t, proxy: c.Proxy(t), namespace: fmt.Sprint("team-", namespaces.Add(1)),
		now: time.Date(2026, time.November, 24, 10, 0, 0, 123456789, time.UTC),
	}
	if len(rules) == 0 {
		rules = kubetest.Everything
	}
	c.Namespace(t, k.namespace, rules...)
	return k
}

// client is a new one: another process.
func (k *corner) client() *kubernetes.Client {
	return kubernetes.New(kubernetes.Config{
		Cluster: "east", Kubeconfig: func(context.Context) ([]byte, error) { return k.Kubeconfig(k.proxy), nil },
		Patience: time.Second, Now: func() time.Time { return k.now },
	})
}

func (k *corner) store(change ...func(*kubernetes.StoreConfig)) *kubernetes.Store {
	cfg := kubernetes.StoreConfig{Namespace: k.namespace, Secret: kubernetes.LogsAgentSecret, Entry: kubernetes.LogsAgentEntry, Form: k.form, Owner: "prod"}
	for _, f := range change {
		f(&cfg)
	}
	return k.client().Store(cfg)
}

func (k *corner) secrets() string { return "/api/v1/namespaces/" + k.namespace + "/secrets" }
func (k *corner) path() string    { return k.secrets() + "/" + kubernetes.LogsAgentSecret }

// edit changes the Secret as a person would, and makes it if it has to.
func (k *corner) edit(t *testing.T, change map[string]any) {
	t.Helper()
	if k.Has(t, k.path()) {
		k.Do(t, "PATCH", k.path(), change)
		return
	}
	whole := map[string]any{"metadata": map[string]any{}}
	maps.Copy(whole, change)
	whole["metadata"].(map[string]any)["name"] = kubernetes.LogsAgentSecret
	k.Do(t, "POST", k.secrets(), whole)
}

func (k *corner) secret(t *testing.T) (data, annotations, labels map[string]any) {
	t.Helper()
	got := k.Do(t, "GET", k.path(), nil)
	data, _ = got["data"].(map[string]any)
	meta, _ := got["metadata"].(map[string]any)
	annotations, _ = meta["annotations"].(map[string]any)
	labels, _ = meta["labels"].(map[string]any)
	return data, annotations, labels
}

func coded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func (k *corner) place() storetest.Location {
	neighbours := 0
	return storetest.Location{
		Store: k.store(), Other: k.store(),
		Neighbour: func(t *testing.T) func(*testing.T) {
			neighbours++
			name := fmt.Sprint("neighbour-", neighbours)
			k.edit(t, map[string]any{
				"data": map[string]any{name: coded("\x00<ünchanged>")},
				"metadata": map[string]any{
					"annotations": map[string]any{name: "<kept>", "key-id.latchkey.dev/" + name: "ApiKey-" + name},
					"labels":      map[string]any{name: "kept"},
				},
			})
			return func(t *testing.T) {
				t.Helper()
				data, annotations, labels := k.secret(t)
				if data[name] != coded("\x00<ünchanged>") || annotations[name] != "<kept>" || labels[name] != "kept" ||
					annotations["key-id.latchkey.dev/"+name] != "ApiKey-"+name {
					t.Errorf("%s is now %v, %v, %v", name, data[name], annotations[name], labels[name])
				}
			}
		},
		Handwrite: func(t *testing.T, value string) {
			k.edit(t, map[string]any{"data": map[string]any{kubernetes.LogsAgentEntry: coded(value)}})
		},
		Remove:  func(t *testing.T) { k.Do(t, "DELETE", k.path(), nil) },
		Unclear: k.proxy.Unclear(),
		Down:    func(*testing.T) func() { return k.proxy.Down() },
		Hang:    func(*testing.T) { k.proxy.Hang() },
		Deny: func(t *testing.T) func() {
			k.Grant(t, k.namespace, kubetest.Rule{Resources: []string{"secrets"}, Verbs: []string{"get"}})
			return func() { k.Grant(t, k.namespace, kubetest.Everything...) }
		},
		Permission: []string{"on secrets in namespace " + k.namespace},
		Fill:       func(t *testing.T) { k.Fill(t, k.namespace) },
		Longest:    1 << 20,
		Misnamed: map[string]port.Store{
			"the Secret has capitals":      k.store(func(c *kubernetes.StoreConfig) { c.Secret = "Logs_Agent" }),
			"the namespace has a dot":      k.store(func(c *kubernetes.StoreConfig) { c.Namespace = "ibm.observe" }),
			"the namespace does not exist": k.store(func(c *kubernetes.StoreConfig) { c.Namespace = k.namespace + "-missing" }),
			"the entry has a space":        k.store(func(c *kubernetes.StoreConfig) { c.Entry = "IAM API KEY" }),
			"the entry is no name for an annotation": k.store(func(c *kubernetes.StoreConfig) {
				c.Entry = strings.Repeat("A", 64)
			}),
		},
		AllowRemove: func(t *testing.T) {
			k.Grant(t, k.namespace, append(slices.Clone(kubetest.Everything), kubetest.Rule{Resources: []string{"secrets"}, Verbs: []string{"delete"}})...)
		},
		WriteOnly: func(t *testing.T) port.Store {
			k.Grant(t, k.namespace, kubetest.Rule{Resources: []string{"secrets"}, Verbs: []string{"create", "patch"}})
			return k.store()
		},
	}
}

func entry(n int) port.Entry {
	return port.Entry{
		KeyID: fmt.Sprint("ApiKey-", n), Value: secret.New(fmt.Sprint(canary, n)), IAMID: "iam-ServiceId-1",
		Created: time.Date(2026, time.November, 24, 10, n, 0, 0, time.UTC),
	}
}

// storeScenarios are what a store does in a cluster.
func storeScenarios(t *testing.T, c *kubetest.Cluster) {
	for way, form := range map[string]*format.Form{"": nil, " with several entries in formats of their own": storetest.Form(true)} {
		t.Run("it keeps the contract"+way, func(t *testing.T) {
			storetest.Run(t, storetest.Harness{New: func(t *testing.T) storetest.Location {
				k := newCorner(t, c)
				k.form = form
				p := k.place()
				// The namespace that does not exist would need rights of its own.
				delete(p.Misnamed, "the namespace does not exist")
				return p
			}})
		})
	}
	for sentence, scenario := range map[string]func(*testing.T, *corner){
		"an entry is in the data and its metadata in annotations": annotated,
		"an immutable Secret is refused before a key is made":     immutable,
		"a Secret that is being deleted is not active":            deleting,
		"reading without the right to create names it":            noCreate,
		"reading without the right to get names it":               noGet,
		"a rejected token is read again":                          newToken,
		"other data counts toward the size limit":                 tooMuch,
	} {
		t.Run(sentence, func(t *testing.T) { scenario(t, newCorner(t, c)) })
	}
}

func annotated(t *testing.T, k *corner) {
	s := k.store()
	if err := s.Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	data, annotations, _ := k.secret(t)
	if len(data) != 1 || data["IAM_API_KEY"] != coded(canary+"1") {
		t.Errorf("the data is %v", data)
	}
	want := map[string]any{
		"key-id.latchkey.dev/IAM_API_KEY": "ApiKey-1", "created.latchkey.dev/IAM_API_KEY": "2026-11-24T10:01:00Z",
		"iam-id.latchkey.dev/IAM_API_KEY": "iam-ServiceId-1", "owner.latchkey.dev/IAM_API_KEY": "prod",
	}
	if !maps.Equal(annotations, want) {
		t.Errorf("the annotations are %v, want %v", annotations, want)
	}
	if want := "kubernetes/east/" + k.namespace + "/logs-agent#IAM_API_KEY"; s.Name() != want {
		t.Errorf("the store is called %s, want %s", s.Name(), want)
	}
}

func immutable(t *testing.T, k *corner) {
	if err := k.store().Publish(t.Context(), entry(1), ""); err != nil {
		t.Fatal(err)
	}
	e, err := k.store().Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k.edit(t, map[string]any{"immutable": true})
	_, err = k.store().Read(t.Context())
	says(t, err, port.ErrRefused, "immutable")
	// Between the read and the write: the revision is another one as well.
	says(t, k.store().Publish(t.Context(), entry(2), e.Revision), port.ErrConflict)
	version, _ := k.Do(t, "GET", k.path(), nil)["metadata"].(map[string]any)["resourceVersion"].(string)
	says(t, k.store().Publish(t.Context(), entry(2), version), port.ErrRefused, "immutable")
}

func deleting(t *testing.T, k *corner) {
	k.edit(t, map[string]any{"metadata": map[string]any{"finalizers": []string{"example.test/wait"}}, "data": map[string]any{}})
	k.Do(t, "DELETE", k.path(), nil)
	_, err := k.store().Read(t.Context())
	says(t, err, port.ErrNotActive, "being deleted")
	k.edit(t, map[string]any{"metadata": map[string]any{"finalizers": nil}})
}

func noCreate(t *testing.T, k *corner) {
	k.Grant(t, k.namespace, kubetest.Rule{Resources: []string{"secrets"}, Verbs: []string{"get", "patch"}})
	_, err := k.store().Read(t.Context())
	says(t, err, port.ErrDenied, "create on secrets in namespace "+k.namespace)
	k.edit(t, map[string]any{"data": map[string]any{}})
	if _, err := k.store().Read(t.Context()); !errors.Is(err, port.ErrNotFound) {
		t.Errorf("reading an absent entry of a Secret that exists: %v", err)
	}
}

func noGet(t *testing.T, k *corner) {
	k.Grant(t, k.namespace, kubetest.Rule{Resources: []string{"secrets"}, Verbs: []string{"create"}})
	_, err := k.store().Read(t.Context())
	says(t, err, port.ErrDenied, "get on secrets in namespace "+k.namespace, "rotator")
}

func newToken(t *testing.T, k *corner) {
	asked := 0
	s := kubernetes.New(kubernetes.Config{Kubeconfig: func(context.Context) ([]byte, error) {
		asked++
		text := string(k.Kubeconfig(k.proxy))
		if asked == 1 {
			text = strings.ReplaceAll(text, "rotator-token", "expired-token")
		}
		return []byte(text), nil
	}}).Store(kubernetes.StoreConfig{Namespace: k.namespace, Secret: "a", Entry: "b"})
	_, err := s.Read(t.Context())
	says(t, err, port.ErrDenied, "401")
	for range 2 {
		_, err = s.Read(t.Context())
		says(t, err, port.ErrNotFound)
	}
	if asked < 2 {
		t.Errorf("the kubeconfig was read %d times", asked)
	}
}

func tooMuch(t *testing.T, k *corner) {
	k.edit(t, map[string]any{"data": map[string]any{"neighbour": coded(strings.Repeat("x", 1<<20-10))}})
	e, err := k.store().Read(t.Context())
	says(t, err, port.ErrNotFound)
	says(t, k.store().Publish(t.Context(), entry(1), e.Revision), port.ErrRefused, "1048576")
}

// says fails unless the error is of the sort, has the words, and quotes no
// value.
func says(t *testing.T, err, sort error, words ...string) {
	t.Helper()
	if !errors.Is(err, sort) {
		t.Fatalf("error %v: want one that is %q", err, sort)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	for _, quoted := range []string{canary, coded(canary)[:40], "rotator-token", "expired-token"} {
		if strings.Contains(fmt.Sprintf("%+v %#v", err, err), quoted) {
			t.Errorf("error %q quotes a secret", err)
		}
	}
}

func TestNothingIsReadOrCalledBeforeItIsNeeded(t *testing.T) {
	asked := false
	c := kubernetes.New(kubernetes.Config{Kubeconfig: func(context.Context) ([]byte, error) {
		asked = true
		return nil, errors.New("KUBECONFIG_EAST is not set")
	}})
	s := c.Store(kubernetes.StoreConfig{Namespace: "a", Secret: "b", Entry: "c", Restart: kubernetes.Restart{All: true}})
	if s.Name() != "kubernetes/in-cluster/a/b#c" || !s.Guarded() || s.Consumers() == nil || asked {
		t.Errorf("store %s, guarded %v; the kubeconfig was read: %v", s.Name(), s.Guarded(), asked)
	}
	_, err := s.Read(t.Context())
	says(t, err, port.ErrRefused, "KUBECONFIG_EAST is not set")
}

func TestAKubeconfigThatIsNoneIsRefusedAndNotRepeated(t *testing.T) {
	for name, text := range map[string]string{
		"no YAML":           "token: [" + canary,
		"something else":    "users: " + canary,
		"without a cluster": `{"apiVersion":"v1","kind":"Config","users":[{"name":"u","user":{"token":"` + canary + `"}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := kubernetes.New(kubernetes.Config{Kubeconfig: func(context.Context) ([]byte, error) { return []byte(text), nil }}).
				Store(kubernetes.StoreConfig{Namespace: "a", Secret: "b", Entry: "c"})
			_, err := s.Read(t.Context())
			says(t, err, port.ErrRefused, "in-cluster")
		})
	}
}

func TestOutsideOfAClusterThereIsNoneToTake(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err := kubernetes.New(kubernetes.Config{}).Store(kubernetes.StoreConfig{Namespace: "a", Secret: "b", Entry: "c"}).Read(t.Context())
	says(t, err, port.ErrRefused, "in-cluster")
}
