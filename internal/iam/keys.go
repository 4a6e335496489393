package iam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// stampForm is IAM's format of times: whole minutes, no colon in the offset.
const stampForm = "2006-01-02T15:04+0000"

// roundUp formats a time. It rounds up, so a key never expires before t.
func roundUp(t time.Time) string {
	return t.UTC().Add(time.Minute - time.Nanosecond).Truncate(time.Minute).Format(stampForm)
}

// parseStamp parses an expiry. IAM returns it as it was sent, in minutes or
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
	return time.Time{}, fmt.Errorf("reading the time %q: unknown format", s)
}

// apiKey is IAM's ApiKey. It has no member for the value, which an answer may have.
type apiKey struct {
	ID          string          `json:"id"`
	EntityTag   string          `json:"entity_tag"`
	Locked      bool            `json:"locked"`
	Disabled    bool            `json:"disabled"`
	CreatedAt   upstream.Time   `json:"created_at"`
	CreatedBy   string          `json:"created_by"`
	Name        string          `json:"name"`
	ExpiresAt   string          `json:"expires_at"`
	Description string          `json:"description"`
	IAMID       string          `json:"iam_id"`
	History     []historyRecord `json:"history"`
	Activity    *activity       `json:"activity"` // if it was asked for
}

// activity is IAM's record of the use of a key or a profile.
type activity struct {
	LastAuthn string `json:"last_authn"`
}

// keyPage is IAM's ApiKeyList.
type keyPage struct {
	Next string   `json:"next"`
	Keys []apiKey `json:"apikeys"`
}

// keyChange is the body of IAM's update_api_key.
type keyChange struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	ExpiresAt   string `json:"expires_at,omitempty"`
}

// What a read of an object asks for in addition.
var (
	withHistory  = url.Values{"include_history": {"true"}}
	withActivity = url.Values{"include_activity": {"true"}}
)

func keyPath(id ...string) []string { return upstream.Path("/v1/apikeys", id...) }

// keyOf asks for the key with the value v, which only a header has.
func (c *Client) keyOf(ctx context.Context, v secret.Value, query url.Values) (*apiKey, *upstream.Reply, error) {
	return upstream.Send[apiKey](ctx, c.api, upstream.Request{
		Method: http.MethodGet, Path: keyPath("details"), Query: query, Header: map[string]string{"IAM-ApiKey": v.Expose()},
	})
}

// record is a key as IAM describes it, without its value.
type record struct {
	protocol.Key
	iamID, name, description string
	creator                  string
	marker                   marker.Marker
	ours, forged, newer      bool
	history                  []historyRecord
}

// read converts a key of an answer. A foreign key whose times cannot be parsed
// is no error, since they are not used.
func (c *Client) read(k *apiKey, own []string) (record, error) {
	if k == nil || k.ID == "" {
		return record{}, errors.New("reading a key: it has no ID")
	}
	r := record{iamID: k.IAMID, name: k.Name, description: k.Description, creator: k.CreatedBy, history: k.History}
	var marked bool
	r.marker, _, marked = marker.Parse(r.description)
	marked = marked && r.marker.Owner == c.cfg.Owner
	r.ours = marked && (slices.Contains(own, r.creator) || claimed(r.marker, k.History, own))
	r.forged = marked && !r.ours
	r.newer = slices.Contains(own, r.creator) && marker.Newer(r.description, c.cfg.Owner)
	expires, err := parseStamp(k.ExpiresAt)
	if err != nil && r.ours {
		return record{}, fmt.Errorf("reading key %s: %w", k.ID, err)
	}
	if k.CreatedAt.IsZero() && r.ours {
		return record{}, fmt.Errorf("reading key %s: it has no created_at", k.ID)
	}
	r.Key = protocol.Key{ID: k.ID, Created: k.CreatedAt.Time, Expires: expires, Disabled: k.Disabled, Locked: k.Locked}
	if r.ours {
		r.Key = marker.Mark(ended(r.Key, k.History), r.name, r.marker)
	}
	return r, nil
}

// List returns the keys of an identity: those that are ours and are marked with
// one of the given credential names. The others are counted only.
func (c *Client) List(ctx context.Context, iamID string, credentials ...string) (port.KeyList, error) {
	var out port.KeyList
	date, err := c.eachKeyOf(ctx, iamID, func(r record) {
		classify(&out, c.whole(r, "", time.Time{}), credentials)
	})
	if err != nil {
		return port.KeyList{}, err
	}
	out.Date = date
	return out, nil
}

