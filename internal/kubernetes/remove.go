package kubernetes

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/port"
)

var _ port.Remover = (*Store)(nil)

// Remove removes the entries and their annotations, and the Secret if it has no other
// data and the role allows it.
func (s *Store) Remove(ctx context.Context, revision string) error {
	doing := s.doing("removing the entry from")
	api, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	got, err := api.patch(ctx, doing, s.cfg.Secret, object{}, dry)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil:
		return err
	case got.revision() != revision:
		return fmt.Errorf("%s: %w: it is no longer at revision %s", doing, port.ErrConflict, revision)
	}
	data := got.part("data")
	rest := entry.Without(data, s.cfg.Form.Names(s.cfg.Entry)) // Kubernetes has no companions
	if len(rest) == len(data) {
		return nil
	}
	if len(rest) == 0 {
		if err = api.remove(ctx, doing, s.cfg.Secret, revision); !errors.Is(err, port.ErrDenied) || s.kind() == dockerConfig {
			return gone(err)
		}
	}
	return s.removeData(ctx, doing, api, revision)
}

// removeData removes the entries and annotations by a patch.
func (s *Store) removeData(ctx context.Context, doing string, api resource, revision string) error {
	data, annotations := object{}, object{entry.EntriesAnnotation(s.cfg.Entry): nil}
	for _, name := range s.cfg.Form.Names(s.cfg.Entry) {
		data[name] = nil
	}
	for name := range (entry.Metadata{}).Annotations(s.cfg.Entry) {
		annotations[name] = nil
	}
	_, err := api.patch(ctx, doing, s.cfg.Secret, object{"metadata": object{"resourceVersion": revision, "annotations": annotations}, "data": data}, nil)
	return gone(err)
}

// gone turns ErrNotFound into success.
func gone(err error) error {
	if errors.Is(err, port.ErrNotFound) {
		return nil
	}
	return err
}
