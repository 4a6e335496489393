package secretsmanager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// The types of secrets that can hold a key.
const (
	// Arbitrary is a secret whose payload is the key's value.
	Arbitrary = "arbitrary"
	// KeyValue is a secret with several entries.
	KeyValue = "kv"
)

// defaultGroup is the secret group of every instance. Its name is also its ID.
const defaultGroup = "default"

// StoreConfig names a secret, or one entry of it.
type StoreConfig struct {
	Instance string // GUID
	Region   string
	Group    string // name of the secret group; "" is the default one
	Secret   string // name
	Type     string // Arbitrary or KeyValue
	Entry    string // of KeyValue
	// Form is the texts of the entries. If nil, the entry is the value alone.
	Form *format.Form
	// Owner is the owner of an entry that names none.
	Owner string
	// Lock locks the published versions: see the package comment. It needs the
	// role Manager.
	Lock bool
	// Credential is the credential that a lock's description names.
	Credential string
	// Expire is the lifetime of a key. An arbitrary secret expires this long
	// after its key's creation. Zero sets no date.
	Expire time.Duration
}

// Store is a secret, or one entry of it.
type Store struct {
	client *Client
	cfg    StoreConfig

	mu sync.Mutex
	id string // of the secret, once it was found; guarded by mu
}

var (
	_ port.Store    = (*Store)(nil)
	_ port.Releaser = (*Store)(nil)
)

// Store returns a store. It sends no request.
func (c *Client) Store(cfg StoreConfig) *Store {
	cfg.Group = cmp.Or(cfg.Group, defaultGroup)
	return &Store{client: c, cfg: cfg}
}

// Name returns secretsManager/<region>/<instance>/<group>/<secret>, followed by
// #<entry> for a kv secret.
func (s *Store) Name() string {
	name := fmt.Sprintf("secretsManager/%s/%s/%s/%s", s.cfg.Region, s.cfg.Instance, s.cfg.Group, s.cfg.Secret)
	if s.cfg.Type == KeyValue {
		name += "#" + s.cfg.Entry
	}
	return name
}

// Secret returns the secret's name.
func (s *Store) Secret() string { return s.cfg.Secret }

// Dates reports whether the store sets its secret's expiration date.
func (s *Store) Dates() bool { return s.cfg.Type == Arbitrary && s.cfg.Expire > 0 }

// Guarded is false: Secrets Manager has no entity tags.
func (*Store) Guarded() bool { return false }

// markName is the name of the key's metadata in a version's custom metadata.
const markName = "latchkey"

func (s *Store) markName() string {
	if s.cfg.Type == KeyValue {
		return markName + "_" + s.cfg.Entry
	}
	return markName
}

// maxPages bounds a list that never ends.
const maxPages = 100

const (
	longestValue = 1 << 20
	longestData  = 512 << 10
)

func (s *Store) check() error {
	if s.cfg.Type != Arbitrary && s.cfg.Type != KeyValue {
		return fmt.Errorf("checking the type %q: %w: it is neither %s nor %s", s.cfg.Type, port.ErrRefused, Arbitrary, KeyValue)
	}
	names := []entry.Name{
		{What: "instance", Text: s.cfg.Instance, Rule: entry.CheckInstance},
		{What: "region", Text: s.cfg.Region, Rule: entry.CheckRegion},
		{What: "secret group", Text: s.cfg.Group, Rule: entry.CheckSecretGroup},
		{What: "secret", Text: s.cfg.Secret, Rule: entry.CheckManagedSecret},
	}
	if s.cfg.Type == KeyValue {
		names = append(names, entry.Name{What: "entry", Text: s.cfg.Entry, Rule: entry.CheckEntry})
	}
	return entry.Check(port.ErrRefused, names...)
}

func (s *Store) deed(verb, action, roles string) deed {
	return deed{fmt.Sprintf("%s secret %s of group %s in %s", verb, s.cfg.Secret, s.cfg.Group, s.cfg.Region), action, roles}
}

// Roles that a call needs.
const (
	forReading = "role Reader or higher"
	forValues  = "role SecretsReader or Writer"
	forWriting = "role Writer"
	forLocks   = "role Manager"
)

