package codeengine

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/code-engine-go-sdk/codeenginev2"
	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
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
	var resp *core.DetailedResponse
	switch {
	case len(rest) == len(snap.data):
		return nil
	case len(rest) == 0:
		resp, err = api.DeleteSecretWithContext(ctx, &codeenginev2.DeleteSecretOptions{ProjectID: &project, Name: &s.cfg.Secret})
	default:
		_, resp, err = api.ReplaceSecretWithContext(ctx, &codeenginev2.ReplaceSecretOptions{
			ProjectID: &project, Name: &s.cfg.Secret, IfMatch: &revision, Format: core.StringPtr(s.kind()), Data: s.body(rest),
		})
	}
	err = fault(ctx, doing, resp, err, format.Hidden(nil, snap.data)...)
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
