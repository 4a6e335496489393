package kubernetes

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// StoreConfig is the location of one entry of one Secret.
type StoreConfig struct {
	Namespace string
	Secret    string
	Entry     string
	// Form is the texts of the entries. If nil, the entry is the value alone.
	Form *format.Form
	// Owner is written for an entry that has no owner.
	Owner string
	// Restart selects the workloads that Consumers lists. Zero is none.
	Restart Restart
}

// Store is one entry of a Secret.
type Store struct {
	client *Client
	cfg    StoreConfig
}

var _ port.Store = (*Store)(nil)

// Store returns a store. It calls nothing.
func (c *Client) Store(cfg StoreConfig) *Store { return &Store{client: c, cfg: cfg} }

// Name returns kubernetes/<cluster>/<namespace>/<secret>#<entry>.
func (s *Store) Name() string {
	return fmt.Sprintf("kubernetes/%s/%s/%s#%s", s.client.cfg.Cluster, s.cfg.Namespace, s.cfg.Secret, s.cfg.Entry)
}

// Guarded returns true. The server rejects a patch whose resourceVersion is not
// the Secret's, and a create if the name is taken.
func (*Store) Guarded() bool { return true }

// longestData is the size limit of all data of a Secret together.
//
// Source: https://kubernetes.io/docs/concepts/configuration/secret/#restriction-data-size
const longestData = 1 << 20

func (s *Store) check() error {
	return entry.Check(port.ErrRefused,
		entry.Name{What: "namespace", Text: s.cfg.Namespace, Rule: entry.CheckNamespace},
		entry.Name{What: "Secret", Text: s.cfg.Secret, Rule: entry.CheckSecret},
		entry.Name{What: "entry", Text: s.cfg.Entry, Rule: entry.CheckKubernetesEntry})
}

func (s *Store) doing(verb string) string {
	return fmt.Sprintf("%s Secret %s of namespace %s in %s", verb, s.cfg.Secret, s.cfg.Namespace, s.client.cfg.Cluster)
}

// open returns the Secrets of the namespace.
func (s *Store) open(ctx context.Context) (resource, error) {
	if err := s.check(); err != nil {
		return resource{}, err
	}
	return s.client.resource(ctx, "Secret", "secrets in namespace "+s.cfg.Namespace, upstream.Path("/api/v1/namespaces", s.cfg.Namespace, "secrets"))
}

// Read returns the entry. It returns ErrRefused for a Secret that can't be
// changed, and ErrNotFound only if the Secret could be created, so that no key
// is created for a location that rejects it.
func (s *Store) Read(ctx context.Context) (port.Entry, error) {
	doing := s.doing("reading")
	api, err := s.open(ctx)
	if err != nil {
		return port.Entry{}, fmt.Errorf("%s: %w", doing, err)
	}
	if got := s.listed(ctx, api); got != nil {
		return s.read(doing, got)
	}
	got, err := api.get(ctx, doing, s.cfg.Secret)
	if errors.Is(err, port.ErrDenied) {
		// The answer to an empty patch as a dry run is the whole Secret; the verb
		// patch suffices for it.
		if seen, perr := api.patch(ctx, doing, s.cfg.Secret, object{}, dry); perr == nil || errors.Is(perr, port.ErrNotFound) {
			got, err = seen, perr
		}
	}
	if errors.Is(err, port.ErrNotFound) {
		if err := s.tryCreate(ctx, api); err != nil {
			return port.Entry{}, err
		}
	}
	if err != nil {
		return port.Entry{}, err
	}
	return s.read(doing, got)
}

// read returns the entry of a Secret, or ErrRefused if the Secret can't be changed.
func (s *Store) read(doing string, got object) (port.Entry, error) {
	if got.text("metadata", "deletionTimestamp") != "" {
		return port.Entry{}, fmt.Errorf("%s: %w: the Secret is being deleted", doing, port.ErrNotActive)
	}
	if got.is("immutable") {
		return port.Entry{}, fmt.Errorf("%s: %w: the Secret is immutable; replace it with a mutable one or configure another",
			doing, port.ErrRefused)
	}
	if kind := got.text("type"); kind != s.kind() && kind != "" && s.kind() == dockerConfig {
		return port.Entry{}, fmt.Errorf("%s: %w: its type is %s, and images are pulled with %s only; delete the Secret or configure another",
			doing, port.ErrRefused, kind, dockerConfig)
	}
	return s.entry(doing, got)
}

// The types of Secrets that latchkey creates.
const (
	opaque       = "Opaque"
	dockerConfig = "kubernetes.io/dockerconfigjson"
)

// kind returns the type of the Secret.
func (s *Store) kind() string {
	if s.cfg.Entry == entry.DockerConfig {
		return dockerConfig
	}
	return opaque
}

