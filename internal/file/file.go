// Package file keeps a key in one JSON file: the run-book's --file, and a store
// for development.
//
//	{"name": "logs-sender", "apikey": "…", "key_id": "ApiKey-…", "iam_id": "iam-ServiceId-…", "created": "…", "owner": "…"}
//
// `ibmcloud login --apikey @FILE` reads it. Fields of others are kept. Nobody
// but the owner may be able to read it: a file that others can read is refused.
//
// Three files stand in the directory, which must exist:
//
//	logs-sender.json              the key
//	logs-sender.json.lock         empty; whoever writes holds a lock on it
//	.logs-sender.json.unfinished  the next content, while it is being written
//
// The last takes the place of the first in one step, so a reader sees the old
// or the new content and never a part. One that a crash left behind is removed
// by the next read.
package file

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Store is one file.
type Store struct{ path, owner string }

var _ reconcile.Store = (*Store)(nil)

// New returns the store at path. The owner is written beside an entry that
// names none.
func New(path, owner string) *Store { return &Store{path: path, owner: owner} }

// Name is file:<path>.
func (s *Store) Name() string { return "file:" + s.path }

// Guarded is true: the revision is the content's hash, compared under the lock.
func (*Store) Guarded() bool { return true }

// The fields of the file.
const (
	fieldName    = "name"
	fieldValue   = "apikey"
	fieldKeyID   = "key_id"
	fieldIAMID   = "iam_id"
	fieldCreated = "created"
	fieldOwner   = "owner"
)

// fields are the whole content, each value as it stands in the file.
type fields map[string]json.RawMessage

// text is a field that holds a text; what is absent or something else is "".
func (f fields) text(name string) string {
	var v string
	if json.Unmarshal(f[name], &v) != nil {
		return ""
	}
	return v
}

// set writes a field. Encoding a text never fails.
func (f fields) set(name, v string) {
	raw, err := encode(v)
	if err != nil {
		panic("encoding a text: " + err.Error())
	}
	f[name] = bytes.TrimSpace(raw)
}

// encode leaves <, > and & as they are: a person reads the file.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

func (s *Store) doing(verb string) string { return verb + " " + s.path }

func (s *Store) check() error {
	return entry.Check(reconcile.ErrRefused, entry.Name{What: "path", Text: s.path, Rule: entry.CheckFile})
}

// Read returns the entry.
func (s *Store) Read(ctx context.Context) (reconcile.Entry, error) {
	doing := s.doing("reading")
	if err := s.check(); err != nil {
		return reconcile.Entry{}, err
	}
	if err := ctx.Err(); err != nil {
		return reconcile.Entry{}, fmt.Errorf("%s: %w: %w", doing, reconcile.ErrUnavailable, err)
	}
	s.sweep()
	revision, content, err := s.load(doing)
	if err != nil {
		return reconcile.Entry{Revision: revision}, err
	}
	value := content.text(fieldValue)
	if value == "" {
		return reconcile.Entry{Revision: revision}, fmt.Errorf("%s: %w: it has no %s", doing, reconcile.ErrNotFound, fieldValue)
	}
	e := reconcile.Entry{
		KeyID: content.text(fieldKeyID), Value: secret.New(value), IAMID: content.text(fieldIAMID),
		Owner: content.text(fieldOwner), Revision: revision,
	}
	if at, err := time.Parse(time.RFC3339Nano, content.text(fieldCreated)); err == nil {
		e.Created = at // else it stays unknown
	}
	return e, nil
}

// longest bounds what is read: more is no key file.
const longest = 1 << 20

// load returns the file's revision and content. ErrNotFound when there is no
// file in an existing directory.
func (s *Store) load(doing string) (revision string, content fields, err error) {
	// Without following a link: a rename would replace the link, not the file.
	// Without blocking: opening a pipe would wait for its writer.
	f, err := os.OpenFile(s.path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, derr := os.Stat(filepath.Dir(s.path)); derr != nil {
			return "", nil, fmt.Errorf("%s: %w: its directory does not exist", doing, reconcile.ErrRefused)
		}
		return "", nil, fmt.Errorf("%s: %w", doing, reconcile.ErrNotFound)
	case err != nil:
		return "", nil, sortError(doing, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", nil, sortError(doing, err)
	}
	if !info.Mode().IsRegular() {
		return "", nil, fmt.Errorf("%s: %w: it is no regular file", doing, reconcile.ErrRefused)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", nil, fmt.Errorf("%s: %w: its mode is %04o, so that others have access; it must be 0600", doing, reconcile.ErrRefused, mode)
	}
	data, err := io.ReadAll(io.LimitReader(f, longest+1))
	if err != nil {
		return "", nil, sortError(doing, err)
	}
	if len(data) > longest {
		return "", nil, fmt.Errorf("%s: %w: it is longer than %d bytes", doing, reconcile.ErrRefused, longest)
	}
	if err := json.Unmarshal(data, &content); err != nil || content == nil {
		// The decoder's error may quote the content.
		return "", nil, fmt.Errorf("%s: %w: it is not a JSON object", doing, reconcile.ErrRefused)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), content, nil
}

// Publish writes the entry if the file still has the revision.
func (s *Store) Publish(ctx context.Context, e reconcile.Entry, revision string) error {
	doing := s.doing("writing")
	if err := s.check(); err != nil {
		return err
	}
	if e.Value.Empty() || e.KeyID == "" {
		return fmt.Errorf("%s: %w: there is no value with a key ID to write", doing, reconcile.ErrRefused)
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	now, content, err := s.load(doing)
	if err != nil && !errors.Is(err, reconcile.ErrNotFound) {
		return err
	}
	if now != revision {
		return fmt.Errorf("%s: %w", doing, reconcile.ErrConflict)
	}
	if content == nil {
		content = fields{}
	}
	if content.text(fieldName) == "" {
		base := filepath.Base(s.path)
		content.set(fieldName, strings.TrimSuffix(base, filepath.Ext(base)))
	}
	content.set(fieldValue, e.Value.Expose())
	content.set(fieldKeyID, e.KeyID)
	content.set(fieldIAMID, e.IAMID)
	content.set(fieldOwner, cmp.Or(e.Owner, s.owner))
	content.set(fieldCreated, e.Created.UTC().Format(time.RFC3339Nano))
	data, err := encode(content)
	if err != nil {
		return fmt.Errorf("%s: %w: its other fields can't be kept", doing, reconcile.ErrRefused)
	}
	if err := reconcile.MayWrite(ctx); err != nil { // waiting for the lock takes time
		return fmt.Errorf("%s: %w: %w", doing, reconcile.ErrUnavailable, err)
	}
	return s.replace(doing, data)
}
