package cloud

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// AssignmentTarget is the account that a template is assigned to.
type AssignmentTarget struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// Assignment is the assignment of a template's version to an account. It is done
// at once: IBM's takes some seconds.
type Assignment struct {
	ID         string           `json:"id"`
	ETag       string           `json:"etag"`
	AccountID  string           `json:"account_id"`
	Target     AssignmentTarget `json:"target"`
	Template   TemplateRef      `json:"template"`
	Status     string           `json:"status"`
	Operation  string           `json:"operation"`
	ResourceID string           `json:"resource_id"` // of what it created in the target
	// Policies are those that the policy templates of a profile's template created.
	Policies   []TemplateRef `json:"-"`
	CreatedAt  time.Time     `json:"created_at"`
	CreatedBy  string        `json:"created_by_id"`
	ModifiedAt time.Time     `json:"last_modified_at"`
	ModifiedBy string        `json:"last_modified_by_id"`
}

type assignment struct {
	Assignment
	kind TemplateKind
	seq  int64
}

// AssignmentQuery selects assignments.
type AssignmentQuery struct {
	AccountID, TemplateID, Version string
	Target, TargetType             string
	Sort, Order                    string // of IAM identity
	Limit                          int
	Start                          string `json:"-"`
}

// TemplateOrigin names the template that an enterprise-managed policy is from.
type TemplateOrigin struct {
	ID           string `json:"id"`
	Version      string `json:"version"`
	AssignmentID string `json:"assignment_id"`
}

func (k TemplateKind) assignmentNotFound(id string) *Error {
	return serviceError(404, string(k)+"_assignment_not_found", fmt.Sprintf("Assignment with ID %s not found.", id))
}

// done is the status of an assignment that succeeded, of those that the SDK lists
// for the kind.
func (k TemplateKind) done() string {
	if k == ActionControlTemplates || k == RoleTemplates {
		return "accepted"
	}
	return "succeeded"
}

// assignmentPrefix begins the IDs of assignments.
func (k TemplateKind) assignmentPrefix() string {
	if k.OfIdentity() {
		return "Template"
	}
	return k.prefix()
}

// mayAssignTemplates needs the Viewer role on the Enterprise service, too.
func (c *Cloud) mayAssignTemplates(a Actor, kind TemplateKind, action string) error {
	if err := c.onTemplates(a, kind, AccountID, action, templateAssigner); err != nil {
		return err
	}
	if !c.may(a, target{service: serviceEnterprise}, "Viewer") {
		return serviceError(403, "insufficent_permissions", "You are not authorized to view the enterprise.")
	}
	return nil
}

// assignable returns the version of a template that can be assigned.
func (c *Cloud) assignable(kind TemplateKind, ref TemplateRef) (*Template, error) {
	i := slices.IndexFunc(c.enterprise.templates, func(t *template) bool { return t.kind == kind && t.id == ref.ID })
	if i < 0 {
		return nil, kind.notFound(ref.ID)
	}
	v := c.enterprise.templates[i].version(ref.Version)
	switch {
	case v == nil:
		return nil, kind.notFound(ref.ID + ", version " + ref.Version)
	case !v.Committed:
		return nil, invalidPolicy("Version %s of the template is not committed", ref.Version)
	case kind == PolicyTemplates && v.Policy.Type != "authorization":
		return nil, invalidPolicy("Only templates of authorizations are assigned by themselves: access is assigned with a template of an access group or trusted profile")
	}
	return v, nil
}

// Assign assigns templates to an account of the enterprise. Either all are
// assigned or none.
func (c *Cloud) Assign(a Actor, kind TemplateKind, to AssignmentTarget, refs []TemplateRef) ([]Assignment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayAssignTemplates(a, kind, "assign"); err != nil {
		return nil, err
	}
	if to.Type != "Account" {
		return nil, invalidPolicy("target.type must be Account")
	}
	if len(refs) == 0 {
		return nil, invalidPolicy("templates is required")
	}
	if to.ID != ChildAccountID {
		return nil, invalidPolicy("The account %q is no child account of the enterprise", to.ID)
	}
	versions := make([]*Template, len(refs))
	for i, ref := range refs {
		v, err := c.assignable(kind, ref)
		if err != nil {
			return nil, err
		}
		if c.assigned(ref.ID, "") || slices.ContainsFunc(refs[:i], func(x TemplateRef) bool { return x.ID == ref.ID }) {
			return nil, serviceError(409, "policy_assignment_conflict_error", fmt.Sprintf("The template %s is already assigned to the account.", ref.ID))
		}
		if err := c.checkTarget(v, to.ID); err != nil {
			return nil, err
		}
		versions[i] = v
	}
	var out []Assignment
	for i, v := range versions {
		now := c.now()
		c.enterprise.seq++
		x := &assignment{kind: kind, seq: c.enterprise.seq, Assignment: Assignment{
			ID: kind.assignmentPrefix() + "Assignment-" + c.uuid(), ETag: c.nextTag(""), AccountID: AccountID, Target: to, Template: refs[i],
			Status: kind.done(), Operation: "create", CreatedAt: now, CreatedBy: a.IAMID, ModifiedAt: now, ModifiedBy: a.IAMID}}
		c.enterprise.assignments = append(c.enterprise.assignments, x)
		c.apply(a, x, v)
		out = append(out, x.Assignment)
	}
	return out, nil
}

