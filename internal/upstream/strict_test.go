package upstream_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// bent sends one GET through the strict transport of an API.
func bent(t *testing.T, api upstream.API, path string, answer http.HandlerFunc) error {
	t.Helper()
	server := httptest.NewServer(answer)
	defer server.Close()
	service := upstream.Server{API: api, Host: "api.example.com", Endpoint: server.URL, HTTP: &http.Client{}}.Service()
	defer service.HTTP.CloseIdleConnections()
	resp, err := service.HTTP.Get(service.Base + path)
	if err != nil {
		return upstream.NoAnswer(t.Context(), "reading", err)
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}

// routes has a list of each API.
var routes = map[string]string{"IAM": "/v1/apikeys", "Code Engine": "/v2/projects", "Secrets Manager": "/api/v2/secrets", "Kubernetes": "/apis/apps/v1/namespaces/a/deployments"}

func TestABentAnswerIsNoAnswer(t *testing.T) {
	own := map[string]string{
		"Kubernetes": `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","details":{"name":"a","kind":"deployments"},"code":404}`,
	}
	for name, path := range routes {
		for sentence, a := range map[string]struct {
			status int
			body   string
		}{
			"a 404 without a body":      {404, ""},
			"a 404 of a gateway":        {404, `{"message":"no Route matched with those values"}`},
			"a 404 with no error in it": {404, `{"errors":[]}`},
			"a 404 page":                {404, "<html>404 Not Found</html>"},
			"a 404 that says it is 200": {404, `{"errors":[{"code":"not_found"}],"status_code":200}`},
			"a 404 about a route":       {404, `{"errors":[{"code":"route_not_found"}],"status_code":404}`},
			"a 404 about something":     {404, `{"errors":[{"code":"no_such_tenant"}],"status_code":404}`},
			"a 410 without a body":      {410, ""},
			"a 200 without a body":      {200, ""},
			"a 204":                     {204, ""},
			"null":                      {200, "null"},
			"an empty object":           {200, "{}"},
			"a list":                    {200, "[1,2]"},
			"a page":                    {200, "<html>login</html>"},
			"another object":            {200, `{"ok":true}`},
			"a list of {}":              {200, `{"apikeys":[{}],"projects":[{}],"secrets":[{}],"items":[{}]}`},
			"a list of null":            {200, `{"apikeys":[null],"projects":[null],"secrets":[null],"items":[null]}`},
			"a list with an empty ID":   {200, `{"apikeys":[{"id":""}],"projects":[{"id":""}],"secrets":[{"id":""}],"items":[{"metadata":null}]}`},
			"a list that is null":       {200, `{"projects":null,"apikeys":null,"secrets":null,"items":null}`},
			"a list that is an object":  {200, `{"projects":{},"apikeys":{},"secrets":{},"items":{}}`},
			"half an object":            {200, `{"projects":[`},
		} {
			err := bent(t, apis[name], path, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(a.status)
				_, _ = io.WriteString(w, a.body)
			})
			if !errors.Is(err, port.ErrUnavailable) || errors.Is(err, port.ErrNotFound) {
				t.Errorf("%s: %s: %v", name, sentence, err)
			}
		}
		words := own[name]
		if words == "" {
			words = `{"errors":[{"code":"not_found"}],"status_code":404}`
		}
		if err := bent(t, apis[name], path, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			_, _ = io.WriteString(w, words)
		}); err != nil {
			t.Errorf("%s: its own 404: %v", name, err)
		}
	}
}

func TestARouteIsBelowThePathOfTheServer(t *testing.T) {
	const path, own = "/api/v1/namespaces/a/secrets/s", `{"kind":"Secret","metadata":{"name":"s","namespace":"a"}}`
	for _, prefix := range []string{"", "/k8s/clusters/c1", "/k8s/clusters/c1/", "/a%20b"} {
		for answer, want := range map[string]error{
			own:                                   nil,
			strings.Replace(own, `"s"`, `"t"`, 1): port.ErrUnavailable, // another Secret
			strings.Replace(own, `"a"`, `"b"`, 1): port.ErrUnavailable, // of another namespace
			`{"kind":"Secret","metadata":{"namespace":"a"}}`: port.ErrUnavailable,
			`{"kind":"Secret","metadata":"s"}`:               port.ErrUnavailable,
			`{"kind":"Secret"}`:                              port.ErrUnavailable,
		} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
			service := upstream.Server{API: upstream.Kubernetes, Endpoint: server.URL + prefix, HTTP: &http.Client{}}.Service()
			resp, err := service.HTTP.Get(service.Base + path)
			if err == nil {
				resp.Body.Close()
			} else {
				err = upstream.NoAnswer(t.Context(), "reading", err)
			}
			if !errors.Is(err, want) {
				t.Errorf("%q: %s: %v, want %v", prefix, answer, err, want)
			}
			service.HTTP.CloseIdleConnections()
			server.Close()
		}
	}
}

