package emulator

import (
	"cmp"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// profileRoutes are the operations on trusted profiles.
var profileRoutes = []route{
	{"GET", "/v1/profiles", familyIdentity, (*Server).listProfiles},
	{"POST", "/v1/profiles", familyIdentity, decoded((*Server).createProfile)},
	{"GET", "/v1/profiles/{profile}", familyIdentity, (*Server).getProfile},
	{"PUT", "/v1/profiles/{profile}", familyIdentity, decoded((*Server).updateProfile)},
	{"DELETE", "/v1/profiles/{profile}", familyIdentity, (*Server).deleteProfile},

	{"GET", "/v1/profiles/{profile}/rules", familyIdentity, (*Server).listClaimRules},
	{"POST", "/v1/profiles/{profile}/rules", familyIdentity, decoded((*Server).createClaimRule)},
	{"GET", "/v1/profiles/{profile}/rules/{rule}", familyIdentity, (*Server).getClaimRule},
	{"PUT", "/v1/profiles/{profile}/rules/{rule}", familyIdentity, decoded((*Server).updateClaimRule)},
	{"DELETE", "/v1/profiles/{profile}/rules/{rule}", familyIdentity, (*Server).deleteClaimRule},

	{"GET", "/v1/profiles/{profile}/links", familyIdentity, (*Server).listLinks},
	{"POST", "/v1/profiles/{profile}/links", familyIdentity, decoded((*Server).createLink)},
	{"DELETE", "/v1/profiles/{profile}/links", familyIdentity, (*Server).deleteLinkTo},
	{"GET", "/v1/profiles/{profile}/links/{link}", familyIdentity, (*Server).getLink},
	{"DELETE", "/v1/profiles/{profile}/links/{link}", familyIdentity, (*Server).deleteLink},

	{"GET", "/v1/profiles/{profile}/identities", familyIdentity, (*Server).getProfileIdentities},
	{"PUT", "/v1/profiles/{profile}/identities", familyIdentity, decoded((*Server).setProfileIdentities)},
	{"POST", "/v1/profiles/{profile}/identities/{type}", familyIdentity, decoded((*Server).setProfileIdentity)},
	{"GET", "/v1/profiles/{profile}/identities/{type}/{identifier}", familyIdentity, (*Server).getProfileIdentity},
	{"DELETE", "/v1/profiles/{profile}/identities/{type}/{identifier}", familyIdentity, (*Server).deleteProfileIdentity},
}

// decoded returns a handler that decodes the body first.
func decoded[T any](handle func(*Server, *call, T) (answer, error)) func(*Server, *call) (answer, error) {
	return func(s *Server, c *call) (answer, error) {
		var in T
		if err := c.json(&in); err != nil {
			return answer{}, err
		}
		return handle(s, c, in)
	}
}

// shown answers with the view of a result. Its entity tag and ID are those of the
// body.
func shown[T any](status int, view func(T) object, x T, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	body := view(x)
	tag, _ := body["entity_tag"].(string)
	id, _ := cmp.Or(body["id"], body["idp_id"]).(string)
	return answer{status: status, etag: tag, body: body, id: id}, nil
}

// entityBody is the view of what has a JSON form of its own.
func entityBody[T any](x T) object { return fields(x, cloud.FormatTime) }

func profileBody(p cloud.Profile) object {
	out := fields(p, cloud.FormatTime, "history")
	if len(p.History) > 0 {
		out["history"] = views(p.History, historyBody)
	}
	return out
}

// profileView is profileBody with the context of the operation and, if the call
// asks for it, the activity.
func (c *call) profileView(operation string) func(cloud.Profile) object {
	return func(p cloud.Profile) object {
		out := profileBody(p)
		out["context"] = c.identityContext(operation)
		if c.flag("include_activity") {
			out["activity"] = activityBody(p.Activity)
		}
		return out
	}
}

func (s *Server) listProfiles(c *call) (answer, error) {
	size, err := c.number("pagesize")
	if err != nil {
		return answer{}, err
	}
	q := c.query
	page, err := s.cloud.ListProfiles(c.actor, cloud.ProfileQuery{AccountID: q.Get("account_id"), Name: q.Get("name"), Sort: q.Get("sort"),
		Order: q.Get("order"), Filter: q.Get("filter"), PageSize: size, PageToken: q.Get("pagetoken"), IncludeHistory: c.flag("include_history")})
	if err != nil {
		return answer{}, err
	}
	return tokenPage(c, "profiles", page, profileBody), nil
}

func (s *Server) createProfile(c *call, n cloud.NewProfile) (answer, error) {
	p, err := s.cloud.CreateProfile(c.actor, n)
	return shown(201, c.profileView("create"), p, err)
}

func (s *Server) getProfile(c *call) (answer, error) {
	p, err := s.cloud.GetProfile(c.actor, c.path("profile"))
	return shown(200, c.profileView("get"), p, err)
}

func (s *Server) updateProfile(c *call, change cloud.ProfileChange) (answer, error) {
	p, err := s.cloud.UpdateProfile(c.actor, c.path("profile"), c.header("If-Match"), change)
	return shown(200, c.profileView("update"), p, err)
}

func (s *Server) deleteProfile(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteProfile(c.actor, c.path("profile"))
}

func (s *Server) listClaimRules(c *call) (answer, error) {
	rules, err := s.cloud.ListClaimRules(c.actor, c.path("profile"))
	return shown(200, func(rules []cloud.ClaimRule) object {
		return object{"context": c.identityContext("list"), "rules": views(rules, entityBody)}
	}, rules, err)
}

func (s *Server) createClaimRule(c *call, in cloud.ClaimRuleSpec) (answer, error) {
	r, err := s.cloud.CreateClaimRule(c.actor, c.path("profile"), in)
	return shown(201, entityBody, r, err)
}

func (s *Server) getClaimRule(c *call) (answer, error) {
	r, err := s.cloud.GetClaimRule(c.actor, c.path("profile"), c.path("rule"))
	return shown(200, entityBody, r, err)
}

func (s *Server) updateClaimRule(c *call, in cloud.ClaimRuleSpec) (answer, error) {
	r, err := s.cloud.UpdateClaimRule(c.actor, c.path("profile"), c.path("rule"), c.header("If-Match"), in)
	return shown(200, entityBody, r, err)
}

func (s *Server) deleteClaimRule(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteClaimRule(c.actor, c.path("profile"), c.path("rule"))
}

func (s *Server) listLinks(c *call) (answer, error) {
	links, err := s.cloud.ListLinks(c.actor, c.path("profile"))
	return shown(200, func(links []cloud.ProfileLink) object { return object{"links": views(links, entityBody)} }, links, err)
}

func (s *Server) createLink(c *call, in cloud.ProfileLinkSpec) (answer, error) {
	l, err := s.cloud.CreateLink(c.actor, c.path("profile"), in)
	return shown(201, entityBody, l, err)
}

func (s *Server) getLink(c *call) (answer, error) {
	l, err := s.cloud.GetLink(c.actor, c.path("profile"), c.path("link"))
	return shown(200, entityBody, l, err)
}

func (s *Server) deleteLink(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteLink(c.actor, c.path("profile"), c.path("link"))
}

func (s *Server) deleteLinkTo(c *call) (answer, error) {
	q := c.query
	return answer{status: 204}, s.cloud.DeleteLinkTo(c.actor, c.path("profile"), q.Get("type"), cloud.LinkedResource{CRN: q.Get("crn"),
		Namespace: q.Get("namespace"), Name: q.Get("name"), ComponentType: q.Get("component_type"), ComponentName: q.Get("component_name")})
}

func identitiesBody(l cloud.ProfileIdentities) object {
	return object{"entity_tag": l.EntityTag, "identities": views(l.Identities, entityBody)}
}

func (s *Server) getProfileIdentities(c *call) (answer, error) {
	l, err := s.cloud.ProfileIdentities(c.actor, c.path("profile"))
	return shown(200, identitiesBody, l, err)
}

func (s *Server) setProfileIdentities(c *call, in struct {
	Identities []cloud.NewProfileIdentity `json:"identities"`
}) (answer, error) {
	l, err := s.cloud.SetProfileIdentities(c.actor, c.path("profile"), c.header("If-Match"), in.Identities)
	return shown(200, identitiesBody, l, err)
}

func (s *Server) setProfileIdentity(c *call, in cloud.NewProfileIdentity) (answer, error) {
	x, err := s.cloud.SetProfileIdentity(c.actor, c.path("profile"), c.path("type"), in)
	return shown(200, entityBody, x, err)
}

func (s *Server) getProfileIdentity(c *call) (answer, error) {
	x, err := s.cloud.ProfileIdentity(c.actor, c.path("profile"), c.path("type"), c.path("identifier"))
	return shown(200, entityBody, x, err)
}

func (s *Server) deleteProfileIdentity(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeleteProfileIdentity(c.actor, c.path("profile"), c.path("type"), c.path("identifier"))
}
