package emulator

import "github.com/latchkey-io/latchkey/internal/emulator/cloud"

func (c *call) customRoleBody(r cloud.CustomRole) object {
	out := fields(r, policyTime, "etag")
	out["href"] = c.origin() + "/v2/roles/" + r.ID
	return out
}

func customRoleAnswer(c *call, status int, r cloud.CustomRole, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return answer{status: status, etag: r.ETag, body: c.customRoleBody(r), id: r.ID}, nil
}

func (s *Server) createRole(c *call) (answer, error) {
	var in cloud.NewCustomRole
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	r, err := s.cloud.CreateRole(c.actor, in)
	return customRoleAnswer(c, 201, r, err)
}

func (s *Server) getRole(c *call) (answer, error) {
	r, err := s.cloud.GetRole(c.actor, c.path("id"))
	return customRoleAnswer(c, 200, r, err)
}

func (s *Server) replaceRole(c *call) (answer, error) {
	var in cloud.NewCustomRole
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	r, err := s.cloud.ReplaceRole(c.actor, c.path("id"), c.header("If-Match"), in)
	return customRoleAnswer(c, 200, r, err)
}

func (s *Server) deleteRole(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteRole(c.actor, c.path("id"))
}
