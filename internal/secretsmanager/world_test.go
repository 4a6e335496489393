package secretsmanager_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/iam"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	canary     = "canary-7f3e9d-hunter2-kT5uW9xQ2mZ7rB4nC8vL1p"
	secretName = "logs-sender"
	entryName  = "IAM_API_KEY"
	life       = 90 * 24 * time.Hour
)

// start is when the clock of every emulator stands still.
var start = time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)

// world is a fresh emulated cloud.
type world struct {
	*emulator.Server
	t     *testing.T
	http  *http.Client
	group string       // ID of the secret group team-a
	form  *format.Form // of stores that are made later

	logins sync.Map // of keys → their cloud.Token
}

// login returns a client that sends the token of a key. A token is used until it
// expires: to sign one is slow.
func (w *world) login(key string, next http.RoundTripper) *http.Client {
	w.t.Helper()
	token, known := w.logins.Load(key)
	if !known || !w.Now().Before(token.(cloud.Token).Expires) {
		exchanged, err := w.Cloud().ExchangeAPIKey(key)
		if err != nil { // of a key that a test has taken away
			return must[*iam.Client](w)(iam.New(iam.Config{
				URL: w.URL(), Owner: "prod", HTTP: &http.Client{Transport: next}, APIKey: secret.New(key), Now: w.Now,
			})).HTTP()
		}
		w.logins.Store(key, exchanged)
		token = exchanged
	}
	bearer := "Bearer " + token.(cloud.Token).AccessToken
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		own := r.Clone(r.Context())
		own.Header.Set("Authorization", bearer)
		return next.RoundTrip(own)
	})}
}

func newWorld(t *testing.T, opts emulator.Options) *world {
	t.Helper()
	opts.Now = func() time.Time { return start }
	s, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{Server: s, t: t, http: &http.Client{Transport: fence.Writes(transport)}}
	g, err := s.Cloud().CreateSecretGroup(cloud.Owner(), cloud.SecretsInstanceID, "team-a", "for team a")
	if err != nil {
		t.Fatal(err)
	}
	w.group = g.ID
	return w
}

// client is a new one: another process, logged in with the key.
func (w *world) client(key string) *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Config{Endpoint: w.URL(), HTTP: w.login(key, w.http.Transport)})
}

func config(kind string) secretsmanager.StoreConfig {
	c := secretsmanager.StoreConfig{Instance: cloud.SecretsInstanceID, Region: cloud.SecretsInstanceRegion, Group: "team-a",
		Secret: secretName, Type: kind, Owner: "prod", Expire: life}
	if kind == secretsmanager.KeyValue {
		c.Entry = entryName
	}
	return c
}

// config is that of a store of the world.
func (w *world) config(kind string) secretsmanager.StoreConfig {
	c := config(kind)
	c.Form = w.form
	return c
}

func (w *world) store(kind string, change ...func(*secretsmanager.StoreConfig)) *secretsmanager.Store {
	c := w.config(kind)
	for _, f := range change {
		f(&c)
	}
	return w.client(w.Ready().APIKey).Store(c)
}

// writeOnly is the store of an identity with a custom role that has the actions
// of Writer but those that read values.
func (w *world) writeOnly(kind string) *secretsmanager.Store {
	id, k := w.Cloud().AddIdentity("write-only")
	w.Cloud().Grant(id.IAMID, "secrets-manager", writer)
	client := w.login(k.Value, valuesDenied{w.http.Transport})
	return secretsmanager.New(secretsmanager.Config{Endpoint: w.URL(), HTTP: client}).Store(w.config(kind))
}

// valuesDenied answers what reads a value with the 403 of Secrets Manager.
type valuesDenied struct{ next http.RoundTripper }

var readsValue = regexp.MustCompile(`^/api/v2/(?:secrets/[^/]+|secret_groups/[^/]+/secret_types/[^/]+/secrets/[^/]+|secrets/[^/]+/versions/[^/]+)$`)

