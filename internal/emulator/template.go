package emulator

import (
	"cmp"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// templateRoutes returns the operations on templates of a kind and on their
// assignments.
func templateRoutes(kind cloud.TemplateKind) []route {
	list := "/v1/" + string(kind) + "_templates"
	one, versions := list+"/{id}", list+"/{id}/versions"
	version := versions + "/{version}"
	assignments := "/v1/" + string(kind) + "_assignments"
	assignment := assignments + "/{id}"
	of := familyPolicy
	create, update, remove := (*Server).createAssignment, (*Server).updateAssignment, (*Server).deleteAssignment
	if kind.OfIdentity() {
		of, create, update, remove = familyIdentity, (*Server).assignIdentity, (*Server).reassignIdentity, (*Server).unassignIdentity
	}
	on := func(method, pattern string, handle func(*Server, *call, cloud.TemplateKind) (answer, error)) route {
		return route{method, pattern, of, func(s *Server, c *call) (answer, error) {
			a, err := handle(s, c, kind)
			return a, kind.IdentityError(c.actor, err)
		}}
	}
	return []route{
		on("GET", list, (*Server).listTemplates),
		on("POST", list, (*Server).createTemplate),
		on("GET", one, (*Server).getTemplate),
		on("DELETE", one, (*Server).deleteTemplate),
		on("GET", versions, (*Server).listTemplateVersions),
		on("POST", versions, (*Server).createTemplateVersion),
		on("GET", version, (*Server).getTemplate),
		on("PUT", version, (*Server).replaceTemplate),
		on("DELETE", version, (*Server).deleteTemplate),
		on("POST", version+"/commit", (*Server).commitTemplate),
		on("GET", assignments, (*Server).listAssignments),
		on("POST", assignments, create),
		on("GET", assignment, (*Server).getAssignment),
		on("PATCH", assignment, update),
		on("DELETE", assignment, remove),
	}
}

func (c *call) templateBody(kind cloud.TemplateKind) func(cloud.Template) object {
	if kind.OfIdentity() {
		return c.identityTemplateBody(kind)
	}
	return func(t cloud.Template) object {
		out := fields(t, policyTime, "etag")
		out["href"] = c.origin() + "/v1/" + string(kind) + "_templates/" + t.ID + "/versions/" + t.Version
		return out
	}
}

func templateAnswer(c *call, kind cloud.TemplateKind, status int, t cloud.Template, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return answer{status: status, etag: t.ETag, body: c.templateBody(kind)(t), id: t.ID}, nil
}

func (c *call) templateQuery() (cloud.TemplateQuery, error) {
	limit, err := c.number("limit")
	q := c.query
	return cloud.TemplateQuery{AccountID: q.Get("account_id"), Name: q.Get("name"), State: q.Get("state"), PolicyType: q.Get("policy_type"),
		Service: q.Get("policy_service_name"), ServiceType: q.Get("policy_service_type"), ServiceSet: q.Get("policy_service_group_id"),
		Sort: q.Get("sort"), Order: q.Get("order"), Limit: limit, Start: cmp.Or(q.Get("start"), q.Get("pagetoken"))}, err
}

// templatePage writes a page as the service of the kind does.
func templatePage[T any](c *call, kind cloud.TemplateKind, name string, page cloud.Page[T], view func(T) object) answer {
	if kind.OfIdentity() {
		return tokenPage(c, name, page, view)
	}
	return startPage(c, name, page, view)
}

func (s *Server) listTemplates(c *call, kind cloud.TemplateKind) (answer, error) {
	q, err := c.templateQuery()
	if err != nil {
		return answer{}, err
	}
	page, err := s.cloud.ListTemplates(c.actor, kind, q)
	if err != nil {
		return answer{}, err
	}
	return templatePage(c, kind, string(kind)+"_templates", page, c.templateBody(kind)), nil
}

func (s *Server) listTemplateVersions(c *call, kind cloud.TemplateKind) (answer, error) {
	q, err := c.templateQuery()
	if err != nil {
		return answer{}, err
	}
	page, err := s.cloud.ListTemplateVersions(c.actor, kind, c.path("id"), q)
	if err != nil {
		return answer{}, err
	}
	name := "versions"
	if kind.OfIdentity() {
		name = string(kind) + "_templates"
	}
	return templatePage(c, kind, name, page, c.templateBody(kind)), nil
}

func (s *Server) createTemplate(c *call, kind cloud.TemplateKind) (answer, error) {
	var in cloud.TemplateSpec
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	t, err := s.cloud.CreateTemplate(c.actor, kind, in)
	return templateAnswer(c, kind, 201, t, err)
}

func (s *Server) createTemplateVersion(c *call, kind cloud.TemplateKind) (answer, error) {
	var in cloud.TemplateSpec
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	t, err := s.cloud.CreateTemplateVersion(c.actor, kind, c.path("id"), in)
	return templateAnswer(c, kind, 201, t, err)
}

func (s *Server) getTemplate(c *call, kind cloud.TemplateKind) (answer, error) {
	t, err := s.cloud.GetTemplate(c.actor, kind, c.path("id"), c.path("version"))
	return templateAnswer(c, kind, 200, t, err)
}

func (s *Server) replaceTemplate(c *call, kind cloud.TemplateKind) (answer, error) {
	var in cloud.TemplateSpec
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	t, err := s.cloud.ReplaceTemplate(c.actor, kind, c.path("id"), c.path("version"), c.header("If-Match"), in)
	return templateAnswer(c, kind, 200, t, err)
}

func (s *Server) deleteTemplate(c *call, kind cloud.TemplateKind) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteTemplate(c.actor, kind, c.path("id"), c.path("version"))
}

