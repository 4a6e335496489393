package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

var _ port.Profiles = (*Client)(nil)

// FindProfile returns the trusted profile with this name, with its links and its last
// use. A profile without a record of its creation is not ours.
func (c *Client) FindProfile(ctx context.Context, name string) (port.Profile, error) {
	doing := fmt.Sprintf("finding trusted profile %q", name)
	var found port.Profile
	err := c.eachProfile(ctx, doing, &name, func(p port.Profile) {
		if p.Name == name { // how IAM compares names is not documented
			found = p
		}
	})
	switch {
	case err != nil:
		return port.Profile{}, err
	case found.ID == "":
		return port.Profile{}, fmt.Errorf("%s: %w", doing, port.ErrNotFound)
	case !found.Ours:
		return found, nil // nothing else of it is needed
	}
	return found, c.readProfile(ctx, &found)
}

// MarkedProfiles returns the trusted profiles that are ours, without their links and their
// last use.
func (c *Client) MarkedProfiles(ctx context.Context) (ours []port.Profile, err error) {
	err = c.eachProfile(ctx, "listing our trusted profiles", nil, func(p port.Profile) {
		if p.Ours {
			ours = append(ours, p)
		}
	})
	return ours, err
}

// eachProfile visits the trusted profiles of the account, or those with a name.
func (c *Client) eachProfile(ctx context.Context, doing string, name *string, visit func(port.Profile)) error {
	account, err := c.Account(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	own, err := c.ownIDs(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	opts := &iamidentityv1.ListProfilesOptions{AccountID: &account, Name: name, Pagesize: core.Int64Ptr(100), IncludeHistory: core.BoolPtr(true)}
	return eachPage(doing, atMost(mostPages), func(token *string) (string, error) {
		opts.Pagetoken = token
		page, resp, err := c.identity.ListProfilesWithContext(ctx, opts)
		if err != nil {
			return "", profileFault(ctx, doing, resp, err)
		}
		if page == nil {
			return "", upstream.Incomplete(doing, "list")
		}
		for i := range page.Profiles {
			one := &page.Profiles[i]
			p := c.profile(one)
			p.Ours = p.Ours && slices.Contains(own, creator(one.History))
			visit(p)
		}
		return pageToken(doing, page.Next)
	})
}

// readProfile reads the last use and the links of a profile.
func (c *Client) readProfile(ctx context.Context, p *port.Profile) error {
	doing := "reading trusted profile " + p.ID
	got, resp, err := c.identity.GetProfileWithContext(ctx, &iamidentityv1.GetProfileOptions{ProfileID: &p.ID, IncludeActivity: core.BoolPtr(true)})
	if err != nil {
		return profileFault(ctx, doing, resp, err)
	}
	if got == nil || got.Activity == nil {
		return upstream.Incomplete(doing, "activity")
	}
	if p.Assumed, err = parseStamp(str(got.Activity.LastAuthn)); err != nil {
		return upstream.Incomplete(doing, "time of the last use")
	}
	links, resp, err := c.identity.ListLinksWithContext(ctx, &iamidentityv1.ListLinksOptions{ProfileID: &p.ID})
	if err != nil {
		return profileFault(ctx, "listing the links of trusted profile "+p.ID, resp, err)
	}
	if links == nil {
		return upstream.Incomplete(doing, "links")
	}
	for _, l := range links.Links {
		if l.Link != nil {
			p.Links = append(p.Links, keyless.Link{
				Type: str(l.CrType), CRN: str(l.Link.CRN), Namespace: str(l.Link.Namespace), Name: str(l.Link.Name),
				ComponentType: str(l.Link.ComponentType), ComponentName: str(l.Link.ComponentName),
			})
		}
	}
	return nil
}

// profile returns a profile, without its links. Ours says that it has our owner's marker.
func (c *Client) profile(got *iamidentityv1.TrustedProfile) port.Profile {
	p := port.Profile{ID: str(got.ID), IAMID: str(got.IamID), Name: str(got.Name)}
	p.Marker, _, p.Ours = marker.Parse(str(got.Description))
	p.Ours = p.Ours && p.Marker.Owner == c.cfg.Owner
	return p
}

// CreateProfile creates a trusted profile. It sends one request: a repeat would find the
// name taken.
func (c *Client) CreateProfile(ctx context.Context, name, description string) (port.Profile, error) {
	doing := fmt.Sprintf("creating trusted profile %q", name)
	account, err := c.Account(ctx)
	if err != nil {
		return port.Profile{}, fmt.Errorf("%s: %w", doing, err)
	}
	made, resp, err := c.identity.CreateProfileWithContext(ctx, &iamidentityv1.CreateProfileOptions{Name: &name, AccountID: &account, Description: &description})
	if err != nil {
		return port.Profile{}, profileFault(ctx, doing, resp, err)
	}
	if made == nil || str(made.ID) == "" || str(made.IamID) == "" {
		return port.Profile{}, upstream.Incomplete(doing, "ID")
	}
	p := c.profile(made)
	p.Ours = true
	return p, nil
}

// LinkProfile lets a compute resource assume a profile.
func (c *Client) LinkProfile(ctx context.Context, id string, l keyless.Link) error {
	doing := fmt.Sprintf("linking trusted profile %s to %s", id, l.CRN)
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	_, resp, err := c.identity.CreateLinkWithContext(ctx, &iamidentityv1.CreateLinkOptions{
		ProfileID: &id, CrType: &l.Type, Link: &iamidentityv1.CreateProfileLinkRequestLink{
			CRN: &l.CRN, Namespace: optional(l.Namespace), Name: optional(l.Name),
			ComponentType: optional(l.ComponentType), ComponentName: optional(l.ComponentName),
		},
	})
	if err = profileFault(ctx, doing, resp, err); errors.Is(err, port.ErrConflict) {
		return nil // the profile has the link
	}
	return err
}

// RemoveProfile deletes a trusted profile with its links and policies.
func (c *Client) RemoveProfile(ctx context.Context, id string) error {
	doing := "deleting trusted profile " + id
	resp, err := c.identity.DeleteProfileWithContext(ctx, &iamidentityv1.DeleteProfileOptions{ProfileID: &id})
	if err = profileFault(ctx, doing, resp, err); errors.Is(err, port.ErrNotFound) {
		return nil
	}
	return err
}
