package secretsmanager

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"time"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Publish writes the entry as a new version, or creates the secret. Another
// write may happen between its read and its write: see the package comment.
func (s *Store) Publish(ctx context.Context, e port.Entry, revision string) error {
	doing := s.deed("writing", "", "").doing
	api, err := s.open()
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if e.Value.Empty() || e.KeyID == "" {
		return fmt.Errorf("%s: %w: the entry has no value or no key ID", doing, port.ErrRefused)
	}
	if len(e.Value.Expose()) > longestValue {
		return fmt.Errorf("%s: %w: a value has up to %d bytes", doing, port.ErrRefused, longestValue)
	}
	var p publication
	p.texts, p.m, err = s.cfg.Form.Write(s.cfg.Entry, entry.Metadata{KeyID: e.KeyID, Created: e.Created, IAMID: e.IAMID, Owner: cmp.Or(e.Owner, s.cfg.Owner)}, e.Value)
	if err == nil {
		p.noted, err = p.m.Encode()
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %w", doing, port.ErrRefused, err)
	}
	p.hidden = format.Hidden(e.Value, p.texts)
	if revision == "" {
		return s.create(ctx, api, e, p)
	}
	return s.replace(ctx, api, e, p, revision)
}

// publication is what a write sets.
type publication struct {
	texts  map[string]secret.Value // by entry; that of an arbitrary secret has no name
	m      entry.Metadata
	noted  string // m as it stands in the version's custom metadata
	hidden []secret.Value
}

// newSecret is what IBM's documents call SecretPrototype.
type newSecret struct {
	Type        string   `json:"secret_type"`
	Name        string   `json:"name"`
	Group       string   `json:"secret_group_id"`
	Description string   `json:"description"`
	Labels      []string `json:"labels"`
	Expires     string   `json:"expiration_date,omitempty"` // of an arbitrary secret
	newVersion
}

// newVersion is what IBM's documents call SecretVersionPrototype.
type newVersion struct {
	Payload string         `json:"payload,omitempty"` // of an arbitrary secret
	Data    map[string]any `json:"data,omitempty"`    // of a kv secret
	Custom  map[string]any `json:"custom_metadata,omitempty"`
	Marks   map[string]any `json:"version_custom_metadata,omitempty"`
}

// created is the answer to the creation of a secret or of a version.
type created struct {
	ID   string `json:"id"`
	Type string `json:"secret_type"`
}

// id returns the ID, or "" if it is that of something else.
func (c created) id() string {
	if !holdsKey(c.Type) {
		return ""
	}
	return c.ID
}

// expiry returns when an arbitrary secret with the key expires. Zero is never.
func (s *Store) expiry(e port.Entry) time.Time {
	if s.cfg.Type != Arbitrary || s.cfg.Expire <= 0 || e.Created.IsZero() {
		return time.Time{}
	}
	return e.Created.Add(s.cfg.Expire).UTC()
}

// prototype returns the new secret.
func (s *Store) prototype(group string, e port.Entry, p publication) (newSecret, error) {
	n := newSecret{
		Type: s.cfg.Type, Name: s.cfg.Secret, Group: group, Description: "An API key that latchkey manages", Labels: []string{markName},
		newVersion: newVersion{Custom: new(about).next(s.markName(), p.m), Marks: map[string]any{s.markName(): p.noted}},
	}
	if owner := cmp.Or(e.Owner, s.cfg.Owner); len(owner) >= 2 && owner != markName {
		n.Labels = append(n.Labels, owner)
	}
	if at := s.expiry(e); !at.IsZero() {
		n.Expires = at.Format("2006-01-02T15:04:05.000Z07:00") // as IBM's clients write it
	}
	if s.cfg.Type == Arbitrary {
		n.Payload = p.texts[s.cfg.Entry].Expose()
		return n, nil
	}
	n.Data = map[string]any{}
	return n, s.put(n.Data, p)
}

