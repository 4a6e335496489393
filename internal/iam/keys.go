package iam

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// stampForm is IAM's: whole minutes, no colon in the offset.
const stampForm = "2006-01-02T15:04+0000"

// roundUp keeps a key from ending before the moment that was asked for.
func roundUp(t time.Time) string {
	return t.UTC().Add(time.Minute - time.Nanosecond).Truncate(time.Minute).Format(stampForm)
}

// parseStamp reads an expiry. IAM answers with what was sent: minutes or
// seconds.
func parseStamp(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{"2006-01-02T15:04Z0700", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", time.RFC3339} {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("reading the time %q: unknown form", s)
}

// record is a key as IAM describes it, without its value.
type record struct {
	rotation.Key
	iamID, name, description string
	marker                   reconcile.Marker
	ours                     bool
}

// read takes what matters from an answer. How a foreign key says when it
// expires does not matter, so it can't stop us.
func (c *Client) read(k *iamidentityv1.APIKey) (record, error) {
	if k == nil || str(k.ID) == "" {
		return record{}, errors.New("reading a key: it has no ID")
	}
	r := record{iamID: str(k.IamID), name: str(k.Name), description: str(k.Description)}
	var marked bool
	r.marker, _, marked = reconcile.ParseMarker(r.description)
	r.ours = marked && r.marker.Owner == c.cfg.Owner
	expires, err := parseStamp(str(k.ExpiresAt))
	if err != nil && r.ours {
		return record{}, fmt.Errorf("reading key %s: %w", *k.ID, err)
	}
	if k.CreatedAt == nil && r.ours {
		return record{}, fmt.Errorf("reading key %s: it has no created_at", *k.ID)
	}
	r.Key = rotation.Key{ID: *k.ID, Created: moment(k.CreatedAt), Expires: expires, Disabled: yes(k.Disabled), Locked: yes(k.Locked)}
	if r.ours {
		r.Key = reconcile.Mark(r.Key, r.name, r.marker)
	}
	return r, nil
}

// List returns the keys of one identity. Ours carry our owner's marker and
// this credential's name.
func (c *Client) List(ctx context.Context, iamID, credential string) (reconcile.KeyList, error) {
	doing := "listing the keys of " + iamID
	account, err := c.Account(ctx)
	if err != nil {
		return reconcile.KeyList{}, fmt.Errorf("%s: %w", doing, err)
	}
	var out reconcile.KeyList
	opts := &iamidentityv1.ListAPIKeysOptions{
		AccountID: &account, IamID: &iamID, Pagesize: core.Int64Ptr(100), Scope: core.StringPtr("entity"),
	}
	err = eachPage(doing, func(token *string) (string, error) {
		opts.Pagetoken = token
		page, resp, err := c.identity.ListAPIKeysWithContext(ctx, opts)
		if err != nil {
			return "", sortError(doing, resp, err)
		}
		if out.Date, err = dateOf(doing, resp); err != nil {
			return "", err
		}
		if page == nil {
			return "", lacking(doing, "list")
		}
		for i := range page.Apikeys {
			r, err := c.read(&page.Apikeys[i])
			switch {
			case err != nil:
				return "", fmt.Errorf("%s: %w: %w", doing, reconcile.ErrUnavailable, err)
			case r.iamID != iamID: // not asked for
			case r.ours && r.marker.Credential == credential:
				out.Keys = append(out.Keys, r.Key)
			default:
				out.Foreign++
			}
		}
		return pageToken(doing, page.Next)
	})
	if err != nil {
		return reconcile.KeyList{}, err
	}
	return out, nil
}

// Get reads one key with its version.
func (c *Client) Get(ctx context.Context, keyID string) (reconcile.KeyRecord, error) {
	doing := "reading key " + keyID
	k, resp, err := c.identity.GetAPIKeyWithContext(ctx, &iamidentityv1.GetAPIKeyOptions{ID: &keyID})
	if err != nil {
		return reconcile.KeyRecord{}, sortError(doing, resp, err)
	}
	date, err := dateOf(doing, resp)
	if err != nil {
		return reconcile.KeyRecord{}, err
	}
	r, err := c.read(k)
	if err != nil {
		return reconcile.KeyRecord{}, fmt.Errorf("%s: %w: %w", doing, reconcile.ErrUnavailable, err)
	}
	version := resp.Headers.Get("Etag")
	if version == "" {
		version = str(k.EntityTag) // the same, in the body
	}
	return reconcile.KeyRecord{
		Key: r.Key, IAMID: r.iamID, Ours: r.ours, Version: version, Name: r.name, Description: r.description, Date: date,
	}, nil
}

// Update changes expiry and marks under the version that was read: never "*",
// which would undo what somebody else decided.
func (c *Client) Update(ctx context.Context, rec reconcile.KeyRecord, change reconcile.KeyChange) error {
	doing := "updating key " + rec.ID
	marker, text, ok := reconcile.ParseMarker(rec.Description)
	switch {
	case !ok || marker.Owner != c.cfg.Owner:
		return fmt.Errorf("%s: %w: it has not our marker", doing, reconcile.ErrRefused)
	case rec.Version == "" || rec.Version == "*":
		return fmt.Errorf("%s: %w: its version is not known", doing, reconcile.ErrRefused)
	}
	if !change.Superseded.IsZero() {
		marker.Superseded = change.Superseded
	}
	if !change.Renew.IsZero() {
		marker.Renew = change.Renew
	}
	opts := &iamidentityv1.UpdateAPIKeyOptions{
		ID: &rec.ID, IfMatch: &rec.Version, Name: &rec.Name, Description: core.StringPtr(marker.Describe(text)),
	}
	// Whether an update keeps what it does not name is not documented, so an
	// expiry that stays is sent again. One in the past would be refused.
	switch {
	case !change.Expires.IsZero():
		opts.ExpiresAt = core.StringPtr(roundUp(change.Expires))
	case rec.Expires.After(rec.Date):
		opts.ExpiresAt = core.StringPtr(roundUp(rec.Expires))
	}
	_, resp, err := c.identity.UpdateAPIKeyWithContext(ctx, opts)
	if err == nil {
		return nil
	}
	err = sortError(doing, resp, err)
	if rec.Locked && (errors.Is(err, reconcile.ErrConflict) || errors.Is(err, reconcile.ErrRefused)) {
		return fmt.Errorf("%s: %w: it is locked", doing, reconcile.ErrDenied)
	}
	if resp != nil && resp.StatusCode < 300 {
		return nil // it was done, and what the answer says is not needed
	}
	return err
}

// Retire deletes a key. One that is gone already is a success.
func (c *Client) Retire(ctx context.Context, keyID string) error {
	doing := "deleting key " + keyID
	resp, err := c.identity.DeleteAPIKeyWithContext(ctx, &iamidentityv1.DeleteAPIKeyOptions{ID: &keyID})
	return c.deleted(doing, sortError(doing, resp, err), func() (bool, error) {
		rec, err := c.Get(ctx, keyID)
		return rec.Locked, err
	})
}
