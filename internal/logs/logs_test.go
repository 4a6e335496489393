package logs_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/logs"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

func TestAStatusSelectsTheError(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"200 is a proof":                           {200, "", nil},
		"200 with an empty object is a proof":      {200, "{}", nil},
		"200 that reports rejected lines is none":  {200, `{"message":"Not all logs were accepted"}`, port.ErrRefused},
		"403 may be the lag of the policy":         {403, "", port.ErrNotYet},
		"401 may be the lag of the token":          {401, "", port.ErrNotYet},
		"429 tells nothing":                        {429, "", port.ErrUnavailable},
		"503 tells nothing":                        {503, "", port.ErrUnavailable},
		"404 in its own words will never work":     {404, `{"errors":[{"code":"not_found"}]}`, port.ErrRefused},
		"404 of a gateway tells nothing":           {404, "", port.ErrUnavailable},
		"a redirect is not followed":               {302, "", port.ErrUnavailable},
		"a page of a gateway tells nothing":        {200, "<html>", port.ErrUnavailable},
		"a 204 is not the answer that is promised": {204, "", port.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			var host, auth string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				host, auth = r.Host, r.Header.Get("Authorization")
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			}))
			defer server.Close()
			p := logs.New(logs.Config{Endpoint: server.URL, Instance: "7a1c", Region: "eu-de", Private: true})
			err := p.Prove(t.Context(), port.Proof{Credential: "c", KeyID: "ApiKey-1", Token: secret.New("tok-canary")})
			if !errors.Is(err, tc.want) {
				t.Errorf("err = %v, want %v", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the error holds the token: %v", err)
			}
			if host != "7a1c.ingress.private.eu-de.logs.cloud.ibm.com" || auth != "Bearer tok-canary" {
				t.Errorf("host %q, authorization of %d characters", host, len(auth))
			}
		})
	}
}

func TestNoAnswerIsUnavailable(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := logs.New(logs.Config{Endpoint: "http://127.0.0.1:1", Instance: "7a1c", Region: "eu-de"})
	if err := p.Prove(ctx, port.Proof{}); !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
}