func (s *Store) create(ctx context.Context, api upstream.Service, e port.Entry, p publication) error {
	group, err := s.group(ctx, api, "creating")
	if err != nil {
		return err
	}
	d := s.deed("creating", "secret.create", forWriting)
	n, err := s.prototype(group, e, p)
	if err != nil {
		return fmt.Errorf("%s: %w", d.doing, err)
	}
	got, err := send[created](ctx, api, d, upstream.Request{Method: http.MethodPost, Path: secrets(), Body: n}, p.hidden...)
	switch {
	case errors.Is(err, port.ErrNotFound):
		s.client.forgetGroup(groupName{s.cfg.Instance, s.cfg.Group})
		return fmt.Errorf("%s: %w: the instance or the secret group %q does not exist", d.doing, port.ErrRefused, s.cfg.Group)
	case errors.Is(err, port.ErrConflict):
		// A name is unique in the whole instance, so another group may have it.
		switch _, in, serr := s.search(ctx, api, "finding", ""); {
		case serr == nil && in != group:
			return fmt.Errorf("%s: %w: the name is taken in the secret group with ID %s", d.doing, port.ErrRefused, in)
		case errors.Is(serr, port.ErrNotFound):
			// The next run would find no secret either, and make a key for nothing.
			return fmt.Errorf("%s: %w: the name is taken, and the list of secrets does not show by which", d.doing, port.ErrRefused)
		}
		return err
	case err != nil:
		return err
	case got.id() == "":
		return upstream.Incomplete(d.doing, "ID")
	}
	id := s.known(got.id())
	if !s.cfg.Lock {
		return nil
	}
	snap, err := s.version(ctx, api, "reading back", id, aliasCurrent, false)
	if err == nil && s.metadata(snap).KeyID == e.KeyID {
		return s.lockNew(ctx, api, id, snap.id, e.KeyID)
	}
	return s.unlocked(err) // a version that followed is not ours to lock
}

func (c *Client) forgetGroup(name groupName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.groups, name)
}

func (s *Store) replace(ctx context.Context, api upstream.Service, e port.Entry, p publication, revision string) error {
	d := s.deed("writing", "secret-version.create", forWriting)
	custom := s.about(ctx, api).next(s.markName(), p.m) // read first: the marks are then no newer than the data
	// The data of a kv secret must be read to be kept.
	id, snap, err := s.current(ctx, api, "writing", s.cfg.Type == KeyValue)
	switch {
	case errors.Is(err, port.ErrNotFound):
		return fmt.Errorf("%s: %w: the secret was deleted", d.doing, port.ErrConflict)
	case err != nil:
		return err
	case snap.id != revision:
		return fmt.Errorf("%s: %w: it is no longer at version %s", d.doing, port.ErrConflict, revision)
	}
	if now := s.metadata(snap); now.Created.After(e.Created) {
		return fmt.Errorf("%s: %w: it names key %s, which is newer", d.doing, port.ErrConflict, now.KeyID)
	}
	marks := maps.Clone(snap.marks)
	if marks == nil {
		marks = map[string]any{}
	}
	marks[s.markName()] = p.noted
	hidden := p.hidden
	n := newVersion{Custom: custom, Marks: marks}
	if s.cfg.Type == Arbitrary {
		n.Payload = p.texts[s.cfg.Entry].Expose()
	} else {
		for name, x := range snap.data {
			if !exact(x) {
				return fmt.Errorf("%s: %w: the number in its entry %s would change when written back", d.doing, port.ErrRefused, name)
			}
			if value, ok := x.(string); ok {
				hidden = append(hidden, secret.New(value))
			}
		}
		if n.Data = maps.Clone(snap.data); n.Data == nil {
			n.Data = map[string]any{}
		}
		if err := s.put(n.Data, p); err != nil {
			return fmt.Errorf("%s: %w", d.doing, err)
		}
	}
	return s.roll(ctx, api, d, id, snap, e, n, hidden)
}