func TestACallWithoutARouteIsNotSent(t *testing.T) {
	for name := range routes {
		sent := false
		err := bent(t, apis[name], "/v9/things", func(http.ResponseWriter, *http.Request) { sent = true })
		if !errors.Is(err, port.ErrUnavailable) || !strings.Contains(err.Error(), "not sent") || sent {
			t.Errorf("%s: %v, sent is %v", name, err, sent)
		}
	}
}

func TestAnAnswerIsBoundedAfterDecompression(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, `{"projects":[],"x":"`)
	for range 64 {
		_, _ = z.Write(bytes.Repeat([]byte("A"), 1<<20))
	}
	_, _ = io.WriteString(z, `"}`)
	_ = z.Close()
	for name, headers := range map[string]http.Header{
		"gzip, as requested":          {"Content-Encoding": {"gzip"}},
		"an encoding that is unknown": {"Content-Encoding": {"br"}},
	} {
		err := bent(t, upstream.CodeEngine, "/v2/projects", func(w http.ResponseWriter, _ *http.Request) {
			for k, v := range headers {
				w.Header()[k] = v
			}
			_, _ = w.Write(packed.Bytes())
		})
		if !errors.Is(err, port.ErrUnavailable) || !strings.Contains(err.Error(), "longer") && !strings.Contains(err.Error(), "encoded") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingIsNotEncoded(t *testing.T) {
	for name, c := range map[string]struct {
		status       int
		coding, body string
		fine         bool
	}{
		"a 204":              {204, "gzip", "", true},
		"a 200 without text": {200, "gzip", "", true},
		"a 200 with text":    {200, "br", `{}`, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", c.coding)
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		service := upstream.Server{API: upstream.CodeEngine, Host: "api.example.com", Endpoint: server.URL, HTTP: &http.Client{}}.Service()
		_, err := upstream.Do(t.Context(), service, upstream.Request{Method: http.MethodDelete, Path: upstream.Path("/v2/projects/a/secrets/b")})
		if c.fine != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		service.HTTP.CloseIdleConnections()
		server.Close()
	}
}

func TestNothingFollowsARedirect(t *testing.T) {
	got := 0
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got++ }))
	defer thief.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, path := range routes {
			_ = bent(t, apis[name], path, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", thief.URL)
				w.WriteHeader(status)
			})
			if got > 0 {
				t.Fatalf("%s followed a %d", name, status)
			}
		}
	}
	// The wrong protocol: a client that follows reaches the listener.
	first := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer first.Close()
	if resp, err := http.Get(first.URL); err != nil || got == 0 {
		t.Errorf("a client that follows redirects does not reach the listener: %v", err)
	} else {
		_ = resp.Body.Close()
	}
}

func TestAVaultMayRedirectWithinTheConfig(t *testing.T) {
	check := upstream.RedirectWithin(func() []string { return []string{"vault-2.example.com"} })
	for to, want := range map[string]bool{
		"https://vault-1.example.com:8200/v1/x":  true,
		"https://vault-2.example.com/v1/x":       true,
		"https://VAULT-2.example.com/v1/x":       true,
		"http://vault-1.example.com:8200/v1/x":   false,
		"http://vault-2.example.com/v1/x":        false,
		"https://vault-3.example.com/v1/x":       false,
		"https://a:b@vault-2.example.com/v1/x":   false,
		"https://vault-2.example.com.evil.test/": false,
	} {
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		from := &http.Request{Method: "PUT", URL: &url.URL{Scheme: "https", Host: "vault-1.example.com:8200"}}
		if got := check(&http.Request{Method: "PUT", URL: u}, []*http.Request{from}) == nil; got != want {
			t.Errorf("to %s: %v", to, got)
		}
		if check(&http.Request{Method: "GET", URL: u}, []*http.Request{from}) == nil {
			t.Errorf("to %s with another method", to)
		}
	}
}

