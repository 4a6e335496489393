package cloud

import (
	"fmt"
	"slices"
	"strings"
)

// NewProfileIdentity is the request to let an identity assume a profile.
type NewProfileIdentity struct {
	Identifier  string   `json:"identifier"` // IAM ID of a user, ID of a service ID, or CRN
	Type        string   `json:"type"`
	Accounts    []string `json:"accounts,omitempty"` // from which a user may assume the profile
	Description string   `json:"description,omitempty"`
}

// ProfileIdentity is an identity that may assume a profile. It is stored and
// returned but has no effect.
type ProfileIdentity struct {
	NewProfileIdentity
	IAMID string `json:"iam_id"`
}

// ProfileIdentities are all identities that may assume a profile.
type ProfileIdentities struct {
	EntityTag  string            `json:"entity_tag"`
	Identities []ProfileIdentity `json:"identities"`
}

func (l ProfileIdentities) copy() ProfileIdentities {
	l.Identities = slices.Concat([]ProfileIdentity{}, l.Identities)
	return l
}

func (l ProfileIdentities) index(kind, identifier string) int {
	return slices.IndexFunc(l.Identities, func(x ProfileIdentity) bool { return x.Type == kind && x.Identifier == identifier })
}

// check rejects what the SDK's model does not allow.
func (n NewProfileIdentity) check() error {
	switch {
	case n.Identifier == "":
		return identityInvalid("identifier is required")
	case n.Type != "user" && n.Type != "serviceid" && n.Type != "crn":
		return identityInvalid("type must be user, serviceid or crn")
	case n.Type != "user" && len(n.Accounts) > 0:
		return identityInvalid("accounts is for the type user only")
	case n.Type == "crn" && !strings.HasPrefix(n.Identifier, "crn:"):
		return identityInvalid("identifier must be a CRN")
	}
	return nil
}

// isOf rejects an identity of another type than that of the path.
func (n NewProfileIdentity) isOf(kind string) error {
	if n.Type != kind {
		return identityInvalid("type must be that of the path")
	}
	return nil
}

func (n NewProfileIdentity) identity() ProfileIdentity {
	prefix := map[string]string{"user": "", "serviceid": "iam-", "crn": "crn-"}[n.Type]
	return ProfileIdentity{NewProfileIdentity: n, IAMID: prefix + strings.TrimPrefix(n.Identifier, prefix)}
}

// identitiesOf checks the identities of a request.
func identitiesOf(list []NewProfileIdentity) (ProfileIdentities, error) {
	var out ProfileIdentities
	for _, n := range list {
		if err := n.check(); err != nil {
			return out, err
		}
		if out.index(n.Type, n.Identifier) >= 0 {
			return out, identityInvalid(fmt.Sprintf("identities names %s twice", n.Identifier))
		}
		out.Identities = append(out.Identities, n.identity())
	}
	return out, nil
}

// ProfileIdentities returns the identities that may assume a profile.
func (c *Cloud) ProfileIdentities(a Actor, profileID string) (ProfileIdentities, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "get")
	if err != nil {
		return ProfileIdentities{}, err
	}
	return p.identities.copy(), nil
}

// SetProfileIdentities replaces the identities that may assume a profile, if
// ifMatch is their entity tag or "*".
func (c *Cloud) SetProfileIdentities(a Actor, profileID, ifMatch string, list []NewProfileIdentity) (ProfileIdentities, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next, invalid := identitiesOf(list)
	p, err := c.findProfile(a, profileID, "update", invalid)
	if err != nil {
		return ProfileIdentities{}, err
	}
	if err := c.identityIfMatch(ifMatch, p.identities.EntityTag); err != nil {
		return ProfileIdentities{}, err
	}
	next.EntityTag = c.nextTag(p.identities.EntityTag)
	p.identities = next
	return next.copy(), nil
}

// SetProfileIdentity adds an identity that may assume a profile, or changes it.
// Kind is the type in the path.
func (c *Cloud) SetProfileIdentity(a Actor, profileID, kind string, n NewProfileIdentity) (ProfileIdentity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "update", n.check(), n.isOf(kind))
	if err != nil {
		return ProfileIdentity{}, err
	}
	if i := p.identities.index(kind, n.Identifier); i >= 0 {
		p.identities.Identities[i] = n.identity()
	} else {
		p.identities.Identities = append(p.identities.Identities, n.identity())
	}
	p.identities.EntityTag = c.nextTag(p.identities.EntityTag)
	return n.identity(), nil
}

// ProfileIdentity returns one identity that may assume a profile.
func (c *Cloud) ProfileIdentity(a Actor, profileID, kind, identifier string) (ProfileIdentity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "get")
	if err != nil {
		return ProfileIdentity{}, err
	}
	i := p.identities.index(kind, identifier)
	if i < 0 {
		return ProfileIdentity{}, identityNotFound("ProfileIdentity", identifier)
	}
	return p.identities.Identities[i], nil
}

// DeleteProfileIdentity removes an identity that may assume a profile.
func (c *Cloud) DeleteProfileIdentity(a Actor, profileID, kind, identifier string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProfile(a, profileID, "update")
	if err != nil {
		return err
	}
	i := p.identities.index(kind, identifier)
	if i < 0 {
		return identityNotFound("ProfileIdentity", identifier)
	}
	p.identities.Identities = slices.Delete(p.identities.Identities, i, i+1)
	p.identities.EntityTag = c.nextTag(p.identities.EntityTag)
	return nil
}
