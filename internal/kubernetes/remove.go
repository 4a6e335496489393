package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/port"
)

var _ port.Remover = (*Store)(nil)

// Remove removes the entries and their annotations, and the Secret if it has no other
// data and the role allows it.
func (s *Store) Remove(ctx context.Context, revision string) error {
	doing := s.doing("removing the entry from")
	api, err := s.open()
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	got, err := api.Patch(ctx, s.cfg.Secret, types.MergePatchType, []byte("{}"), metav1.PatchOptions{DryRun: dry})
	err = s.fault(ctx, doing, "patch", err)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil:
		return err
	case got.GetResourceVersion() != revision:
		return fmt.Errorf("%s: %w: it is no longer at revision %s", doing, port.ErrConflict, revision)
	}
	data, _, _ := unstructured.NestedMap(got.Object, "data")
	rest := entry.Without(data, s.cfg.Form.Names(s.cfg.Entry)) // Kubernetes has no companions
	if len(rest) == len(data) {
		return nil
	}
	if len(rest) == 0 {
		err = api.Delete(ctx, s.cfg.Secret, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &revision}})
		if err = s.fault(ctx, doing, "delete", err); !errors.Is(err, port.ErrDenied) || s.kind() == dockerConfig {
			return gone(err)
		}
	}
	return s.removeData(ctx, doing, revision)
}

// removeData removes the entries and annotations by a patch.
func (s *Store) removeData(ctx context.Context, doing, revision string) error {
	api, err := s.open()
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	data, annotations := map[string]any{}, map[string]any{entry.EntriesAnnotation(s.cfg.Entry): nil}
	for _, name := range s.cfg.Form.Names(s.cfg.Entry) {
		data[name] = nil
	}
	for name := range (entry.Metadata{}).Annotations(s.cfg.Entry) {
		annotations[name] = nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": revision, "annotations": annotations}, "data": data})
	if err != nil {
		return fmt.Errorf("%s: %w: encoding the patch", doing, port.ErrRefused)
	}
	_, err = api.Patch(ctx, s.cfg.Secret, types.MergePatchType, patch, metav1.PatchOptions{})
	return gone(s.fault(ctx, doing, "patch", err))
}

// gone turns ErrNotFound into success.
func gone(err error) error {
	if errors.Is(err, port.ErrNotFound) {
		return nil
	}
	return err
}
