package proof_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/proof"
	"github.com/latchkey-io/latchkey/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "tok-canary"

// prove sends the request to a server that answers with handle.
func prove(t *testing.T, cfg proof.Config, handle http.HandlerFunc) error {
	t.Helper()
	server := httptest.NewServer(handle)
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	cfg.HTTP, cfg.Endpoint, cfg.At = &http.Client{Transport: transport}, server.URL, "http[0]"
	p, err := proof.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Prove(t.Context(), port.Proof{Credential: "c", KeyID: "ApiKey-1", Token: secret.New(token)})
	if err != nil && strings.Contains(err.Error(), "canary") {
		t.Errorf("the error holds the token: %v", err)
	}
	return err
}

func TestAStatusSelectsTheError(t *testing.T) {
	may := proof.Config{Expect: []int{200, 202}, RetryOn: []int{404, 503}}
	mayNot := proof.Config{Expect: []int{403}, Deny: true}
	for name, tc := range map[string]struct {
		cfg    proof.Config
		status int
		want   error
	}{
		"an expected status is a proof":                        {may, 202, nil},
		"another success is none":                              {may, 201, port.ErrRefused},
		"403 may be the lag of a policy":                       {may, 403, port.ErrNotYet},
		"401 may be the lag of the token":                      {may, 401, port.ErrNotYet},
		"a further status may be IAM's lag":                    {may, 404, port.ErrNotYet},
		"a further status comes before what it tells else":     {may, 503, port.ErrNotYet},
		"400 will never work":                                  {may, 400, port.ErrRefused},
		"a redirect is no proof":                               {may, 302, port.ErrRefused},
		"429 tells nothing":                                    {may, 429, port.ErrUnavailable},
		"500 tells nothing":                                    {may, 500, port.ErrUnavailable},
		"a denial is a proof of what the key may not do":       {mayNot, 403, nil},
		"a success shows that the key may do what it must not": {mayNot, 200, port.ErrRefused},
		"something that does not exist is not denied":          {mayNot, 404, port.ErrRefused},
		"a bad token is not denied":                            {mayNot, 401, port.ErrNotYet},
		"a server error denies nothing":                        {mayNot, 503, port.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			tc.cfg.Request = proof.Request{Method: "GET", URL: "https://api.example.com/v1/things"}
			err := prove(t, tc.cfg, func(w http.ResponseWriter, r *http.Request) {
				if r.Host != "api.example.com" || r.URL.Path != "/v1/things" || r.Header.Get("Authorization") != "Bearer "+token {
					t.Errorf("request %s %s", r.Host, r.URL)
				}
				w.WriteHeader(tc.status)
			})
			if !errors.Is(err, tc.want) {
				t.Errorf("err = %v, want %v", err, tc.want)
			}
		})
	}
}

func TestTheReasonNamesTheRequestAndTheAnswer(t *testing.T) {
	cfg := proof.Config{Expect: []int{403}, Deny: true, Request: proof.Request{Method: "PUT", URL: "https://api.example.com/v1/things"}}
	err := prove(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "welcome,\n"+r.Header.Get("Authorization"))
	})
	const want = "PUT https://api.example.com/v1/things (must be denied): the key may do what it must not: want status 403: refused: status 200 welcome, Bearer [secret]"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestARedirectGetsNoToken(t *testing.T) {
	reached := false
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer thief.Close()
	cfg := proof.Config{Expect: []int{200}, Request: proof.Request{Method: "POST", URL: "https://api.example.com/", Body: "x"}}
	err := prove(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief.URL, http.StatusTemporaryRedirect)
	})
	if !errors.Is(err, port.ErrRefused) || reached {
		t.Errorf("err = %v, followed: %t", err, reached)
	}
}

func TestAnAnswerWithoutEndIsCut(t *testing.T) {
	cfg := proof.Config{Expect: []int{200}, Request: proof.Request{Method: "POST", URL: "https://api.example.com/", Body: "x"}}
	err := prove(t, cfg, func(w http.ResponseWriter, _ *http.Request) {
		for range 1 << 10 {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<14)); err != nil {
				return
			}
		}
	})
	if !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
}

func TestNoAnswerIsUnavailable(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, err := proof.New(proof.Config{Endpoint: "http://127.0.0.1:1", Request: proof.Request{Method: "GET", URL: "https://api.example.com/"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Prove(ctx, port.Proof{}); !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
}

func TestATokenGoesByHTTPSOnly(t *testing.T) {
	for _, url := range []string{"http://api.example.com/", "https://", "https://u:p@api.example.com/", ":", "ftp://api.example.com/"} {
		if _, err := proof.New(proof.Config{Request: proof.Request{Method: "GET", URL: url}}); err == nil {
			t.Errorf("%s is accepted", url)
		}
	}
}

func TestReadyRequestsAreThoseOfTheServices(t *testing.T) {
	const instance, server = "7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10", "https://a.svc01.eu-de.eventstreams.cloud.ibm.com"
	for _, tc := range []struct {
		request proof.Request
		want    string
	}{
		{proof.Objects("backups", "eu-de", "probe", proof.List, false), "GET https://s3.eu-de.cloud-object-storage.appdomain.cloud/backups?list-type=2&max-keys=1"},
		{proof.Objects("backups", "eu-de", "probe", proof.Read, true), "GET https://s3.private.eu-de.cloud-object-storage.appdomain.cloud/backups/probe"},
		{proof.Objects("backups", "eu-de", "probe", proof.Write, false), "PUT https://s3.eu-de.cloud-object-storage.appdomain.cloud/backups/probe proof of a new key\n"},
		{proof.Topic(server, "orders", proof.Read), "GET " + server + "/admin/topics/orders"},
		{proof.Topic(server, "orders", proof.Write), "POST " + server + `/v2/topics/orders/records {"value":{"type":"text","data":"proof of a new key"}}`},
		{proof.Image("de.icr.io", "team/web:1", true), "GET https://private.de.icr.io/api/v1/images/de.icr.io%2Fteam%2Fweb:1/inspect"},
		{proof.Secrets(instance, "eu-de", true), "GET https://" + instance + ".private.eu-de.secrets-manager.appdomain.cloud/api/v2/secrets?limit=1"},
		{proof.Logs(instance, "eu-de", false), "POST https://" + instance + `.ingress.eu-de.logs.cloud.ibm.com/logs/v1/singles [{"applicationName":"latchkey","severity":3,"subsystemName":"proof","text":{"event":"key_proof"}}]`},
	} {
		got := tc.request.Method + " " + tc.request.URL
		if tc.request.Body != "" {
			got += " " + tc.request.Body
		}
		if got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
		if _, err := proof.New(proof.Config{Request: tc.request}); err != nil {
			t.Error(err)
		}
	}
}

func TestContainerRegistryIsToldTheAccount(t *testing.T) {
	cfg := proof.Config{Expect: []int{200}, Request: proof.Image("de.icr.io", "team/web:1", false)}
	cfg.Account = func(context.Context) (string, error) { return "abc", nil }
	if err := prove(t, cfg, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Account") != "abc" || r.URL.EscapedPath() != "/api/v1/images/de.icr.io%2Fteam%2Fweb:1/inspect" {
			t.Errorf("%s %v", r.URL, r.Header)
		}
	}); err != nil {
		t.Error(err)
	}
	cfg.Account = func(context.Context) (string, error) { return "", port.ErrUnavailable }
	if err := prove(t, cfg, func(http.ResponseWriter, *http.Request) { t.Error("a request without an account") }); !errors.Is(err, port.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
}