func (d valuesDenied) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || !readsValue.MatchString(r.URL.Path) {
		return d.next.RoundTrip(r)
	}
	action := "secret.read"
	if strings.Contains(r.URL.Path, "/versions/") {
		action = "secret-version.read"
	}
	answer := httptest.NewRecorder()
	answer.Header().Set("Content-Type", "application/json")
	answer.WriteHeader(http.StatusForbidden)
	fmt.Fprintf(answer, `{"status_code":403,"errors":[{"code":"forbidden","message":"You are not authorized to perform this action: secrets-manager.%s."}]}`, action)
	out := answer.Result()
	out.Request = r
	return out, nil
}

const (
	reader  = "crn:v1:bluemix:public:iam::::serviceRole:Reader"
	writer  = "crn:v1:bluemix:public:iam::::serviceRole:Writer"
	manager = "crn:v1:bluemix:public:iam::::serviceRole:Manager"
)

// secret is the store's secret as it is.
func (w *world) secret(kind string) (cloud.SecretState, bool) {
	return w.State(true).ManagedSecret(cloud.SecretsInstanceID, kind, secretName)
}

// current is the current version.
func (w *world) current(kind string) cloud.SecretVersion {
	w.t.Helper()
	s, ok := w.secret(kind)
	if !ok {
		w.t.Fatal("there is no secret")
	}
	return s.Versions[len(s.Versions)-1]
}

// must is for what the owner does by hand.
func must[T any](w *world) func(v T, err error) T {
	return func(v T, err error) T {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
		return v
	}
}

// write makes a version by hand, or the secret: nothing of ours is in its
// metadata.
func (w *world) write(kind, payload string, data map[string]any) {
	w.t.Helper()
	if s, ok := w.secret(kind); ok {
		must[cloud.SecretVersion](w)(w.Cloud().CreateSecretVersion(cloud.Owner(), cloud.SecretsInstanceID, s.ID, cloud.NewSecretVersion{Payload: payload, Data: data}))
		return
	}
	_, _, err := w.Cloud().CreateManagedSecret(cloud.Owner(), cloud.SecretsInstanceID,
		cloud.NewManagedSecret{Type: kind, Name: secretName, GroupID: w.group, Payload: payload, Data: data})
	if err != nil {
		w.t.Fatal(err)
	}
}

// data is that of the kv secret, empty if there is none.
func (w *world) data() map[string]any {
	if _, ok := w.secret(secretsmanager.KeyValue); !ok {
		return map[string]any{}
	}
	data, _ := w.current(secretsmanager.KeyValue).Data["data"].(map[string]any)
	return data
}

func entry(n int) port.Entry {
	return port.Entry{
		KeyID: fmt.Sprint("ApiKey-", n), Value: secret.New(fmt.Sprint(canary, n)), IAMID: "iam-ServiceId-1",
		Created: time.Date(2026, time.November, 24, 10, n, 0, 0, time.UTC),
	}
}

// never fails if the error, printed in any way, has the canary.
func never(t *testing.T, err error) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
		if strings.Contains(fmt.Sprintf(verb, err), canary[:12]) {
			t.Errorf("an error quotes the value: %s", fmt.Sprintf(verb, err))
		}
	}
}

// fake is a Secrets Manager that answers everything alike, in ways that the
// emulator does not.
func fake(t *testing.T, answer http.HandlerFunc) *secretsmanager.Store {
	t.Helper()
	return fakeOf(t, secretsmanager.Arbitrary, answer)
}

// fakeOf is fake for a store of a type.
func fakeOf(t *testing.T, kind string, answer http.HandlerFunc) *secretsmanager.Store {
	t.Helper()
	server := httptest.NewServer(answer)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return secretsmanager.New(secretsmanager.Config{Endpoint: server.URL, HTTP: &http.Client{Transport: transport}}).Store(config(kind))
}
