package secretsmanager

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// LockPrefix is what the name of each of our locks starts with.
const LockPrefix = "latchkey-"

// triedName is the name of a lock that nobody places: who may take it off may
// take off ours. An owner's name has no dot.
const triedName = "latchkey.tried"

// LockName is the name of the locks of one installation. It is the same for all
// its credentials, since the entries of a kv secret share a version: a lock of
// one entry must not hold up the next key of another.
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

// The aliases of versions that can have locks.
const (
	aliasCurrent  = "current"
	aliasPrevious = "previous"
)

// lock is one lock of a secret. Versions go by their IDs wherever one is placed
// or taken off: what an alias means may have changed since it was read.
type lock struct {
	name, version, alias string
	key                  string // the ID of the key that is in use, if it is ours
}

func (s *Store) own(l lock) bool { return l.name == LockName(s.cfg.Owner) }

// Locks reports whether the store locks what it publishes.
func (s *Store) Locks() bool { return s.cfg.Lock }

// Instance is the GUID of the instance that the secret is in.
func (s *Store) Instance() string { return s.cfg.Instance }

// locks lists those of all versions.
func (s *Store) locks(ctx context.Context, api *sm.SecretsManagerV2, id string) (all []lock, err error) {
	d := s.deed("looking for locks on", "secrets-locks.list", forReading)
	const most = 100
	o := &sm.ListSecretLocksOptions{ID: &id, Limit: core.Int64Ptr(most), Offset: core.Int64Ptr(0)}
	for {
		page, resp, err := api.ListSecretLocksWithContext(ctx, o)
		if err = d.fault(ctx, resp, err); err != nil {
			return nil, err
		}
		for _, x := range page.Locks {
			l := lock{name: text(x.Name), version: text(x.SecretVersionID), alias: text(x.SecretVersionAlias)}
			l.key, _ = x.Attributes[lockKey].(string)
			all = append(all, l)
		}
		if page.Next == nil || len(page.Locks) == 0 {
			return all, nil
		}
		*o.Offset += int64(len(page.Locks))
	}
}

// place locks a version in the name of a key, "" is none. Creating locks takes
// a lower role than taking them off, so that is tried first: a lock that stays
// for ever would hold up every publication after the next.
func (s *Store) place(ctx context.Context, api *sm.SecretsManagerV2, id, version, keyID string) error {
	err := s.unlock(ctx, api, id, version, triedName)
	if errors.Is(err, reconcile.ErrDenied) || errors.Is(err, reconcile.ErrUnavailable) {
		return err
	}
	d := s.deed("locking", "secret-locks.create", forLocks)
	attributes := map[string]any{lockCredential: s.cfg.Credential}
	description := "latchkey makes the version after this one for " + s.cfg.Credential
	if keyID != "" {
		attributes[lockKey] = keyID
		description = fmt.Sprintf("API key %s of %s is in use until latchkey has ended it", keyID, s.cfg.Credential)
	}
	_, resp, err := api.CreateSecretVersionLocksBulkWithContext(ctx, &sm.CreateSecretVersionLocksBulkOptions{SecretID: &id, ID: &version,
		Locks: []sm.SecretLockPrototype{{Name: core.StringPtr(LockName(s.cfg.Owner)), Description: &description, Attributes: attributes}}})
	return d.fault(ctx, resp, err)
}

// unlock takes one lock off a version; absent is success.
func (s *Store) unlock(ctx context.Context, api *sm.SecretsManagerV2, id, version, name string) error {
	d := s.deed("unlocking", "secret-locks.delete", forLocks)
	_, resp, err := api.DeleteSecretVersionLocksBulkWithContext(ctx, &sm.DeleteSecretVersionLocksBulkOptions{SecretID: &id, ID: &version, Name: []string{name}})
	if err = d.fault(ctx, resp, err); errors.Is(err, reconcile.ErrNotFound) {
		return nil
	}
	return err
}