// classify adds a key to a list: to Keys if it is ours and marked with one of the
// credentials, else to the foreign ones.
func classify(into *port.KeyList, k port.KeyRecord, credentials []string) {
	if k.Ours && slices.Contains(credentials, k.Credential) {
		into.Keys = append(into.Keys, k.Key)
		return
	}
	into.Foreign++
	into.Newer = into.Newer || k.Newer
	if k.Forged {
		into.Forged = append(into.Forged, port.Forgery{ID: k.ID, Creator: k.Creator})
	}
}

// Marked returns the keys of an identity whose marker has our owner and a
// credential name with the given prefix. The records have no version: read a key
// before changing it.
func (c *Client) Marked(ctx context.Context, iamID, prefix string) ([]port.KeyRecord, error) {
	var found []port.KeyRecord
	date, err := c.eachKeyOf(ctx, iamID, func(r record) {
		if r.ours && strings.HasPrefix(r.marker.Credential, prefix) {
			found = append(found, c.whole(r, "", time.Time{}))
		}
	})
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i].Date = date
	}
	return found, nil
}

// eachKeyOf visits the keys of an identity. It returns the time of IAM's clock. If the
// identity's group is not known yet, it tries the default group meanwhile.
func (c *Client) eachKeyOf(ctx context.Context, iamID string, visit func(record)) (date time.Time, err error) {
	if group, known := c.knownGroup(iamID); known {
		return c.eachKeyIn(ctx, iamID, group, visit)
	}
	found := false
	date, err = c.eachKeyIn(ctx, iamID, "", func(r record) {
		found = true
		visit(r)
	})
	if found || err != nil && !errors.Is(err, port.ErrNotFound) {
		return date, err // all keys of an identity are in one group
	}
	group, gerr := c.groupOf(ctx, iamID)
	switch {
	case gerr != nil:
		return date, fmt.Errorf("listing the keys of %s: %w", iamID, gerr)
	case group == "":
		return date, err
	}
	return c.eachKeyIn(ctx, iamID, group, visit)
}

// eachKeyIn visits the keys of an identity in a group.
func (c *Client) eachKeyIn(ctx context.Context, iamID, group string, visit func(record)) (date time.Time, err error) {
	query := url.Values{"iam_id": {iamID}, "scope": {"entity"}}
	if group != "" {
		query.Set("group_id", group)
	}
	return c.eachKey(ctx, "listing the keys of "+iamID, query, atMost(mostOfKeys), func(r record) {
		if r.iamID == iamID { // ignore keys of other identities
			visit(r)
		}
	})
}

// eachKey visits the keys that a query selects, page by page. It returns the time of IAM's
// clock.
func (c *Client) eachKey(ctx context.Context, doing string, query url.Values, pages *budget, visit func(record)) (date time.Time, err error) {
	account, err := c.Account(ctx)
	if err != nil {
		return date, fmt.Errorf("%s: %w", doing, err)
	}
	own, err := c.ownIDs(ctx)
	if err != nil {
		return date, fmt.Errorf("%s: %w", doing, err)
	}
	query.Set("account_id", account)
	query.Set("pagesize", "100")
	query.Set("include_history", "true")
	err = eachPage(doing, pages, func(token *string) (string, error) {
		if token != nil {
			query.Set("pagetoken", *token)
		}
		page, reply, err := getFrom[keyPage](ctx, c.api, keyPath(), query)
		if err != nil {
			return "", fault(ctx, doing, reply, err)
		}
		if date, err = dateOf(doing, reply); err != nil {
			return "", err
		}
		if page == nil {
			return "", upstream.Incomplete(doing, "list")
		}
		for i := range page.Keys {
			r, err := c.read(&page.Keys[i], own)
			if err != nil {
				return "", fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, err)
			}
			visit(r)
		}
		return pageToken(doing, page.Next)
	})
	return date, err
}

// Get returns one key with its version.
func (c *Client) Get(ctx context.Context, keyID string) (port.KeyRecord, error) {
	doing := "reading key " + keyID
	own, err := c.ownIDs(ctx)
	if err != nil {
		return port.KeyRecord{}, fmt.Errorf("%s: %w", doing, err)
	}
	k, reply, err := getFrom[apiKey](ctx, c.api, keyPath(keyID), withHistory)
	if err != nil {
		return port.KeyRecord{}, fault(ctx, doing, reply, err)
	}
	date, err := dateOf(doing, reply)
	if err != nil {
		return port.KeyRecord{}, err
	}
	r, err := c.read(k, own)
	if err != nil {
		return port.KeyRecord{}, fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, err)
	}
	return c.whole(r, versionOf(k.EntityTag, reply), date), nil
}

