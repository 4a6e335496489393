package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// StoreConfig is the location of one entry of one secret.
type StoreConfig struct {
	Mount string // of a key value engine, version 2
	Path  string
	Entry string
	// Form is the texts of the entries. If nil, the entry is the value alone.
	Form *format.Form
	// Owner is written for an entry that has no owner.
	Owner string
}

// Store is one entry of a secret.
type Store struct {
	client *Client
	cfg    StoreConfig
}

var _ port.Store = (*Store)(nil)

// Store returns a store. It calls nothing.
func (c *Client) Store(cfg StoreConfig) *Store { return &Store{client: c, cfg: cfg} }

// Name returns vault/<host>/[<namespace>/]<mount>/<path>#<entry>.
func (s *Store) Name() string {
	host := s.client.cfg.Address
	if u, err := url.Parse(host); err == nil && u.Host != "" {
		host = u.Host
	}
	where := []string{"vault", host, s.client.cfg.Namespace, s.cfg.Mount, s.cfg.Path}
	if s.client.cfg.Namespace == "" {
		where = append(where[:2], where[3:]...)
	}
	return strings.Join(where, "/") + "#" + s.cfg.Entry
}

// Guarded returns true. Every write names the version that it replaces.
func (*Store) Guarded() bool { return true }

// longestValue is the size of a secret that every storage backend accepts.
//
// Source: https://developer.hashicorp.com/vault/docs/internals/limits
const longestValue = 500 << 10

func (s *Store) check() error {
	names := []entry.Name{
		{What: "mount", Text: s.cfg.Mount, Rule: entry.CheckVaultPath},
		{What: "path", Text: s.cfg.Path, Rule: entry.CheckVaultPath},
		{What: "entry", Text: s.cfg.Entry, Rule: entry.CheckVaultEntry},
	}
	if namespace := s.client.cfg.Namespace; namespace != "" {
		names = append(names, entry.Name{What: "namespace", Text: namespace, Rule: entry.CheckVaultPath})
	}
	return entry.Check(port.ErrRefused, names...)
}

func (s *Store) doing(verb string) string {
	return fmt.Sprintf("%s secret %s of mount %s in the vault %s", verb, s.cfg.Path, s.cfg.Mount, s.client.cfg.Address)
}

func (s *Store) data() string     { return s.cfg.Mount + "/data/" + s.cfg.Path }
func (s *Store) metadata() string { return s.cfg.Mount + "/metadata/" + s.cfg.Path }

// deleted is the suffix of a revision whose version is deleted. The vault keeps
// counting from that version.
const deleted = "-deleted"

// revision returns a version as a revision of the store. Version 0 is no version.
func revision(version int64, gone bool) string {
	r := strconv.FormatInt(version, 10)
	if gone && version > 0 {
		r += deleted
	}
	return r
}

// Read returns the entry. If the policy does not allow reading data, Read takes
// the key's ID from the custom metadata and returns no value.
func (s *Store) Read(ctx context.Context) (port.Entry, error) {
	doing := s.doing("reading")
	if err := s.check(); err != nil {
		return port.Entry{}, fmt.Errorf("%s: %w", doing, err)
	}
	got, err := s.fetch(ctx, doing)
	if errors.Is(err, port.ErrDenied) {
		return s.readMetadata(ctx, doing, err)
	}
	if err != nil {
		return port.Entry{}, err
	}
	e := port.Entry{Revision: revision(got.version, !got.exists())}
	text := func(name string) string { t, _ := got.data[name].(string); return t }
	m := entry.FromCompanions(s.cfg.Entry, text)
	value, err := s.cfg.Form.Read(s.cfg.Entry, m, func(name string) secret.Value { return secret.New(text(name)) })
	if err != nil {
		return port.Entry{}, fmt.Errorf("%s: %w: %w", doing, port.ErrRefused, err)
	}
	if value.Empty() {
		if err := s.checkWritable(ctx, doing, got.version); err != nil {
			return port.Entry{}, err
		}
		return e, fmt.Errorf("%s: entry %s: %w", doing, s.cfg.Entry, port.ErrNotFound)
	}
	e.Value = value
	e.KeyID, e.Owner, e.Created, e.IAMID = m.KeyID, m.Owner, m.Created, m.IAMID
	return e, nil
}

// Publish writes the entry with its companions and keeps everything else.
func (s *Store) Publish(ctx context.Context, e port.Entry, at string) error {
	doing := s.doing("writing")
	if err := s.check(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	ours, hidden, m, err := s.ours(e)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	version, err := strconv.ParseInt(strings.TrimSuffix(at, deleted), 10, 64)
	if err != nil || version < 0 {
		return fmt.Errorf("%s: %w: %q is not a revision", doing, port.ErrRefused, at)
	}
	// Read the secret again: a deletion keeps the version number, so the vault's
	// check-and-set does not detect it.
	got, err := s.fetch(ctx, doing)
	blind := errors.Is(err, port.ErrDenied)
	switch {
	case blind:
	case err != nil:
		return err
	case revision(got.version, !got.exists()) != at:
		return fmt.Errorf("%s: %w: the secret is no longer at revision %s", doing, port.ErrConflict, at)
	}
	written, err := s.write(ctx, doing, got.data, ours, version, blind && at == revision(version, false) && version > 0, hidden)
	if err != nil {
		return err
	}
	m.Version = written
	err = s.describe(ctx, doing, m)
	if err != nil && !blind {
		s.client.cfg.Log.Debug("writing custom metadata failed; the companions hold the same", "store", s.Name(), "error", err.Error())
		return nil
	}
	return err
}

// ours returns the data that a publication sets, what no error may quote, and the key's
// metadata.
func (s *Store) ours(e port.Entry) (data map[string]any, hidden []secret.Value, m entry.Metadata, err error) {
	m = entry.Metadata{KeyID: e.KeyID, Owner: cmp.Or(e.Owner, s.cfg.Owner), Created: e.Created, IAMID: e.IAMID}
	switch {
	case e.Value.Empty() || e.KeyID == "":
		return nil, nil, m, fmt.Errorf("entry %s: %w: there is no value with a key ID to write", s.cfg.Entry, port.ErrRefused)
	case len(e.Value.Expose()) > longestValue:
		return nil, nil, m, fmt.Errorf("entry %s: %w: a value has at most %d bytes", s.cfg.Entry, port.ErrRefused, longestValue)
	}
	texts, m, err := s.cfg.Form.Write(s.cfg.Entry, m, e.Value)
	if err != nil {
		return nil, nil, m, fmt.Errorf("%w: %w", port.ErrRefused, err)
	}
	companions, err := m.Companions(s.cfg.Entry)
	if err != nil {
		return nil, nil, m, fmt.Errorf("entry %s: %w: %w", s.cfg.Entry, port.ErrRefused, err)
	}
	data = map[string]any{}
	for name, text := range texts {
		data[name] = text.Expose()
	}
	for name, text := range companions {
		data[name] = text
	}
	return data, format.Hidden(e.Value, texts), m, nil
}
