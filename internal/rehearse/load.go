package rehearse

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/iam"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// granted is the policy that every credential has in a rehearsal.
var granted = access.Policy{Service: "logs", Roles: []string{"Sender"}}

// load starts an emulator in the past, and makes what was seen in the order in which it
// was made. The values are new.
func load(ctx context.Context, a Account) (*world, error) {
	begin := a.Now
	for _, s := range a.Seen {
		for _, k := range s.Outcome.Keys {
			if k.Created.Before(begin) {
				begin = k.Created
			}
		}
	}
	begin = begin.Add(-time.Hour)
	server, err := emulator.Start(emulator.Options{Now: func() time.Time { return begin }})
	if err != nil {
		return nil, fmt.Errorf("starting the emulator: %w", err)
	}
	w := &world{server: server, owner: a.Owner, began: a.Now, every: cmp.Or(a.every(), time.Hour), budget: a.budget()}
	if err := w.fill(ctx, a); err != nil {
		server.Close()
		return nil, err
	}
	return w, nil
}

func (w *world) fill(ctx context.Context, a Account) (err error) {
	ready := w.server.Ready()
	sleep := func(_ context.Context, d time.Duration) error {
		w.server.Advance(d)
		return nil
	}
	if w.iam, err = iam.New(iam.Config{URL: ready.URL, Owner: a.Owner, APIKey: secret.New(ready.APIKey), Now: w.server.Now, Sleep: sleep}); err != nil {
		return fmt.Errorf("setting up IAM: %w", err)
	}
	w.reconciler = &reconcile.Reconciler{
		Identities: w.iam, Keys: w.iam, Profiles: w.iam, Exchange: w.iam, Owner: a.Owner, Self: w.iam.Self, Now: w.server.Now, Sleep: sleep,
	}
	type making struct {
		at time.Time
		of *played
		k  protocol.Key
	}
	var order []making
	for _, s := range a.Seen {
		p := &played{Seen: s, ids: map[string]string{}, values: map[string]secret.Value{}, told: map[protocol.Note]bool{}}
		p.Policies, p.Groups, p.Given, p.Provers = []access.Policy{granted}, nil, "", nil
		w.played = append(w.played, p)
		for _, k := range s.Outcome.Keys {
			if k.Expires.IsZero() || k.Expires.After(a.Now) {
				order = append(order, making{k.Created, p, k})
			}
		}
	}
	slices.SortStableFunc(order, func(a, b making) int { return a.at.Compare(b.at) })
	for _, m := range order {
		if err := w.serviceID(ctx, m.of); err != nil {
			return err
		}
		if d := m.at.Sub(w.server.Now()); d > 0 {
			w.server.Advance(d)
		}
		if err := w.key(m.of, m.k); err != nil {
			return err
		}
	}
	if d := a.Now.Sub(w.server.Now()); d > 0 {
		w.server.Advance(d)
	}
	for _, p := range w.played {
		if p.Outcome.ServiceID != "" {
			if err := w.serviceID(ctx, p); err != nil {
				return err
			}
		}
		w.store(p)
	}
	return nil
}

// serviceID makes a credential's service ID, unless it is there, and its policy.
func (w *world) serviceID(ctx context.Context, p *played) error {
	if p.iamID != "" {
		return nil
	}
	if p.ServiceIDName == "" { // a service ID of other software
		p.ServiceIDName = "given " + p.Name
	}
	marker := marker.Marker{Owner: w.owner, Credential: p.Name, With: p.With}
	id, err := w.iam.Create(ctx, p.ServiceIDName, marker.Describe(p.Description))
	if err != nil {
		return fmt.Errorf("loading the service ID of %s: %w", p.Name, err)
	}
	p.iamID = id.IAMID
	if err := w.iam.Grant(ctx, id.IAMID, granted); err != nil {
		return fmt.Errorf("loading the policy of %s: %w", p.Name, err)
	}
	return nil
}

func (w *world) key(p *played, k protocol.Key) error {
	marker := marker.Marker{Owner: w.owner, Credential: p.Name, KeyMarks: marker.KeyMarks{
		Superseded: k.Superseded, Renew: k.Renew, Answers: k.AsOf, Leaked: k.Leaked, Served: k.Served, Refused: k.Refused, Refusal: k.Refusal, Replaces: k.Replaces, Stores: k.Stores,
	}}
	value, err := secret.Random(nil)
	if err != nil {
		return fmt.Errorf("making a value: %w", err)
	}
	n := cloud.NewAPIKey{
		Name: p.Name, IAMID: p.iamID, Description: marker.Describe(""), Value: value.Expose(), ActionWhenLeaked: "disable", Locked: k.Locked, Disabled: k.Disabled,
	}
	if !k.Expires.IsZero() {
		n.ExpiresAt = cloud.FormatTime(k.Expires)
	}
	made, err := w.server.Cloud().CreateAPIKey(w.server.Cloud().Minter().Actor(), n)
	if err != nil {
		return fmt.Errorf("loading the key %s of %s: %w", k.ID, p.Name, err)
	}
	p.ids[k.ID], p.values[made.ID] = made.ID, value
	return nil
}

// store makes the stores of a credential, with the keys that they name.
func (w *world) store(p *played) {
	var ports []port.Store
	for i, real := range p.Stores {
		s := &store{name: real.Name(), guarded: real.Guarded()}
		if i < len(p.Outcome.Stores) {
			if id := p.ids[p.Outcome.Stores[i].Key]; id != "" {
				at := slices.IndexFunc(p.Outcome.Keys, func(k protocol.Key) bool { return p.ids[k.ID] == id })
				s.entry = port.Entry{KeyID: id, Value: p.values[id], Created: p.Outcome.Keys[at].Created, IAMID: p.iamID, Owner: w.owner}
			}
		}
		p.stores = append(p.stores, s)
		ports = append(ports, s)
	}
	p.Stores, p.first = ports, p.published()
	if p.Consumers = nil; len(p.Running) > 0 {
		c := &consumers{keys: map[string]protocol.Consumer{}}
		for _, r := range p.Running {
			r.Key, r.Unknown = p.ids[r.Key], false
			c.keys[r.Name] = r
		}
		p.Consumers = []port.Consumers{c}
	}
}

// store is a location in memory.
type store struct {
	name    string
	guarded bool

	mu    sync.Mutex
	entry port.Entry
	wrote int
}

func (s *store) Name() string  { return s.name }
func (s *store) Guarded() bool { return s.guarded }

func (s *store) Read(context.Context) (port.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entry
	e.Revision = strconv.Itoa(s.wrote)
	if e.KeyID == "" {
		return e, port.ErrNotFound
	}
	return e, nil
}

func (s *store) Publish(_ context.Context, e port.Entry, revision string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.guarded && revision != strconv.Itoa(s.wrote) {
		return port.ErrConflict
	}
	s.entry = e
	s.wrote++
	return nil
}

// consumers are those that latchkey restarts. Each restart succeeds.
type consumers struct {
	mu   sync.Mutex
	keys map[string]protocol.Consumer
}

func (c *consumers) Consumers(context.Context) (all []protocol.Consumer, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.keys {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b protocol.Consumer) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func (c *consumers) Restart(_ context.Context, name, keyID string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.keys[name]
	r.Key = keyID
	c.keys[name] = r
	return nil
}
