package secretsmanager

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// LockPrefix is the prefix of the names of latchkey's locks.
const LockPrefix = "latchkey-"

// triedName is the name of a lock that never exists. Permission to remove it is
// permission to remove ours. An owner's name has no dot.
const triedName = "latchkey.tried"

// LockName returns the name of the locks of an installation. It is the same for
// all its credentials, since the entries of a kv secret share their versions and
// the lock of one entry must not block the next key of another.
func LockName(owner string) string {
	const most = 64
	name := LockPrefix + owner
	if len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(owner))
	end := "-" + hex.EncodeToString(sum[:4])
	return name[:most-len(end)] + end
}

// Attributes of our locks.
const (
	lockKey        = "key_id"
	lockCredential = "credential"
)

// Aliases of the versions that can be locked.
const (
	aliasCurrent  = "current"
	aliasPrevious = "previous"
)

// lock is a lock of a secret. Its version is an ID, since an alias may name
// another version by the time the lock is placed or removed.
type lock struct {
	name, version, alias string
	key                  string // ID of the key in use, if the lock is ours
	credential           string // that of the key
}

func (s *Store) own(l lock) bool { return l.name == LockName(s.cfg.Owner) }

// Locks reports whether the store locks the versions that it publishes.
func (s *Store) Locks() bool { return s.cfg.Lock }

// Instance returns the GUID of the secret's instance.
func (s *Store) Instance() string { return s.cfg.Instance }

// Region returns the instance's region.
func (s *Store) Region() string { return s.cfg.Region }

// Group returns the ID of the secret group, or "" if no call has looked it up.
func (s *Store) Group() string {
	if s.cfg.Group == defaultGroup {
		return defaultGroup
	}
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.client.groups[groupName{s.cfg.Instance, s.cfg.Group}]
}

// locks lists the locks of all versions.
func (s *Store) locks(ctx context.Context, api upstream.Service, id string) (all []lock, err error) {
	d := s.deed("looking for locks on", "secrets-locks.list", forReading)
	type list struct {
		Locks []struct { // what IBM's documents call SecretLock
			Name       string         `json:"name"`
			Version    string         `json:"secret_version_id"`
			Alias      string         `json:"secret_version_alias"`
			Attributes map[string]any `json:"attributes"`
		} `json:"locks"`
		Next *struct{} `json:"next"`
	}
	const most = 100
	seen := upstream.Pages{Doing: d.doing, Most: maxPages}
	for offset := 0; ; {
		page, err := send[list](ctx, api, d, upstream.Request{
			Method: http.MethodGet, Path: secrets(id, "locks"),
			Query: url.Values{"limit": {strconv.Itoa(most)}, "offset": {strconv.Itoa(offset)}},
		})
		if err != nil {
			return nil, err
		}
		for _, x := range page.Locks {
			l := lock{name: x.Name, version: x.Version, alias: x.Alias}
			l.key, _ = x.Attributes[lockKey].(string)
			l.credential, _ = x.Attributes[lockCredential].(string)
			all = append(all, l)
		}
		if page.Next == nil || len(page.Locks) == 0 {
			return all, nil
		}
		offset += len(page.Locks)
		if more, err := seen.Next(strconv.Itoa(offset)); !more {
			return nil, err
		}
	}
}

// newLock is what IBM's documents call SecretLockPrototype.
type newLock struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Attributes  map[string]any `json:"attributes"`
}

// addLock locks a version. keyID is the key in use, or "". Placing a lock needs a
// lower role than removing it, so addLock first tries a removal: a lock that
// cannot be removed would block every publication after the next.
func (s *Store) addLock(ctx context.Context, api upstream.Service, id, version, keyID string) error {
	err := s.unlock(ctx, api, id, version, triedName)
	if errors.Is(err, port.ErrDenied) || errors.Is(err, port.ErrUnavailable) {
		return err
	}
	d := s.deed("locking", "secret-locks.create", forLocks)
	attributes := map[string]any{lockCredential: s.cfg.Credential}
	description := "latchkey is creating the next version for " + s.cfg.Credential
	if keyID != "" {
		attributes[lockKey] = keyID
		description = fmt.Sprintf("API key %s of %s is in use until latchkey deletes it", keyID, s.cfg.Credential)
	}
	return do(ctx, api, d, upstream.Request{
		Method: http.MethodPost, Path: secrets(id, "versions", version, "locks_bulk"),
		Body: map[string][]newLock{"locks": {{LockName(s.cfg.Owner), description, attributes}}},
	})
}

// unlock removes a lock from a version. It succeeds if there is none.
func (s *Store) unlock(ctx context.Context, api upstream.Service, id, version, name string) error {
	d := s.deed("unlocking", "secret-locks.delete", forLocks)
	return absent(do(ctx, api, d, upstream.Request{
		Method: http.MethodDelete, Path: secrets(id, "versions", version, "locks_bulk"), Query: url.Values{"name": {name}},
	}))
}

