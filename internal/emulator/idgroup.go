package emulator

import (
	"strings"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func idGroupBody(g cloud.ServiceIDGroup) object { return fields(g, cloud.FormatTime) }

func idGroupAnswer(status int, g cloud.ServiceIDGroup) answer {
	return answer{status: status, etag: g.EntityTag, body: idGroupBody(g), id: g.ID}
}

func (s *Server) listIDGroups(c *call) (answer, error) {
	groups, err := s.cloud.ListServiceIDGroups(c.actor, c.query.Get("account_id"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: object{"serviceid_groups": views(groups, idGroupBody)}}, nil
}

func (s *Server) createIDGroup(c *call) (answer, error) {
	var in struct {
		AccountID   string `json:"account_id"`
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	g, err := s.cloud.CreateServiceIDGroup(c.actor, in.AccountID, in.Name, in.Description)
	if err != nil {
		return answer{}, err
	}
	return idGroupAnswer(201, g), nil
}

func (s *Server) getIDGroup(c *call) (answer, error) {
	g, err := s.cloud.GetServiceIDGroup(c.actor, c.path("id"))
	if err != nil {
		return answer{}, err
	}
	return idGroupAnswer(200, g), nil
}

func (s *Server) updateIDGroup(c *call) (answer, error) {
	var in struct {
		Name        string  `json:"name"`
		Description *string `json:"description"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	g, err := s.cloud.UpdateServiceIDGroup(c.actor, c.path("id"), c.header("If-Match"), in.Name, in.Description)
	if err != nil {
		return answer{}, err
	}
	return idGroupAnswer(200, g), nil
}

func (s *Server) deleteIDGroup(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteServiceIDGroup(c.actor, c.path("id"))
}

func (s *Server) limits(c *call) (answer, error) {
	list := func(name string) []string {
		if v := c.query.Get(name); v != "" {
			return strings.Split(v, ",")
		}
		return nil
	}
	return s.limitsOf(c, cloud.LimitQuery{ServiceIDGroups: c.flag("serviceid_groups"), ServiceIDsPerGroup: list("serviceids_per_group"),
		Profiles: c.flag("profiles"), APIKeysPerIdentity: list("apikeys_per_identity")})
}

func (s *Server) bulkLimits(c *call) (answer, error) {
	var q cloud.LimitQuery
	if err := c.json(&q); err != nil {
		return answer{}, err
	}
	return s.limitsOf(c, q)
}

func (s *Server) limitsOf(c *call, q cloud.LimitQuery) (answer, error) {
	limits, err := s.cloud.AccountLimits(c.actor, c.path("account"), q)
	if err != nil {
		return answer{}, err
	}
	body := map[string]any{}
	for name, l := range map[string]*cloud.Limit{"serviceid_groups": limits.ServiceIDGroups, "profiles": limits.Profiles} {
		if l != nil {
			body[name] = map[string]any{"limit": l.Limit, "count": l.Uses[0].Count}
		}
	}
	each := func(name, list, id string, l *cloud.Limit) {
		if l == nil {
			return
		}
		body[name] = object{"limit": l.Limit, list: views(l.Uses, func(u cloud.Use) object { return object{id: u.ID, "count": u.Count} })}
	}
	each("serviceids_per_group", "serviceid_groups", "group_id", limits.ServiceIDsPerGroup)
	each("apikeys_per_identity", "identities", "iam_id", limits.APIKeysPerIdentity)
	return answer{status: 200, body: body}, nil
}
