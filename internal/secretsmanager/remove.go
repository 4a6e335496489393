package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"maps"

	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
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
	resp, err := api.DeleteSecretWithContext(ctx, &sm.DeleteSecretOptions{ID: &id})
	if err = absent(d.fault(ctx, resp, err)); err == nil {
		s.forget(id)
	}
	return err
}

// release removes our locks: all of them from an arbitrary secret, else those of the
// credential.
func (s *Store) release(ctx context.Context, api *sm.SecretsManagerV2, id string) error {
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
func (s *Store) shrink(ctx context.Context, api *sm.SecretsManagerV2, id string, over *snapshot, rest map[string]any) error {
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
	got, resp, err := api.CreateSecretVersionWithContext(ctx, &sm.CreateSecretVersionOptions{
		SecretID: &id, SecretVersionPrototype: &sm.KVSecretVersionPrototype{Data: rest, VersionCustomMetadata: marks},
	})
	if err = d.fault(ctx, resp, err, hidden...); err != nil {
		return absent(err)
	}
	return s.confirm(ctx, api, d, id, versionID(got))
}
