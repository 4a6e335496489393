package emulator

import (
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

type v1Attribute struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Operator string `json:"operator,omitempty"`
}

type v1Attributes struct {
	Attributes []v1Attribute `json:"attributes"`
	Tags       []v1Attribute `json:"tags,omitempty"`
}

type v1Role struct {
	RoleID      string `json:"role_id"`
	DisplayName string `json:"display_name,omitempty"`
	Description string `json:"description,omitempty"`
}

type v1Policy struct {
	ID             string         `json:"id,omitempty"`
	Type           string         `json:"type"`
	Description    string         `json:"description,omitempty"`
	Subjects       []v1Attributes `json:"subjects"`
	Roles          []v1Role       `json:"roles"`
	Resources      []v1Attributes `json:"resources"`
	Href           string         `json:"href,omitempty"`
	CreatedAt      string         `json:"created_at,omitempty"`
	CreatedByID    string         `json:"created_by_id,omitempty"`
	LastModifiedAt string         `json:"last_modified_at,omitempty"`
	LastModifiedBy string         `json:"last_modified_by_id,omitempty"`
	State          string         `json:"state,omitempty"`
}

// v1Spec reads a policy in the form of version 1.
func (c *call) v1Spec() (cloud.PolicySpec, error) {
	var in v1Policy
	if err := c.json(&in); err != nil {
		return cloud.PolicySpec{}, err
	}
	spec := cloud.PolicySpec{Type: in.Type, Description: in.Description, V1: true}
	for _, list := range []struct {
		what string
		have []v1Attributes
	}{{"subjects", in.Subjects}, {"resources", in.Resources}} {
		if len(list.have) != 1 {
			return spec, &cloud.Error{Status: 400, Code: "invalid_body", Message: list.what + " must have exactly one element"}
		}
	}
	for _, a := range in.Subjects[0].Attributes {
		spec.Subject = append(spec.Subject, cloud.Attribute{Key: a.Name, Operator: "stringEquals", Value: a.Value})
	}
	for _, a := range in.Resources[0].Attributes {
		spec.Resource = append(spec.Resource, cloud.Attribute{Key: a.Name, Operator: orEquals(a.Operator), Value: a.Value})
	}
	for _, a := range in.Resources[0].Tags {
		spec.Tags = append(spec.Tags, cloud.Tag{Key: a.Name, Operator: orEquals(a.Operator), Value: a.Value})
	}
	for _, r := range in.Roles {
		spec.Roles = append(spec.Roles, r.RoleID)
	}
	return spec, nil
}

func orEquals(operator string) string {
	if operator == "" {
		return "stringEquals"
	}
	return operator
}

// v1Out writes a policy in the form of version 1. One of version 2 is a
// placeholder, with the subject and without what it grants.
func (s *Server) v1Out(c *call, p cloud.Policy) v1Policy {
	out := v1Policy{
		ID: p.ID, Type: p.Type, Description: p.Description, State: p.State, Href: c.origin() + "/v1/policies/" + p.ID,
		CreatedAt: policyTime(p.CreatedAt), CreatedByID: p.CreatedBy,
		LastModifiedAt: policyTime(p.ModifiedAt), LastModifiedBy: p.ModifiedBy,
		Subjects: []v1Attributes{{}}, Resources: []v1Attributes{{}}, Roles: []v1Role{},
	}
	for _, a := range p.Subject {
		value, _ := a.Value.(string)
		out.Subjects[0].Attributes = append(out.Subjects[0].Attributes, v1Attribute{Name: a.Key, Value: value})
	}
	if !p.V1 {
		text := s.cloud.Switches().PlaceholderText
		out.Roles = []v1Role{{RoleID: text, DisplayName: text}}
		out.Resources[0].Attributes = []v1Attribute{{Name: text, Value: text}}
		return out
	}
	service := ""
	for _, a := range p.Resource {
		value, _ := a.Value.(string)
		if a.Key == "serviceName" {
			service = value
		}
		out.Resources[0].Attributes = append(out.Resources[0].Attributes, v1Attribute{Name: a.Key, Value: value, Operator: a.Operator})
	}
	for _, t := range p.Tags {
		out.Resources[0].Tags = append(out.Resources[0].Tags, v1Attribute{Name: t.Key, Value: t.Value, Operator: t.Operator})
	}
	for _, crn := range p.Roles {
		r, _ := cloud.RoleOf(crn, service)
		out.Roles = append(out.Roles, v1Role{RoleID: crn, DisplayName: r.Name, Description: r.Description})
	}
	return out
}

func (s *Server) v1PolicyAnswer(c *call, status int, p cloud.Policy) answer {
	return answer{status: status, etag: p.ETag, body: s.v1Out(c, p), id: p.ID}
}

func (s *Server) v1PolicyList(c *call, page cloud.Page[cloud.Policy]) answer {
	policies := make([]v1Policy, 0, len(page.Items))
	for _, p := range page.Items {
		policies = append(policies, s.v1Out(c, p))
	}
	body := map[string]any{"policies": policies}
	link(c, body, page.Limit, page.Next)
	return answer{status: 200, body: body}
}

func (s *Server) createV1Policy(c *call) (answer, error) {
	spec, err := c.v1Spec()
	if err != nil {
		return answer{}, err
	}
	p, err := s.cloud.CreatePolicy(c.actor, spec)
	if err != nil {
		return answer{}, err
	}
	return s.v1PolicyAnswer(c, 201, p), nil
}

func (s *Server) getV1Policy(c *call) (answer, error) {
	p, err := s.cloud.GetPolicy(c.actor, c.path("id"))
	if err != nil {
		return answer{}, err
	}
	return s.v1PolicyAnswer(c, 200, p), nil
}

func (s *Server) replaceV1Policy(c *call) (answer, error) {
	spec, err := c.v1Spec()
	if err != nil {
		return answer{}, err
	}
	p, err := s.cloud.ReplacePolicy(c.actor, c.path("id"), c.header("If-Match"), spec)
	if err != nil {
		return answer{}, err
	}
	return s.v1PolicyAnswer(c, 200, p), nil
}

func (s *Server) patchV1Policy(c *call) (answer, error) {
	var in struct {
		State string `json:"state"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	p, err := s.cloud.SetPolicyState(c.actor, c.path("id"), c.header("If-Match"), in.State)
	if err != nil {
		return answer{}, err
	}
	return s.v1PolicyAnswer(c, 200, p), nil
}
