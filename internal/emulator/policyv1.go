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

type v1Policy struct {
	Type        string         `json:"type"`
	Description string         `json:"description"`
	Subjects    []v1Attributes `json:"subjects"`
	Roles       []roleRef      `json:"roles"`
	Resources   []v1Attributes `json:"resources"`
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

// The placeholder for a policy of version 2, from
// https://cloud.ibm.com/docs/account?topic=account-known-issues#placeholder-v2.
const (
	placeholderText    = "This is a unsupported policy version placeholder, to view the full content, please call GET with provided href"
	placeholderSubject = "unsupported version"
	placeholderRole    = "crn:v1:bluemix:public:iam::::role:UnsupportedVersion"
)

// placeholder writes a policy of version 2 in the form of version 1: it shows
// neither the subject nor the roles.
func (c *call) placeholder(p cloud.Policy) object {
	out := fields(p, policyTime, "etag", "subject", "roles", "resource", "tags", "pattern", "rule", "v1")
	out["href"], out["description"] = c.origin()+"/v2/policies/"+p.ID, placeholderText
	out["subjects"] = []v1Attributes{{Attributes: []v1Attribute{{Name: "iam_id", Value: placeholderSubject}}}}
	out["roles"] = []roleRef{{RoleID: placeholderRole, DisplayName: "Unsupported Version", Description: placeholderText}}
	out["resources"] = []v1Attributes{{Attributes: []v1Attribute{{Name: "accountId", Value: cloud.AccountID, Operator: "stringEquals"}}}}
	return out
}

// v1Body writes a policy in the form of version 1.
func (s *Server) v1Body(c *call, p cloud.Policy) object {
	if !p.V1 {
		return c.placeholder(p)
	}
	out := fields(p, policyTime, "etag", "subject", "roles", "resource", "tags", "pattern", "rule", "v1")
	out["href"] = c.origin() + "/v1/policies/" + p.ID
	service, subject, resource, roles := "", v1Attributes{}, v1Attributes{}, []roleRef{}
	for _, a := range p.Subject {
		value, _ := a.Value.(string)
		subject.Attributes = append(subject.Attributes, v1Attribute{Name: a.Key, Value: value})
	}
	for _, a := range p.Resource {
		value, _ := a.Value.(string)
		if a.Key == "serviceName" {
			service = value
		}
		resource.Attributes = append(resource.Attributes, v1Attribute{Name: a.Key, Value: value, Operator: a.Operator})
	}
	for _, t := range p.Tags {
		resource.Tags = append(resource.Tags, v1Attribute{Name: t.Key, Value: t.Value, Operator: t.Operator})
	}
	for _, crn := range p.Roles {
		r, _ := s.cloud.RoleOf(crn, service)
		roles = append(roles, roleRef{RoleID: crn, DisplayName: r.Name, Description: r.Description})
	}
	out["subjects"], out["roles"], out["resources"] = []v1Attributes{subject}, roles, []v1Attributes{resource}
	return out
}

func (s *Server) v1PolicyAnswer(c *call, status int, p cloud.Policy) answer {
	return answer{status: status, etag: p.ETag, body: s.v1Body(c, p), id: p.ID}
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
