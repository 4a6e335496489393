package codeengine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/listing"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// StoreConfig names one entry of a secret.
type StoreConfig struct {
	Project string // ID or name
	Region  string
	Secret  string
	Entry   string
	// Form is the texts of the entries. If nil, the entry is the value alone.
	Form *format.Form
	// Registry makes the secret one of the format registry. Entry is then RegistryEntry.
	Registry *Registry
	// Owner is the owner of an entry that names none.
	Owner string
	// Restart selects the apps that Consumers lists. The zero value selects none.
	Restart Restart
}

// Store is one entry of a generic secret, or a secret of the format registry. A write replaces the whole secret on
// condition of its entity tag, and keeps all other data.
type Store struct {
	client *Client
	cfg    StoreConfig

	mu   sync.Mutex
	last *snapshot // guarded by mu
}

// snapshot is a secret's data at one entity tag. A write reuses the snapshot of
// the read before it, which saves a second read. The tag makes this safe.
type snapshot struct {
	tag  string
	kind string // its format
	data map[string]secret.Value
}

var _ port.Store = (*Store)(nil)

// Store returns a store. It sends no request.
func (c *Client) Store(cfg StoreConfig) *Store { return &Store{client: c, cfg: cfg} }

// Name returns codeEngine/<region>/<project>/<secret>#<entry>.
func (s *Store) Name() string {
	return fmt.Sprintf("codeEngine/%s/%s/%s#%s", s.cfg.Region, s.cfg.Project, s.cfg.Secret, s.cfg.Entry)
}

// Guarded returns true: every replacement carries If-Match, and a create fails if
// the name is taken.
func (*Store) Guarded() bool { return true }

const longestValue = 1 << 20

func (s *Store) check() error {
	return entry.Check(port.ErrRefused,
		entry.Name{What: "project", Text: s.cfg.Project, Rule: entry.CheckProject},
		entry.Name{What: "region", Text: s.cfg.Region, Rule: entry.CheckRegion},
		entry.Name{What: "secret", Text: s.cfg.Secret, Rule: entry.CheckSecret},
		entry.Name{What: "entry", Text: s.cfg.Entry, Rule: entry.CheckEntry})
}

func (s *Store) doing(verb string) string {
	return fmt.Sprintf("%s secret %s of project %s in %s", verb, s.cfg.Secret, s.cfg.Project, s.cfg.Region)
}

// open returns the region's server and the project's ID.
func (s *Store) open(ctx context.Context) (api upstream.Service, project string, err error) {
	if err := s.check(); err != nil {
		return upstream.Service{}, "", err
	}
	project, err = s.client.resolve(ctx, s.cfg.Region, s.cfg.Project)
	return s.client.region(s.cfg.Region), project, err
}

// Read returns the entry. Code Engine returns values in clear text, so the entry
// always has its value.
func (s *Store) Read(ctx context.Context) (port.Entry, error) {
	if snap := s.listed(ctx); snap != nil {
		return s.entry(snap)
	}
	snap, err := s.fetch(ctx, s.doing("reading"))
	if err != nil {
		return port.Entry{}, err
	}
	s.mu.Lock()
	s.last = snap
	s.mu.Unlock()
	return s.entry(snap)
}

func (s *Store) fetch(ctx context.Context, doing string) (*snapshot, error) {
	api, project, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	got, reply, err := upstream.Send[secretObject](ctx, api, upstream.Request{Method: http.MethodGet, Path: in(project, "secrets", s.cfg.Secret)})
	if err = fault(ctx, doing, reply, err); err != nil {
		return nil, s.blame(ctx, doing, project, err)
	}
	return snapshotOf(doing, got)
}

// expect returns an error if the secret has another format than the store's.
func (s *Store) expect(doing string, snap *snapshot) error {
	if snap.kind != s.kind() {
		return fmt.Errorf("%s: %w: its format is %q, not %s", doing, port.ErrRefused, snap.kind, s.kind())
	}
	return nil
}

// secretObject is a secret in the API's form.
type secretObject struct {
	Name      string            `json:"name"`
	EntityTag string            `json:"entity_tag"`
	Format    string            `json:"format"`
	Data      map[string]string `json:"data"`
}