func (s *Server) commitTemplate(c *call, kind cloud.TemplateKind) (answer, error) {
	return answer{status: 204}, s.cloud.CommitTemplate(c.actor, kind, c.path("id"), c.path("version"))
}

// needsFormat rejects a call on assignments of policies without a version of the
// body that the SDK knows. Only "1.0" is emulated.
func (c *call) needsFormat(kind cloud.TemplateKind) error {
	switch version := c.query.Get("version"); {
	case kind != cloud.PolicyTemplates || version == "1.0":
		return nil
	case version == "":
		return &cloud.Error{Status: 400, Code: "missing_required_query_parameter", Message: "version is required"}
	}
	return &cloud.Error{Status: 400, Code: "invalid_body", Message: "version must be 1.0"}
}

func (c *call) assignmentBody(kind cloud.TemplateKind) func(cloud.Assignment) object {
	if kind.OfIdentity() {
		return c.identityAssignmentBody(kind)
	}
	return func(x cloud.Assignment) object {
		out := fields(x, policyTime, "etag", "resource_id")
		resource := object{"resource_created": object{"id": x.ResourceID}}
		if kind == cloud.PolicyTemplates {
			delete(out, "operation")
			resource["status"] = x.Status
		}
		out["resources"] = []object{{"target": x.Target, string(kind): resource}}
		out["href"] = c.origin() + "/v1/" + string(kind) + "_assignments/" + x.ID
		return out
	}
}

func (s *Server) createAssignment(c *call, kind cloud.TemplateKind) (answer, error) {
	if err := c.needsFormat(kind); err != nil {
		return answer{}, err
	}
	var in struct {
		Target    cloud.AssignmentTarget `json:"target"`
		Templates []cloud.TemplateRef    `json:"templates"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	list, err := s.cloud.Assign(c.actor, kind, in.Target, in.Templates)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 201, etag: list[0].ETag, body: object{"assignments": views(list, c.assignmentBody(kind))}, id: list[0].ID}, nil
}

func (s *Server) listAssignments(c *call, kind cloud.TemplateKind) (answer, error) {
	limit, err := c.number("limit")
	if err == nil {
		err = c.needsFormat(kind)
	}
	if err != nil {
		return answer{}, err
	}
	q := c.query
	page, err := s.cloud.ListAssignments(c.actor, kind, cloud.AssignmentQuery{AccountID: q.Get("account_id"), TemplateID: q.Get("template_id"),
		Version: q.Get("template_version"), Target: q.Get("target"), TargetType: q.Get("target_type"), Sort: q.Get("sort"), Order: q.Get("order"),
		Limit: limit, Start: cmp.Or(q.Get("start"), q.Get("pagetoken"))})
	if err != nil {
		return answer{}, err
	}
	return templatePage(c, kind, "assignments", page, c.assignmentBody(kind)), nil
}

func assignmentAnswer(c *call, kind cloud.TemplateKind, status int, x cloud.Assignment, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return answer{status: status, etag: x.ETag, body: c.assignmentBody(kind)(x), id: x.ID}, nil
}

func (s *Server) getAssignment(c *call, kind cloud.TemplateKind) (answer, error) {
	if err := c.needsFormat(kind); err != nil {
		return answer{}, err
	}
	x, err := s.cloud.GetAssignment(c.actor, kind, c.path("id"))
	return assignmentAnswer(c, kind, 200, x, err)
}

func (s *Server) updateAssignment(c *call, kind cloud.TemplateKind) (answer, error) {
	if err := c.needsFormat(kind); err != nil {
		return answer{}, err
	}
	var in struct {
		Version string `json:"template_version"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	x, err := s.cloud.UpdateAssignment(c.actor, kind, c.path("id"), c.header("If-Match"), in.Version)
	return assignmentAnswer(c, kind, 200, x, err)
}

func (s *Server) deleteAssignment(c *call, kind cloud.TemplateKind) (answer, error) {
	return answer{status: 204}, s.cloud.Unassign(c.actor, kind, c.path("id"))
}
