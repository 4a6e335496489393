package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

var _ port.Remover = (*Store)(nil)

// Remove deletes the secret, or writes a version of a kv secret without the entries if
// it has others. Deleting needs the role Manager. Another write may happen between its
// read and its write: see the package comment.
func (s *Store) Remove(ctx context.Context, revision string) error {
	d := s.deed("removing the entry from", "secret.delete", forLocks)
	api, err := s.open()
	if err != nil {
		return fmt.Errorf("%s: %w", d.doing, err)
	}
	id, snap, err := s.current(ctx, api, "removing the entry from", s.cfg.Type == KeyValue)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil:
		return err
	case snap.id != revision:
		return fmt.Errorf("%s: %w: it is no longer at version %s", d.doing, port.ErrConflict, revision)
	}
	if err := s.release(ctx, api, id); err != nil {
		return err
	}
	if s.cfg.Type == KeyValue {
		rest := entry.Without(snap.data, entry.WithCompanions(s.cfg.Form.Names(s.cfg.Entry)))
		if len(rest) == len(snap.data) {
			return nil
		}
		if len(rest) > 0 {
			return s.shrink(ctx, api, id, snap, rest)
		}
	}
	if err = absent(do(ctx, api, d, upstream.Request{Method: http.MethodDelete, Path: secrets(id)})); err == nil {
		s.forget(id)
	}
	return err
}

// release removes our locks: all of them from an arbitrary secret, else those of the
// credential.
func (s *Store) release(ctx context.Context, api upstream.Service, id string) error {
	if !s.cfg.Lock {
		return nil
	}
	all, err := s.locks(ctx, api, id)
	if err != nil {
		return absent(err)
	}
	for _, l := range all {
		if s.own(l) && (s.cfg.Type == Arbitrary || l.credential == s.cfg.Credential) {
			if err := s.unlock(ctx, api, id, l.version, l.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// shrink writes a version with the rest of the data.
func (s *Store) shrink(ctx context.Context, api upstream.Service, id string, over *snapshot, rest map[string]any) error {
	d := s.deed("removing the entry from", "secret-version.create", forWriting)
	var hidden []secret.Value
	for name, x := range over.data {
		if !exact(x) {
			return fmt.Errorf("%s: %w: the number in its entry %s would change when written back", d.doing, port.ErrRefused, name)
		}
		if value, ok := x.(string); ok {
			hidden = append(hidden, secret.New(value))
		}
	}
	marks := maps.Clone(over.marks)
	delete(marks, s.markName())
	got, err := send[created](ctx, api, d, upstream.Request{
		Method: http.MethodPost, Path: secrets(id, "versions"), Body: newVersion{Data: rest, Marks: marks},
	}, hidden...)
	if err != nil {
		return absent(err)
	}
	return s.confirm(ctx, api, d, id, got.id())
}
