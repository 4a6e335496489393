package emulator

import (
	"strings"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// requiredOfIdentity is required for trusted profiles and what belongs to them.
func (s *site) requiredOfIdentity() map[string]body {
	account := `"` + cloud.AccountID + `"`
	rule := body{"type": `"Profile-SAML"`, "realm_name": `"https://idp.example.com"`, "expiration": "3600",
		"conditions": `[{"claim":"groups","operator":"EQUALS","value":"\"a\""}]`}
	out := map[string]body{
		"POST /v1/profiles":                             {"account_id": account, "name": `"another"`},
		"POST /v1/profiles/{profile}/rules":             rule,
		"PUT /v1/profiles/{profile}/rules/{rule}":       rule,
		"POST /v1/profiles/{profile}/links":             {"cr_type": `"VSI"`, "link": `{"crn":"crn:v1:bluemix:public:is:eu-de:a/` + cloud.AccountID + `::instance:another"}`},
		"POST /v1/profiles/{profile}/identities/{type}": {"identifier": `"` + cloud.OwnerIAMID + `"`, "type": `"user"`},
	}
	out["POST /v1/idps"] = body{"account_id": account, "name": `"another"`, "type": `"saml"`}
	out["POST /v2/loginsettings/{account}/idps/{id}"] = body{"cloud_user_strategy": `"STATIC"`, "active": "true", "ui_default": "true"}
	out["PUT /v1/preferences/accounts/{account}/identities/{iam}/{service}/{preference}"] = body{"value_string": `"/iam"`}
	for _, kind := range []string{"profile", "account_settings"} {
		list := "/v1/" + kind + "_templates"
		out["POST "+list] = body{"account_id": account, "name": `"another"`}
		out["POST /v1/"+kind+"_assignments"] = body{"template_id": `"` + s.made[list+" unassigned"] + `"`, "template_version": "1",
			"target_type": `"Account"`, "target": `"` + cloud.ChildAccountID + `"`}
		out["PATCH /v1/"+kind+"_assignments/{id}"] = body{"template_version": "1"}
	}
	return out
}

// makeIdentityTemplates adds templates of IAM identity. Version 1 is assigned,
// version 2 a draft, and "unassigned" is a template to assign.
func (s *site) makeIdentityTemplates(create func(path, body string) string) {
	for kind, content := range map[string]string{"profile": `"profile":{"name":%q}`, "account_settings": `"account_settings":{"mfa":"LEVEL1","user_mfa":[]}`} {
		list := "/v1/" + kind + "_templates"
		add := func(name string) string {
			id := create(list, `{"account_id":"`+cloud.AccountID+`","name":"one",`+strings.Replace(content, "%q", `"`+name+`"`, 1)+`}`)
			create(list+"/"+id+"/versions/1/commit", "")
			return id
		}
		s.made[list] = add("one")
		s.made["/v1/"+kind+"_assignments"] = create("/v1/"+kind+"_assignments", `{"template_id":"`+s.made[list]+
			`","template_version":1,"target_type":"Account","target":"`+cloud.ChildAccountID+`"}`)
		create(list+"/"+s.made[list]+"/versions", "{}")
		s.made[list+" unassigned"] = add("two")
	}
}

// makeProfile adds a trusted profile with a claim rule, a link and an identity,
// and an identity provider.
func (s *site) makeProfile(create func(path, body string) string) {
	s.made["profile"] = create("/v1/profiles", `{"account_id":"`+cloud.AccountID+`","name":"one"}`)
	one, required := "/v1/profiles/"+s.made["profile"], s.requiredOfIdentity()
	s.made["rule"] = create(one+"/rules", required["POST /v1/profiles/{profile}/rules"].without(""))
	s.made["link"] = create(one+"/links", `{"cr_type":"VSI","link":{"crn":"crn:v1:bluemix:public:is:eu-de:a/`+cloud.AccountID+`::instance:one"}}`)
	create("/v1/idps", `{"account_id":"`+cloud.AccountID+`","name":"one","type":"saml"}`)
	s.made["/v1/idps"] = s.State(false).IDPs[0].ID
	s.made["/v2/loginsettings/{account}/idps"] = s.made["/v1/idps"]
	create(one+"/identities/user", required["POST /v1/profiles/{profile}/identities/{type}"].without(""))
}
