package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// StoreConfig names one entry of one secret.
type StoreConfig struct {
	Mount string // of a key value engine, version 2
	Path  string
	Entry string
	// Owner is written beside an entry that names none.
	Owner string
}

// Store is one entry of a secret.
type Store struct {
	client *Client
	cfg    StoreConfig
}

var _ reconcile.Store = (*Store)(nil)

// Store returns a store. Nothing is called yet.
func (c *Client) Store(cfg StoreConfig) *Store { return &Store{client: c, cfg: cfg} }

// Name is vault/<host>/[<namespace>/]<mount>/<path>#<entry>.
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

// Guarded is true: every write carries the version that it replaces.
func (*Store) Guarded() bool { return true }

// The companions of an entry, and what its note is called in the custom
// metadata.
const (
	idSuffix   = "_ID"
	noteSuffix = "_LATCHKEY"
	notePrefix = "latchkey."
)

// note is what an entry says of its key. It holds no value.
type note struct {
	KeyID   string    `json:"key_id,omitempty"` // in the custom metadata only, as is the version
	Version int64     `json:"version,omitempty"`
	Owner   string    `json:"owner"`
	Created time.Time `json:"created"`
	IAMID   string    `json:"iam_id"`
}

// The rules that names have here. A vault takes more, but what it does with a
// path that has to be escaped differs by version.
var (
	pathName  = compiled(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$`)
	entryName = compiled(`^[-._A-Za-z0-9]+$`)
)

const (
	longestPath = 512
	// longestEntry leaves room in the name of custom metadata, which has up to
	// 128 bytes.
	//
	// Source: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#create-update-metadata
	longestEntry = 128 - len(notePrefix)
	// longestValue is what every storage of a vault takes of one secret.
	//
	// Source: https://developer.hashicorp.com/vault/docs/internals/limits
	longestValue = 500 << 10
)

// compiled is an expression that is compiled when it is first needed: most
// programs have no such store, and all of them have to start.
func compiled(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

func (s *Store) check() error {
	for what, name := range map[string]string{"mount": s.cfg.Mount, "path": s.cfg.Path} {
		if len(name) > longestPath || !pathName().MatchString(name) {
			return fmt.Errorf("checking the %s %q: %w: it has up to %d letters, digits, '-', '_' and '.', in parts between single slashes, of which none starts with '-' or '.'",
				what, name, reconcile.ErrRefused, longestPath)
		}
	}
	if len(s.cfg.Entry) > longestEntry || !entryName().MatchString(s.cfg.Entry) {
		return fmt.Errorf("checking the entry %q: %w: it has up to %d letters, digits, '-', '_' and '.'", s.cfg.Entry, reconcile.ErrRefused, longestEntry)
	}
	return nil
}

func (s *Store) doing(verb string) string {
	return fmt.Sprintf("%s secret %s of mount %s in the vault %s", verb, s.cfg.Path, s.cfg.Mount, s.client.cfg.Address)
}

func (s *Store) data() string     { return s.cfg.Mount + "/data/" + s.cfg.Path }
func (s *Store) metadata() string { return s.cfg.Mount + "/metadata/" + s.cfg.Path }

// deleted is what a revision ends in when the current version is deleted: the
// vault counts on from it.
const deleted = "-deleted"

// revision is a version as the store names it; 0 is none.
func revision(version int64, gone bool) string {
	r := strconv.FormatInt(version, 10)
	if gone && version > 0 {
		r += deleted
	}
	return r
}

// Read returns the entry. Whose policy does not let it read data learns from
// the metadata which key it is, without the value.
func (s *Store) Read(ctx context.Context) (reconcile.Entry, error) {
	doing := s.doing("reading")
	if err := s.check(); err != nil {
		return reconcile.Entry{}, fmt.Errorf("%s: %w", doing, err)
	}
	got, err := s.fetch(ctx, doing)
	if errors.Is(err, reconcile.ErrDenied) {
		return s.readBlind(ctx, doing, err)
	}
	if err != nil {
		return reconcile.Entry{}, err
	}
	e := reconcile.Entry{Revision: revision(got.version, !got.exists())}
	value, _ := got.data[s.cfg.Entry].(string)
	if value == "" {
		if err := s.ready(ctx, doing, got.version); err != nil {
			return reconcile.Entry{}, err
		}
		return e, fmt.Errorf("%s: entry %s: %w", doing, s.cfg.Entry, reconcile.ErrNotFound)
	}
	e.Value = secret.New(value)
	e.KeyID, _ = got.data[s.cfg.Entry+idSuffix].(string)
	var n note // stays empty if a person spoilt it: the ID alone says whose key it is
	text, _ := got.data[s.cfg.Entry+noteSuffix].(string)
	if json.Unmarshal([]byte(text), &n) == nil {
		e.Owner, e.Created, e.IAMID = n.Owner, n.Created, n.IAMID
	}
	return e, nil
}

// Publish writes the entry with its companions, and keeps everything else.
func (s *Store) Publish(ctx context.Context, e reconcile.Entry, at string) error {
	doing := s.doing("writing")
	if err := s.check(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	ours, n, err := s.ours(e)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	version, err := strconv.ParseInt(strings.TrimSuffix(at, deleted), 10, 64)
	if err != nil || version < 0 {
		return fmt.Errorf("%s: %w: %q is no revision", doing, reconcile.ErrRefused, at)
	}
	// The secret is read once more: a deletion keeps the version number, so the
	// vault's own guard would not see one.
	got, err := s.fetch(ctx, doing)
	blind := errors.Is(err, reconcile.ErrDenied)
	switch {
	case blind:
	case err != nil:
		return err
	case revision(got.version, !got.exists()) != at:
		return fmt.Errorf("%s: %w: it is no longer at revision %s", doing, reconcile.ErrConflict, at)
	}
	written, err := s.write(ctx, doing, got.data, ours, version, blind && at == revision(version, false) && version > 0, e.Value)
	if err != nil {
		return err
	}
	n.Version, n.KeyID = written, e.KeyID
	err = s.noteDown(ctx, doing, n)
	if err != nil && !blind {
		s.client.cfg.Log.Debug("the custom metadata could not be written; the data says the same", "store", s.Name(), "error", err.Error())
		return nil
	}
	return err
}

// ours is what a publication sets.
func (s *Store) ours(e reconcile.Entry) (map[string]any, note, error) {
	n := note{Owner: cmp.Or(e.Owner, s.cfg.Owner), Created: e.Created.UTC(), IAMID: e.IAMID}
	switch {
	case e.Value.Empty() || e.KeyID == "":
		return nil, n, fmt.Errorf("entry %s: %w: there is no value with a key ID to write", s.cfg.Entry, reconcile.ErrRefused)
	case len(e.Value.Expose()) > longestValue:
		return nil, n, fmt.Errorf("entry %s: %w: a value has up to %d bytes", s.cfg.Entry, reconcile.ErrRefused, longestValue)
	}
	noted, err := json.Marshal(n)
	if err != nil {
		return nil, n, fmt.Errorf("entry %s: %w: its time can't be written: %w", s.cfg.Entry, reconcile.ErrRefused, err)
	}
	return map[string]any{
		s.cfg.Entry: e.Value.Expose(), s.cfg.Entry + idSuffix: e.KeyID, s.cfg.Entry + noteSuffix: string(noted),
	}, n, nil
}
