package fence

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// ports count the writes that reach them; every read is a nil call, which panics.
type ports struct {
	port.Identities
	writes int
}

func (p *ports) wrote() error { p.writes++; return nil }

func (p *ports) Create(context.Context, string, string) (port.ServiceID, error) {
	return port.ServiceID{}, p.wrote()
}
func (p *ports) Remove(context.Context, string) error                      { return p.wrote() }
func (p *ports) Grant(context.Context, string, access.Policy) error        { return p.wrote() }
func (p *ports) Mark(context.Context, port.ServiceID, marker.Marker) error { return p.wrote() }
func (p *ports) Join(context.Context, string, string) error                { return p.wrote() }
func (p *ports) Restart(context.Context, string, string) error             { return p.wrote() }
func (p *ports) Publish(context.Context, port.Entry, string) error         { return p.wrote() }
func (p *ports) Release(context.Context, string) error                     { return p.wrote() }
func (p *ports) Read(context.Context) (port.Entry, error)                  { return port.Entry{}, nil }
func (p *ports) Name() string                                              { return "store" }
func (p *ports) Guarded() bool                                             { return true }
func (p *ports) Consumers(context.Context) ([]protocol.Consumer, error)    { return nil, nil }

type keyPorts struct {
	port.Keys
	*ports
}

func (p keyPorts) Mint(context.Context, port.MintRequest, secret.Value) (port.KeyRecord, error) {
	return port.KeyRecord{}, p.wrote()
}
func (p keyPorts) Update(context.Context, port.KeyRecord, port.KeyChange) (port.KeyRecord, error) {
	return port.KeyRecord{}, p.wrote()
}
func (p keyPorts) Retire(context.Context, string) error                       { return p.wrote() }
func (p keyPorts) Disable(context.Context, string) error                      { return p.wrote() }
func (p keyPorts) Enable(context.Context, string) error                       { return p.wrote() }
func (p keyPorts) Adopt(context.Context, port.KeyRecord, marker.Marker) error { return p.wrote() }