// versionOf returns the version of an object. The header has the same one, but a proxy that
// compresses the answer makes it weak, and If-Match never matches then.
func versionOf(entityTag string, reply *upstream.Reply) string {
	return cmp.Or(entityTag, reply.Header.Get("Etag"))
}

func (c *Client) whole(r record, version string, date time.Time) port.KeyRecord {
	return port.KeyRecord{
		Key: r.Key, IAMID: r.iamID, Creator: r.creator, Ours: r.ours, Forged: r.forged, Newer: r.newer, Credential: r.marker.Credential, Version: version, Name: r.name, Description: r.description, Date: date,
		Changes: changes(r.history),
	}
}

// Used returns when a key last authenticated. IAM calls the query expensive and
// supports it for single keys only.
func (c *Client) Used(ctx context.Context, keyID string) (time.Time, error) {
	doing := "reading the use of key " + keyID
	k, reply, err := getFrom[apiKey](ctx, c.api, keyPath(keyID), withActivity)
	if err != nil {
		return time.Time{}, fault(ctx, doing, reply, err)
	}
	if k == nil || k.Activity == nil { // it would look like a key that was never used
		return time.Time{}, upstream.Incomplete(doing, "activity")
	}
	used, err := parseStamp(k.Activity.LastAuthn)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, err)
	}
	return used, nil
}

// Identify returns the key with the value v.
func (c *Client) Identify(ctx context.Context, v secret.Value) (port.KeyRecord, error) {
	const doing = "looking a key up by its value"
	if !keyValue().MatchString(v.Expose()) {
		return port.KeyRecord{}, fmt.Errorf("%s: %w: the value does not have the form of a key", doing, port.ErrNotFound)
	}
	ids, err := c.ownIDs(ctx)
	if err != nil {
		return port.KeyRecord{}, fmt.Errorf("%s: %w", doing, err)
	}
	k, reply, err := c.keyOf(ctx, v, withHistory)
	switch err = fault(ctx, doing, reply, err, v); {
	case errors.Is(err, port.ErrRefused):
		// The answer for a value without a key is not documented. A 404 is likely;
		// another refusal is taken for the same.
		return port.KeyRecord{}, fmt.Errorf("%s: %w: %v", doing, port.ErrNotFound, err) //nolint:errorlint // its meaning is replaced
	case err != nil:
		return port.KeyRecord{}, err
	case k == nil:
		return port.KeyRecord{}, upstream.Incomplete(doing, "key")
	}
	date, err := dateOf(doing, reply)
	if err != nil {
		return port.KeyRecord{}, err
	}
	r, err := c.read(k, ids)
	if err != nil {
		return port.KeyRecord{}, fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, err)
	}
	return c.whole(r, k.EntityTag, date), nil
}

// Adopt appends our marker to the key's description. Since another identity made
// the key, the marker counts as long as we are the last to have written it.
func (c *Client) Adopt(ctx context.Context, rec port.KeyRecord, m marker.Marker) error {
	doing := "marking key " + rec.ID
	_, text, marked := marker.Parse(rec.Description)
	if marked && !rec.Ours && !rec.Forged {
		return fmt.Errorf("%s: %w: it belongs to another installation", doing, port.ErrRefused)
	}
	m.Claimed = rec.Date
	if rec.Version == "" || rec.Version == "*" {
		return fmt.Errorf("%s: %w: its version is unknown", doing, port.ErrRefused)
	}
	_, err := c.update(ctx, doing, rec, m.Describe(text), time.Time{})
	return err
}

// Disable stops a key from authenticating. It succeeds if the key does not
// exist.
func (c *Client) Disable(ctx context.Context, keyID string) error {
	doing := "disabling key " + keyID
	reply, err := upstream.Do(ctx, c.api, upstream.Request{Method: http.MethodPost, Path: keyPath(keyID, "disable")})
	return c.deleted(ctx, doing, reply, err, func() (bool, error) {
		rec, err := c.Get(ctx, keyID)
		return rec.Locked, err
	})
}

