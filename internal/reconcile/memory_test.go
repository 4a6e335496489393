package reconcile_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// memory is IAM as a reconciler sees it: at once consistent, and with an error
// by the name of the method where a test wants one.
type memory struct {
	mu       sync.Mutex
	now      time.Time
	made     int
	changes  int
	ids      []port.ServiceID
	policies map[string][]access.Policy
	groups   map[string][]port.Group
	keys     []held
	fail     map[string]error
}

func (m *memory) lock() (unlock func()) {
	m.mu.Lock()
	return m.mu.Unlock
}

type held struct {
	port.KeyRecord
	value secret.Value
}

var (
	_ port.Identities = (*memory)(nil)
	_ port.Keys       = (*memory)(nil)
	_ port.Exchange   = (*memory)(nil)
)

func (m *memory) Find(_ context.Context, name string) (found []port.ServiceID, date time.Time, err error) {
	defer m.lock()()
	for _, id := range m.ids {
		if id.Name == name {
			found = append(found, id)
		}
	}
	return found, m.now, m.fail["Find"]
}

func (m *memory) Lookup(_ context.Context, iamID string) (port.ServiceID, error) {
	defer m.lock()()
	for _, id := range m.ids {
		if id.IAMID == iamID {
			return id, m.fail["Lookup"]
		}
	}
	return port.ServiceID{}, port.ErrNotFound
}

func (m *memory) Create(_ context.Context, name, description string) (port.ServiceID, error) {
	defer m.lock()()
	m.made++
	id := port.ServiceID{ID: fmt.Sprintf("ServiceId-%d", m.made), Name: name, Created: m.now, Ours: true}
	id.IAMID = "iam-" + id.ID
	id.Marker, id.Text, id.Marked = marker.Parse(description)
	if err := m.fail["Create"]; err != nil {
		return port.ServiceID{}, err
	}
	m.ids = append(m.ids, id)
	return id, nil
}

func (m *memory) Remove(_ context.Context, id string) error {
	defer m.lock()()
	if err := m.fail["Remove"]; err != nil {
		return err
	}
	m.ids = slices.DeleteFunc(m.ids, func(s port.ServiceID) bool { return s.ID == id })
	return nil
}

func (m *memory) Granted(_ context.Context, iamID string) ([]access.Policy, error) {
	defer m.lock()()
	return m.policies[iamID], m.fail["Granted"]
}

func (m *memory) Grant(_ context.Context, iamID string, p access.Policy) error {
	defer m.lock()()
	if err := m.fail["Grant"]; err != nil {
		return err
	}
	if m.fail["weaker"] != nil {
		p.Roles = []string{"Viewer"}
	}
	m.policies[iamID] = append(m.policies[iamID], p)
	return nil
}

func (m *memory) Narrow(_ context.Context, iamID string, p access.Policy, keep []string) error {
	defer m.lock()()
	if err := m.fail["Narrow"]; err != nil {
		return err
	}
	var left []access.Policy
	for _, have := range m.policies[iamID] {
		if have.ID == p.ID {
			if have.Roles = keep; len(keep) == 0 {
				continue
			}
		}
		left = append(left, have)
	}
	m.policies[iamID] = left
	return nil
}

func (m *memory) Mark(_ context.Context, id port.ServiceID, marker marker.Marker) error {
	defer m.lock()()
	for i := range m.ids {
		if m.ids[i].ID == id.ID && m.fail["Mark"] == nil {
			m.ids[i].Marker = marker
		}
	}
	return m.fail["Mark"]
}

func (m *memory) Groups(_ context.Context, iamID string) ([]port.Group, error) {
	defer m.lock()()
	return m.groups[iamID], m.fail["Groups"]
}

func (m *memory) Join(_ context.Context, iamID, group string) error {
	defer m.lock()()
	if err := m.fail["Join"]; err != nil {
		return err
	}
	m.groups[iamID] = append(m.groups[iamID], port.Group{ID: group})
	return nil
}

func (m *memory) List(_ context.Context, iamID string, credentials ...string) (l port.KeyList, err error) {
	defer m.lock()()
	l.Date = m.now
	for _, k := range m.keys {
		switch {
		case k.IAMID != iamID:
		case k.Ours && slices.Contains(credentials, k.Credential):
			l.Keys = append(l.Keys, k.Key)
		default:
			l.Foreign++
		}
	}
	return l, m.fail["List"]
}

func (m *memory) find(keyID string) *held {
	i := slices.IndexFunc(m.keys, func(k held) bool { return k.ID == keyID })
	if i < 0 {
		return nil
	}
	return &m.keys[i]
}

