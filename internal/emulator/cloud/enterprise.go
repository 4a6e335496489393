package cloud

import (
	"slices"
	"strings"
)

// ChildAccountID is the account below [AccountID] in the enterprise. It has only
// what assignments of templates create there. The owner of the enterprise owns
// it, too.
const ChildAccountID = "8d2c4f6a1b3e4d5c9f7081a2b3c4d5e6"

const serviceEnterprise = "enterprise"

// The roles that manage templates, on the service that has them. IBM documents
// their names, but not their CRNs: ibm-cloud-docs/secure-enterprise,
// iam-policy-template-create.md.
const (
	templateAdministrator = "Template Administrator"
	templateAssigner      = "Template Assignment Administrator"
)

func templateAdministratorOf(service string) string {
	return "crn:v1:bluemix:public:" + service + "::::serviceRole:TemplateAdministrator"
}

func templateAssignerOf(service string) string {
	return "crn:v1:bluemix:public:" + service + "::::serviceRole:TemplateAssignmentAdministrator"
}

// enterprise is what the account has as the root of an enterprise: custom roles,
// templates and their assignments to the child account.
type enterprise struct {
	roles       []*CustomRole
	templates   []*template
	assignments []*assignment
	policies    []*policy  // of the child account
	profiles    []*profile // of the child account
	settings    AccessSettings
	seq         int64
}

// state copies the content into a state.
func (e *enterprise) state(s *State) {
	s.Roles, s.Templates, s.Assignments, s.ChildPolicies = []CustomRole{}, []Template{}, []Assignment{}, []Policy{}
	s.ChildProfiles = []ProfileState{}
	for _, r := range e.roles {
		s.Roles = append(s.Roles, r.copy())
	}
	for _, t := range e.templates {
		for _, v := range t.versions {
			s.Templates = append(s.Templates, v.clone())
		}
	}
	for _, x := range e.assignments {
		s.Assignments = append(s.Assignments, x.Assignment)
	}
	for _, p := range e.policies {
		s.ChildPolicies = append(s.ChildPolicies, p.copy())
	}
	for _, p := range e.profiles {
		s.ChildProfiles = append(s.ChildProfiles, p.state())
	}
}

// profile returns a profile of the child account, or nil.
func (e *enterprise) profile(id string) *profile {
	for _, p := range e.profiles {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// resource describes a custom role, a template or an assignment.
func (e *enterprise) resource(id string) (Resource, bool) {
	for _, r := range e.roles {
		if r.ID == id {
			return Resource{Name: r.DisplayName, CRN: r.CRN}, true
		}
	}
	crn := func(k TemplateKind, what string) string {
		return "crn:v1:bluemix:public:" + k.service() + "::a/" + AccountID + "::" + strings.ReplaceAll(string(k), "_", "-") + "-" + what + ":" + id
	}
	for _, t := range e.templates {
		if t.id == id {
			return Resource{Name: t.current().Name, CRN: crn(t.kind, "template")}, true
		}
	}
	for _, x := range e.assignments {
		if x.ID == id {
			return Resource{Name: id, CRN: crn(x.kind, "assignment")}, true
		}
	}
	return Resource{}, false
}

// seesChild reports whether the identity may read what assignments created in the
// child account.
func (c *Cloud) seesChild(a Actor) bool {
	return a.IAMID == OwnerIAMID || c.hasRole(a, serviceAccess, templateAssigner) || c.hasRole(a, serviceIdentity, templateAssigner)
}

// hasRole reports whether a policy gives the identity one of the roles. Unlike
// may, it holds for the owner, too: "By default, no users have the roles Template
// Administrator or Template Assignment Administrator, including the account
// owner".
func (c *Cloud) hasRole(a Actor, service string, roles ...string) bool {
	held := c.heldRoles(a, target{service: service})
	return slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(held, role) })
}
