package emulator

import (
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// requiredOfIdentity is required for trusted profiles and what belongs to them.
func (s *site) requiredOfIdentity() map[string]body {
	account := `"` + cloud.AccountID + `"`
	rule := body{"type": `"Profile-SAML"`, "realm_name": `"https://idp.example.com"`, "expiration": "3600",
		"conditions": `[{"claim":"groups","operator":"EQUALS","value":"\"a\""}]`}
	return map[string]body{
		"POST /v1/profiles":                             {"account_id": account, "name": `"another"`},
		"POST /v1/profiles/{profile}/rules":             rule,
		"PUT /v1/profiles/{profile}/rules/{rule}":       rule,
		"POST /v1/profiles/{profile}/links":             {"cr_type": `"VSI"`, "link": `{"crn":"crn:v1:bluemix:public:is:eu-de:a/` + cloud.AccountID + `::instance:another"}`},
		"POST /v1/profiles/{profile}/identities/{type}": {"identifier": `"` + cloud.OwnerIAMID + `"`, "type": `"user"`},
	}
}

// makeProfile adds a trusted profile with a claim rule, a link and an identity.
func (s *site) makeProfile(create func(path, body string) string) {
	s.made["profile"] = create("/v1/profiles", `{"account_id":"`+cloud.AccountID+`","name":"one"}`)
	one, required := "/v1/profiles/"+s.made["profile"], s.requiredOfIdentity()
	s.made["rule"] = create(one+"/rules", required["POST /v1/profiles/{profile}/rules"].without(""))
	s.made["link"] = create(one+"/links", `{"cr_type":"VSI","link":{"crn":"crn:v1:bluemix:public:is:eu-de:a/`+cloud.AccountID+`::instance:one"}}`)
	create(one+"/identities/user", required["POST /v1/profiles/{profile}/identities/{type}"].without(""))
}
