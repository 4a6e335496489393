package emulator

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

type attributeList struct {
	Attributes []cloud.Attribute `json:"attributes"`
	Tags       []cloud.Tag       `json:"tags,omitempty"`
}

// roleRef is a role of a policy. The name, description and actions are set for
// format=display only.
type roleRef struct {
	RoleID      string       `json:"role_id"`
	DisplayName string       `json:"display_name,omitempty"`
	Description string       `json:"description,omitempty"`
	Actions     []roleAction `json:"actions,omitempty"`
}

type roleAction struct {
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	Description string `json:"description"`
}

// roleOut writes a role in the format of the call.
func roleOut(c *call, crn, service string) roleRef {
	out := roleRef{RoleID: crn}
	if c.query.Get("format") != "display" {
		return out
	}
	if r, ok := c.roleOf(crn, service); ok {
		out.DisplayName, out.Description = r.Name, r.Description
		for _, id := range r.Actions {
			out.Actions = append(out.Actions, roleAction{ID: id, DisplayName: id, Description: id})
		}
	}
	return out
}

type controlBody struct {
	Grant *grantBody `json:"grant"`
}

type grantBody struct {
	Roles []roleRef `json:"roles"`
}

type policyIn struct {
	Type        string          `json:"type"`
	Description string          `json:"description"`
	Subject     attributeList   `json:"subject"`
	Control     controlBody     `json:"control"`
	Resource    attributeList   `json:"resource"`
	Pattern     string          `json:"pattern"`
	Rule        json.RawMessage `json:"rule"`
}

func (in policyIn) spec() cloud.PolicySpec {
	spec := cloud.PolicySpec{Type: in.Type, Description: in.Description, Subject: in.Subject.Attributes,
		Resource: in.Resource.Attributes, Tags: in.Resource.Tags, Pattern: in.Pattern}
	if in.Control.Grant != nil {
		for _, r := range in.Control.Grant.Roles {
			spec.Roles = append(spec.Roles, r.RoleID)
		}
	}
	if len(in.Rule) > 0 && string(in.Rule) != "null" {
		_ = json.Unmarshal(in.Rule, &spec.Rule) // json.Unmarshal already checked it
	}
	return spec
}

// policyTime formats a time as policies do, to the millisecond.
func policyTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

type policyView struct {
	cloud.Policy
	Subject    attributeList `json:"subject"`
	Control    controlBody   `json:"control"`
	Resource   attributeList `json:"resource"`
	Href       string        `json:"href"`
	CreatedAt  string        `json:"created_at"`
	ModifiedAt string        `json:"last_modified_at"`
	ETag       hidden        `json:"etag,omitempty"`
	Roles      hidden        `json:"roles,omitempty"`
	Tags       hidden        `json:"tags,omitempty"`
	V1         hidden        `json:"v1,omitempty"`
}

func (c *call) policyBody(p cloud.Policy) policyView {
	service, roles := "", []roleRef{}
	for _, a := range p.Resource {
		if a.Key == "serviceName" {
			service, _ = a.Value.(string)
		}
	}
	for _, crn := range p.Roles {
		roles = append(roles, roleOut(c, crn, service))
	}
	return policyView{Policy: p, Subject: attributeList{Attributes: p.Subject}, Control: controlBody{&grantBody{roles}},
		Resource: attributeList{Attributes: p.Resource, Tags: p.Tags}, Href: c.origin() + "/v2/policies/" + p.ID,
		CreatedAt: policyTime(p.CreatedAt), ModifiedAt: policyTime(p.ModifiedAt)}
}

func policyAnswer(c *call, status int, p cloud.Policy) answer {
	return answer{status: status, etag: p.ETag, body: c.policyBody(p), id: p.ID}
}

func (s *Server) createPolicy(c *call) (answer, error) {
	var in policyIn
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	p, err := s.cloud.CreatePolicy(c.actor, in.spec())
	if err != nil {
		return answer{}, err
	}
	return policyAnswer(c, 201, p), nil
}

func (s *Server) getPolicy(c *call) (answer, error) {
	p, err := s.cloud.GetPolicy(c.actor, c.path("id"))
	if err != nil {
		return answer{}, err
	}
	return policyAnswer(c, 200, p), nil
}

func (s *Server) replacePolicy(c *call) (answer, error) {
	var in policyIn
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	p, err := s.cloud.ReplacePolicy(c.actor, c.path("id"), c.header("If-Match"), in.spec())
	if err != nil {
		return answer{}, err
	}
	return policyAnswer(c, 200, p), nil
}

func (s *Server) deletePolicy(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeletePolicy(c.actor, c.path("id"))
}

func (s *Server) listPolicies(c *call) (answer, error) {
	limit, err := c.number("limit")
	if err != nil {
		return answer{}, err
	}
	q := c.query
	page, err := s.cloud.ListPolicies(c.actor, cloud.PolicyQuery{
		AccountID: q.Get("account_id"), IAMID: q.Get("iam_id"), AccessGroupID: q.Get("access_group_id"), Type: q.Get("type"),
		ServiceName: q.Get("service_name"), ServiceType: q.Get("service_type"), ServiceGroupID: q.Get("service_group_id"),
		State: q.Get("state"), Sort: q.Get("sort"), TagName: q.Get("tag_name"), TagValue: q.Get("tag_value"),
		Format: q.Get("format"), Limit: limit, Start: q.Get("start"),
	})
	if err != nil {
		return answer{}, err
	}
	if strings.HasPrefix(c.request.URL.Path, "/v1/") {
		return startPage(c, "policies", page, func(p cloud.Policy) object { return s.v1Body(c, p) }), nil
	}
	return startPage(c, "policies", page, c.policyBody), nil
}

func (s *Server) listRoles(c *call) (answer, error) {
	roles, err := s.cloud.Roles(c.actor, c.query.Get("account_id"), c.query.Get("service_name"), c.query.Get("service_group_id"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: map[string]any{
		"system_roles": roles.System, "service_roles": roles.Service, "custom_roles": views(roles.Custom, c.customRoleBody),
	}}, nil
}
