// Package file stores a key in one JSON file, for the flag --file and for
// development.
//
//	{"name": "logs-sender", "apikey": "…", "key_id": "ApiKey-…", "iam_id": "iam-ServiceId-…", "created": "…", "owner": "…"}
//
// `ibmcloud login --apikey @FILE` reads the file. Other fields are kept. The store
// rejects a file that other users own or can access, and a directory that they own
// or can write. The directory may belong to root.
//
// The directory must exist. It holds three files:
//
//	logs-sender.json              the key
//	logs-sender.json.lock         empty; a writer holds a lock on it
//	.logs-sender.json.unfinished  the next content, while it is written
//
// The last file replaces the first by a rename, so a reader never sees partial
// content. The next read removes a file that a crash left behind.
//
// With a form the file is the text of the form, and a file beside it describes the key:
//
//	kafka.properties           apikey=…
//	kafka.properties.latchkey  {"key_id": "ApiKey-…", "iam_id": "iam-ServiceId-…", "created": "…", "owner": "…"}
//
// The description is replaced first. After a crash in between, it names the new key, and
// the text does not fit it, so the next run repairs the text.
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
	"github.com/latchkey-io/latchkey/internal/fence"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// Store is one file.
type Store struct {
	path, owner string
	form        *format.Form // nil: the JSON object
}

var _ port.Store = (*Store)(nil)

// New returns the store at path. The owner is written for an entry that has no
// owner.
func New(path, owner string) *Store { return &Store{path: path, owner: owner} }

// NewText returns the store of a text at path. The form has no further entries.
func NewText(path, owner string, form *format.Form) *Store {
	return &Store{path: path, owner: owner, form: form}
}

// Name returns file:<path>.
func (s *Store) Name() string { return "file:" + s.path }

// Guarded returns true. The revision is the content's hash, compared under the
// lock.
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

// fields is the whole content, each value in its original encoding.
type fields map[string]json.RawMessage

// text returns a field that holds a text, or "".
func (f fields) text(name string) string {
	var v string
	if json.Unmarshal(f[name], &v) != nil {
		return ""
	}
	return v
}

// set sets a field. Encoding a text never fails.
func (f fields) set(name, v string) {
	raw, err := encode(v)
	if err != nil {
		panic("encoding a text: " + err.Error())
	}
	f[name] = bytes.TrimSpace(raw)
}

// encode returns indented JSON in which <, > and & are not escaped.
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
	path := s.path
	if s.form != nil {
		path = s.description() // the longer one
	}
	return entry.Check(port.ErrRefused, entry.Name{What: "path", Text: path, Rule: entry.CheckFile})
}

// Read returns the entry. It returns an error if the file can't be replaced, so
// that no key is created for it.
func (s *Store) Read(ctx context.Context) (port.Entry, error) {
	doing := s.doing("reading")
	if err := s.check(); err != nil {
		return port.Entry{}, err
	}
	if err := ctx.Err(); err != nil {
		return port.Entry{}, fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, err)
	}
	if err := s.checkDirectory(doing); err != nil {
		return port.Entry{}, err
	}
	s.sweep()
	revision, content, err := s.load(doing)
	if err == nil || errors.Is(err, port.ErrNotFound) {
		if err := s.checkWritable(doing); err != nil {
			return port.Entry{}, err
		}
	}
	if err != nil {
		return port.Entry{Revision: revision}, err
	}
	return s.entry(doing, revision, content)
}

// entry returns the entry in the file's content.
func (s *Store) entry(doing, revision string, content fields) (port.Entry, error) {
	e := port.Entry{
		KeyID: content.text(fieldKeyID), IAMID: content.text(fieldIAMID),
		Owner: content.text(fieldOwner), Revision: revision,
	}
	if at, err := time.Parse(time.RFC3339Nano, content.text(fieldCreated)); err == nil {
		e.Created = at
	}
	value := secret.New(content.text(fieldValue))
	switch raw := string(content[fieldValue]); {
	case value.Empty() && raw != "" && raw != "null" && raw != `""`:
		return port.Entry{}, fmt.Errorf("%s: %w: its %s is not a text", doing, port.ErrRefused, fieldValue)
	case value.Empty():
		return port.Entry{Revision: revision}, fmt.Errorf("%s: %w: the file has no %s", doing, port.ErrNotFound, fieldValue)
	}
	var err error
	e.Value, err = s.form.Read(s.path, metadata(e), func(string) secret.Value { return value })
	if err != nil {
		return port.Entry{}, fmt.Errorf("%s: %w: %w", doing, port.ErrRefused, err)
	}
	return e, nil
}

