package proof_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/proof"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream/benttest"
)

// The server of a proof may be any, so a success of any form proves what the config says.
func TestBentAnswers(t *testing.T) {
	carrier := &http.Transport{}
	t.Cleanup(carrier.CloseIdleConnections)
	prove := func(deny bool, expect int) func(context.Context, string) error {
		return func(ctx context.Context, at string) error {
			p, err := proof.New(proof.Config{
				HTTP: &http.Client{Transport: carrier}, Endpoint: at, At: "http[0]", Deny: deny, Expect: []int{expect},
				Request: proof.Request{Method: http.MethodGet, URL: "https://api.example.com/thing"},
			})
			if err != nil {
				return err
			}
			return p.Prove(ctx, port.Proof{Credential: "c", KeyID: "ApiKey-1", Token: secret.New("a-token")})
		}
	}
	benttest.Table{
		Route:   func(r *http.Request) (string, bool, bool) { return r.Method + " " + r.URL.Path, false, true },
		Routes:  []string{"GET /thing"},
		Good:    http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		Accepts: func(answer string) bool { return strings.HasPrefix(answer, "200 ") },
		Ops:     []benttest.Op{{Name: "Prove", Reads: true, Refuses: true, Do: prove(false, http.StatusOK)}},
	}.Run(t)
	benttest.Table{
		Route:  func(r *http.Request) (string, bool, bool) { return r.Method + " " + r.URL.Path, false, true },
		Routes: []string{"GET /thing"},
		Good:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }),
		Ops:    []benttest.Op{{Name: "Prove a denial", Reads: true, Refuses: true, Do: prove(true, http.StatusForbidden)}},
	}.Run(t)
}
