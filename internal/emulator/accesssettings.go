package emulator

import "github.com/latchkey-io/latchkey/internal/emulator/cloud"

func accessSettingsAnswer(x cloud.AccessSettings, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, etag: x.ETag, id: cloud.AccountID,
		body: object{"external_account_identity_interaction": object{"identity_types": x.Rules}}}, nil
}

func (s *Server) getAccessSettings(c *call) (answer, error) {
	return accessSettingsAnswer(s.cloud.AccessSettings(c.actor, c.path("account")))
}

func (s *Server) updateAccessSettings(c *call) (answer, error) {
	var in struct {
		Interaction struct {
			Types cloud.IdentityRulesChange `json:"identity_types"`
		} `json:"external_account_identity_interaction"`
	}
	if err := c.json(&in); err != nil {
		return answer{}, err
	}
	return accessSettingsAnswer(s.cloud.UpdateAccessSettings(c.actor, c.path("account"), c.header("If-Match"), in.Interaction.Types))
}