func TestARunThatIsTooOldWritesNothing(t *testing.T) {
	ctx, canceled := t.Context(), func() context.Context {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return ctx
	}()
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	window := protocol.Standard().Window
	for name, write := range map[string]struct {
		call func(ctx context.Context, p fenced) error
		born bool // the call is about the new key, so its birth counts
	}{
		"create a service ID": {call: func(ctx context.Context, p fenced) error { _, err := p.ids.Create(ctx, "", ""); return err }},
		"delete a service ID": {call: func(ctx context.Context, p fenced) error { return p.ids.Remove(ctx, "") }},
		"grant a policy":      {call: func(ctx context.Context, p fenced) error { return p.ids.Grant(ctx, "", access.Policy{}) }},
		"rename": {call: func(ctx context.Context, p fenced) error {
			return p.ids.Mark(ctx, port.ServiceID{}, marker.Marker{Current: "old"})
		}},
		"clear the new key": {born: true, call: func(ctx context.Context, p fenced) error {
			return p.ids.Mark(ctx, port.ServiceID{}, marker.Marker{Current: "fresh"})
		}},
		"join a group": {call: func(ctx context.Context, p fenced) error { return p.ids.Join(ctx, "", "") }},
		"mint": {call: func(ctx context.Context, p fenced) error {
			_, err := p.keys.Mint(ctx, port.MintRequest{}, nil)
			return err
		}},
		"update a key": {call: func(ctx context.Context, p fenced) error {
			_, err := p.keys.Update(ctx, port.KeyRecord{}, port.KeyChange{})
			return err
		}},
		"retire a key":  {call: func(ctx context.Context, p fenced) error { return p.keys.Retire(ctx, "") }},
		"enable a key":  {call: func(ctx context.Context, p fenced) error { return p.keys.Enable(ctx, "") }},
		"disable a key": {call: func(ctx context.Context, p fenced) error { return p.keys.Disable(ctx, "") }},
		"adopt a key":   {call: func(ctx context.Context, p fenced) error { return p.keys.Adopt(ctx, port.KeyRecord{}, marker.Marker{}) }},
		"copy a key": {call: func(ctx context.Context, p fenced) error {
			return p.store.Publish(ctx, port.Entry{KeyID: "old"}, "")
		}},
		"publish the new key": {born: true, call: func(ctx context.Context, p fenced) error {
			return p.store.Publish(ctx, port.Entry{KeyID: "fresh"}, "")
		}},
		"release an entry":   {call: func(ctx context.Context, p fenced) error { return p.store.Release(ctx, "old") }},
		"remove an entry":    {call: func(ctx context.Context, p fenced) error { return p.store.Remove(ctx, "") }},
		"restart a consumer": {call: func(ctx context.Context, p fenced) error { return p.apps.Restart(ctx, "", "") }},
	} {
		t.Run(name, func(t *testing.T) {
			for _, at := range []struct {
				ctx  context.Context //nolint:containedctx // a row of the table
				age  time.Duration
				late bool
			}{
				{ctx: ctx, age: 0},
				{ctx: ctx, age: window - underWay - time.Second},
				{ctx: ctx, age: window - underWay, late: write.born},
				{ctx: ctx, age: window - time.Second, late: write.born},
				{ctx: ctx, age: window, late: true},
				{ctx: ctx, age: 3 * time.Hour, late: true},
				{ctx: ctx, age: -time.Second, late: !write.born}, // the clock was set back: the key's age still counts
				{ctx: ctx, age: -underWay - time.Second, late: true},
				{ctx: canceled, age: 0, late: true},
			} {
				p := &ports{}
				local := now
				f := behind(p, &local)
				local = now.Add(at.age)
				err := write.call(at.ctx, f)
				if at.late != errors.Is(err, ErrTooLate) || at.late != (p.writes == 0) {
					t.Errorf("%s old: %d writes, err = %v, want late = %t", at.age, p.writes, err, at.late)
				}
			}
		})
	}
}

func TestARunWithdrawsItsOwnKeyAtAnyAge(t *testing.T) {
	p, now := &ports{}, time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	local := now
	f := behind(p, &local)
	local = now.Add(3 * time.Hour)
	if err := f.keys.Withdraw(t.Context(), "fresh"); err != nil || p.writes != 1 {
		t.Errorf("%d writes, err = %v", p.writes, err)
	}
}

// fenced are ports behind the fence of a run that has minted a key.
type fenced struct {
	ids   port.Identities
	keys  Keys
	store Store
	apps  port.Consumers
}

func behind(p *ports, local *time.Time) fenced {
	f := New(NewClock(func() time.Time { return *local }), protocol.Standard().Window)
	f.Minted("fresh", *local)
	return fenced{f.Identities(p), f.Keys(keyPorts{ports: p}), f.Store(p), f.Consumers(p)}
}

// dated is IAM, whose clock is that of its answers.
type dated struct {
	port.Keys
	date time.Time
}

func (d dated) Get(context.Context, string) (port.KeyRecord, error) {
	return port.KeyRecord{Date: d.date}, nil
}

func TestEveryKeyThatIsReadComparesTheClocks(t *testing.T) {
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	clock := NewClock(func() time.Time { return now })
	if err := clock.Settle(now, now); err != nil {
		t.Fatal(err)
	}
	f := New(clock, protocol.Standard().Window)
	if _, err := f.Keys(dated{date: now.Add(3 * time.Minute)}).Get(t.Context(), "ApiKey-1"); !errors.Is(err, ErrDrift) {
		t.Errorf("reading a key after the clock has moved: %v", err)
	}
	if err := f.MayWrite(t.Context()); !errors.Is(err, ErrDrift) {
		t.Errorf("writing after that: %v", err)
	}
}