func (s *Store) open() (upstream.Service, error) {
	if err := s.check(); err != nil {
		return upstream.Service{}, err
	}
	return s.client.instance(s.cfg.Instance, s.cfg.Region), nil
}

// snapshot is the current version of a secret.
type snapshot struct {
	id      string // of the version
	expires time.Time
	marks   map[string]any
	cleared bool // its data were deleted
	payload secret.Value
	data    map[string]any // of a kv secret; nil if not read
	read    bool           // whether the values were read
}

// Read returns the entry. Without permission to read values, the entry has none. Neither
// has one that a list shows to be latchkey's.
func (s *Store) Read(ctx context.Context) (port.Entry, error) {
	api, err := s.open()
	if err != nil {
		return port.Entry{}, err
	}
	if e, ok := s.listed(ctx, api); ok {
		return e, nil
	}
	_, snap, err := s.current(ctx, api, "reading", true)
	if errors.Is(err, port.ErrDenied) {
		_, snap, err = s.current(ctx, api, "reading", false)
	}
	if err != nil {
		return port.Entry{}, err
	}
	e, err := s.entry(snap)
	doing := s.deed("reading", "", "").doing
	switch {
	case err != nil:
		return port.Entry{}, fmt.Errorf("%s: %w: %w", doing, port.ErrRefused, err)
	case e.KeyID == "" && !snap.read:
		return e, fmt.Errorf("%s: %w: it names no key of latchkey, and reading its value needs the permission secrets-manager.secret.read (%s)", doing, port.ErrDenied, forValues)
	case e.KeyID == "" && e.Value.Empty():
		return e, fmt.Errorf("%s: %w", doing, port.ErrNotFound)
	}
	return e, nil
}

// entry returns the entry in a version. In a kv secret the data decide if they
// were read, since a version of another writer has no metadata of ours.
func (s *Store) entry(snap *snapshot) (port.Entry, error) {
	e := port.Entry{Revision: snap.id, Cleared: snap.cleared}
	m := s.metadata(snap)
	if snap.read && !snap.cleared {
		value, err := s.cfg.Form.Read(s.cfg.Entry, m, func(name string) secret.Value {
			if s.cfg.Type == Arbitrary {
				return snap.payload
			}
			t, _ := snap.data[name].(string)
			return secret.New(t)
		})
		if err != nil {
			return e, err
		}
		e.Value = value
	}
	e.KeyID, e.Created, e.IAMID, e.Owner = m.KeyID, m.Created, m.IAMID, m.Owner
	return e, nil
}

// metadata returns what a version says about its key. Companions without an entry say
// nothing.
func (s *Store) metadata(snap *snapshot) entry.Metadata {
	if s.cfg.Type == Arbitrary || !snap.read {
		raw, _ := snap.marks[s.markName()].(string)
		return entry.Decode(raw)
	}
	text := func(name string) string { t, _ := snap.data[name].(string); return t }
	if !slices.ContainsFunc(s.cfg.Form.Names(s.cfg.Entry), func(name string) bool { return text(name) != "" }) {
		return entry.Metadata{}
	}
	return entry.FromCompanions(s.cfg.Entry, text)
}

// current finds the secret, unless its ID is known, and reads its current
// version. It returns ErrNotFound if there is no secret.
func (s *Store) current(ctx context.Context, api upstream.Service, verb string, values bool) (id string, snap *snapshot, err error) {
	for range 2 { // a deleted secret may exist again under another ID
		known := s.known("")
		if id = known; id == "" {
			if id, err = s.find(ctx, api, verb); err != nil {
				return "", nil, err
			}
		}
		if snap, err = s.version(ctx, api, verb, id, aliasCurrent, values); !errors.Is(err, port.ErrNotFound) {
			return id, snap, err
		}
		s.forget(id)
		if known == "" {
			break
		}
	}
	return "", nil, err
}

// known returns the secret's ID, or "". A given ID is set first.
func (s *Store) known(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id = cmp.Or(id, s.id)
	return s.id
}

func (s *Store) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id == id {
		s.id = ""
	}
}

