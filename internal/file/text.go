package file

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/port"
)

// description returns the path of the file that describes the key of a text.
func (s *Store) description() string { return s.path + format.Beside }

// loadText is load for a text. The content is that of both files, and so is the
// revision.
func (s *Store) loadText(doing string) (revision string, content fields, err error) {
	text, err := load(doing, s.path)
	absent := errors.Is(err, port.ErrNotFound)
	if err != nil && !absent {
		return "", nil, err
	}
	described, derr := load(doing, s.description())
	if derr != nil && !errors.Is(derr, port.ErrNotFound) {
		return "", nil, derr
	}
	if json.Unmarshal(described, &content) != nil || content == nil {
		content = fields{}
	}
	delete(content, fieldValue)
	if len(text) > 0 {
		content.set(fieldValue, string(text))
	}
	if absent && errors.Is(derr, port.ErrNotFound) {
		return "", nil, err
	}
	return hash(text) + hash(described), content, err
}

// textFiles returns the files of a text: the description, then the text.
func (s *Store) textFiles(doing string, e port.Entry) ([]written, error) {
	texts, _, err := s.form.Write(s.path, metadata(e), e.Value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", doing, port.ErrRefused, err)
	}
	content := fields{}
	content.describe(e)
	described, err := encode(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: encoding the description", doing, port.ErrRefused)
	}
	return []written{{s.description(), described}, {s.path, []byte(texts[s.path].Expose())}}, nil
}
