package codeengine

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

var _ port.Remover = (*Store)(nil)

// Remove removes the entries and their companions, and the secret if nothing else is
// in it. Code Engine deletes a secret without comparing its entity tag, so Remove reads
// it again right before.
func (s *Store) Remove(ctx context.Context, revision string) error {
	doing := s.doing("removing the entry from")
	api, project, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	snap, err := s.fetch(ctx, doing)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil:
		return err
	case snap.tag != revision:
		return fmt.Errorf("%s: %w: it is no longer at revision %s", doing, port.ErrConflict, revision)
	}
	if err := s.expect(doing, snap); err != nil {
		return err
	}
	rest := map[string]secret.Value{}
	if s.cfg.Registry == nil {
		rest = entry.Without(snap.data, entry.WithCompanions(s.cfg.Form.Names(s.cfg.Entry)))
	}
	var reply *upstream.Reply
	switch {
	case len(rest) == len(snap.data):
		return nil
	case len(rest) == 0:
		reply, err = upstream.Do(ctx, api, upstream.Request{Method: http.MethodDelete, Path: in(project, "secrets", s.cfg.Secret)})
	default:
		reply, err = s.write(ctx, api, project, rest, revision)
	}
	err = fault(ctx, doing, reply, err, format.Hidden(nil, snap.data)...)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil || len(rest) > 0:
		return err
	}
	// The answer to a deletion has no content that shows whose it is.
	_, err = s.fetch(ctx, doing)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%s: %w: the secret is still there", doing, port.ErrUnavailable)
}
