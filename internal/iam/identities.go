package iam

import (
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
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// iamPrefix comes before a service ID's ID in its IAM ID.
const iamPrefix = "iam-"

// serviceID is IAM's ServiceId.
type serviceID struct {
	ID          string          `json:"id"`
	IAMID       string          `json:"iam_id"`
	EntityTag   string          `json:"entity_tag"`
	Locked      bool            `json:"locked"`
	CreatedAt   upstream.Time   `json:"created_at"`
	GroupID     string          `json:"group_id"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	History     []historyRecord `json:"history"`
}

// serviceIDPage is IAM's ServiceIdList.
type serviceIDPage struct {
	Next       string      `json:"next"`
	ServiceIDs []serviceID `json:"serviceids"`
}

// serviceIDForm is the body of IAM's create_service_id and update_service_id, which has no account.
type serviceIDForm struct {
	AccountID   string `json:"account_id,omitempty"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

func serviceIDPath(id ...string) []string { return upstream.Path("/v1/serviceids", id...) }

// Find returns the service IDs with exactly this name, and the time of IAM's
// clock.
func (c *Client) Find(ctx context.Context, name string) ([]port.ServiceID, time.Time, error) {
	var found []port.ServiceID
	query := url.Values{"name": {name}}
	date, err := c.eachServiceID(ctx, fmt.Sprintf("finding service ID %q", name), query, atMost(mostNamed), func(id port.ServiceID, _ string) {
		if id.Name == name { // how IAM compares names is not documented
			found = append(found, id)
		}
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return found, date, nil
}

// MarkedServiceIDs returns the account's service IDs with our owner's marker. Those that
// are not Ours are foreign. A service ID without a record of its creation is ours
// if it has a key that we made for its credential.
func (c *Client) MarkedServiceIDs(ctx context.Context) ([]port.ServiceID, error) {
	var found []port.ServiceID
	_, err := c.eachServiceID(ctx, "listing our service IDs", url.Values{}, atMost(mostPages), func(id port.ServiceID, _ string) {
		if id.Marked && id.Marker.Owner == c.cfg.Owner {
			found = append(found, id)
		}
	})
	if err != nil {
		return nil, err
	}
	for i, id := range found {
		if id.Ours || id.Creator != "" {
			continue
		}
		list, err := c.List(ctx, id.IAMID, id.Marker.Credential)
		if err != nil && !errors.Is(err, port.ErrNotFound) {
			return nil, err
		}
		found[i].Ours = len(list.Keys) > 0
	}
	return found, nil
}

// eachServiceID visits the service IDs that a query selects, with their descriptions, page by
// page. It returns the time of IAM's clock at the last page.
func (c *Client) eachServiceID(
	ctx context.Context, doing string, query url.Values, pages *budget, visit func(id port.ServiceID, description string),
) (date time.Time, err error) {
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
	query.Set("show_group_id", "true")
	err = eachPage(doing, pages, func(token *string) (string, error) {
		if token != nil {
			query.Set("pagetoken", *token)
		}
		page, reply, err := upstream.Send[serviceIDPage](ctx, c.api, upstream.Request{
			Method: http.MethodGet, Path: serviceIDPath(), Slash: true, Query: query,
		})
		if err != nil {
			return "", fault(ctx, doing, reply, err)
		}
		if date, err = dateOf(doing, reply); err != nil {
			return "", err
		}
		if page == nil {
			return "", upstream.Incomplete(doing, "list")
		}
		for i := range page.ServiceIDs {
			s := &page.ServiceIDs[i]
			id := c.serviceID(s, own)
			if query.Has("name") || s.GroupID != "" { // of a whole account, only the exceptions are kept
				c.idGroups.store(id.IAMID, s.GroupID)
			}
			visit(id, s.Description)
		}
		return pageToken(doing, page.Next)
	})
	return date, err
}

func (c *Client) serviceID(s *serviceID, own []string) port.ServiceID {
	id := port.ServiceID{ID: s.ID, IAMID: s.IAMID, Name: s.Name, Locked: s.Locked, Created: s.CreatedAt.Time, Version: s.EntityTag}
	id.Marker, id.Text, id.Marked = marker.Parse(s.Description)
	id.Creator = creator(s.History)
	id.Ours = id.Marked && id.Marker.Owner == c.cfg.Owner && (slices.Contains(own, id.Creator) || claimed(id.Marker, s.History, own))
	id.Newer = slices.Contains(own, id.Creator) && marker.Newer(s.Description, c.cfg.Owner)
	return id
}

// groupOf returns the group of a service ID; empty is the default group. A list
// of keys without the group is empty for a service ID in another group.
func (c *Client) groupOf(ctx context.Context, iamID string) (string, error) {
	if ended, ok := c.lookups.Load(iamID); ok {
		select {
		case <-ended.(chan struct{}): //nolint:forcetypeassert // the map has such channels only
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if group, ok := c.knownGroup(iamID); ok {
		return group, nil
	}
	_, err := c.Lookup(ctx, iamID)
	if err != nil && !errors.Is(err, port.ErrNotFound) {
		return "", err
	}
	group, _ := c.knownGroup(iamID)
	return group, nil
}

// knownGroup returns the group of a service ID that an answer has shown.
func (c *Client) knownGroup(iamID string) (group string, ok bool) {
	return c.idGroups.load(iamID)
}

// Lookup returns the service ID with this IAM ID.
func (c *Client) Lookup(ctx context.Context, iamID string) (port.ServiceID, error) {
	ended := make(chan struct{})
	c.lookups.Store(iamID, ended)
	defer close(ended)
	defer c.lookups.CompareAndDelete(iamID, ended)
	return c.readServiceID(ctx, strings.TrimPrefix(iamID, iamPrefix))
}

func (c *Client) readServiceID(ctx context.Context, id string) (port.ServiceID, error) {
	doing := "reading service ID " + id
	own, err := c.ownIDs(ctx)
	if err != nil {
		return port.ServiceID{}, fmt.Errorf("%s: %w", doing, err)
	}
	s, reply, err := getFrom[serviceID](ctx, c.api, serviceIDPath(id), url.Values{"include_history": {"true"}, "show_group_id": {"true"}})
	if err != nil {
		return port.ServiceID{}, fault(ctx, doing, reply, err)
	}
	if s == nil || s.ID == "" || s.IAMID == "" {
		return port.ServiceID{}, upstream.Incomplete(doing, "ID")
	}
	found := c.serviceID(s, own)
	c.idGroups.store(found.IAMID, s.GroupID)
	found.Version = versionOf(s.EntityTag, reply)
	return found, nil
}

// Mark writes our marker, on condition that the service ID still has the version
// that was read. It never sends "*", which would overwrite another change.
func (c *Client) Mark(ctx context.Context, id port.ServiceID, m marker.Marker) error {
	if !id.Marked || id.Marker.Owner != c.cfg.Owner {
		return fmt.Errorf("marking service ID %s: %w: it does not have our marker", id.ID, port.ErrRefused)
	}
	return c.describe(ctx, id, m)
}

func (c *Client) describe(ctx context.Context, id port.ServiceID, m marker.Marker) error {
	doing := "marking service ID " + id.ID
	if id.Version == "" || id.Version == "*" {
		return fmt.Errorf("%s: %w: its version is unknown", doing, port.ErrRefused)
	}
	reply, err := upstream.Do(ctx, c.api, upstream.Request{
		Method: http.MethodPut, Path: serviceIDPath(id.ID), Header: map[string]string{"If-Match": id.Version},
		Body: serviceIDForm{Name: id.Name, Description: m.Describe(id.Text)},
	})
	err = fault(ctx, doing, reply, err)
	if id.Locked && (errors.Is(err, port.ErrConflict) || errors.Is(err, port.ErrRefused)) {
		return fmt.Errorf("%s: %w", doing, port.ErrLocked)
	}
	return err
}

// Create creates a service ID. It sends one request: names are not unique, so a
// retry might create a second one.
func (c *Client) Create(ctx context.Context, name, description string) (port.ServiceID, error) {
	doing := fmt.Sprintf("creating service ID %q", name)
	account, err := c.Account(ctx)
	if err != nil {
		return port.ServiceID{}, fmt.Errorf("%s: %w", doing, err)
	}
	s, reply, err := upstream.Send[serviceID](ctx, c.api, upstream.Request{
		Method: http.MethodPost, Path: serviceIDPath(), Slash: true, Query: url.Values{"show_group_id": {"true"}},
		Body: serviceIDForm{AccountID: account, Name: name, Description: description},
	})
	if err != nil {
		return port.ServiceID{}, fault(ctx, doing, reply, err)
	}
	if s == nil || s.ID == "" || s.IAMID == "" {
		return port.ServiceID{}, upstream.Incomplete(doing, "ID")
	}
	made := c.serviceID(s, nil)
	c.idGroups.store(made.IAMID, s.GroupID)
	if made.Creator, err = c.Self(ctx); err != nil {
		return port.ServiceID{}, fmt.Errorf("%s: %w", doing, err)
	}
	made.Ours = true
	return made, nil
}

// Remove deletes a service ID with its keys and policies. It succeeds if the
// service ID does not exist.
func (c *Client) Remove(ctx context.Context, id string) error {
	doing := "deleting service ID " + id
	reply, err := upstream.Do(ctx, c.api, upstream.Request{Method: http.MethodDelete, Path: serviceIDPath(id)})
	return c.deleted(ctx, doing, reply, err, func() (bool, error) {
		s, err := c.readServiceID(ctx, id)
		return s.Locked, err
	})
}

// deleted explains a failed delete. IAM gives the same conflict for a locked
// object and for one whose deletion may be retried, so deleted reads the
// object's lock to tell them apart.
func (c *Client) deleted(ctx context.Context, doing string, reply *upstream.Reply, err error, locked func() (bool, error)) error {
	switch err = fault(ctx, doing, reply, err); {
	case err == nil, errors.Is(err, port.ErrNotFound):
		return nil
	case !errors.Is(err, port.ErrConflict) && !errors.Is(err, port.ErrRefused):
		return err
	}
	switch is, rerr := locked(); {
	case errors.Is(rerr, port.ErrNotFound):
		return nil
	case rerr == nil && is:
		return fmt.Errorf("%s: %w", doing, port.ErrLocked)
	case errors.Is(err, port.ErrRefused):
		return err
	}
	said := reply.Answer()
	said.Meaning = port.ErrUnavailable // the object has no version that could have changed
	return upstream.IAM.Fault(ctx, doing, "", said)
}