// claim prepares the publication over a version. With our lock on it, it is
// locked as soon as somebody else's version follows: whoever comes second is
// refused. Our lock on the version before comes off, since it would refuse even
// the first. It reports whether the version had no lock of ours.
func (s *Store) claim(ctx context.Context, api *sm.SecretsManagerV2, id string, over *snapshot) (placed bool, err error) {
	doing := s.deed("writing", "", "").doing
	all, err := s.locks(ctx, api, id)
	if err != nil {
		return false, vanished(doing, err)
	}
	for _, l := range all {
		if (l.alias == aliasCurrent) != (l.version == over.id) {
			return false, fmt.Errorf("%s: %w: it is no longer at version %s", doing, reconcile.ErrConflict, over.id)
		}
	}
	// What has no data takes no lock, and nothing in it is in use. The lock goes
	// on first: on a version that others have replaced twice it is refused, and
	// theirs stays.
	if !over.cleared && !slices.ContainsFunc(all, func(l lock) bool { return s.own(l) && l.version == over.id }) {
		err := s.place(ctx, api, id, over.id, s.entry(over).KeyID)
		if errors.Is(err, reconcile.ErrRefused) {
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

func vanished(doing string, err error) error {
	if errors.Is(err, reconcile.ErrNotFound) {
		return fmt.Errorf("%s: %w: somebody deleted it", doing, reconcile.ErrConflict)
	}
	return err
}

// moved is a conflict if the version is no longer the current one, and else the
// refusal.
func (s *Store) moved(ctx context.Context, api *sm.SecretsManagerV2, id string, over *snapshot, refusal error) error {
	now, err := s.version(ctx, api, "looking at", id, aliasCurrent, false)
	if err == nil && now.id != over.id {
		return fmt.Errorf("%s: %w: version %s has replaced version %s", s.deed("writing", "", "").doing, reconcile.ErrConflict, now.id, over.id)
	}
	return refusal // nothing was written, that much is certain
}

// barred says what a refusal with 412 means, by what is there now and not by its
// words. If another version has replaced ours, our lock on it was in the way, and
// its publication came first. If not, our lock on the version before is that of
// a latecomer, who believed it to be the current one: then it is worth another
// try. Everything else is for people.
func (s *Store) barred(ctx context.Context, api *sm.SecretsManagerV2, id string, over *snapshot, refusal error) (again bool, err error) {
	if err := s.moved(ctx, api, id, over, refusal); errors.Is(err, reconcile.ErrConflict) {
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
		return true, fmt.Errorf("%s: %w: a publication of before keeps locking its previous version", s.deed("writing", "", "").doing, reconcile.ErrUnavailable)
	}
	return false, refusal
}

// barring reports whether an answer is what a lock gives.
func barring(resp *core.DetailedResponse) bool {
	return resp != nil && resp.StatusCode == http.StatusPreconditionFailed
}

// keep locks the version that was made. The publication stands whatever comes
// of it: nobody is held up by a missing lock, and the next publication places
// it, before anything else.
func (s *Store) keep(ctx context.Context, api *sm.SecretsManagerV2, id, version, keyID string) error {
	return s.flaw(s.place(ctx, api, id, version, keyID))
}

// flaw turns the failure of a lock, behind a publication, into one that hides no
// publication.
func (s *Store) flaw(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", s.deed("writing", "", "").doing, reconcile.ErrUnlocked, err.Error()) // as words only: one error means one thing
}

// Release takes our lock off the version that has a key which has ended: nobody
// uses that version any more, and people may roll on or delete.
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
	if errors.Is(err, reconcile.ErrNotFound) {
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

// uses reports whether a lock is ours because of the key. In a kv secret the
// lock may name the key of another entry: then the version's mark tells, and the
// current version has the others' keys as well.
func (s *Store) uses(ctx context.Context, api *sm.SecretsManagerV2, id string, l lock, keyID string) (bool, error) {
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
	return s.entry(snap).KeyID == keyID, nil
}

// absent takes what is not there for done.
func absent(err error) error {
	if errors.Is(err, reconcile.ErrNotFound) {
		return nil
	}
	return err
}
