package emulator_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"
	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamidentityv1"
	"github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"
	"go.uber.org/goleak"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is the time of every test until it advances the clock.
var start = time.Date(2026, 11, 24, 10, 0, 30, 0, time.UTC)

// world is a running emulator with the official clients, acting as the minter.
type world struct {
	*emulator.Server
	t        *testing.T
	http     *http.Client
	identity *iamidentityv1.IamIdentityV1
	policies *iampolicymanagementv1.IamPolicyManagementV1
	ce       *codeenginev2.CodeEngineV2
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, emulator.Options{})
}

func newWorldWith(t *testing.T, opts emulator.Options) *world {
	t.Helper()
	opts.Now = func() time.Time { return start }
	s, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	w := &world{Server: s, t: t, http: &http.Client{Transport: transport}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return w.as(w.token(s.Ready().APIKey))
}

// token exchanges a key over HTTP.
func (w *world) token(key string) string {
	w.t.Helper()
	status, body := w.exchange("apikey", "apikey", key)
	if status != 200 {
		w.t.Fatalf("exchanging the key: status %d", status)
	}
	return body["access_token"].(string)
}

func (w *world) exchange(grant string, pairs ...string) (int, map[string]any) {
	w.t.Helper()
	form := "grant_type=urn:ibm:params:oauth:grant-type:" + grant
	for i := 0; i < len(pairs); i += 2 {
		form += "&" + pairs[i] + "=" + strings.ReplaceAll(pairs[i+1], "+", "%2B")
	}
	r, err := w.http.Post(w.URL()+"/identity/token", "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		w.t.Fatal(err)
	}
	return r.StatusCode, decode(w.t, r)
}

func decode(t *testing.T, r *http.Response) map[string]any {
	t.Helper()
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) == 0 || b[0] == '[' {
		return nil // the control API's lists are read where they matter
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("answer %q: %v", b, err)
	}
	return out
}

// as returns clients that send the token; "" sends none.
func (w *world) as(token string) *world {
	w.t.Helper()
	var auth core.Authenticator = &core.NoAuthAuthenticator{}
	if token != "" {
		auth = &core.BearerTokenAuthenticator{BearerToken: token}
	}
	out := &world{Server: w.Server, t: w.t, http: w.http}
	var err error
	if out.identity, err = iamidentityv1.NewIamIdentityV1(&iamidentityv1.IamIdentityV1Options{Authenticator: auth, URL: w.URL()}); err != nil {
		w.t.Fatal(err)
	}
	if out.policies, err = iampolicymanagementv1.NewIamPolicyManagementV1(&iampolicymanagementv1.IamPolicyManagementV1Options{Authenticator: auth, URL: w.URL()}); err != nil {
		w.t.Fatal(err)
	}
	if out.ce, err = codeenginev2.NewCodeEngineV2(&codeenginev2.CodeEngineV2Options{Authenticator: auth, URL: w.URL() + "/v2"}); err != nil {
		w.t.Fatal(err)
	}
	for _, s := range []*core.BaseService{out.identity.Service, out.policies.Service, out.ce.Service} {
		s.SetHTTPClient(w.http)
	}
	return out
}

// stranger is an identity without any policy.
func (w *world) stranger() *world {
	w.t.Helper()
	return w.as(w.strangersToken())
}

// ownerToken is a token of the account's owner.
func (w *world) ownerToken() string {
	w.t.Helper()
	token, err := w.Cloud().TokenFor(cloud.OwnerIAMID)
	if err != nil {
		w.t.Fatal(err)
	}
	return token.AccessToken
}

// strangersToken is a token of an identity without any policy.
func (w *world) strangersToken() string {
	w.t.Helper()
	_, k := w.Cloud().AddIdentity("stranger")
	return w.token(k.Value)
}

// status is that of an SDK's error, or 0.
func status(err error) int {
	var p *core.HTTPProblem
	if !errors.As(err, &p) {
		return 0
	}
	return p.Response.StatusCode
}

// teamA is the ID of the first seeded project.
func (w *world) teamA() string { return w.Ready().Projects[0].ID }

// raw sends a request that the SDKs would not send.
func (w *world) raw(method, path, body string, headers ...string) (*http.Response, map[string]any) {
	w.t.Helper()
	r, err := w.send(method, path, body, headers...)
	if err != nil {
		w.t.Fatal(err)
	}
	return r, decode(w.t, r)
}

func (w *world) send(method, path, body string, headers ...string) (*http.Response, error) {
	req, err := http.NewRequest(method, w.URL()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	return w.http.Do(req)
}

// refused asserts the status and code of an SDK's error.
func refused(t *testing.T, err error, status int, code string) {
	t.Helper()
	var p *core.HTTPProblem
	if !errors.As(err, &p) {
		t.Fatalf("error %v: want an HTTP problem with status %d", err, status)
	}
	if got := p.Response.StatusCode; got != status {
		t.Errorf("status %d, want %d (%v)", got, status, err)
	}
	result, _ := p.Response.Result.(map[string]any)
	list, _ := result["errors"].([]any)
	if len(list) == 0 {
		t.Fatalf("answer %v has no errors", p.Response.Result)
	}
	if got := list[0].(map[string]any)["code"]; got != code {
		t.Errorf("code %v, want %s", got, code)
	}
	if got := result["status_code"]; got != float64(status) {
		t.Errorf("status_code %v, want %d", got, status)
	}
}

// messageCode is IAM's number of an SDK's error.
func messageCode(err error) string {
	var p *core.HTTPProblem
	if !errors.As(err, &p) {
		return ""
	}
	result, _ := p.Response.Result.(map[string]any)
	list, _ := result["errors"].([]any)
	if len(list) == 0 {
		return ""
	}
	code, _ := list[0].(map[string]any)["message_code"].(string)
	return code
}

// problem makes an error of the Code Engine SDK look like those of the others:
// it is so much older than the core that errors.As finds no HTTPProblem in it,
// and only the response has the status.
func problem[T any](_ T, r *core.DetailedResponse, err error) error {
	if err == nil || r == nil {
		return err
	}
	return &core.HTTPProblem{IBMProblem: core.IBMErrorf(err, core.NewProblemComponent("code-engine", ""), err.Error(), ""), Response: r}
}

func deletion(r *core.DetailedResponse, err error) error { return problem(0, r, err) }

// done fails the test on an error.
func done[T any](v T, _ *core.DetailedResponse, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) newServiceID(name string) *iamidentityv1.ServiceID {
	w.t.Helper()
	return done(w.identity.CreateServiceID(w.identity.NewCreateServiceIDOptions(cloud.AccountID, name)))(w.t)
}

func (w *world) newKey(iamID, name string) *iamidentityv1.APIKey {
	w.t.Helper()
	return done(w.identity.CreateAPIKey(w.identity.NewCreateAPIKeyOptions(name, iamID)))(w.t)
}

func ptr[T any](v T) *T { return &v }

// logBuffer collects what the server logs.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// crTokenFile is a file with a token of a compute resource.
func (w *world) crTokenFile() string {
	w.t.Helper()
	name := filepath.Join(w.t.TempDir(), "token")
	if err := os.WriteFile(name, []byte(w.Cloud().IssueCRToken("crn:of:an:app")), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return name
}
