package cloud

import (
	"slices"
)

// apply creates or changes what a template describes in the target account. An
// action control has an ID, but no API and no effect.
func (c *Cloud) apply(a Actor, x *assignment, v *Template) {
	switch x.kind {
	case PolicyTemplates:
		spec := v.Policy.in(x.Target.ID)
		if p := c.childPolicy(x.ResourceID); p != nil {
			p.PolicySpec, p.Template, p.ETag, p.ModifiedAt, p.ModifiedBy = spec, x.origin(x.Template), c.nextTag(p.ETag), c.now(), a.IAMID
			return
		}
		x.ResourceID = c.putChildPolicy(a, spec, x.origin(x.Template)).ID
	case ProfileTemplates:
		c.applyProfile(a, x, v)
	case SettingsTemplates:
		x.ResourceID = x.Target.ID
	case RoleTemplates:
		n := NewCustomRole{Name: v.Role.Name, DisplayName: v.Role.DisplayName, Description: v.Role.Description,
			Actions: v.Role.Actions, ServiceName: v.Role.ServiceName, AccountID: x.Target.ID}
		for _, r := range c.enterprise.roles {
			if r.ID == x.ResourceID {
				r.DisplayName, r.Description, r.Actions = n.DisplayName, n.Description, slices.Clone(n.Actions)
				r.ETag, r.ModifiedAt, r.ModifiedBy = c.nextTag(r.ETag), c.now(), a.IAMID
				return
			}
		}
		x.ResourceID = c.putRole(a, n).ID
	case ActionControlTemplates:
		if x.ResourceID == "" {
			x.ResourceID = c.uuid()
		}
	}
}

func (x *assignment) origin(of TemplateRef) *TemplateOrigin {
	return &TemplateOrigin{ID: of.ID, Version: of.Version, AssignmentID: x.ID}
}

// putChildPolicy adds a policy to the child account.
func (c *Cloud) putChildPolicy(a Actor, spec PolicySpec, origin *TemplateOrigin) *policy {
	c.enterprise.seq++
	now := c.now()
	p := &policy{seq: c.enterprise.seq, since: now, Policy: Policy{PolicySpec: spec, ID: c.uuid(), ETag: c.nextTag(""), State: "active",
		Template: origin, CreatedAt: now, CreatedBy: a.IAMID, ModifiedAt: now, ModifiedBy: a.IAMID}}
	c.enterprise.policies = append(c.enterprise.policies, p)
	return p
}

// dropChildPolicies removes the policies that an assignment created.
func (c *Cloud) dropChildPolicies(assignment string) {
	c.enterprise.policies = slices.DeleteFunc(c.enterprise.policies, func(p *policy) bool { return p.Template.AssignmentID == assignment })
}

// in returns the policy that a template creates in an account. "Assigned
// account(s)", where both sides are in the target, is the form without accountId.
func (p *TemplatePolicy) in(account string) PolicySpec {
	with := func(set *AttributeSet) []Attribute {
		if attribute(set.Attributes, "accountId") != "" {
			return slices.Clone(set.Attributes)
		}
		return append([]Attribute{{Key: "accountId", Operator: "stringEquals", Value: account}}, set.Attributes...)
	}
	spec := PolicySpec{Type: p.Type, Description: p.Description, Resource: with(p.Resource), Subject: with(p.Subject),
		Tags: slices.Clone(p.Resource.Tags), Pattern: p.Pattern, Rule: p.Rule}
	for _, r := range p.Control.Grant.Roles {
		spec.Roles = append(spec.Roles, r.RoleID)
	}
	return spec
}

// childPolicy returns a policy of the child account, or nil.
func (c *Cloud) childPolicy(id string) *policy {
	for _, p := range c.enterprise.policies {
		if p.ID == id {
			return p
		}
	}
	return nil
}
