package upstream_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/latchkey-io/latchkey/internal/upstream"
)

type answers func(*http.Request) (*http.Response, error)

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) { return a(req) }

func TestEachRequestIsReportedWithItsServiceAndStatus(t *testing.T) {
	for name, tc := range map[string]struct {
		path, service string
		fails         bool
		want          upstream.Call
	}{
		"a token":                           {path: "/identity/token", want: upstream.Call{Service: "iam", Status: 429}},
		"a key":                             {path: "/v1/apikeys/ApiKey-1", want: upstream.Call{Service: "iam", Status: 429}},
		"a policy":                          {path: "/v2/policies", want: upstream.Call{Service: "iam", Status: 429}},
		"a project":                         {path: "/v2/projects/1/secrets", want: upstream.Call{Service: "codeengine", Status: 429}},
		"a secret":                          {path: "/api/v2/secrets", want: upstream.Call{Service: "secretsmanager", Status: 429}},
		"a log line":                        {path: "/logs/v1/singles", want: upstream.Call{Service: "logs", Status: 429}},
		"a notification":                    {path: "/event-notifications/v1/instances/1/notifications", want: upstream.Call{Service: "notifications", Status: 429}},
		"a path that names no service":      {path: "/hook", want: upstream.Call{Service: "other", Status: 429}},
		"a service that the caller names":   {path: "/v1/secret/data/a", service: "vault", want: upstream.Call{Service: "vault", Status: 429}},
		"a request that gets no answer":     {path: "/v2/roles", fails: true, want: upstream.Call{Service: "iam"}},
		"a cluster whose path has a prefix": {path: "/k8s/api/v1", service: "kubernetes", want: upstream.Call{Service: "kubernetes", Status: 429}},
	} {
		t.Run(name, func(t *testing.T) {
			var got upstream.Call
			rt := upstream.Measure(answers(func(*http.Request) (*http.Response, error) {
				if tc.fails {
					return nil, errors.New("connection refused")
				}
				return &http.Response{StatusCode: 429, Body: http.NoBody}, nil
			}), tc.service, func(c upstream.Call) { got = c })
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com"+tc.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := rt.RoundTrip(req); err == nil {
				resp.Body.Close()
			}
			if got.Took < 0 {
				t.Errorf("took %s", got.Took)
			}
			if got.Took = 0; got != tc.want {
				t.Errorf("reported %+v, want %+v", got, tc.want)
			}
		})
	}
}