type secretPage struct {
	page
	Secrets []secretObject `json:"secrets"`
}

func snapshotOf(doing string, got *secretObject) (*snapshot, error) {
	// Without a tag the secret would look like an absent one.
	if got == nil || got.EntityTag == "" {
		return nil, upstream.Incomplete(doing, "entity tag")
	}
	snap := &snapshot{tag: got.EntityTag, kind: got.Format, data: make(map[string]secret.Value, len(got.Data))}
	for name, value := range got.Data {
		snap.data[name] = secret.New(value)
	}
	return snap, nil
}

// place is a project, by ID or name.
type place struct{ region, project string }

// Place satisfies listing.Placed.
func (s *Store) Place() any { return place{s.cfg.Region, s.cfg.Project} }

// listed returns the secret from the list of all secrets of the project, if the looks of
// a sweep share it, or nil. That it is not listed proves nothing.
func (s *Store) listed(ctx context.Context) *snapshot {
	all, _ := listing.Of(ctx, s.Place(), "secrets", func() (map[string]*snapshot, error) {
		return s.list(ctx)
	})
	return all[s.cfg.Secret]
}

// list returns the secrets of the project by name.
func (s *Store) list(ctx context.Context) (map[string]*snapshot, error) {
	doing := fmt.Sprintf("listing the secrets of project %s in %s", s.cfg.Project, s.cfg.Region)
	api, project, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	all := map[string]*snapshot{}
	err = pages(ctx, doing, api, in(project, "secrets"), func(p secretPage) {
		for i := range p.Secrets {
			if snap, err := snapshotOf(doing, &p.Secrets[i]); err == nil {
				all[p.Secrets[i].Name] = snap
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// blame checks whether the project is the reason why a call on its secret
// failed. A secret counts as absent only in an active project: no key may be
// created for a store that cannot hold it.
func (s *Store) blame(ctx context.Context, doing, project string, err error) error {
	absent := errors.Is(err, port.ErrNotFound)
	if !absent && !errors.Is(err, port.ErrConflict) && !errors.Is(err, port.ErrRefused) {
		return err
	}
	p, perr := s.client.byID(ctx, s.cfg.Region, project)
	if errors.Is(perr, port.ErrNotFound) {
		s.client.forget(project)
		return fmt.Errorf("%s: project %s: %w: it does not exist in %s", doing, project, port.ErrRefused, s.cfg.Region)
	}
	if perr != nil {
		if absent {
			return fmt.Errorf("%s: %w", doing, perr)
		}
		return err
	}
	if perr = p.usable(); perr != nil {
		s.client.forget(project)
		return fmt.Errorf("%s: %w", doing, perr)
	}
	return err
}

func (s *Store) entry(snap *snapshot) (port.Entry, error) {
	e := port.Entry{Revision: snap.tag}
	if err := s.expect(s.doing("reading"), snap); err != nil {
		return port.Entry{}, err
	}
	if r := s.cfg.Registry; r != nil {
		m := r.metadata(snap.data)
		if e.Value = r.value(snap.data, m); e.Value.Empty() {
			return e, fmt.Errorf("%s: %w", s.doing("reading"), port.ErrNotFound)
		}
		e.KeyID, e.Owner = m.KeyID, m.Owner
		return e, nil
	}
	m := entry.FromCompanions(s.cfg.Entry, func(name string) string { return snap.data[name].Expose() })
	value, err := s.cfg.Form.Read(s.cfg.Entry, m, func(name string) secret.Value { return snap.data[name] })
	switch {
	case err != nil:
		return e, fmt.Errorf("%s: %w: %w", s.doing("reading"), port.ErrRefused, err)
	case value.Empty():
		return e, fmt.Errorf("%s: entry %s: %w", s.doing("reading"), s.cfg.Entry, port.ErrNotFound)
	}
	e.Value = value
	e.KeyID, e.Owner, e.Created, e.IAMID = m.KeyID, m.Owner, m.Created, m.IAMID
	return e, nil
}

// Publish writes the entry and its companions, and keeps all other data.
func (s *Store) Publish(ctx context.Context, e port.Entry, revision string) error {
	doing := s.doing("writing")
	api, project, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	data, err := s.neighbours(ctx, doing, revision)
	if err != nil {
		return err
	}
	if err := s.put(data, e); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	reply, err := s.write(ctx, api, project, data, revision)
	err = fault(ctx, doing, reply, err, format.Hidden(e.Value, data)...)
	if err == nil {
		s.client.wrote(s, e.KeyID)
		return nil
	}
	err = s.blame(ctx, doing, project, err)
	if !errors.Is(err, port.ErrNotFound) {
		return err
	}
	if revision == "" {
		return fmt.Errorf("%s: %w: project %s exists but takes no secret", doing, port.ErrUnavailable, project)
	}
	return fmt.Errorf("%s: %w: the secret was deleted", doing, port.ErrConflict)
}

// newSecret is what a write of a secret sends. The name is in the path of a replacement.
type newSecret struct {
	Name   string            `json:"name,omitempty"`
	Format string            `json:"format"`
	Data   map[string]string `json:"data"`
}

// write replaces the secret at the revision, or creates it if there is none. Only an
// answer that is a secret shows that it was written.
func (s *Store) write(ctx context.Context, api upstream.Service, project string, data map[string]secret.Value, revision string) (*upstream.Reply, error) {
	body := newSecret{Format: s.kind(), Data: s.body(data)}
	r := upstream.Request{Method: http.MethodPut, Path: in(project, "secrets", s.cfg.Secret), Header: map[string]string{"If-Match": revision}}
	if revision == "" {
		body.Name = s.cfg.Secret
		r = upstream.Request{Method: http.MethodPost, Path: in(project, "secrets")}
	}
	r.Body = body
	_, reply, err := upstream.Send[secretObject](ctx, api, r)
	return reply, err
}

// put sets the entry in the data.
func (s *Store) put(data map[string]secret.Value, e port.Entry) error {
	if e.Value.Empty() || e.KeyID == "" {
		return fmt.Errorf("entry %s: %w: it has no value or no key ID", s.cfg.Entry, port.ErrRefused)
	}
	if len(e.Value.Expose()) > longestValue {
		return fmt.Errorf("entry %s: %w: a value has up to %d bytes", s.cfg.Entry, port.ErrRefused, longestValue)
	}
	if r := s.cfg.Registry; r != nil {
		r.put(data, e, s.cfg.Owner)
		return nil
	}
	texts, m, err := s.cfg.Form.Write(s.cfg.Entry, entry.Metadata{KeyID: e.KeyID, Owner: cmp.Or(e.Owner, s.cfg.Owner), Created: e.Created, IAMID: e.IAMID}, e.Value)
	if err != nil {
		return fmt.Errorf("%w: %w", port.ErrRefused, err)
	}
	companions, err := m.Companions(s.cfg.Entry)
	if err != nil {
		return fmt.Errorf("entry %s: %w: %w", s.cfg.Entry, port.ErrRefused, err)
	}
	maps.Copy(data, texts)
	for name, text := range companions {
		data[name] = secret.New(text)
	}
	return nil
}

// neighbours returns the secret's data at the revision, from the read before or
// from a new one.
func (s *Store) neighbours(ctx context.Context, doing, revision string) (map[string]secret.Value, error) {
	s.mu.Lock()
	snap := s.last
	s.last = nil
	s.mu.Unlock()
	if revision == "" {
		return map[string]secret.Value{}, nil
	}
	if snap == nil || snap.tag != revision {
		var err error
		snap, err = s.fetch(ctx, doing)
		if errors.Is(err, port.ErrNotFound) {
			return nil, fmt.Errorf("%s: %w: the secret was deleted", doing, port.ErrConflict)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := s.expect(doing, snap); err != nil {
		return nil, err
	}
	if snap.tag != revision {
		return nil, fmt.Errorf("%s: %w: it is no longer at revision %s", doing, port.ErrConflict, revision)
	}
	return snap.data, nil
}