func metadata(e port.Entry) entry.Metadata {
	return entry.Metadata{KeyID: e.KeyID, Owner: e.Owner, Created: e.Created, IAMID: e.IAMID}
}

// longest is the size limit of a key file.
const longest = 1 << 20

// load returns the file's revision and content, or ErrNotFound if the directory
// exists and the file does not.
func (s *Store) load(doing string) (revision string, content fields, err error) {
	if s.form != nil {
		return s.loadText(doing)
	}
	data, err := load(doing, s.path)
	if err != nil {
		return "", nil, err
	}
	if err := json.Unmarshal(data, &content); err != nil || content == nil {
		// The decoder's error may quote the content.
		return "", nil, fmt.Errorf("%s: %w: it is not a JSON object", doing, port.ErrRefused)
	}
	return hash(data), content, nil
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// load returns the content of a file that only this user can access.
func load(doing, path string) ([]byte, error) {
	// O_NOFOLLOW, because a rename would replace a link, not its target.
	// O_NONBLOCK, because opening a pipe would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, derr := os.Stat(filepath.Dir(path)); derr != nil {
			return nil, fmt.Errorf("%s: %w: the directory does not exist", doing, port.ErrRefused)
		}
		return nil, fmt.Errorf("%s: %w", doing, port.ErrNotFound)
	case err != nil:
		return nil, sortError(doing, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, sortError(doing, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: it is not a regular file", doing, port.ErrRefused)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s: %w: its mode is %04o, which gives other users access; it must be 0600", doing, port.ErrRefused, mode)
	}
	if uid, foreign := foreignOwner(info, os.Geteuid()); foreign {
		return nil, fmt.Errorf("%s: %w: it belongs to user %d, who can change it; latchkey runs as user %d", doing, port.ErrRefused, uid, os.Geteuid())
	}
	data, err := io.ReadAll(io.LimitReader(f, longest+1))
	if err != nil {
		return nil, sortError(doing, err)
	}
	if len(data) > longest {
		return nil, fmt.Errorf("%s: %w: it is longer than %d bytes", doing, port.ErrRefused, longest)
	}
	return data, nil
}

// Publish writes the entry if the file still has the revision.
func (s *Store) Publish(ctx context.Context, e port.Entry, revision string) error {
	doing := s.doing("writing")
	if err := s.check(); err != nil {
		return err
	}
	if e.Value.Empty() || e.KeyID == "" {
		return fmt.Errorf("%s: %w: there is no value with a key ID to write", doing, port.ErrRefused)
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
	if err != nil && !errors.Is(err, port.ErrNotFound) {
		return err
	}
	if now != revision {
		return fmt.Errorf("%s: %w", doing, port.ErrConflict)
	}
	files, err := s.files(doing, e, content)
	if err != nil {
		return err
	}
	if err := fence.MayWrite(ctx); err != nil { // waiting for the lock takes time
		return fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, err)
	}
	for _, f := range files {
		if err := replace(doing, f.path, f.content); err != nil {
			return err
		}
	}
	return nil
}

// written is a file to write.
type written struct {
	path    string
	content []byte
}

// files returns what a publication writes, in its order.
func (s *Store) files(doing string, e port.Entry, content fields) ([]written, error) {
	e.Owner = cmp.Or(e.Owner, s.owner)
	if s.form != nil {
		return s.textFiles(doing, e)
	}
	if content == nil {
		content = fields{}
	}
	if content.text(fieldName) == "" {
		base := filepath.Base(s.path)
		content.set(fieldName, strings.TrimSuffix(base, filepath.Ext(base)))
	}
	content.set(fieldValue, e.Value.Expose())
	content.describe(e)
	data, err := encode(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: encoding its other fields", doing, port.ErrRefused)
	}
	return []written{{s.path, data}}, nil
}

// describe sets the fields that describe the key.
func (f fields) describe(e port.Entry) {
	f.set(fieldKeyID, e.KeyID)
	f.set(fieldIAMID, e.IAMID)
	f.set(fieldOwner, e.Owner)
	f.set(fieldCreated, e.Created.UTC().Format(time.RFC3339Nano))
}