// version is what IBM's documents call SecretVersion, or SecretVersionMetadata if it
// has no values.
type version struct {
	ID        string         `json:"id"`
	Type      string         `json:"secret_type"`
	Available *bool          `json:"payload_available"`
	Expires   upstream.Time  `json:"expiration_date"`
	Marks     map[string]any `json:"version_custom_metadata"`
	Payload   string         `json:"payload"`        // of an arbitrary secret
	Data      map[string]any `json:"data"`           // of a kv secret
	KeyID     string         `json:"credentials_id"` // of custom credentials
}

// version reads a version by its ID or alias, with or without its values.
func (s *Store) version(ctx context.Context, api upstream.Service, verb, id, which string, values bool) (*snapshot, error) {
	d, path := s.deed(verb, "secret-version.read", forValues), secrets(id, "versions", which)
	if !values {
		d, path = s.deed(verb, "secret-version-metadata.read", forReading), append(path, "metadata")
	}
	v, err := send[version](ctx, api, d, upstream.Request{Method: http.MethodGet, Path: path})
	if err != nil {
		return nil, err
	}
	snap := &snapshot{id: v.ID, cleared: v.Available != nil && !*v.Available, marks: v.Marks, read: values}
	lacks := values && !snap.cleared
	switch {
	case v.Type != s.cfg.Type:
		return nil, fmt.Errorf("%s: %w: the answer is of another type", d.doing, port.ErrUnavailable)
	case v.ID == "": // it would look like an absent secret
		return nil, upstream.Incomplete(d.doing, "version ID")
	case v.Type == Arbitrary:
		snap.expires, snap.payload = v.Expires.Time, secret.New(v.Payload)
		lacks = lacks && v.Payload == ""
	default:
		snap.data = v.Data
		lacks = lacks && v.Data == nil // with other entries, which a publication would not keep
	}
	if lacks {
		return nil, upstream.Incomplete(d.doing, "values")
	}
	return snap, nil
}

// find returns the ID of the secret. It does not read its value.
func (s *Store) find(ctx context.Context, api upstream.Service, verb string) (string, error) {
	group, err := s.group(ctx, api, verb)
	if err != nil {
		return "", err
	}
	id, _, err := s.search(ctx, api, verb, group)
	if err != nil {
		return "", err
	}
	return s.known(id), nil
}

// search returns the ID and the group of the secret with our name. It searches
// one group, or all groups if group is "".
func (s *Store) search(ctx context.Context, api upstream.Service, verb, group string) (id, in string, err error) {
	d := s.deed(verb, "secrets.list", forReading)
	query := url.Values{"search": {s.cfg.Secret}, "secret_types": {s.cfg.Type}}
	if group != "" {
		query.Set("groups", group)
	}
	err = each(ctx, api, d, query, func(x metadata) bool {
		if x.Type == s.cfg.Type && x.Name == s.cfg.Secret {
			id, in = x.ID, x.Group
		}
		return id == ""
	})
	if err == nil && id == "" {
		err = fmt.Errorf("%s: %w", d.doing, port.ErrNotFound)
	}
	return id, in, err
}

// group returns the ID of the secret group.
func (s *Store) group(ctx context.Context, api upstream.Service, verb string) (string, error) {
	if s.cfg.Group == defaultGroup {
		return defaultGroup, nil
	}
	where := groupName{s.cfg.Instance, s.cfg.Group}
	s.client.mu.Lock()
	id := s.client.groups[where]
	s.client.mu.Unlock()
	if id != "" {
		return id, nil
	}
	d := s.deed(verb, "secret-groups.list", forReading)
	type list struct {
		Groups []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"secret_groups"`
	}
	got, err := send[list](ctx, api, d, upstream.Request{Method: http.MethodGet, Path: upstream.Path("api/v2/secret_groups")})
	if err != nil {
		return "", err
	}
	for _, g := range got.Groups {
		if g.Name == s.cfg.Group && g.ID != "" {
			s.client.mu.Lock()
			s.client.groups[where] = g.ID
			s.client.mu.Unlock()
			return g.ID, nil
		}
	}
	return "", fmt.Errorf("%s: %w: the secret group %q does not exist or is not visible to us", d.doing, port.ErrRefused, strings.TrimSpace(s.cfg.Group))
}
