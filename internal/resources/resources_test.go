package resources_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/resources"
	"github.com/latchkey-io/latchkey/internal/upstream"
	"github.com/latchkey-io/latchkey/internal/upstream/benttest"
)

// instance is one item of a list.
func instance(service, guid, state string) string {
	return fmt.Sprintf(`{"guid":%q,"name":"n-%s","region_id":"eu-de","state":%q,"crn":"crn:v1:bluemix:public:%s:eu-de:a/1:%s::"}`, guid, guid, state, service, guid)
}

func TestTheActiveInstancesOfTheServiceAreListedFromAllPages(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("start") == "" {
			fmt.Fprintf(w, `{"next_url":"/v2/resource_instances?start=two&limit=100","resources":[%s,%s,%s]}`,
				instance("logs", "1", "active"), instance("secrets-manager", "2", "active"), instance("logs", "3", "removed"))
			return
		}
		fmt.Fprintf(w, `{"next_url":null,"resources":[%s]}`, instance("logs", "4", "active"))
	}))
	defer server.Close()
	got, err := resources.List(t.Context(), resources.Config{HTTP: server.Client(), Endpoint: server.URL}, "logs")
	if err != nil {
		t.Fatal(err)
	}
	want := []resources.Instance{{GUID: "1", Name: "n-1", Region: "eu-de"}, {GUID: "4", Name: "n-4", Region: "eu-de"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("instances (-want +got):\n%s", diff)
	}
}

func TestBentAnswers(t *testing.T) {
	carrier := &http.Transport{}
	t.Cleanup(carrier.CloseIdleConnections)
	table := benttest.Table{
		Route: func(r *http.Request) (string, bool, bool) {
			route, ok := upstream.ResourceController.Route(r)
			return route.Method + " " + route.Path, route.Empty, ok
		},
		Good: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"resources":[%s]}`, instance("logs", "1", "active"))
		}),
		Ops: []benttest.Op{{Name: "List", Reads: true, Do: func(ctx context.Context, at string) error {
			_, err := resources.List(ctx, resources.Config{HTTP: &http.Client{Transport: carrier}, Endpoint: at}, "logs")
			return err
		}}},
	}
	for _, r := range upstream.ResourceController.Routes {
		table.Routes = append(table.Routes, r.Method+" "+r.Path)
	}
	table.Run(t)
}
