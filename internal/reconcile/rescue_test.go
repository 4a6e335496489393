package reconcile_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// fragile panics once, at the call with this name.
type fragile struct {
	*memory
	at   string
	done atomic.Bool // calls are made concurrently
}

// broken is what it panics with. It may contain anything.
const broken = "a value that no log may have"

func (f *fragile) reach(call string) {
	if f.at == call && f.done.CompareAndSwap(false, true) {
		panic(broken)
	}
}

func (f *fragile) Find(ctx context.Context, name string) ([]port.ServiceID, time.Time, error) {
	f.reach("Find")
	return f.memory.Find(ctx, name)
}

func (f *fragile) Granted(ctx context.Context, iamID string) ([]access.Policy, error) {
	f.reach("Granted")
	return f.memory.Granted(ctx, iamID)
}

func (f *fragile) List(ctx context.Context, iamID string, credentials ...string) (port.KeyList, error) {
	f.reach("List")
	return f.memory.List(ctx, iamID, credentials...)
}

func (f *fragile) Mint(ctx context.Context, r port.MintRequest, v secret.Value) (port.KeyRecord, error) {
	f.reach("Mint")
	return f.memory.Mint(ctx, r, v)
}

func (f *fragile) Exchange(ctx context.Context, v secret.Value) (port.Bearer, error) {
	f.reach("Exchange")
	return f.memory.Exchange(ctx, v)
}

type fragileStore struct {
	*shelf
	f *fragile
}

func (s fragileStore) Read(ctx context.Context) (port.Entry, error) {
	s.f.reach("Read")
	return s.shelf.Read(ctx)
}

func (s fragileStore) Publish(ctx context.Context, e port.Entry, revision string) error {
	s.f.reach("Publish")
	return s.shelf.Publish(ctx, e, revision)
}

type fragileApp struct {
	*app
	f *fragile
}

func (a fragileApp) Consumers(ctx context.Context) ([]protocol.Consumer, error) {
	a.f.reach("Consumers")
	return a.app.Consumers(ctx)
}

func TestAPanicIsTheFailureOfOneRun(t *testing.T) {
	for _, at := range []string{"Find", "Granted", "List", "Mint", "Exchange", "Read", "Publish", "Consumers"} {
		t.Run(at, func(t *testing.T) {
			w := newBench(t)
			if at == "Granted" || at == "List" { // only a service ID that exists is read with its keys and policies
				w.rotated()
			}
			f := &fragile{memory: w.memory, at: at}
			w.reconciler.Identities, w.reconciler.Keys, w.reconciler.Exchange = f, f, f
			w.c.Stores = []port.Store{fragileStore{w.a, f}, w.b}
			w.c.Consumers = []port.Consumers{fragileApp{w.app, f}}
			out := w.run(protocol.Trigger{NewerThan: w.now})
			if !f.done.Load() {
				t.Fatalf("nothing called %s", at)
			}
			held := out.Result == result.InProgress && (at == "Read" || at == "Consumers")
			if out.Result != result.Failed && !held && at != "Consumers" {
				t.Errorf("the result is %s %s", out.Result, out.Reason)
			}
			if text := out.Error + out.Message + w.log.String(); !strings.Contains(text, "panic") || strings.Contains(text, broken) {
				t.Errorf("the outcome and the log say %s", text)
			}
			w.now = w.now.Add(25 * time.Hour) // the fuse of a key that is left has ended it
			if w.run(protocol.Trigger{}); w.a.entry.KeyID == "" || w.b.entry.KeyID != w.a.entry.KeyID {
				t.Errorf("the stores name %q and %q after the next run", w.a.entry.KeyID, w.b.entry.KeyID)
			}
		})
	}
}
