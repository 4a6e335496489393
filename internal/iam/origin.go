package iam

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// A description can be written by anyone who may create service IDs, which by
// default is every member of the account. IAM's own records can't. A key is ours
// if its created_by is one of our IAM IDs, a service ID if its history says so.
//
// IBM documents neither the actions of a history nor how long IAM keeps it. The
// forms here are lenient, and a missing record shows nothing.

// historyRecord is IAM's EnityHistoryRecord.
type historyRecord struct {
	Timestamp string `json:"timestamp"`
	IAMID     string `json:"iam_id"`
	Action    string `json:"action"`
}

// creator returns the identity that made a thing, by its history, or "".
func creator(history []historyRecord) string {
	for i := range history {
		if acted(history[i], "CREAT") {
			return history[i].IAMID
		}
	}
	return ""
}

// lastEditor returns the identity that last changed a thing's fields, or "".
func lastEditor(history []historyRecord) string {
	last, editor := "", ""
	for i := range history {
		at := history[i].Timestamp
		// The order of the records is not documented. Two of one minute, the later
		// of which is not ours, leave the editor unclear.
		switch by := history[i].IAMID; {
		case !acted(history[i], "UPDAT") || at < last:
		case at == last && by != editor:
			editor = ""
		default:
			last, editor = at, by
		}
	}
	return editor
}

// ended adds to a disabled key the identity that last disabled it, by its history, or "".
// One that IAM itself disabled leaked at that time.
func ended(k protocol.Key, history []historyRecord) protocol.Key {
	last := ""
	for i := range history {
		if at := history[i].Timestamp; k.Disabled && acted(history[i], "DISABL") && at >= last {
			last, k.DisabledBy = at, history[i].IAMID
		}
	}
	if !k.Found() {
		return k
	}
	if at, err := parseStamp(last); err == nil && !at.IsZero() {
		k.Leaked = at
	} else {
		k.Leaked = k.Created // it leaked, and when is not known
	}
	return k
}

// changes returns IAM's record of a thing. Entries whose time cannot be read are left
// out.
func changes(history []historyRecord) (all []port.Change) {
	for _, r := range history {
		if at, err := parseStamp(r.Timestamp); err == nil && !at.IsZero() {
			all = append(all, port.Change{At: at, Action: r.Action, By: r.IAMID})
		}
	}
	return all
}

func acted(r historyRecord, action string) bool {
	return strings.HasPrefix(strings.ToUpper(r.Action), action)
}

// claimed reports whether we wrote the mark of a claim, and nobody changed the
// description since.
func claimed(m marker.Marker, history []historyRecord, own []string) bool {
	return !m.Claimed.IsZero() && slices.Contains(own, lastEditor(history))
}

// Creators returns who made the keys of an identity, by key ID.
func (c *Client) Creators(ctx context.Context, iamID string) (map[string]string, error) {
	creators := map[string]string{}
	_, err := c.eachKeyOf(ctx, iamID, func(r record) { creators[r.ID] = r.creator })
	return creators, err
}

// ClaimServiceID makes a service ID with our marker ours, although IAM does not
// show that we made it. It fails if IAM's history does not show the claim.
func (c *Client) ClaimServiceID(ctx context.Context, id port.ServiceID) error {
	m := id.Marker
	m.Claimed = c.cfg.Now().UTC()
	if err := c.describe(ctx, id, m); err != nil {
		return err
	}
	now, err := c.Lookup(ctx, id.IAMID)
	if err == nil && !now.Ours {
		err = fmt.Errorf("claiming service ID %s: %w: IAM's history does not show it", id.ID, port.ErrRefused)
	}
	return err
}

// ClaimKey does the same for a key.
func (c *Client) ClaimKey(ctx context.Context, rec port.KeyRecord) error {
	doing := "claiming key " + rec.ID
	m, text, marked := marker.Parse(rec.Description)
	if !marked || !rec.Forged || rec.Version == "" || rec.Version == "*" {
		return fmt.Errorf("%s: %w: it does not have our marker, or its version is unknown", doing, port.ErrRefused)
	}
	m.Claimed = c.cfg.Now().UTC()
	if _, err := c.update(ctx, doing, rec, m.Describe(text), time.Time{}); err != nil {
		return err
	}
	now, err := c.Get(ctx, rec.ID)
	if err == nil && !now.Ours {
		err = fmt.Errorf("%s: %w: IAM's history does not show it", doing, port.ErrRefused)
	}
	return err
}
