package codeengine_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/iam"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	canary     = "canary-7f3e9d-hunter2-kT5uW9xQ2mZ7rB4nC8vL1p"
	secretName = "logs-sender"
	entryName  = "IAM_API_KEY"
	region     = "eu-de"
)

// world is a fresh emulated cloud.
type world struct {
	*emulator.Server
	t    *testing.T
	http *http.Client
	// patience of clients that are made later; zero is a millisecond.
	patience time.Duration
	form     *format.Form // of stores that are made later
}

func newWorld(t *testing.T, opts emulator.Options) *world {
	t.Helper()
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
	return &world{Server: s, t: t, http: &http.Client{Transport: fence.Writes(transport)}}
}

// client is a new one: another process.
func (w *world) client() *codeengine.Client {
	return codeengine.New(codeengine.Config{
		Endpoint: w.URL(), HTTP: w.login(w.Ready().APIKey).HTTP(), Patience: max(w.patience, time.Millisecond),
	})
}

// login is one with a key.
func (w *world) login(key string) *iam.Client {
	w.t.Helper()
	c, err := iam.New(iam.Config{URL: w.URL(), Owner: "prod", HTTP: w.http, APIKey: secret.New(key)})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// store is one in the project team-a.
func (w *world) store(change ...func(*codeengine.StoreConfig)) *codeengine.Store {
	cfg := codeengine.StoreConfig{Project: w.team().ID, Region: region, Secret: secretName, Entry: entryName, Form: w.form, Owner: "prod"}
	for _, f := range change {
		f(&cfg)
	}
	return w.client().Store(cfg)
}

// team is the project team-a.
func (w *world) team() cloud.ProjectState {
	w.t.Helper()
	p, ok := w.State(true).Project("team-a")
	if !ok {
		w.t.Fatal("there is no project team-a")
	}
	return p
}

// data is the secret's, empty if there is none.
func (w *world) data() map[string]string {
	for _, s := range w.team().Secrets {
		if s.Name == secretName {
			return maps.Clone(s.Data)
		}
	}
	return map[string]string{}
}

func (w *world) set(key, value string) {
	data := w.data()
	data[key] = value
	w.Cloud().PutSecret(w.team().ID, secretName, data)
}

// app returns an app of team-a.
func (w *world) app(name string) cloud.App {
	w.t.Helper()
	for _, x := range w.team().Apps {
		if x.Name == name {
			return x
		}
	}
	w.t.Fatalf("there is no app %s", name)
	return cloud.App{}
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

// fake is a Code Engine that answers everything alike, in ways that the
// emulator does not.
func fake(t *testing.T, answer http.HandlerFunc) *codeengine.Store {
	t.Helper()
	server := httptest.NewServer(answer)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return codeengine.New(codeengine.Config{Endpoint: server.URL, HTTP: &http.Client{Transport: transport}}).Store(codeengine.StoreConfig{
		Project: "5f1d0a7e-4b6c-4d2f-9e8a-7b6c5d4e3f21", Region: region, Secret: secretName, Entry: entryName,
		Restart: codeengine.Restart{All: true},
	})
}