// claim prepares a publication over the version that was read. It locks that
// version, so that a second publication from it is refused. It removes our lock
// from the version before, which would refuse even the first publication. It
// reports whether it placed a lock.
func (s *Store) claim(ctx context.Context, api upstream.Service, id string, over *snapshot) (placed bool, err error) {
	doing := s.deed("writing", "", "").doing
	all, err := s.locks(ctx, api, id)
	if err != nil {
		return false, vanished(doing, err)
	}
	for _, l := range all {
		if (l.alias == aliasCurrent) != (l.version == over.id) {
			return false, fmt.Errorf("%s: %w: it is no longer at version %s", doing, port.ErrConflict, over.id)
		}
	}
	// A version without data accepts no lock, and none of its keys is in use. The
	// new lock comes first: if others replaced the version twice, it is refused
	// and their lock stays.
	if !over.cleared && !slices.ContainsFunc(all, func(l lock) bool { return s.own(l) && l.version == over.id }) {
		err := s.addLock(ctx, api, id, over.id, s.metadata(over).KeyID)
		if errors.Is(err, port.ErrRefused) {
			err = s.moved(ctx, api, id, over, err)
		}
		if err != nil {
			return false, vanished(doing, err)
		}
		placed = true
	}
	for _, l := range all {
		if s.own(l) && l.alias == aliasPrevious && l.version != over.id {
			if err := s.unlock(ctx, api, id, l.version, l.name); err != nil {
				return placed, err
			}
		}
	}
	return placed, nil
}

// vanished turns ErrNotFound into a conflict: the secret existed when it was
// read.
func vanished(doing string, err error) error {
	if errors.Is(err, port.ErrNotFound) {
		return fmt.Errorf("%s: %w: the secret was deleted", doing, port.ErrConflict)
	}
	return err
}

// moved returns a conflict if the version is no longer current, and otherwise
// the refusal.
func (s *Store) moved(ctx context.Context, api upstream.Service, id string, over *snapshot, refusal error) error {
	now, err := s.version(ctx, api, "reading", id, aliasCurrent, false)
	if err == nil && now.id != over.id {
		return fmt.Errorf("%s: %w: version %s has replaced version %s", s.deed("writing", "", "").doing, port.ErrConflict, now.id, over.id)
	}
	return refusal // nothing was written
}

// barred explains a 412 by the current locks rather than by the answer's words.
// If another version replaced ours, our lock on it was the reason, and the other
// publication was first. If only our lock is on the version before, a slow
// publication placed it when that version was current, and a retry helps. In all
// other cases a person must act.
func (s *Store) barred(ctx context.Context, api upstream.Service, id string, over *snapshot, refusal error) (again bool, err error) {
	if err := s.moved(ctx, api, id, over, refusal); errors.Is(err, port.ErrConflict) {
		return false, err
	}
	all, err := s.locks(ctx, api, id)
	if err != nil {
		return false, refusal
	}
	var others []string
	for _, l := range all {
		switch {
		case l.alias != aliasPrevious:
		case s.own(l):
			again = true
		default:
			others = append(others, l.name)
		}
	}
	if len(others) > 0 {
		return false, fmt.Errorf("%w (locks of others: %s)", refusal, strings.Join(others, ", "))
	}
	if again {
		return true, fmt.Errorf("%s: %w: an earlier publication keeps locking its previous version", s.deed("writing", "", "").doing, port.ErrUnavailable)
	}
	return false, refusal
}

// barring reports whether a refusal may be caused by a lock.
func barring(err error) bool { return upstream.Status(err) == http.StatusPreconditionFailed }

// lockNew locks a version that was created. If it fails, the publication stands:
// a missing lock blocks nothing, and the next publication first places it.
func (s *Store) lockNew(ctx context.Context, api upstream.Service, id, version, keyID string) error {
	return s.unlocked(s.addLock(ctx, api, id, version, keyID))
}

// unlocked turns the failure of a lock after a publication into ErrUnlocked.
func (s *Store) unlocked(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", s.deed("writing", "", "").doing, port.ErrUnlocked, err.Error()) // as text only, so the error has one meaning
}

// Release removes our lock from the version with a key that was deleted. The
// version is no longer in use, so others may rotate or delete the secret.
func (s *Store) Release(ctx context.Context, keyID string) error {
	if !s.cfg.Lock || keyID == "" {
		return nil
	}
	api, err := s.open()
	if err != nil {
		return err
	}
	id := s.known("")
	if id == "" {
		if id, err = s.find(ctx, api, "unlocking"); err != nil {
			return absent(err)
		}
	}
	all, err := s.locks(ctx, api, id)
	if errors.Is(err, port.ErrNotFound) {
		s.forget(id)
	}
	if err != nil {
		return absent(err)
	}
	for _, l := range all {
		used, err := s.uses(ctx, api, id, l, keyID)
		if err == nil && used {
			err = s.unlock(ctx, api, id, l.version, l.name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// uses reports whether a lock is ours and was placed for the key. In a kv secret
// the lock may name the key of another entry, so the version's metadata decide.
// The current version also has the keys of other entries.
func (s *Store) uses(ctx context.Context, api upstream.Service, id string, l lock, keyID string) (bool, error) {
	switch {
	case !s.own(l) || s.cfg.Type == KeyValue && l.alias != aliasPrevious:
		return false, nil
	case l.key == keyID:
		return true, nil
	case l.alias != aliasPrevious:
		return false, nil
	}
	snap, err := s.version(ctx, api, "unlocking", id, l.version, false)
	if err != nil {
		return false, absent(err)
	}
	return s.metadata(snap).KeyID == keyID, nil
}

// absent turns ErrNotFound into success.
func absent(err error) error {
	if errors.Is(err, port.ErrNotFound) {
		return nil
	}
	return err
}