func TestAListEndsAndNoPageRepeats(t *testing.T) {
	p := upstream.Pages{Doing: "listing", Most: 3}
	for _, step := range []struct {
		token string
		more  bool
		err   error
	}{{"a", true, nil}, {"a", false, port.ErrUnavailable}, {"b", true, nil}, {"c", false, port.ErrUnavailable}, {"", false, nil}} {
		if more, err := p.Next(step.token); more != step.more || !errors.Is(err, step.err) {
			t.Errorf("%q: %v, %v", step.token, more, err)
		}
	}
}

func TestWhyThereIsNoConnection(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(407) }))
	defer proxy.Close()
	through, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxied := upstream.NewTransport(nil)
	proxied.Proxy = http.ProxyURL(through)
	for want, c := range map[string]struct {
		url       string
		transport *http.Transport
	}{
		"certificate authority is unknown": {secure.URL, upstream.NewTransport(nil)},
		"refused":                          {"http://127.0.0.1:9", upstream.NewTransport(nil)},
		"status 407":                       {"https://cloud.example.test", proxied},
		"no such host":                     {"https://nowhere.invalid", upstream.NewTransport(nil)},
	} {
		client := &http.Client{Transport: upstream.Bound(c.transport)}
		resp, err := client.Get(c.url)
		if err == nil {
			resp.Body.Close()
		}
		if err := upstream.NoAnswer(t.Context(), "reading", err); !strings.Contains(err.Error(), want) && want != "no such host" {
			t.Errorf("%v does not say %q", err, want)
		} else if want == "no such host" && !strings.Contains(err.Error(), "lookup nowhere.invalid") {
			t.Errorf("%v does not say the name", err)
		}
		if want == "certificate authority is unknown" && !errors.As(err, new(*tls.CertificateVerificationError)) {
			t.Errorf("%v has lost its cause", err)
		}
		client.CloseIdleConnections()
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
	resp, err := (&http.Client{Transport: upstream.Bound(nil)}).Do(req)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAMemberThatOccursTwiceIsNoAnswer(t *testing.T) {
	const keys, deployments = "/v1/apikeys", "/apis/apps/v1/namespaces/a/deployments"
	for sentence, c := range map[string]struct {
		api        upstream.API
		path, body string
		fine       bool
	}{
		"in other letters":                      {upstream.IAM, keys + "/a", `{"id":"a","ID":"b"}`, false},
		"in letters that are all others":        {upstream.IAM, keys + "/a", `{"id":"a","Name":"b","NAME":"c"}`, false},
		"in letters that fold to the same":      {upstream.CodeEngine, "/v2/projects/a", "{\"id\":\"a\",\"status\":\"b\",\"\u017ftatu\u017f\":\"c\"}", false},
		"in the same letters":                   {upstream.IAM, keys + "/a", `{"id":"a","activity":{"last_authn":"x"},"activity":{}}`, false},
		"in letters that are written otherwise": {upstream.IAM, keys + "/a", `{"id":"a","\u0069d":"b"}`, false},
		"as the list":                           {upstream.IAM, keys, `{"apikeys":[{"id":"a"}],"Apikeys":[{"id":"b"}]}`, false},
		"in an object of a list":                {upstream.IAM, keys, `{"apikeys":[{"id":"a"},{"id":"b","Id":"c"}]}`, false},
		"in an object of a list, exactly":       {upstream.IAM, keys, `{"apikeys":[{"id":"a","id":"b"},{"id":"c"}]}`, false},
		"in the metadata":                       {upstream.Kubernetes, deployments + "/b", `{"metadata":{"name":"b","Name":"c","namespace":"a"}}`, false},
		"in the metadata of a list":             {upstream.Kubernetes, deployments, `{"items":[{"metadata":{"namespace":"a","namespace":"a"}}]}`, false},
		"but not in one object":                 {upstream.IAM, keys, `{"apikeys":[{"id":"a","Name":"{\"id\":[\\"},{"id":"b","name":"x:y"},{"id":"c","history":[{"id":"d","ID":"e"}]}],"id":""}`, true},
		"but not in what is checked":            {upstream.Kubernetes, deployments + "/b", `{"metadata":{"name":"b","labels":{"a":"1","A":"2"}}}`, true},
	} {
		err := bent(t, c.api, c.path, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.body) })
		if c.fine != (err == nil) || err != nil && (!errors.Is(err, port.ErrUnavailable) || !strings.Contains(err.Error(), "twice")) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}
