package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

var _ port.Remover = (*Store)(nil)

// Remove writes a version without the entries. If nothing else is in it, it deletes
// the secret with all versions, as far as the policy allows it.
func (s *Store) Remove(ctx context.Context, at string) error {
	doing := s.doing("removing the entry from")
	if err := s.check(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	got, err := s.fetch(ctx, doing)
	switch {
	case err != nil:
		return err // without reading, the other entries are not known
	case !got.exists():
		return nil
	case revision(got.version, false) != at:
		return fmt.Errorf("%s: %w: the secret is no longer at revision %s", doing, port.ErrConflict, at)
	}
	rest := entry.Without(got.data, entry.WithCompanions(s.cfg.Form.Names(s.cfg.Entry)))
	if len(rest) == len(got.data) {
		return nil
	}
	version, err := strconv.ParseInt(strings.TrimSuffix(at, deleted), 10, 64)
	if err != nil {
		return fmt.Errorf("%s: %w: %q is not a revision", doing, port.ErrRefused, at)
	}
	if _, err := s.write(ctx, doing, rest, nil, version, false, values(got.data)); err != nil {
		return err
	}
	if len(rest) == 0 {
		return s.erase(ctx, doing)
	}
	return s.forget(ctx, doing)
}

// erase deletes the secret with all versions.
func (s *Store) erase(ctx context.Context, doing string) error {
	return s.tidy(ctx, doing, http.MethodDelete, nil)
}

// forget removes the key's metadata from the custom metadata.
func (s *Store) forget(ctx context.Context, doing string) error {
	return s.tidy(ctx, doing, http.MethodPatch, map[string]any{"custom_metadata": map[string]any{entry.VaultPrefix + s.cfg.Entry: nil}})
}

// tidy changes the secret's metadata. A policy that does not allow it leaves metadata
// that name no key's value.
func (s *Store) tidy(ctx context.Context, doing, method string, body map[string]any) error {
	err := s.client.call(ctx, doing, func(v *conn) error {
		_, err := v.send(ctx, method, s.metadata(), body)
		return err
	})
	err = fault(ctx, doing, strings.ToLower(method)+" on "+s.metadata(), err)
	if errors.Is(err, port.ErrDenied) || errors.Is(err, port.ErrNotFound) {
		s.client.cfg.Log.Debug("leaving metadata of a removed entry", "store", s.Name(), "error", err.Error())
		return nil
	}
	return err
}

// values returns the texts of a secret, which no error may quote.
func values(data map[string]any) (hidden []secret.Value) {
	for _, v := range data {
		if text, ok := v.(string); ok {
			hidden = append(hidden, secret.New(text))
		}
	}
	return hidden
}
