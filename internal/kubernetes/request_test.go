package kubernetes_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/listing"
)

// script answers calls in turn, each with a status and a body, and keeps what was sent.
type script struct {
	answers []string
	sent    strings.Builder
}

// RoundTrip satisfies http.RoundTripper.
func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	fmt.Fprintf(&s.sent, "%s %s\n", r.Method, r.URL)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&s.sent, "%s: %s\n", name, strings.Join(r.Header[name], ", "))
	}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		s.sent.WriteString(strings.TrimSpace(string(body)))
	}
	s.sent.WriteString("\n\n")
	answer := `200 {"kind":"` + kindOf(r) + `","metadata":{"name":"s","namespace":"ns","resourceVersion":"7"},"items":[],"data":{"K":"dg=="}}`
	if len(s.answers) > 0 {
		answer, s.answers = s.answers[0], s.answers[1:]
	}
	status, body := 0, ""
	if _, err := fmt.Sscan(answer, &status); err != nil {
		return nil, err
	}
	_, body, _ = strings.Cut(answer, " ")
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

// kindOf returns the kind of the answer to a request.
func kindOf(r *http.Request) string {
	parts := strings.Split(r.URL.Path, "/")
	kinds := map[string]string{"secrets": "Secret", "daemonsets": "DaemonSet", "deployments": "Deployment", "statefulsets": "StatefulSet", "nodes": "Node"}
	if kind := kinds[parts[len(parts)-1]]; kind != "" && r.Method == http.MethodGet {
		return kind + "List"
	} else if kind != "" {
		return kind
	}
	return kinds[parts[len(parts)-2]]
}

func (s *script) store(cfg kubernetes.StoreConfig) *kubernetes.Store {
	cfg.Namespace, cfg.Secret, cfg.Entry, cfg.Owner = "ns", "s", "K", "prod"
	return kubernetes.New(kubernetes.Config{
		Kubeconfig: func(context.Context) ([]byte, error) {
			return []byte(`{"current-context":"c","clusters":[{"name":"c","cluster":{"server":"https://kube.example:6443/prefix/?q#f"}}],` +
				`"users":[{"name":"u","user":{"token":"t"}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`), nil
		},
		Patience: time.Nanosecond, Now: func() time.Time { return time.Date(2026, time.November, 24, 10, 0, 0, 5, time.UTC) },
		Pace: func(http.RoundTripper) http.RoundTripper { return s },
	}).Store(cfg)
}

func TestTheRequestsAreThoseOfTheFile(t *testing.T) {
	secret := func(id string) string {
		return `200 {"kind":"Secret","metadata":{"name":"s","namespace":"ns","resourceVersion":"` + id + `"},"data":{"K":"dg=="}}`
	}
	page := func(next string) string {
		return `200 {"kind":"SecretList","metadata":{"continue":"` + next + `"},"items":[]}`
	}
	workload := `200 {"kind":"Deployment","metadata":{"name":"web","namespace":"ns","generation":1},"status":{"observedGeneration":1}}`
	var all strings.Builder
	for _, c := range []struct {
		name    string
		answers []string
		do      func(context.Context, *script) error
	}{
		{"Read", []string{secret("7")}, func(ctx context.Context, s *script) error {
			_, err := s.store(kubernetes.StoreConfig{}).Read(ctx)
			return err
		}},
		{"Read what is absent", []string{said(404, "NotFound", "no")}, func(ctx context.Context, s *script) error {
			_, err := s.store(kubernetes.StoreConfig{}).Read(ctx)
			return err
		}},
		{"Read without the right to get", []string{said(403, "Forbidden", "no")}, func(ctx context.Context, s *script) error {
			_, err := s.store(kubernetes.StoreConfig{}).Read(ctx)
			return err
		}},
		{"Read in a sweep", []string{page("a/b=&c"), page(""), secret("7")}, func(ctx context.Context, s *script) error {
			lists, one := new(listing.Shared), s.store(kubernetes.StoreConfig{})
			for range 4 {
				lists.Want(one)
			}
			_, err := one.Read(lists.With(ctx))
			return err
		}},
		{"Publish the first", nil, func(ctx context.Context, s *script) error {
			return s.store(kubernetes.StoreConfig{}).Publish(ctx, entry(1), "")
		}},
		{"Publish", nil, func(ctx context.Context, s *script) error {
			return s.store(kubernetes.StoreConfig{}).Publish(ctx, entry(1), "7")
		}},
		{"Remove", nil, func(ctx context.Context, s *script) error {
			return s.store(kubernetes.StoreConfig{}).Remove(ctx, "7")
		}},
		{"Remove without the right to delete", []string{secret("7"), said(403, "Forbidden", "no")}, func(ctx context.Context, s *script) error {
			return s.store(kubernetes.StoreConfig{}).Remove(ctx, "7")
		}},
		{"Consumers", nil, func(ctx context.Context, s *script) error {
			_, err := s.store(kubernetes.StoreConfig{Restart: kubernetes.Restart{All: true}}).Consumers().Consumers(ctx)
			return err
		}},
		{"Restart", []string{workload, workload}, func(ctx context.Context, s *script) error {
			return s.store(kubernetes.StoreConfig{Restart: kubernetes.Restart{All: true}}).Consumers().Restart(ctx, "deployment/ns/web", "ApiKey-1")
		}},
		{"Readers", nil, func(ctx context.Context, s *script) error {
			_, err := s.store(kubernetes.StoreConfig{}).Readers(ctx)
			return err
		}},
	} {
		s := &script{answers: c.answers}
		err := c.do(t.Context(), s)
		fmt.Fprintf(&all, "# %s: %v\n\n%s", c.name, err, s.sent.String())
	}
	want, err := os.ReadFile("testdata/requests.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), all.String()); diff != "" {
		t.Error(diff)
	}
}