func (m *memory) Get(_ context.Context, keyID string) (port.KeyRecord, error) {
	defer m.lock()()
	k := m.find(keyID)
	if k == nil {
		return port.KeyRecord{}, port.ErrNotFound
	}
	rec := k.KeyRecord
	rec.Date = m.now
	return rec, errors.Join(m.fail["Get"], m.fail["Get "+keyID])
}

// add makes a key outside of a run. Without a marker it is foreign.
func (m *memory) add(iamID, name, description string, v secret.Value, expires time.Time) protocol.Key {
	m.made++
	k := held{value: v}
	k.ID, k.IAMID, k.Name, k.Description = fmt.Sprintf("ApiKey-%d", m.made), iamID, name, description
	k.Created, k.Expires = m.now.Truncate(time.Minute), expires
	mk, _, marked := marker.Parse(description)
	if k.Ours, k.Credential = marked && mk.Owner == owner, mk.Credential; k.Ours {
		k.Key = marker.Mark(k.Key, name, mk)
	}
	m.touch(&k)
	m.keys = append(m.keys, k)
	return k.Key
}

func (m *memory) Mint(_ context.Context, r port.MintRequest, v secret.Value) (port.KeyRecord, error) {
	defer m.lock()()
	if err := m.fail["Mint"]; err != nil {
		return port.KeyRecord{}, err
	}
	return m.find(m.add(r.IAMID, r.Name, r.Description, v, r.Expires).ID).KeyRecord, nil
}

func (m *memory) Update(_ context.Context, rec port.KeyRecord, c port.KeyChange) (port.KeyRecord, error) {
	defer m.lock()()
	if err := m.fail["Update"]; err != nil {
		return port.KeyRecord{}, err
	}
	k := m.find(rec.ID)
	if rec.Version != k.Version {
		return port.KeyRecord{}, port.ErrConflict
	}
	set := func(to *time.Time, at time.Time) {
		if !at.IsZero() {
			*to = at
		}
	}
	set(&k.Expires, c.Expires)
	set(&k.Superseded, c.Superseded)
	set(&k.Renew, c.Renew)
	set(&k.Leaked, c.Leaked)
	set(&k.Refused, c.Refused)
	k.Refusal = cmp.Or(c.Refusal, k.Refusal)
	m.touch(k)
	now := k.KeyRecord
	now.Date = m.now
	return now, nil
}

// touch gives a key that was changed another version.
func (m *memory) touch(k *held) {
	m.changes++
	k.Version = fmt.Sprintf("%d-", m.changes)
}

func (m *memory) Retire(_ context.Context, keyID string) error {
	defer m.lock()()
	if err := m.fail["Retire"]; err != nil {
		return err
	}
	m.keys = slices.DeleteFunc(m.keys, func(k held) bool { return k.ID == keyID })
	return nil
}

func (m *memory) Disable(_ context.Context, keyID string) error {
	defer m.lock()()
	if err := m.fail["Disable"]; err != nil {
		return err
	}
	m.find(keyID).Disabled = true
	return nil
}

func (m *memory) Enable(_ context.Context, keyID string) error {
	defer m.lock()()
	if err := m.fail["Enable"]; err != nil {
		return err
	}
	m.find(keyID).Disabled = false
	return nil
}

func (m *memory) Used(_ context.Context, _ string) (time.Time, error) {
	defer m.lock()()
	return time.Time{}, m.fail["Used"]
}

func (m *memory) Identify(_ context.Context, v secret.Value) (port.KeyRecord, error) {
	defer m.lock()()
	for _, k := range m.keys {
		if k.value.Equal(v) {
			return k.KeyRecord, m.fail["Identify"]
		}
	}
	return port.KeyRecord{}, port.ErrNotFound
}

func (m *memory) Adopt(_ context.Context, rec port.KeyRecord, marker marker.Marker) error {
	defer m.lock()()
	if err := m.fail["Adopt"]; err != nil {
		return err
	}
	k := m.find(rec.ID)
	k.Ours, k.Credential = true, marker.Credential
	return nil
}

func (m *memory) Exchange(_ context.Context, v secret.Value) (port.Bearer, error) {
	defer m.lock()()
	if err := m.fail["Exchange"]; err != nil {
		return port.Bearer{}, err
	}
	for _, k := range m.keys {
		if k.value.Equal(v) && k.Live(m.now) {
			return port.Bearer{IAMID: k.IAMID, Account: "account", Token: secret.New("a token")}, nil
		}
	}
	return port.Bearer{}, port.ErrNotYet
}

// shelf is a store in memory.
type shelf struct {
	mu      sync.Mutex
	name    string
	guarded bool
	entry   port.Entry
	rev     int
	fail    map[string]error
	spoils  string // is what it has as the key ID of whatever it gets
	// released are the keys that latchkey released.
	released []string
}

