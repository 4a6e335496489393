package emulator

import "github.com/latchkey-io/latchkey/internal/emulator/cloud"

func secretGroupBody(g cloud.SecretGroup) map[string]any {
	return fields(g, smTime)
}

func (s *Server) listSecretGroups(c *call) (answer, error) {
	groups, err := s.cloud.ListSecretGroups(c.actor, s.secretsInstance(c))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: object{"secret_groups": views(groups, secretGroupBody), "total_count": len(groups)}}, nil
}

func (s *Server) createSecretGroup(c *call) (answer, error) {
	var in struct{ Name, Description string }
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	g, err := s.cloud.CreateSecretGroup(c.actor, s.secretsInstance(c), in.Name, in.Description)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 201, body: secretGroupBody(g), id: g.ID}, nil
}

func (s *Server) getSecretGroup(c *call) (answer, error) {
	g, err := s.cloud.GetSecretGroup(c.actor, s.secretsInstance(c), c.path("group"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: secretGroupBody(g)}, nil
}

func (s *Server) updateSecretGroup(c *call) (answer, error) {
	var in struct{ Name, Description *string }
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	g, err := s.cloud.UpdateSecretGroup(c.actor, s.secretsInstance(c), c.path("group"), in.Name, in.Description)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: secretGroupBody(g)}, nil
}

func (s *Server) deleteSecretGroup(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteSecretGroup(c.actor, s.secretsInstance(c), c.path("group"))
}
