package cloud

import (
	"slices"
)

// checkTemplate checks the content of a version. A draft may lack parts; a
// committed version may not.
func (c *Cloud) checkTemplate(kind TemplateKind, s TemplateSpec) error {
	switch kind {
	case PolicyTemplates:
		if s.Policy == nil {
			return invalidPolicy("policy is required")
		}
		return c.checkTemplatePolicy(*s.Policy, s.Committed)
	case ActionControlTemplates:
		if s.ActionControl != nil {
			if s.ActionControl.ServiceName == "" {
				return invalidPolicy("action_control.service_name is required")
			}
			return checkActions(s.ActionControl.ServiceName, s.ActionControl.Actions)
		}
	case RoleTemplates:
		if s.Role != nil {
			return NewCustomRole{Name: s.Role.Name, DisplayName: s.Role.DisplayName, Description: s.Role.Description,
				Actions: s.Role.Actions, ServiceName: s.Role.ServiceName}.check()
		}
	case ProfileTemplates:
		if s.Profile != nil {
			return c.checkTemplateProfile(s)
		}
	case SettingsTemplates:
		if s.Settings != nil {
			return s.Settings.check()
		}
	}
	if s.Committed {
		return invalidPolicy("A committed version needs %s", kind)
	}
	return nil
}

func (c *Cloud) checkTemplatePolicy(p TemplatePolicy, committed bool) error {
	if p.Type != "access" && p.Type != "authorization" {
		return invalidPolicy("policy.type must be access or authorization")
	}
	resource := []Attribute{}
	if p.Resource != nil {
		resource = p.Resource.Attributes
		if err := checkAttributes(resource, resourceOperators); err != nil {
			return err
		}
	}
	if p.Subject != nil {
		if p.Type == "access" {
			return invalidPolicy("A template of an access policy has no subject")
		}
		if err := checkAttributes(p.Subject.Attributes, subjectOperators); err != nil {
			return err
		}
	}
	if err := checkRule(PolicySpec{Pattern: p.Pattern, Rule: p.Rule}); err != nil {
		return err
	}
	if p.Control != nil {
		if err := c.checkTemplateGrant(p.Control.Grant, resource); err != nil {
			return err
		}
	}
	switch {
	case !committed:
	case p.Resource == nil || p.Control == nil:
		return invalidPolicy("A committed version needs policy.resource and policy.control")
	case p.Type == "authorization" && p.Subject == nil:
		return invalidPolicy("A committed version of an authorization needs policy.subject")
	}
	return nil
}

func (c *Cloud) checkTemplateGrant(g *TemplateGrant, resource []Attribute) error {
	if g == nil || len(g.Roles)+len(g.References) == 0 {
		return invalidPolicy("control.grant needs roles or role_template_references")
	}
	for _, r := range g.Roles {
		if _, ok := c.roleFor(resource, r.RoleID); !ok {
			return invalidPolicy("Role %q does not exist or is not supported by the service", r.RoleID)
		}
	}
	for _, ref := range g.References {
		ok := slices.ContainsFunc(c.enterprise.templates, func(t *template) bool {
			return t.kind == RoleTemplates && t.id == ref.ID && t.version(ref.Version) != nil
		})
		if !ok {
			return RoleTemplates.notFound(ref.ID + ", version " + ref.Version)
		}
	}
	return nil
}

func checkTemplateNames(s TemplateSpec) error {
	if n := len([]rune(s.Name)); n == 0 || n > longestTemplateName {
		return invalidPolicy("name must have 1 to %d characters", longestTemplateName)
	}
	if len([]rune(s.Description)) > longestTemplateDescription {
		return invalidPolicy("description must have up to %d characters", longestTemplateDescription)
	}
	return nil
}

// The lengths of names and descriptions are a guess: the SDK has none.
const (
	longestTemplateName        = 300
	longestTemplateDescription = 1000
)