// checkTarget rejects a template whose role or profile the account already has.
func (c *Cloud) checkTarget(v *Template, account string) error {
	if v.Role != nil {
		for _, r := range c.enterprise.roles {
			if r.AccountID == account && r.Name == v.Role.Name && r.ServiceName == v.Role.ServiceName {
				return serviceError(409, "role_conflict_error", fmt.Sprintf("The role %s of the service %s already exists.", r.Name, r.ServiceName))
			}
		}
	}
	if v.Profile != nil {
		for _, p := range c.enterprise.profiles {
			if p.Name == v.Profile.Name {
				return serviceError(409, "conflict", fmt.Sprintf("The trusted profile %s already exists.", p.Name))
			}
		}
	}
	return nil
}

func (c *Cloud) findAssignment(a Actor, kind TemplateKind, id string) (*assignment, error) {
	if err := c.onTemplates(a, kind, AccountID, "read", templateAdministrator, templateAssigner); err != nil {
		return nil, err
	}
	for _, x := range c.enterprise.assignments {
		if x.kind == kind && x.ID == id {
			return x, nil
		}
	}
	return nil, kind.assignmentNotFound(id)
}

// GetAssignment returns one assignment.
func (c *Cloud) GetAssignment(a Actor, kind TemplateKind, id string) (Assignment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x, err := c.findAssignment(a, kind, id)
	if err != nil {
		return Assignment{}, err
	}
	return x.Assignment, nil
}

// ListAssignments returns one page of the assignments of templates of a kind.
func (c *Cloud) ListAssignments(a Actor, kind TemplateKind, q AssignmentQuery) (Page[Assignment], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := position[AssignmentQuery]{Query: q}
	if q.Start != "" {
		var ok bool
		if at, ok = parsePosition[AssignmentQuery](q.Start); !ok {
			return Page[Assignment]{}, serviceError(400, "invalid_body", "start is not valid")
		}
		q = at.Query
	}
	_, _, limit, err := c.templatePage(kind, TemplateQuery{AccountID: q.AccountID, Limit: q.Limit}, "list", a)
	if err != nil {
		return Page[Assignment]{}, err
	}
	seq := func(x *assignment) int64 { return x.seq }
	less, err := order(q.Sort, q.Order, seq, map[string]func(x, y *assignment) int{
		"template_id":      func(x, y *assignment) int { return cmp.Compare(x.Template.ID, y.Template.ID) },
		"created_at":       func(x, y *assignment) int { return x.CreatedAt.Compare(y.CreatedAt) },
		"last_modified_at": func(x, y *assignment) int { return x.ModifiedAt.Compare(y.ModifiedAt) },
	})
	if err != nil {
		return Page[Assignment]{}, err
	}
	items, next := cut(at, limit, bySeq(c.enterprise.assignments, seq), func(x *assignment) bool {
		return x.kind == kind && (q.TemplateID == "" || q.TemplateID == x.Template.ID) && (q.Version == "" || q.Version == x.Template.Version) &&
			(q.Target == "" || q.Target == x.Target.ID) && (q.TargetType == "" || q.TargetType == x.Target.Type)
	}, less)
	page := Page[Assignment]{Limit: limit, Next: next, Items: make([]Assignment, len(items))}
	for i, x := range items {
		page.Items[i] = x.Assignment
	}
	return page, nil
}

// UpdateAssignment moves an assignment to another version of its template, if
// ifMatch is its ETag or "*".
func (c *Cloud) UpdateAssignment(a Actor, kind TemplateKind, id, ifMatch, version string) (Assignment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayAssignTemplates(a, kind, "assign"); err != nil {
		return Assignment{}, err
	}
	x, err := c.findAssignment(a, kind, id)
	if err != nil {
		return Assignment{}, err
	}
	if err := c.templateIfMatch(kind, ifMatch, x.ETag); err != nil {
		return Assignment{}, err
	}
	if version == "" {
		return Assignment{}, invalidPolicy("template_version is required")
	}
	v, err := c.assignable(kind, TemplateRef{ID: x.Template.ID, Version: version})
	if err != nil {
		return Assignment{}, err
	}
	x.Template.Version, x.Operation = version, "update"
	x.ETag, x.ModifiedAt, x.ModifiedBy = c.nextTag(x.ETag), c.now(), a.IAMID
	c.apply(a, x, v)
	return x.Assignment, nil
}

// Unassign removes an assignment and what it created.
func (c *Cloud) Unassign(a Actor, kind TemplateKind, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayAssignTemplates(a, kind, "unassign"); err != nil {
		return err
	}
	x, err := c.findAssignment(a, kind, id)
	if err != nil {
		return err
	}
	c.dropRole(x.ResourceID)
	c.dropChildPolicies(x.ID)
	c.enterprise.profiles = slices.DeleteFunc(c.enterprise.profiles, func(p *profile) bool { return p.ID == x.ResourceID })
	c.enterprise.assignments = slices.DeleteFunc(c.enterprise.assignments, func(y *assignment) bool { return y == x })
	return nil
}
