package logs_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/logs"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
	"github.com/latchkey-io/latchkey/internal/upstream/benttest"
)

func TestBentAnswers(t *testing.T) {
	carrier := &http.Transport{}
	t.Cleanup(carrier.CloseIdleConnections)
	prover := func(at string) *logs.Prover {
		return logs.New(logs.Config{HTTP: &http.Client{Transport: carrier}, Endpoint: at, Instance: "i", Region: "eu-de"})
	}
	table := benttest.Table{
		Route: func(r *http.Request) (string, bool, bool) {
			route, ok := upstream.CloudLogs.Route(r)
			return route.Method + " " + route.Path, route.Empty, ok
		},
		Good: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}),
		Writes: func(*http.Request) bool { return false },
		// The body of a success is not documented. A page is none.
		Accepts: func(answer string) bool {
			return strings.HasPrefix(answer, "200 ") && !strings.Contains(answer, "<html")
		},
		Ops: []benttest.Op{
			{Name: "Prove", Do: func(ctx context.Context, at string) error {
				return prover(at).Prove(ctx, port.Proof{Credential: "c", KeyID: "ApiKey-1", Token: secret.New("t")})
			}},
			{Name: "Reach", Reads: true, Do: func(ctx context.Context, at string) error {
				_, err := prover(at).Reach(ctx)
				return err
			}},
		},
	}
	for _, r := range upstream.CloudLogs.Routes {
		table.Routes = append(table.Routes, r.Method+" "+r.Path)
	}
	table.Run(t)
}