// roll creates a version over the one that was read.
func (s *Store) roll(ctx context.Context, api upstream.Service, d deed, id string, over *snapshot, e port.Entry, n newVersion, hidden []secret.Value) error {
	placed := false
	if s.cfg.Lock {
		var err error
		if placed, err = s.claim(ctx, api, id, over); err != nil {
			return err
		}
	}
	// The date comes first. If it failed after the version was created, the old
	// date would destroy the new key.
	if err := s.postpone(ctx, api, id, over, s.expiry(e)); err != nil {
		return err
	}
	for try := 1; ; try++ {
		got, err := send[created](ctx, api, d, upstream.Request{Method: http.MethodPost, Path: secrets(id, "versions"), Body: n}, hidden...)
		if s.cfg.Lock && barring(err) {
			again := false
			if again, err = s.barred(ctx, api, id, over, err); again && try == 1 {
				if _, err := s.claim(ctx, api, id, over); err != nil {
					return err
				}
				continue // the refusal created nothing
			}
		}
		if err != nil {
			return vanished(d.doing, err)
		}
		version := got.id()
		if err := s.confirm(ctx, api, d, id, version); err != nil || !s.cfg.Lock {
			return err
		}
		if err := s.lockNew(ctx, api, id, version, e.KeyID); err != nil {
			return err
		}
		if placed && s.metadata(over).KeyID == "" {
			// The lock was temporary: that version has no key of ours.
			return s.unlocked(s.unlock(ctx, api, id, over.id, LockName(s.cfg.Owner)))
		}
		return nil
	}
}

// put adds the entries to the data of a kv secret.
func (s *Store) put(data map[string]any, p publication) error {
	companions, err := p.m.Companions(s.cfg.Entry)
	if err != nil {
		return fmt.Errorf("entry %s: %w: %w", s.cfg.Entry, port.ErrRefused, err)
	}
	for name, text := range p.texts {
		data[name] = text.Expose()
	}
	for name, text := range companions {
		data[name] = text
	}
	if b, err := json.Marshal(data); err != nil || len(b) > longestData {
		return fmt.Errorf("entry %s: %w: the data of a secret have up to %d bytes", s.cfg.Entry, port.ErrRefused, longestData)
	}
	return nil
}

// exact reports whether a JSON value survives decoding unchanged. A large integer
// does not.
func exact(x any) bool {
	const most = 1 << 53
	switch x := x.(type) {
	case float64:
		return math.Abs(x) < most
	case map[string]any:
		for _, y := range x {
			if !exact(y) {
				return false
			}
		}
	case []any:
		for _, y := range x {
			if !exact(y) {
				return false
			}
		}
	}
	return true
}

// postpone moves the secret's expiration date to a later time, never to an
// earlier one.
func (s *Store) postpone(ctx context.Context, api upstream.Service, id string, snap *snapshot, to time.Time) error {
	if to.IsZero() || !snap.expires.IsZero() && !snap.expires.Before(to.Truncate(time.Second)) {
		return nil
	}
	d := s.deed("dating", "secret-metadata.update", forWriting)
	return vanished(d.doing, do(ctx, api, d, upstream.Request{
		Method: http.MethodPatch, Path: secrets(id, "metadata"), Header: map[string]string{"Content-Type": "application/merge-patch+json"},
		Body: map[string]string{"expiration_date": to.Format(time.RFC3339)},
	}))
}

// confirm checks that the version that was created is the current one. If it is
// not, another write followed, and the caller must read again.
func (s *Store) confirm(ctx context.Context, api upstream.Service, d deed, id, version string) error {
	snap, err := s.version(ctx, api, "reading back", id, aliasCurrent, false)
	switch {
	case errors.Is(err, port.ErrUnavailable):
		return err
	case err != nil:
		return fmt.Errorf("%s: %w: %s", d.doing, port.ErrUnavailable, err.Error()) // as text only, so the error has one meaning
	case version == "" || snap.id != version:
		return fmt.Errorf("%s: %w: version %s followed at once", d.doing, port.ErrUnavailable, snap.id)
	}
	return nil
}
