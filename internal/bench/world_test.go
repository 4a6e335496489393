package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/file"
	"github.com/latchkey-io/latchkey/internal/iam"
	"github.com/latchkey-io/latchkey/internal/logs"
	"github.com/latchkey-io/latchkey/internal/pace"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
	"github.com/latchkey-io/latchkey/internal/sweep"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// latency is that of each emulated call.
const latency = 40 * time.Millisecond

// world is an emulator in virtual time. The emulator itself runs outside of the
// bubble of package synctest, since its connections would keep virtual time from
// passing.
type world struct {
	cloud   *emulator.Server
	now     atomic.Int64 // virtual, in nanoseconds
	calls   chan call
	replies chan chan reply // unused ones
	store   kind            // where keys go
	alone   bool            // sweeps look at each credential, without lists

	answered, refused atomic.Int64
	published         atomic.Int64 // when a store took a key last, in virtual nanoseconds
}

// kind is a kind of store.
type kind int

const (
	inSecretsManager kind = iota
	inCodeEngine
	inFile
)

type call struct {
	req   *http.Request
	reply chan reply
}

type reply struct {
	resp *http.Response
	err  error
}

// newWorld must be called outside of the bubble.
func newWorld(t *testing.T) *world {
	t.Helper()
	const most = 256 // calls at once
	w := &world{calls: make(chan call), replies: make(chan chan reply, most)}
	w.now.Store(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()) // where synctest starts
	var err error
	if w.cloud, err = emulator.Start(emulator.Options{Now: func() time.Time { return time.Unix(0, w.now.Load()) }}); err != nil {
		t.Fatal(err)
	}
	carrier := upstream.NewTransport(nil)
	t.Cleanup(func() {
		close(w.calls)
		carrier.CloseIdleConnections()
		if err := w.cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	for range most {
		w.replies <- make(chan reply, 1)
		go func() {
			for c := range w.calls {
				resp, err := carrier.RoundTrip(c.req)
				if err == nil {
					var body []byte
					body, err = io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					resp.Body = io.NopCloser(bytes.NewReader(body))
				}
				c.reply <- reply{resp, err}
			}
		}()
	}
	return w
}

// RoundTrip passes a call out of the bubble. Virtual time stands still meanwhile.
func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	time.Sleep(latency) // virtual
	w.now.Store(time.Now().UnixNano())
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
	}
	// A copy, since no channel of the bubble may leave it.
	sent, err := http.NewRequestWithContext(context.Background(), req.Method, req.URL.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	sent.Header, sent.Host = req.Header.Clone(), req.Host
	own := <-w.replies
	w.calls <- call{sent, own}
	got := <-own
	w.replies <- own
	w.answered.Add(1)
	if req.Method != http.MethodGet && strings.Contains(req.URL.Path, "/secrets") {
		w.published.Store(time.Now().UnixNano())
	}
	if got.err == nil && got.resp.StatusCode == http.StatusTooManyRequests {
		w.refused.Add(1)
	}
	return got.resp, got.err
}

// process is a new process of latchkey.
type process struct {
	sweeper    *sweep.Sweeper
	iam        *iam.Client
	lists      *iam.Lists
	secrets    *secretsmanager.Client
	reconciler *reconcile.Reconciler
	all        []port.Credential
}

// start connects the real parts. every bounds a sweep; 0 does not.
func (w *world) start(t *testing.T, n int, every time.Duration) process {
	t.Helper()
	pacer := pace.New(nil)
	client := &http.Client{Transport: upstream.Bound(pacer.Transport(fence.Writes(w), upstream.Unsent)), CheckRedirect: upstream.NoRedirect}
	c, err := iam.New(iam.Config{URL: w.cloud.URL(), Owner: "bench", HTTP: client, APIKey: secret.New(w.cloud.Ready().APIKey)})
	if err != nil {
		t.Fatal(err)
	}
	sm := secretsmanager.New(secretsmanager.Config{Endpoint: w.cloud.URL(), HTTP: c.HTTP()})
	ce := codeengine.New(codeengine.Config{Endpoint: w.cloud.URL(), HTTP: c.HTTP()})
	r := &reconcile.Reconciler{Identities: c, Keys: c, Exchange: c, Owner: "bench", Account: c.Account}
	lists := c.Lists()
	read := lists.Read
	if w.alone {
		read = nil
	}
	p := process{sweeper: sweep.New(sweep.Config{
		Reconciler: r, Lists: read, Listed: sweep.Planner{Reconciler: &reconcile.Reconciler{Identities: lists, Keys: lists, Exchange: c, Owner: "bench", Account: c.Account}},
		Pace: pacer, Every: every,
	}), iam: c, lists: lists, secrets: sm, reconciler: r}
	folder := t.TempDir()
	store := func(name string, expire time.Duration) port.Store {
		switch w.store {
		case inCodeEngine:
			project := w.cloud.Ready().Projects[0]
			return ce.Store(codeengine.StoreConfig{Project: project.ID, Region: project.Region, Secret: name, Entry: "IAM_API_KEY", Owner: "bench"})
		case inFile:
			return file.New(filepath.Join(folder, name+".json"), "bench")
		}
		return sm.Store(secretsmanager.StoreConfig{
			Instance: cloud.SecretsInstanceID, Region: cloud.SecretsInstanceRegion, Secret: name, Type: secretsmanager.Arbitrary, Owner: "bench", Expire: expire,
		})
	}
	proof := logs.New(logs.Config{Instance: cloud.LogsInstanceID, Region: cloud.LogsInstanceRegion, Endpoint: w.cloud.URL(), HTTP: client})
	for i := range n {
		name := fmt.Sprintf("c%d", i)
		rules := protocol.Standard()
		rules.After, rules.Expire, rules.Overlap, rules.SweepEvery = 60*24*time.Hour, 90*24*time.Hour, 24*time.Hour, 6*time.Hour
		rules.Jitter = protocol.Jitter(name, rules.After)
		p.all = append(p.all, port.Credential{
			Name: name, Entry: name, ServiceIDName: name, OnLeak: "disable", Rules: rules,
			Policies: []access.Policy{{Service: "logs", Roles: []string{"Sender"}, Instance: cloud.LogsInstanceID}},
			Provers:  []port.Prover{proof},
			Stores:   []port.Store{store(name, rules.Expire)},
		})
	}
	return p
}
