package iam

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamidentityv1"
	"github.com/go-openapi/strfmt"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// stampForm is IAM's: whole minutes, no colon in the offset.
const stampForm = "2006-01-02T15:04+0000"

// roundUp keeps a key from ending before the moment that was asked for.
func roundUp(t time.Time) string {
	return t.UTC().Add(time.Minute - time.Nanosecond).Truncate(time.Minute).Format(stampForm)
}

func parseStamp(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{"2006-01-02T15:04-0700", "2006-01-02T15:04:05-0700", time.RFC3339} {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("reading the time %q: unknown form", s)
}

func fromStamp(d *strfmt.DateTime) time.Time {
	if d == nil {
		return time.Time{}
	}
	return time.Time(*d).UTC()
}

// maxPages bounds a listing that never ends.
const maxPages = 2000

// nextPage is the token in a list's next URL, or empty on the last page.
func nextPage(next *string) (string, error) {
	if next == nil || *next == "" {
		return "", nil
	}
	u, err := url.Parse(*next)
	if err != nil {
		return "", fmt.Errorf("reading the next page's URL: %w", err)
	}
	return u.Query().Get("pagetoken"), nil
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
	for range maxPages {
		page, resp, err := c.identity.ListAPIKeysWithContext(ctx, opts)
		if err != nil {
			return out, sortError(doing, resp, err)
		}
		if out.Date, err = dateOf(doing, resp); err != nil {
			return out, err
		}
		for i := range page.Apikeys {
			rec, err := c.record(&page.Apikeys[i])
			if err != nil {
				return out, fmt.Errorf("%s: %w: %w", doing, reconcile.ErrUnavailable, err)
			}
			if rec.iamID != iamID {
				continue
			}
			if rec.ours && rec.marker.Credential == credential {
				out.Keys = append(out.Keys, rec.key)
			} else {
				out.Foreign++
			}
		}
		token, err := nextPage(page.Next)
		if err != nil || token == "" {
			return out, err
		}
		opts.Pagetoken = &token
	}
	return out, fmt.Errorf("%s: %w: the list does not end", doing, reconcile.ErrUnavailable)
}

// record is a key as IAM describes it, without its value.
type record struct {
	key    rotation.Key
	iamID  string
	ours   bool
	marker reconcile.Marker
	text   string
	name   string
}

func (c *Client) record(k *iamidentityv1.APIKey) (record, error) {
	r := record{iamID: str(k.IamID), name: str(k.Name)}
	expires, err := parseStamp(str(k.ExpiresAt))
	if err != nil {
		return r, fmt.Errorf("reading key %s: %w", str(k.ID), err)
	}
	if k.ID == nil || *k.ID == "" || k.CreatedAt == nil {
		return r, errors.New("reading a key: it has no ID or no created_at")
	}
	var marked bool
	r.marker, r.text, marked = reconcile.ParseMarker(str(k.Description))
	r.ours = marked && r.marker.Owner == c.cfg.Owner
	r.key = rotation.Key{ID: *k.ID, Created: fromStamp(k.CreatedAt), Expires: expires, Disabled: yes(k.Disabled), Locked: yes(k.Locked)}
	if r.ours {
		r.key = reconcile.Mark(r.key, r.name, r.marker)
	}
	return r, nil
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func yes(b *bool) bool { return b != nil && *b }

// Get reads one key with its version.
func (c *Client) Get(ctx context.Context, keyID string) (reconcile.KeyRecord, error) {
	doing := "reading key " + keyID
	k, resp, err := c.identity.GetAPIKeyWithContext(ctx, &iamidentityv1.GetAPIKeyOptions{ID: &keyID})
	if err != nil {
		return reconcile.KeyRecord{}, sortError(doing, resp, err)
	}
	rec, err := c.record(k)
	if err != nil {
		return reconcile.KeyRecord{}, fmt.Errorf("%w: %w", reconcile.ErrUnavailable, err)
	}
	date, err := dateOf(doing, resp)
	if err != nil {
		return reconcile.KeyRecord{}, err
	}
	version := resp.Headers.Get("Etag")
	if version == "" {
		version = str(k.EntityTag)
	}
	return reconcile.KeyRecord{
		Key: rec.key, IAMID: rec.iamID, Ours: rec.ours, Version: version,
		Name: rec.name, Description: str(k.Description), Date: date,
	}, nil
}

// Update changes expiry and marks under the version that was read: never "*",
// which would undo what somebody else decided.
func (c *Client) Update(ctx context.Context, rec reconcile.KeyRecord, change reconcile.KeyChange) error {
	marker, text, ok := reconcile.ParseMarker(rec.Description)
	if !ok {
		return fmt.Errorf("updating key %s: %w: it has lost its marker", rec.ID, reconcile.ErrRefused)
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
	if !change.Expires.IsZero() {
		opts.ExpiresAt = core.StringPtr(roundUp(change.Expires))
	}
	_, resp, err := c.identity.UpdateAPIKeyWithContext(ctx, opts)
	return sortError("updating key "+rec.ID, resp, err)
}

// Retire deletes a key. One that is gone already is a success.
func (c *Client) Retire(ctx context.Context, keyID string) error {
	resp, err := c.identity.DeleteAPIKeyWithContext(ctx, &iamidentityv1.DeleteAPIKeyOptions{ID: &keyID})
	err = sortError("deleting key "+keyID, resp, err)
	if errors.Is(err, reconcile.ErrNotFound) {
		return nil
	}
	return err
}

// How often, and how patiently, an unclear create is cleared up.
const (
	mintTries  = 3
	mintPause  = 200 * time.Millisecond
	lookUps    = 6
	lookUpBase = 250 * time.Millisecond
)

// Mint creates a key with the value v. After any unclear answer it looks the
// key up by its value, and only when IAM does not have it posts the same
// again: IAM refuses a second key with the same value, so even a look-up that
// lags makes no two.
func (c *Client) Mint(ctx context.Context, m reconcile.MintRequest, v secret.Value) (rotation.Key, error) {
	account, err := c.Account(ctx)
	if err != nil {
		return rotation.Key{}, fmt.Errorf("creating a key: %w", err)
	}
	opts := &iamidentityv1.CreateAPIKeyOptions{
		Name: &m.Name, IamID: &m.IAMID, AccountID: &account, Description: &m.Description,
		Apikey: core.StringPtr(v.Expose()), StoreValue: core.BoolPtr(false), ExpiresAt: core.StringPtr(roundUp(m.Expires)),
	}
	if m.OnLeak != "" {
		opts.ActionWhenLeaked = &m.OnLeak
	}
	for try := range mintTries {
		if try > 0 {
			if serr := c.sleep(ctx, mintPause<<try); serr != nil {
				return rotation.Key{}, fmt.Errorf("creating a key: %w: %w", reconcile.ErrUnavailable, serr)
			}
		}
		k, resp, cerr := c.identity.CreateAPIKeyWithContext(ctx, opts)
		if cerr == nil {
			if rec, rerr := c.record(k); rerr == nil && rec.iamID == m.IAMID {
				return rec.key, nil
			}
		}
		err = sortError("creating a key", resp, cerr)
		taken := resp != nil && resp.StatusCode == valueTakenStatus
		if err != nil && !taken && !errors.Is(err, reconcile.ErrUnavailable) {
			return rotation.Key{}, err
		}
		k2, ferr := c.findByValue(ctx, m, v, taken)
		switch {
		case ferr == nil:
			return k2, nil
		case !errors.Is(ferr, reconcile.ErrNotFound):
			return rotation.Key{}, ferr
		case taken:
			// A conflict, yet no key has the value: it is about something
			// else, such as the number of keys.
			return rotation.Key{}, fmt.Errorf("%w: %w", reconcile.ErrQuota, err)
		}
	}
	if err == nil {
		err = fmt.Errorf("creating a key: %w: the answer could not be read", reconcile.ErrUnavailable)
	}
	return rotation.Key{}, err
}

// findByValue looks a key up by its value. patient waits for IAM's lag: after
// a conflict the key should be there.
func (c *Client) findByValue(ctx context.Context, m reconcile.MintRequest, v secret.Value, patient bool) (rotation.Key, error) {
	const doing = "looking a key up by its value"
	for try := 0; ; try++ {
		k, resp, err := c.identity.GetAPIKeysDetailsWithContext(ctx, &iamidentityv1.GetAPIKeysDetailsOptions{IamAPIKey: core.StringPtr(v.Expose())})
		if err == nil {
			rec, rerr := c.record(k)
			if rerr != nil {
				return rotation.Key{}, fmt.Errorf("%s: %w: %w", doing, reconcile.ErrUnavailable, rerr)
			}
			if rec.iamID != m.IAMID {
				return rotation.Key{}, fmt.Errorf("%s: %w: somebody else's key has it", doing, reconcile.ErrRefused)
			}
			return rec.key, nil
		}
		err = sortError(doing, resp, err)
		wait := errors.Is(err, reconcile.ErrUnavailable) || (patient && errors.Is(err, reconcile.ErrNotFound))
		if !wait || try >= lookUps {
			return rotation.Key{}, err
		}
		if serr := c.sleep(ctx, lookUpBase<<try); serr != nil {
			return rotation.Key{}, fmt.Errorf("%s: %w: %w", doing, reconcile.ErrUnavailable, serr)
		}
	}
}
