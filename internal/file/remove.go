package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"

	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/port"
)

var _ port.Remover = (*Store)(nil)

// Remove removes the fields of the key. It deletes the file if it has no others.
func (s *Store) Remove(ctx context.Context, revision string) error {
	doing := s.doing("removing the entry from")
	if err := s.check(); err != nil {
		return err
	}
	if err := s.checkDirectory(doing); err != nil {
		return err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	now, content, err := s.load(doing)
	switch {
	case errors.Is(err, port.ErrNotFound) && now == "":
		return nil
	case err != nil && !errors.Is(err, port.ErrNotFound):
		return err
	case now != revision:
		return fmt.Errorf("%s: %w", doing, port.ErrConflict)
	}
	if err := fence.MayWrite(ctx); err != nil { // waiting for the lock takes time
		return fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, err)
	}
	if s.form != nil {
		return errors.Join(remove(doing, s.path), remove(doing, s.description()))
	}
	rest := maps.Clone(content)
	for _, field := range []string{fieldName, fieldValue, fieldKeyID, fieldIAMID, fieldCreated, fieldOwner} {
		delete(rest, field)
	}
	if len(rest) == 0 {
		return remove(doing, s.path)
	}
	data, err := encode(rest)
	if err != nil {
		return fmt.Errorf("%s: %w: encoding its other fields", doing, port.ErrRefused)
	}
	return replace(doing, s.path, data)
}

func remove(doing, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return sortError(doing, err)
	}
	return nil
}
