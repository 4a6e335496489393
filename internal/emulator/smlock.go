package emulator

import "github.com/latchkey-io/latchkey/internal/emulator/cloud"

func lockBody(l cloud.SecretLock) map[string]any {
	out := fields(l, smTime)
	out["description"] = l.Description
	if len(l.Attributes) == 0 {
		out["attributes"] = object{}
	}
	return out
}

func lockedBody(l cloud.LockedSecret) map[string]any {
	versions := views(l.Versions, func(v cloud.SecretVersion) object {
		return object{"version_id": v.ID, "version_alias": v.Alias, "locks": append([]string{}, v.Locks...), "payload_available": v.PayloadAvailable}
	})
	return map[string]any{"secret_id": l.Secret.ID, "secret_group_id": l.Secret.GroupID, "secret_type": l.Secret.Type,
		"secret_name": l.Secret.Name, "versions": versions}
}

func (s *Server) listSecretsLocks(c *call) (answer, error) {
	offset, limit, err := c.offsetAndLimit()
	if err != nil {
		return answer{}, err
	}
	page, err := s.cloud.ListSecretsLocks(c.actor, s.secretsInstance(c), c.query.Get("search"), splitList(c.query.Get("groups")), limit, offset)
	if err != nil {
		return answer{}, err
	}
	return offsetPage(c, "secrets_locks", page, lockedBody), nil
}

func (s *Server) listSecretLocks(c *call) (answer, error) {
	offset, limit, err := c.offsetAndLimit()
	if err != nil {
		return answer{}, err
	}
	page, err := s.cloud.ListSecretLocks(c.actor, s.secretsInstance(c), c.path("secret"), c.path("version"),
		cloud.LockQuery{Offset: offset, Limit: limit, Sort: c.query.Get("sort"), Search: c.query.Get("search")})
	if err != nil {
		return answer{}, err
	}
	return offsetPage(c, "locks", page, lockBody), nil
}

func (s *Server) createSecretLocks(c *call) (answer, error) {
	var in struct {
		Locks []cloud.NewSecretLock `json:"locks"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	l, err := s.cloud.CreateSecretLocks(c.actor, s.secretsInstance(c), c.path("secret"), c.path("version"), c.query.Get("mode"), in.Locks)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 201, body: lockedBody(l)}, nil
}

func (s *Server) deleteSecretLocks(c *call) (answer, error) {
	l, err := s.cloud.DeleteSecretLocks(c.actor, s.secretsInstance(c), c.path("secret"), c.path("version"), splitList(c.query.Get("name")))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: lockedBody(l)}, nil
}
