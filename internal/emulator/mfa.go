package emulator

import (
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// userRoutes are the operations on the authentication of users and on the
// preferences of trusted profiles.
var userRoutes = []route{
	{"GET", "/v1/mfa/accounts/{account}/status", familyIdentity, (*Server).getMFAStatus},
	{"POST", "/v1/mfa/accounts/{account}/report", familyIdentity, (*Server).createMFAReport},
	{"GET", "/v1/mfa/accounts/{account}/report/{reference}", familyIdentity, (*Server).getMFAReport},

	{"GET", preferences, familyIdentity, (*Server).listPreferences},
	{"GET", preference, familyIdentity, (*Server).getPreference},
	{"PUT", preference, familyIdentity, decoded((*Server).setPreference)},
	{"DELETE", preference, familyIdentity, (*Server).deletePreference},
}

const (
	preferences = "/v1/preferences/accounts/{account}/identities/{iam}"
	preference  = preferences + "/{service}/{preference}"
)

func mfaBody(x cloud.MFAStatus) object {
	traits := object{"trait_account_default": x.AccountDefault, "trait_effective": x.Effective(), "complies": x.Complies(), "comply_state": "NO"}
	if x.Complies() {
		traits["comply_state"] = "CROSS_ACCOUNT"
	}
	if x.UserSpecific != "" {
		traits["trait_user_specific"] = x.UserSpecific
	}
	none := object{"required": false, "enrolled": false}
	return object{"iam_id": x.IAMID, "effective_mfa_type": "id_based_mfa", "id_based_mfa": traits,
		"account_based_mfa": object{"security_questions": none, "totp": none, "verisign": none, "complies": true}}
}

func (s *Server) getMFAStatus(c *call) (answer, error) {
	x, err := s.cloud.MFAStatus(c.actor, c.path("account"), c.query.Get("iam_id"))
	return shown(200, mfaBody, x, err)
}

func (s *Server) createMFAReport(c *call) (answer, error) {
	reference, err := s.cloud.CreateMFAReport(c.actor, c.path("account"), c.query.Get("type"))
	return shown(202, func(reference string) object { return object{"reference": reference} }, reference, err)
}

func (s *Server) getMFAReport(c *call) (answer, error) {
	r, ready, err := s.cloud.MFAReport(c.actor, c.path("account"), c.path("reference"))
	if err == nil && !ready {
		return answer{status: 204}, nil
	}
	return shown(200, func(r cloud.MFAReport) object {
		return object{"created_by": r.CreatedBy, "reference": r.Reference, "report_time": cloud.FormatTime(r.At), "account_id": cloud.AccountID,
			"users": views(r.Users, func(x cloud.MFAStatus) object {
				out := mfaBody(x)
				out["username"], out["email"], out["name"] = x.Email, x.Email, x.Email
				return out
			})}
	}, r, err)
}

func (s *Server) listPreferences(c *call) (answer, error) {
	list, err := s.cloud.Preferences(c.actor, c.path("account"), c.path("iam"))
	return shown(200, func(list []cloud.Preference) object { return object{"preferences": views(list, entityBody)} }, list, err)
}

func (s *Server) getPreference(c *call) (answer, error) {
	x, err := s.cloud.Preference(c.actor, c.path("account"), c.path("iam"), c.path("service"), c.path("preference"))
	return shown(200, entityBody, x, err)
}

func (s *Server) setPreference(c *call, n cloud.NewPreference) (answer, error) {
	x, err := s.cloud.SetPreference(c.actor, c.path("account"), c.path("iam"), c.path("service"), c.path("preference"), n)
	return shown(200, entityBody, x, err)
}

func (s *Server) deletePreference(c *call) (answer, error) {
	return answer{status: 204}, s.cloud.DeletePreference(c.actor, c.path("account"), c.path("iam"), c.path("service"), c.path("preference"))
}