// tryCreate checks with a dry run that the server would create the Secret.
func (s *Store) tryCreate(ctx context.Context, api resource) error {
	doing := s.doing("trying to create")
	probe := s.object(object{}, object{s.cfg.Entry: base64.StdEncoding.EncodeToString([]byte("{}"))})
	err := api.create(ctx, doing, probe, dry)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return s.noNamespace(doing)
	case errors.Is(err, port.ErrConflict):
		return fmt.Errorf("%s: %w: it was created in the meantime", doing, port.ErrUnavailable)
	case noDryRun(err):
		return nil // an admission webhook without dry runs; the real create may succeed
	}
	return err
}

func (s *Store) noNamespace(doing string) error {
	return fmt.Errorf("%s: %w: the namespace %s does not exist", doing, port.ErrRefused, s.cfg.Namespace)
}

// object returns the Secret with annotations and data.
func (s *Store) object(annotations, data object) object {
	return object{
		"apiVersion": "v1", "kind": "Secret", "type": s.kind(),
		"metadata": object{"name": s.cfg.Secret, "namespace": s.cfg.Namespace, "annotations": annotations, "labels": labels},
		"data":     data,
	}
}

func (s *Store) entry(doing string, got object) (port.Entry, error) {
	e := port.Entry{Revision: got.revision()}
	if e.Revision == "" {
		return e, fmt.Errorf("%s: %w: the answer has no resourceVersion", doing, port.ErrUnavailable)
	}
	texts := map[string]secret.Value{}
	for _, name := range s.cfg.Form.Names(s.cfg.Entry) {
		plain, err := base64.StdEncoding.DecodeString(got.text("data", name))
		if err != nil {
			return e, fmt.Errorf("%s: entry %s: %w: its data is not base64", doing, name, port.ErrUnavailable)
		}
		texts[name] = secret.New(string(plain))
	}
	m := entry.FromAnnotations(s.cfg.Entry, got.texts("metadata", "annotations"))
	value, err := s.cfg.Form.Read(s.cfg.Entry, m, func(name string) secret.Value { return texts[name] })
	switch {
	case err != nil:
		return e, fmt.Errorf("%s: %w: %w", doing, port.ErrRefused, err)
	case value.Empty():
		return e, fmt.Errorf("%s: entry %s: %w", doing, s.cfg.Entry, port.ErrNotFound)
	}
	e.Value = value
	e.KeyID, e.IAMID, e.Owner, e.Created = m.KeyID, m.IAMID, m.Owner, m.Created
	return e, nil
}

// Publish writes the entry and its annotations and leaves the rest of the Secret
// unchanged.
func (s *Store) Publish(ctx context.Context, e port.Entry, revision string) error {
	doing := s.doing("writing")
	api, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	switch {
	case e.Value.Empty() || e.KeyID == "":
		return fmt.Errorf("%s: entry %s: %w: there is no value with a key ID to write", doing, s.cfg.Entry, port.ErrRefused)
	case len(e.Value.Expose()) > longestData:
		return fmt.Errorf("%s: entry %s: %w: the data of a Secret has at most %d bytes", doing, s.cfg.Entry, port.ErrRefused, longestData)
	}
	texts, m, err := s.cfg.Form.Write(s.cfg.Entry, entry.Metadata{KeyID: e.KeyID, Created: e.Created, IAMID: e.IAMID, Owner: cmp.Or(e.Owner, s.cfg.Owner)}, e.Value)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", doing, port.ErrRefused, err)
	}
	annotations := object{}
	for name, text := range m.Annotations(s.cfg.Entry) {
		annotations[name] = text
	}
	data, hidden := object{}, format.Hidden(e.Value, texts)
	for name, t := range texts {
		coded := base64.StdEncoding.EncodeToString([]byte(t.Expose()))
		data[name], hidden = coded, append(hidden, secret.New(coded))
	}
	if revision == "" {
		err = api.create(ctx, doing, s.object(annotations, data), nil, hidden...)
		if errors.Is(err, port.ErrNotFound) {
			return s.noNamespace(doing)
		}
		return err
	}
	if m.Entries == "" {
		annotations[entry.EntriesAnnotation(s.cfg.Entry)] = nil // removes it
	}
	_, err = api.patch(ctx, doing, s.cfg.Secret, object{
		"metadata": object{"resourceVersion": revision, "annotations": annotations, "labels": labels}, "data": data,
	}, nil, hidden...)
	if errors.Is(err, port.ErrNotFound) {
		return fmt.Errorf("%s: %w: the Secret was deleted since it was read", doing, port.ErrConflict)
	}
	return err
}
