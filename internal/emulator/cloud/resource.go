package cloud

import (
	"fmt"
	"strings"
)

// Resource describes an identity or resource in an audit record.
type Resource struct {
	Name, CRN       string
	ResourceGroupID string
	Region          string // of a Code Engine project
	OfUser          bool   // a user, or a user's key
}

// Resource describes the resource with the ID, which may be an IAM ID. The
// description of an unknown resource comes from the ID alone. No policy is
// checked.
func (c *Cloud) Resource(id string) Resource {
	c.mu.Lock()
	defer c.mu.Unlock()
	crn := func(service, kind string) string {
		return fmt.Sprintf("crn:v1:bluemix:public:%s::a/%s::%s:%s", service, AccountID, kind, id)
	}
	if c.isUser(id) {
		name := id
		if u, ok := c.users[id]; ok {
			name = u.Email
		}
		return Resource{Name: name, CRN: crn("iam-identity", "user"), OfUser: true}
	}
	id = strings.TrimPrefix(id, "iam-")
	kind, _, _ := strings.Cut(id, "-")
	switch kind {
	case "ServiceId":
		l := Resource{CRN: crn("iam-identity", "serviceid")}
		if s, ok := c.serviceIDs[id]; ok {
			l.Name = s.Name
		}
		return l
	case "ApiKey":
		l := Resource{CRN: crn("iam-identity", "apikey")}
		if k, ok := c.keys[id]; ok {
			l.Name, l.OfUser = k.Name, c.isUser(k.IAMID)
		}
		return l
	case "ServiceIdGroup":
		l := Resource{CRN: crn("iam-identity", "serviceid-group")}
		if g, ok := c.idGroups[id]; ok {
			l.Name = g.Name
		}
		return l
	case "Profile":
		l := Resource{CRN: crn("iam-identity", "profile")}
		if p, ok := c.profiles[id]; ok {
			l.Name = p.Name
		}
		return l
	case "AccessGroupId":
		l := Resource{CRN: crn("iam-groups", "access-group")}
		if g, ok := c.groups[id]; ok {
			l.Name = g.Name
		}
		return l
	}
	for _, p := range c.idps {
		if p.ID == id {
			return Resource{Name: p.Name, CRN: crn("iam-identity", "idp")}
		}
	}
	if p, ok := c.projects[id]; ok {
		return Resource{Name: p.Name, CRN: p.CRN, Region: p.Region, ResourceGroupID: p.ResourceGroupID}
	}
	for _, in := range c.secretsInstances {
		if r, ok := in.resource(id); ok {
			return r
		}
	}
	if r, ok := c.enterprise.resource(id); ok {
		return r
	}
	return Resource{Name: id, CRN: crn("iam-access-management", "policy")}
}

// resource describes the instance itself, or one of its secrets or groups.
func (in *secretsInstance) resource(id string) (Resource, bool) {
	r := Resource{Name: in.ID, CRN: in.CRN(), Region: in.Region, ResourceGroupID: ResourceGroupID}
	if id == in.ID {
		return r, true
	}
	if s, ok := in.secrets[id]; ok {
		r.Name, r.CRN = s.Name, s.CRN
		return r, true
	}
	if g, ok := in.groups[id]; ok && id != DefaultGroup {
		r.Name, r.CRN = g.Name, strings.TrimSuffix(in.CRN(), "::")+":secret-group:"+id
		return r, true
	}
	return Resource{}, false
}