// Enable lets a disabled key authenticate again.
func (c *Client) Enable(ctx context.Context, keyID string) error {
	reply, err := upstream.Do(ctx, c.api, upstream.Request{Method: http.MethodDelete, Path: keyPath(keyID, "disable")})
	return fault(ctx, "enabling key "+keyID, reply, err)
}

// Update changes a key's expiry and marks, on condition that the key still has
// the version that was read. It never sends "*", which would overwrite another
// change.
func (c *Client) Update(ctx context.Context, rec port.KeyRecord, change port.KeyChange) (port.KeyRecord, error) {
	doing := "updating key " + rec.ID
	marker, text, ok := marker.Parse(rec.Description)
	switch {
	case !ok || marker.Owner != c.cfg.Owner || !rec.Ours:
		return port.KeyRecord{}, fmt.Errorf("%s: %w: it is not ours", doing, port.ErrRefused)
	case rec.Version == "" || rec.Version == "*":
		return port.KeyRecord{}, fmt.Errorf("%s: %w: its version is unknown", doing, port.ErrRefused)
	}
	if !change.Withdrawn.IsZero() {
		marker.Withdrawn = change.Withdrawn
	}
	if !change.Superseded.IsZero() {
		marker.Superseded = change.Superseded
	}
	if !change.Renew.IsZero() {
		marker.Renew, marker.RenewCause = change.Renew, change.RenewCause
	}
	if !change.Served.IsZero() {
		marker.Served = change.Served
	}
	if !change.Refused.IsZero() {
		marker.Refused, marker.Refusal = change.Refused, change.Refusal
	}
	if !change.Suspended.IsZero() {
		marker.Suspended = change.Suspended
	}
	if !change.Leaked.IsZero() {
		marker.Leaked = change.Leaked
	}
	return c.update(ctx, doing, rec, marker.Describe(text), change.Expires)
}

// update sends a description and an expiry, which is the old one if it is zero. It returns
// the key as it is then: with the marks that were sent, and with the version and the expiry
// of the answer. IAM may have shortened what was sent.
func (c *Client) update(ctx context.Context, doing string, rec port.KeyRecord, description string, expires time.Time) (port.KeyRecord, error) {
	// Whether an update keeps fields that it omits is not documented, so an
	// unchanged expiry is sent again. IAM would reject one in the past.
	if expires.IsZero() && rec.Expires.After(rec.Date) {
		expires = rec.Expires
	}
	change := keyChange{Name: rec.Name, Description: description}
	if !expires.IsZero() {
		change.ExpiresAt = roundUp(expires)
	}
	k, reply, err := upstream.Send[apiKey](ctx, c.api, upstream.Request{
		Method: http.MethodPut, Path: keyPath(rec.ID), Header: map[string]string{"If-Match": rec.Version}, Body: change,
	})
	if err != nil {
		err = fault(ctx, doing, reply, err)
		if rec.Locked && (errors.Is(err, port.ErrConflict) || errors.Is(err, port.ErrRefused)) {
			return port.KeyRecord{}, fmt.Errorf("%s: %w", doing, port.ErrLocked)
		}
		if reply == nil || reply.Status >= 300 {
			return port.KeyRecord{}, err
		}
	}
	if k == nil { // the update succeeded, and its answer can't be read
		k = &apiKey{}
	}
	rec.Version, rec.Date = "", time.Time{}
	if date, err := dateOf(doing, reply); err == nil && k.ID != "" {
		rec.Version, rec.Date = k.EntityTag, date
	}
	if now := cmp.Or(k.ExpiresAt, change.ExpiresAt); now != "" {
		if rec.Expires, err = parseStamp(now); err != nil {
			return port.KeyRecord{}, fmt.Errorf("%s: %w", doing, err)
		}
	}
	rec.Description = description
	m, _, _ := marker.Parse(rec.Description)
	rec.Key = marker.Mark(rec.Key, rec.Name, m)
	return rec, nil
}

// Retire deletes a key. It succeeds if the key does not exist.
func (c *Client) Retire(ctx context.Context, keyID string) error {
	doing := "deleting key " + keyID
	reply, err := upstream.Do(ctx, c.api, upstream.Request{Method: http.MethodDelete, Path: keyPath(keyID)})
	return c.deleted(ctx, doing, reply, err, func() (bool, error) {
		rec, err := c.Get(ctx, keyID)
		return rec.Locked, err
	})
}
