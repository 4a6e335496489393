package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// routes are the calls that this package makes. A mount may have slashes, so a
// route is found by its method and a part of its path.
var routes = []struct {
	method, part string
	upstream.Route
}{
	{http.MethodPut, "auth/token/renew-self", upstream.Route{Has: []string{"auth"}}},
	{http.MethodGet, "auth/token/lookup-self", upstream.Route{Has: []string{"data"}}},
	{http.MethodPut, "auth/", upstream.Route{Has: []string{"auth"}}}, // a login
	{http.MethodPut, "sys/capabilities-self", upstream.Route{Has: []string{"data"}}},
	{http.MethodGet, "sys/internal/ui/mounts/", upstream.Route{Has: []string{"data"}}},
	{http.MethodPatch, "/metadata/", upstream.Route{Has: []string{"request_id"}, Empty: true}},
	{http.MethodGet, "/metadata/", upstream.Route{Has: []string{"data"}}},
	{http.MethodPatch, "/data/", upstream.Route{Has: []string{"data"}}},
	{http.MethodPut, "/data/", upstream.Route{Has: []string{"data"}}},
	{http.MethodGet, "/data/", upstream.Route{Has: []string{"data"}}},
}

// api returns Vault with the route of one call.
func api(method, path string) upstream.API {
	api := upstream.Vault
	for _, r := range routes {
		if r.method == method && matches(r.part, path) {
			own := r.Route
			own.Method, own.Path = method, "*"
			api.Routes = []upstream.Route{own}
			break
		}
	}
	return api
}

// matches reports whether a path begins with the part, or contains it if the
// part begins with a slash.
func matches(part, path string) bool {
	return strings.HasPrefix(path, part) || part[0] == '/' && strings.Contains(path, part)
}

// conn calls one vault with one token.
type conn struct {
	http      *http.Client
	address   *url.URL
	namespace string
	token     secret.Value
}

// open returns a connection with a token, which may be empty. It takes nothing
// from the environment.
func (c *Client) open(token secret.Value) (*conn, error) {
	u, err := url.Parse(c.cfg.Address)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("connecting to the vault %s: %w: the address is not valid", c.cfg.Address, port.ErrRefused)
	}
	return &conn{http: c.http, address: u, namespace: c.cfg.Namespace, token: token}, nil
}

// answerOf is a successful answer of a vault, or a 404 with data.
type answerOf struct {
	Data map[string]any `json:"data"`
	Auth *login         `json:"auth"`
}

// login is the part of an answer that has a token.
type login struct {
	ClientToken   string `json:"client_token"`
	LeaseDuration int64  `json:"lease_duration"`
	Renewable     bool   `json:"renewable"`
}

// refusal is an answer with another status than a success.
type refusal struct {
	status int
	errors []string
	data   map[string]any
}

// Error satisfies error.
func (r *refusal) Error() string { return fmt.Sprintf("the vault answered with status %d", r.status) }

// send makes one call. A write is never repeated: the repetition of a write
// whose answer was lost conflicts with itself.
func (v *conn) send(ctx context.Context, method, path string, body any) (*answerOf, error) {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("encoding the request: %w", port.ErrRefused)
		}
	}
	at := *v.address
	at.Path = strings.TrimSuffix(at.Path, "/") + "/v1/" + path
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Vault-Request", "true")
	if token := v.token.Expose(); token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	if v.namespace != "" {
		req.Header.Set("X-Vault-Namespace", v.namespace)
	}
	switch {
	case method == http.MethodPatch:
		req.Header.Set("Content-Type", "application/merge-patch+json")
	case body != nil:
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body) // the transport has bounded it
	if err != nil {
		return nil, err
	}
	if err := api(method, path).Check(&http.Request{Method: method, URL: &url.URL{Path: "x"}}, resp.StatusCode, text); err != nil {
		return nil, err
	}
	return read(resp, text)
}

// read decodes an answer. Numbers keep their digits.
func read(resp *http.Response, text []byte) (*answerOf, error) {
	var said struct {
		answerOf
		Errors []string `json:"errors"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err := d.Decode(&said)
	switch status := resp.StatusCode; {
	case status >= 200 && status < 300 && err != nil && len(bytes.TrimSpace(text)) > 0:
		return nil, upstream.Bent("status %d, but the answer can't be read", status)
	case status >= 200 && status < 300:
		return &said.answerOf, nil
	case status >= 300 && status < 400:
		said.Errors = []string{"(the redirect is not followed: latchkey follows to https only, and only to the hosts of the config)"}
	}
	return nil, &refusal{status: resp.StatusCode, errors: slices.Clone(said.Errors), data: said.Data}
}
