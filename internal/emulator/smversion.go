package emulator

import "github.com/latchkey-io/latchkey/internal/emulator/cloud"

func (s *Server) listSecretVersions(c *call) (answer, error) {
	versions, err := s.cloud.ListSecretVersions(c.actor, s.secretsInstance(c), c.path("secret"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: object{"versions": views(versions, versionBody), "total_count": len(versions)}}, nil
}

func (s *Server) createSecretVersion(c *call) (answer, error) {
	var n cloud.NewSecretVersion
	if err := c.json(&n); err != nil {
		return answer{}, err
	}
	v, err := s.cloud.CreateSecretVersion(c.actor, s.secretsInstance(c), c.path("secret"), n)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 201, body: versionBody(v), id: v.ID}, nil
}

func (s *Server) getSecretVersion(c *call) (answer, error) {
	v, err := s.cloud.GetSecretVersion(c.actor, s.secretsInstance(c), c.path("secret"), c.path("version"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: versionBody(v)}, nil
}

func (s *Server) secretVersionMetadata(c *call) (answer, error) {
	v, err := s.cloud.SecretVersionMetadata(c.actor, s.secretsInstance(c), c.path("secret"), c.path("version"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: versionBody(v)}, nil
}

func (s *Server) updateSecretVersionMetadata(c *call) (answer, error) {
	var in struct {
		CustomMetadata map[string]any `json:"version_custom_metadata"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	v, err := s.cloud.UpdateSecretVersionMetadata(c.actor, s.secretsInstance(c), c.path("secret"), c.path("version"), in.CustomMetadata)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: versionBody(v)}, nil
}

func (s *Server) deleteSecretVersionData(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteSecretVersionData(c.actor, s.secretsInstance(c), c.path("secret"), c.path("version"))
}
