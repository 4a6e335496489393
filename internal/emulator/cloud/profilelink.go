package cloud

import (
	"slices"
	"strings"
	"time"
)

// LinkedResource names a compute resource. Namespace and Name are those of a
// service account in a cluster, and the component those of Code Engine.
type LinkedResource struct {
	CRN           string `json:"crn"`
	Namespace     string `json:"namespace,omitempty"`
	Name          string `json:"name,omitempty"`
	ComponentType string `json:"component_type,omitempty"`
	ComponentName string `json:"component_name,omitempty"`
}

// ProfileLinkSpec is the part of a link that a caller sets.
type ProfileLinkSpec struct {
	Name         string         `json:"name,omitempty"`
	CRType       string         `json:"cr_type"`
	CrossAccount bool           `json:"is_cross_account,omitempty"`
	Link         LinkedResource `json:"link"`
}

// ProfileLink lets one compute resource assume a profile.
type ProfileLink struct {
	ProfileLinkSpec
	ID         string    `json:"id"`
	EntityTag  string    `json:"entity_tag"`
	CreatedAt  time.Time `json:"created_at"`
	ModifiedAt time.Time `json:"modified_at"`
}

// check rejects what the SDK's model does not allow.
func (s ProfileLinkSpec) check() error {
	inCluster := s.CRType == "IKS_SA" || s.CRType == "ROKS_SA"
	part := strings.Split(s.Link.CRN, ":")
	if err := checkComputeResource("cr_type", s.CRType); err != nil {
		return err
	}
	switch {
	case len(part) != 10 || part[0] != "crn":
		return identityInvalid("link.crn must be a CRN")
	case inCluster && (s.Link.Namespace == "" || s.Link.Name == ""):
		return identityInvalid("link.namespace and link.name are required for " + s.CRType)
	case s.CRType == "CE" && (s.Link.ComponentType == "") != (s.Link.ComponentName == ""):
		return identityInvalid("link.component_type and link.component_name go together")
	case !s.CrossAccount && part[6] != "a/"+AccountID:
		return identityInvalid("link.crn must be in the account of the profile unless is_cross_account is set")
	}
	return nil
}

func (p *profile) link(id string) (ProfileLink, error) {
	i := slices.IndexFunc(p.links, func(l ProfileLink) bool { return l.ID == id })
	if i < 0 {
		return ProfileLink{}, identityNotFound("Link", id)
	}
	return p.links[i], nil
}

// CreateLink links a profile to a compute resource.
func (c *Cloud) CreateLink(a Actor, profileID string, s ProfileLinkSpec) (ProfileLink, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "update", s.check())
	if err != nil {
		return ProfileLink{}, err
	}
	if slices.ContainsFunc(p.links, func(l ProfileLink) bool { return l.CRType == s.CRType && l.Link == s.Link }) {
		return ProfileLink{}, identityError(409, "conflict", "", "The trusted profile is linked to this compute resource already", "")
	}
	now := c.now()
	l := ProfileLink{ProfileLinkSpec: s, ID: "Link-" + c.uuid(), EntityTag: c.nextTag(""), CreatedAt: now, ModifiedAt: now}
	p.links = append(p.links, l)
	return l, nil
}

// ListLinks returns the links of a profile, oldest first.
func (c *Cloud) ListLinks(a Actor, profileID string) ([]ProfileLink, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "get")
	if err != nil {
		return nil, err
	}
	return slices.Clone(p.links), nil
}

// GetLink returns a link of a profile.
func (c *Cloud) GetLink(a Actor, profileID, id string) (ProfileLink, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "get")
	if err != nil {
		return ProfileLink{}, err
	}
	return p.link(id)
}

// DeleteLink deletes a link of a profile.
func (c *Cloud) DeleteLink(a Actor, profileID, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "update")
	if err != nil {
		return err
	}
	if _, err := p.link(id); err != nil {
		return err
	}
	p.links = slices.DeleteFunc(p.links, func(l ProfileLink) bool { return l.ID == id })
	return nil
}

// DeleteLinkTo deletes the link of a profile to a compute resource.
func (c *Cloud) DeleteLinkTo(a Actor, profileID, kind string, to LinkedResource) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "update", checkComputeResource("type", kind))
	if err != nil {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(p.links), func(l ProfileLink) bool { return l.CRType == kind && l.Link == to })
	if len(rest) == len(p.links) {
		return identityNotFound("Link", to.CRN)
	}
	p.links = rest
	return nil
}
