package codeengine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/listing"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
	"github.com/latchkey-io/latchkey/internal/upstream/benttest"
)

func TestBentAnswers(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	w.set(entryName, canary)
	w.Cloud().AddApp(w.team().ID, "web", map[string]any{"image_reference": "example.com/web"})
	w.Cloud().AddApp(w.team().ID, "failing", map[string]any{"image_reference": "example.com/web"})
	behind, err := url.Parse(w.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.Transport = w.http.Transport
	carrier := &http.Transport{}
	t.Cleanup(carrier.CloseIdleConnections)
	me, err := w.login(w.Ready().APIKey).Bearer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// It has nothing of IAM's client, which would stop some of the answers by itself.
	client := &http.Client{Transport: bearer(me.Token.Expose(), carrier.RoundTrip)}
	config := func(at string) codeengine.Config {
		return codeengine.Config{Endpoint: at, HTTP: client, Account: func(context.Context) (string, error) { return cloud.AccountID, nil }}
	}
	store := func(at, project, name string) *codeengine.Store {
		return codeengine.New(config(at)).Store(codeengine.StoreConfig{
			Project: project, Region: region, Secret: name, Entry: entryName, Owner: "prod", Restart: codeengine.Restart{Names: []string{"app/web"}},
		})
	}
	made := 0
	table := benttest.Table{
		Account: cloud.AccountID,
		Route: func(r *http.Request) (string, bool, bool) {
			route, ok := upstream.CodeEngine.Route(r)
			return route.Method + " " + route.Path, route.Empty, ok
		},
		Good: proxy,
		Ops: []benttest.Op{
			{Name: "Projects", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := codeengine.New(config(at)).Projects(ctx, []string{region})
				return err
			}},
			{Name: "Read by name", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := store(at, "team-a", secretName).Read(ctx)
				return err
			}},
			{Name: "Read what is absent", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := store(at, w.team().ID, "absent").Read(ctx)
				return err
			}},
			{Name: "Read with others", Reads: true, Resolves: []string{"GET /v2/projects/{project_id}/secrets"}, Do: func(ctx context.Context, at string) error {
				s, lists := store(at, w.team().ID, secretName), new(listing.Shared)
				for range 4 {
					lists.Want(s)
				}
				_, err := s.Read(lists.With(ctx)) // by itself, if there is no list
				return err
			}},
			{Name: "Publish the first", Do: func(ctx context.Context, at string) error {
				made++
				return store(at, w.team().ID, fmt.Sprint("new-", made)).Publish(ctx, entry(1), "")
			}},
			{Name: "Publish", Do: func(ctx context.Context, at string) error {
				s := store(at, w.team().ID, secretName)
				e, err := s.Read(ctx)
				if err != nil {
					return err
				}
				return s.Publish(ctx, entry(1), e.Revision)
			}},
			{Name: "Remove", Do: func(ctx context.Context, at string) error {
				w.Cloud().PutSecret(w.team().ID, "over", map[string]string{entryName: canary, entryName + "_ID": "ApiKey-1"})
				s := store(at, w.team().ID, "over")
				e, err := s.Read(ctx)
				if err != nil {
					return err
				}
				return s.Remove(ctx, e.Revision)
			}},
			{Name: "Consumers", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := store(at, w.team().ID, secretName).Consumers().Consumers(ctx)
				return err
			}},
			{Name: "Restart", Do: func(ctx context.Context, at string) error {
				made++
				s := store(at, w.team().ID, secretName)
				return s.Consumers().Restart(ctx, "app/"+w.team().ID+"/web", fmt.Sprint("ApiKey-", made))
			}},
			{Name: "Restart what fails", Resolves: []string{"GET /v2/projects/{project_id}/apps/{app_name}/revisions/{name}"}, Do: func(ctx context.Context, at string) error {
				made++
				if _, err := w.Cloud().PlayApp(w.team().ID, "failing", cloud.Play{Kind: cloud.PlayFail, Reason: "image_pull_back_off"}); err != nil {
					return err
				}
				err := store(at, w.team().ID, secretName).Consumers().Restart(ctx, "app/"+w.team().ID+"/failing", fmt.Sprint("ApiKey-", made))
				if errors.Is(err, port.ErrRefused) && strings.Contains(err.Error(), "revision failing-") {
					return nil // as it must
				}
				return err
			}},
			{Name: "Readers", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := store(at, w.team().ID, secretName).Readers(ctx)
				return err
			}},
			{Name: "Used", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := store(at, w.team().ID, secretName).Used(ctx)
				return err
			}},
		},
	}
	for _, r := range upstream.CodeEngine.Routes {
		table.Routes = append(table.Routes, r.Method+" "+r.Path)
	}
	table.Run(t)
}
