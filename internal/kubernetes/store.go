package kubernetes

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
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

func (s *Store) open() (dynamic.ResourceInterface, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	api, err := s.client.open()
	if err != nil {
		return nil, err
	}
	return api.Resource(secrets).Namespace(s.cfg.Namespace), nil
}

// fault sorts the error of a call with the given verb on the Secret.
func (s *Store) fault(ctx context.Context, doing, verb string, err error, hidden ...secret.Value) error {
	return s.client.fault(ctx, doing, fmt.Sprintf("%s on secrets in namespace %s", verb, s.cfg.Namespace), err, hidden...)
}

// Read returns the entry. It returns ErrRefused for a Secret that can't be
// changed, and ErrNotFound only if the Secret could be created, so that no key
// is created for a location that rejects it.
func (s *Store) Read(ctx context.Context) (port.Entry, error) {
	doing := s.doing("reading")
	api, err := s.open()
	if err != nil {
		return port.Entry{}, fmt.Errorf("%s: %w", doing, err)
	}
	if got := s.listed(ctx, api); got != nil {
		return s.read(doing, got)
	}
	got, err := api.Get(ctx, s.cfg.Secret, metav1.GetOptions{})
	err = s.fault(ctx, doing, "get", err)
	if errors.Is(err, port.ErrDenied) {
		// The answer to an empty patch as a dry run is the whole Secret; the verb
		// patch suffices for it.
		if seen, perr := api.Patch(ctx, s.cfg.Secret, types.MergePatchType, []byte("{}"), metav1.PatchOptions{DryRun: dry}); perr == nil {
			got, err = seen, nil
		} else if perr = s.fault(ctx, doing, "patch", perr); errors.Is(perr, port.ErrNotFound) {
			err = perr
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
func (s *Store) read(doing string, got *unstructured.Unstructured) (port.Entry, error) {
	if got.GetDeletionTimestamp() != nil {
		return port.Entry{}, fmt.Errorf("%s: %w: the Secret is being deleted", doing, port.ErrNotActive)
	}
	if immutable, _, _ := unstructured.NestedBool(got.Object, "immutable"); immutable {
		return port.Entry{}, fmt.Errorf("%s: %w: the Secret is immutable; replace it with a mutable one or configure another",
			doing, port.ErrRefused)
	}
	if kind, _, _ := unstructured.NestedString(got.Object, "type"); kind != s.kind() && kind != "" && s.kind() == dockerConfig {
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

var dry = []string{metav1.DryRunAll}

// tryCreate checks with a dry run that the server would create the Secret.
func (s *Store) tryCreate(ctx context.Context, api dynamic.ResourceInterface) error {
	doing := s.doing("trying to create")
	probe := s.object(map[string]any{}, map[string]any{s.cfg.Entry: base64.StdEncoding.EncodeToString([]byte("{}"))})
	_, err := api.Create(ctx, probe, metav1.CreateOptions{DryRun: dry})
	err = s.fault(ctx, doing, "create", err)
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

func (s *Store) object(annotations, data map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": s.kind(),
		"metadata": map[string]any{"name": s.cfg.Secret, "namespace": s.cfg.Namespace, "annotations": annotations, "labels": labels},
		"data":     data,
	}}
}

func (s *Store) entry(doing string, got *unstructured.Unstructured) (port.Entry, error) {
	e := port.Entry{Revision: got.GetResourceVersion()}
	if e.Revision == "" {
		return e, fmt.Errorf("%s: %w: the answer has no resourceVersion", doing, port.ErrUnavailable)
	}
	texts := map[string]secret.Value{}
	for _, name := range s.cfg.Form.Names(s.cfg.Entry) {
		coded, _, _ := unstructured.NestedString(got.Object, "data", name)
		plain, err := base64.StdEncoding.DecodeString(coded)
		if err != nil {
			return e, fmt.Errorf("%s: entry %s: %w: its data is not base64", doing, name, port.ErrUnavailable)
		}
		texts[name] = secret.New(string(plain))
	}
	m := entry.FromAnnotations(s.cfg.Entry, got.GetAnnotations())
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
	api, err := s.open()
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
	annotations := map[string]any{}
	for name, text := range m.Annotations(s.cfg.Entry) {
		annotations[name] = text
	}
	data, hidden := map[string]any{}, format.Hidden(e.Value, texts)
	for name, t := range texts {
		coded := base64.StdEncoding.EncodeToString([]byte(t.Expose()))
		data[name], hidden = coded, append(hidden, secret.New(coded))
	}
	if revision == "" {
		_, err = api.Create(ctx, s.object(annotations, data), metav1.CreateOptions{})
		err = s.fault(ctx, doing, "create", err, hidden...)
		if errors.Is(err, port.ErrNotFound) {
			return s.noNamespace(doing)
		}
		return err
	}
	if m.Entries == "" {
		annotations[entry.EntriesAnnotation(s.cfg.Entry)] = nil // removes it
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": revision, "annotations": annotations, "labels": labels}, "data": data,
	})
	if err != nil {
		return fmt.Errorf("%s: %w: encoding the patch", doing, port.ErrRefused)
	}
	_, err = api.Patch(ctx, s.cfg.Secret, types.MergePatchType, patch, metav1.PatchOptions{})
	err = s.fault(ctx, doing, "patch", err, hidden...)
	if errors.Is(err, port.ErrNotFound) {
		return fmt.Errorf("%s: %w: the Secret was deleted since it was read", doing, port.ErrConflict)
	}
	return err
}
