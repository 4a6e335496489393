package iam

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

// iamPrefix is what IAM puts before a service ID's ID where it is a subject.
const iamPrefix = "iam-"

// Find returns every service ID of exactly this name.
func (c *Client) Find(ctx context.Context, name string) ([]reconcile.ServiceID, time.Time, error) {
	found, date, err := c.list(ctx, fmt.Sprintf("finding service ID %q", name), &name)
	kept := found[:0]
	for _, id := range found {
		if id.Name == name { // the service's own comparison is not documented
			kept = append(kept, id)
		}
	}
	return kept, date, err
}

// Ours returns the account's service IDs that carry our owner's marker.
func (c *Client) Ours(ctx context.Context) ([]reconcile.ServiceID, error) {
	found, _, err := c.list(ctx, "listing our service IDs", nil)
	kept := found[:0]
	for _, id := range found {
		if id.Marked && id.Marker.Owner == c.cfg.Owner {
			kept = append(kept, id)
		}
	}
	return kept, err
}

func (c *Client) list(ctx context.Context, doing string, name *string) (found []reconcile.ServiceID, date time.Time, err error) {
	account, err := c.Account(ctx)
	if err != nil {
		return nil, date, fmt.Errorf("%s: %w", doing, err)
	}
	opts := &iamidentityv1.ListServiceIdsOptions{AccountID: &account, Name: name, Pagesize: core.Int64Ptr(100)}
	for range maxPages {
		page, resp, err := c.identity.ListServiceIdsWithContext(ctx, opts)
		if err != nil {
			return nil, date, sortError(doing, resp, err)
		}
		if date, err = dateOf(doing, resp); err != nil {
			return nil, date, err
		}
		for i := range page.Serviceids {
			found = append(found, serviceID(&page.Serviceids[i]))
		}
		token, err := nextPage(page.Next)
		if err != nil || token == "" {
			return found, date, err
		}
		opts.Pagetoken = &token
	}
	return nil, date, fmt.Errorf("%s: %w: the list does not end", doing, reconcile.ErrUnavailable)
}

func serviceID(s *iamidentityv1.ServiceID) reconcile.ServiceID {
	id := reconcile.ServiceID{
		ID: str(s.ID), IAMID: str(s.IamID), Name: str(s.Name), Locked: yes(s.Locked), Created: fromStamp(s.CreatedAt),
	}
	id.Marker, _, id.Marked = reconcile.ParseMarker(str(s.Description))
	return id
}

// Lookup reads one service ID by its IAM ID.
func (c *Client) Lookup(ctx context.Context, iamID string) (reconcile.ServiceID, error) {
	id := strings.TrimPrefix(iamID, iamPrefix)
	s, resp, err := c.identity.GetServiceIDWithContext(ctx, &iamidentityv1.GetServiceIDOptions{ID: &id})
	if err != nil {
		return reconcile.ServiceID{}, sortError("reading service ID "+id, resp, err)
	}
	return serviceID(s), nil
}

// Create makes a service ID. It is sent once: names are not unique, so a
// repeat would make two.
func (c *Client) Create(ctx context.Context, name, description string) (reconcile.ServiceID, error) {
	doing := fmt.Sprintf("creating service ID %q", name)
	account, err := c.Account(ctx)
	if err != nil {
		return reconcile.ServiceID{}, fmt.Errorf("%s: %w", doing, err)
	}
	s, resp, err := c.identity.CreateServiceIDWithContext(ctx, &iamidentityv1.CreateServiceIDOptions{
		AccountID: &account, Name: &name, Description: &description,
	})
	if err != nil {
		return reconcile.ServiceID{}, sortError(doing, resp, err)
	}
	id := serviceID(s)
	if id.ID == "" || id.IAMID == "" {
		return id, fmt.Errorf("%s: %w: the answer has no ID", doing, reconcile.ErrUnavailable)
	}
	return id, nil
}

// Remove deletes a service ID with its keys and policies. One that is gone
// already is a success.
func (c *Client) Remove(ctx context.Context, id string) error {
	resp, err := c.identity.DeleteServiceIDWithContext(ctx, &iamidentityv1.DeleteServiceIDOptions{ID: &id})
	err = sortError("deleting service ID "+id, resp, err)
	if errors.Is(err, reconcile.ErrNotFound) {
		return nil
	}
	return err
}
