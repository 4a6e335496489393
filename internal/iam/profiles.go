package iam

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

var _ port.Profiles = (*Client)(nil)

// trustedProfile is IAM's TrustedProfile.
type trustedProfile struct {
	ID          string          `json:"id"`
	IAMID       string          `json:"iam_id"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	History     []historyRecord `json:"history"`
	Activity    *activity       `json:"activity"`
}

// profilePage is IAM's TrustedProfilesList.
type profilePage struct {
	Next     string           `json:"next"`
	Profiles []trustedProfile `json:"profiles"`
}

// profileForm is the body of IAM's create_profile.
type profileForm struct {
	Name        string `json:"name"`
	AccountID   string `json:"account_id"`
	Description string `json:"description"`
}

// profileLink is IAM's ProfileLink, and the body of its create_link.
type profileLink struct {
	Type string        `json:"cr_type"`
	To   *linkResource `json:"link"`
}

type linkResource struct {
	CRN           string `json:"crn"`
	Namespace     string `json:"namespace,omitempty"`
	Name          string `json:"name,omitempty"`
	ComponentType string `json:"component_type,omitempty"`
	ComponentName string `json:"component_name,omitempty"`
}

// profileLinks is IAM's ProfileLinkList.
type profileLinks struct {
	Links []profileLink `json:"links"`
}

func profilePath(id ...string) []string { return upstream.Path("/v1/profiles", id...) }

// FindProfile returns the trusted profile with this name, with its links and its last
// use. A profile without a record of its creation is not ours.
func (c *Client) FindProfile(ctx context.Context, name string) (port.Profile, error) {
	doing := fmt.Sprintf("finding trusted profile %q", name)
	var found port.Profile
	err := c.eachProfile(ctx, doing, url.Values{"name": {name}}, func(p port.Profile) {
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
	err = c.eachProfile(ctx, "listing our trusted profiles", url.Values{}, func(p port.Profile) {
		if p.Ours {
			ours = append(ours, p)
		}
	})
	return ours, err
}

// eachProfile visits the trusted profiles of the account that a query selects.
func (c *Client) eachProfile(ctx context.Context, doing string, query url.Values, visit func(port.Profile)) error {
	account, err := c.Account(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	own, err := c.ownIDs(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	query.Set("account_id", account)
	query.Set("pagesize", "100")
	query.Set("include_history", "true")
	return eachPage(doing, atMost(mostPages), func(token *string) (string, error) {
		if token != nil {
			query.Set("pagetoken", *token)
		}
		page, reply, err := getFrom[profilePage](ctx, c.api, profilePath(), query)
		if err != nil {
			return "", profileFault(ctx, doing, reply, err)
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
	got, reply, err := getFrom[trustedProfile](ctx, c.api, profilePath(p.ID), withActivity)
	if err != nil {
		return profileFault(ctx, doing, reply, err)
	}
	if got == nil || got.Activity == nil {
		return upstream.Incomplete(doing, "activity")
	}
	if p.Assumed, err = parseStamp(got.Activity.LastAuthn); err != nil {
		return upstream.Incomplete(doing, "time of the last use")
	}
	links, reply, err := getFrom[profileLinks](ctx, c.api, profilePath(p.ID, "links"), nil)
	if err != nil {
		return profileFault(ctx, "listing the links of trusted profile "+p.ID, reply, err)
	}
	if links == nil {
		return upstream.Incomplete(doing, "links")
	}
	for _, l := range links.Links {
		if to := l.To; to != nil {
			p.Links = append(p.Links, keyless.Link{
				Type: l.Type, CRN: to.CRN, Namespace: to.Namespace, Name: to.Name, ComponentType: to.ComponentType, ComponentName: to.ComponentName,
			})
		}
	}
	return nil
}

// profile returns a profile, without its links. Ours says that it has our owner's marker.
func (c *Client) profile(got *trustedProfile) port.Profile {
	p := port.Profile{ID: got.ID, IAMID: got.IAMID, Name: got.Name}
	p.Marker, _, p.Ours = marker.Parse(got.Description)
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
	made, reply, err := upstream.Send[trustedProfile](ctx, c.api, upstream.Request{
		Method: http.MethodPost, Path: profilePath(), Body: profileForm{Name: name, AccountID: account, Description: description},
	})
	if err != nil {
		return port.Profile{}, profileFault(ctx, doing, reply, err)
	}
	if made == nil || made.ID == "" || made.IAMID == "" {
		return port.Profile{}, upstream.Incomplete(doing, "ID")
	}
	p := c.profile(made)
	p.Ours = true
	return p, nil
}

// LinkProfile lets a compute resource assume a profile.
func (c *Client) LinkProfile(ctx context.Context, id string, l keyless.Link) error {
	doing := fmt.Sprintf("linking trusted profile %s to %s", id, l.CRN)
	reply, err := upstream.Do(ctx, c.api, upstream.Request{
		Method: http.MethodPost, Path: profilePath(id, "links"), Body: profileLink{Type: l.Type, To: &linkResource{
			CRN: l.CRN, Namespace: l.Namespace, Name: l.Name, ComponentType: l.ComponentType, ComponentName: l.ComponentName,
		}},
	})
	if err = profileFault(ctx, doing, reply, err); errors.Is(err, port.ErrConflict) {
		return nil // the profile has the link
	}
	return err
}

// RemoveProfile deletes a trusted profile with its links and policies.
func (c *Client) RemoveProfile(ctx context.Context, id string) error {
	doing := "deleting trusted profile " + id
	reply, err := upstream.Do(ctx, c.api, upstream.Request{Method: http.MethodDelete, Path: profilePath(id)})
	if err = profileFault(ctx, doing, reply, err); errors.Is(err, port.ErrNotFound) {
		return nil
	}
	return err
}