var (
	_ port.Store    = (*shelf)(nil)
	_ port.Releaser = (*shelf)(nil)
)

func (s *shelf) Name() string  { return s.name }
func (s *shelf) Guarded() bool { return s.guarded }

func (s *shelf) Read(context.Context) (port.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fail["Read"]; err != nil {
		return port.Entry{}, err
	}
	e := s.entry
	e.Revision = strconv.Itoa(s.rev)
	if e.Value.Empty() && !e.Cleared {
		return e, port.ErrNotFound
	}
	return e, nil
}

func (s *shelf) Publish(_ context.Context, e port.Entry, revision string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fail["Publish"]; err != nil {
		return err
	}
	if s.guarded && revision != strconv.Itoa(s.rev) {
		return port.ErrConflict
	}
	s.entry, s.rev = e, s.rev+1
	if s.spoils != "" {
		s.entry.KeyID = s.spoils
	}
	return s.fail["lock"]
}

func (s *shelf) Release(_ context.Context, keyID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released = append(s.released, keyID)
	return s.fail["Release"]
}

// app is the one consumer of a store.
type app struct {
	name, store, key, next string
	fail                   map[string]error
}

func (a *app) Consumers(context.Context) ([]protocol.Consumer, error) {
	return []protocol.Consumer{{Name: a.name, Store: a.store, Key: a.key, Next: a.next}}, a.fail["Consumers"]
}

func (a *app) Restart(_ context.Context, _, keyID string) error {
	if err := a.fail["Restart"]; err != nil {
		if a.next = ""; errors.Is(err, port.ErrNotActive) {
			a.next = keyID
		}
		return err
	}
	a.key, a.next = keyID, ""
	return nil
}

const owner = "prod"

// bench is a reconciler over memory, with a credential that has two stores and
// an app.
type bench struct {
	*memory
	t          *testing.T
	reconciler *reconcile.Reconciler
	c          port.Credential
	a, b       *shelf
	app        *app
	log        *strings.Builder
}

func newBench(t *testing.T) *bench {
	t.Helper()
	m := &memory{
		now: time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC), fail: map[string]error{},
		policies: map[string][]access.Policy{}, groups: map[string][]port.Group{},
	}
	w := &bench{memory: m, t: t, log: &strings.Builder{}}
	w.a = &shelf{name: "store-a", guarded: true, fail: map[string]error{}}
	w.b = &shelf{name: "store-b", fail: map[string]error{}}
	w.app = &app{name: "app", store: "store-a", fail: map[string]error{}}
	w.reconciler = w.process()
	rules := protocol.Standard()
	rules.After, rules.Expire, rules.Overlap, rules.SweepEvery = 60*24*time.Hour, 90*24*time.Hour, 24*time.Hour, time.Hour
	w.c = port.Credential{
		Name: "logs-sender", Entry: "logs-sender", ServiceIDName: "logs-sender", Description: "Sends logs", OnLeak: "disable", Rules: rules,
		Policies: []access.Policy{{Service: "logs", Roles: []string{"Sender"}}},
		Stores:   []port.Store{w.a, w.b}, Optional: map[string]bool{}, ReadBack: map[string]bool{},
		Consumers: []port.Consumers{w.app},
	}
	return w
}

// process is a reconciler without memory of earlier runs.
func (w *bench) process() *reconcile.Reconciler {
	return &reconcile.Reconciler{
		Identities: w.memory, Keys: w.memory, Exchange: w.memory, Owner: owner,
		Now:   func() time.Time { return w.now },
		Sleep: sleepNot, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
}

// run reconciles once.
func (w *bench) run(trigger protocol.Trigger) result.Outcome {
	w.t.Helper()
	out, err := w.reconciler.Reconcile(w.t.Context(), w.c, reconcile.Request{Trigger: trigger, Cause: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// must reconciles once and expects a result.
func (w *bench) must(want result.Result, trigger protocol.Trigger) result.Outcome {
	w.t.Helper()
	out := w.run(trigger)
	if out.Result != want {
		w.t.Fatalf("the result is %s, want %s: %s %s %s", out.Result, want, out.Reason, out.Message, out.Error)
	}
	return out
}

// rotated has a key published, old enough for the next one.
func (w *bench) rotated() string {
	w.t.Helper()
	out := w.must(result.Published, protocol.Trigger{})
	w.now = w.now.Add(time.Hour)
	return out.Key
}

// sleepNot lets a poll end at once.
func sleepNot(_ context.Context, _ time.Duration) error { return context.DeadlineExceeded }
