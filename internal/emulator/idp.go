package emulator

import (
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// idpRoutes are the operations on identity providers and on their use in an
// account.
var idpRoutes = []route{
	{"GET", "/v1/idps", familyIdentity, (*Server).listIDPs},
	{"POST", "/v1/idps", familyIdentity, decoded((*Server).createIDP)},
	{"GET", "/v1/idps/{id}", familyIdentity, (*Server).getIDP},
	{"PUT", "/v1/idps/{id}", familyIdentity, decoded((*Server).updateIDP)},
	{"DELETE", "/v1/idps/{id}", familyIdentity, (*Server).deleteIDP},
	{"GET", "/v1/idps/{id}/consumers", familyIdentity, (*Server).listIDPConsumers},

	{"GET", "/v2/loginsettings/{account}", familyIdentity, (*Server).getLoginSettings},
	{"PUT", "/v2/loginsettings/{account}", familyIdentity, decoded((*Server).updateLoginSettings)},
	{"GET", "/v2/loginsettings/{account}/idps", familyIdentity, (*Server).listIDPSettings},
	{"GET", "/v2/loginsettings/{account}/idps/{id}", familyIdentity, (*Server).getIDPSetting},
	{"POST", "/v2/loginsettings/{account}/idps/{id}", familyIdentity, decoded((*Server).addIDPSetting)},
	{"PUT", "/v2/loginsettings/{account}/idps/{id}", familyIdentity, decoded((*Server).updateIDPSetting)},
	{"DELETE", "/v2/loginsettings/{account}/idps/{id}", familyIdentity, (*Server).removeIDPSetting},
}

func idpBody(p cloud.IDP) object {
	out := fields(p, cloud.FormatTime, "history")
	if len(p.History) > 0 {
		out["history"] = views(p.History, historyBody)
	}
	return out
}

func (s *Server) listIDPs(c *call) (answer, error) {
	list, err := s.cloud.ListIDPs(c.actor, c.query.Get("account_id"), c.flag("include_history"))
	return shown(200, func(list []cloud.IDP) object { return object{"idps": views(list, idpBody)} }, list, err)
}

func (s *Server) createIDP(c *call, n cloud.NewIDP) (answer, error) {
	p, err := s.cloud.CreateIDP(c.actor, n)
	return shown(201, idpBody, p, err)
}

func (s *Server) getIDP(c *call) (answer, error) {
	p, err := s.cloud.GetIDP(c.actor, c.path("id"), c.flag("include_history"))
	return shown(200, idpBody, p, err)
}

func (s *Server) updateIDP(c *call, change cloud.IDPChange) (answer, error) {
	p, err := s.cloud.UpdateIDP(c.actor, c.path("id"), c.header("If-Match"), change, c.flag("force_share_scope_update"))
	return shown(200, idpBody, p, err)
}

func (s *Server) deleteIDP(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteIDP(c.actor, c.path("id"))
}

func (s *Server) listIDPConsumers(c *call) (answer, error) {
	list, err := s.cloud.IDPConsumers(c.actor, c.path("id"))
	return shown(200, func(list []cloud.IDPConsumer) object {
		return object{"idp_id": c.path("id"), "consumers": views(list, entityBody)}
	}, list, err)
}

func aliasBody(alias string) object { return object{"alias": alias} }

func (s *Server) getLoginSettings(c *call) (answer, error) {
	alias, err := s.cloud.LoginAlias(c.actor, c.path("account"))
	return shown(200, aliasBody, alias, err)
}

func (s *Server) updateLoginSettings(c *call, in struct {
	Alias *string `json:"alias"`
}) (answer, error) {
	alias, err := s.cloud.SetLoginAlias(c.actor, c.path("account"), in.Alias)
	return shown(200, aliasBody, alias, err)
}

func (s *Server) listIDPSettings(c *call) (answer, error) {
	list, err := s.cloud.IDPSettings(c.actor, c.path("account"), c.query.Get("type"), c.flag("include_idp_metadata"))
	return shown(200, func(list []cloud.IDPSetting) object { return object{"idps": views(list, entityBody)} }, list, err)
}

func (s *Server) getIDPSetting(c *call) (answer, error) {
	x, err := s.cloud.IDPSetting(c.actor, c.path("account"), c.path("id"))
	return shown(200, entityBody, x, err)
}

func (s *Server) addIDPSetting(c *call, n cloud.NewIDPSetting) (answer, error) {
	x, err := s.cloud.AddIDPSetting(c.actor, c.path("account"), c.path("id"), n)
	return shown(200, entityBody, x, err)
}

func (s *Server) updateIDPSetting(c *call, n cloud.NewIDPSetting) (answer, error) {
	x, err := s.cloud.UpdateIDPSetting(c.actor, c.path("account"), c.path("id"), n)
	return shown(200, entityBody, x, err)
}

func (s *Server) removeIDPSetting(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.RemoveIDPSetting(c.actor, c.path("account"), c.path("id"))
}
