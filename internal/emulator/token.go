package emulator

import (
	"net/url"
	"strings"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

type tokenOut struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	IMSUserID    int    `json:"ims_user_id,omitempty"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	Expiration   int64  `json:"expiration"`
	Scope        string `json:"scope"`
}

const grantPrefix = "urn:ibm:params:oauth:grant-type:"

func (s *Server) token(c *call) (answer, error) {
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return answer{}, &cloud.Error{Status: 400, MessageCode: "BXNIM0109E", Message: "Property missing or empty.", Details: "The request body is not a form."}
	}
	missing := func(names ...string) error {
		for _, n := range names {
			if form.Get(n) == "" {
				return tokenMissing(n)
			}
		}
		return nil
	}
	if kind := form.Get("response_type"); kind != "" && kind != "cloud_iam" {
		shown := strings.Join(strings.FieldsFunc(kind, func(r rune) bool { return r == ',' || r == ' ' }), ", ")
		return answer{}, &cloud.Error{Status: 400, MessageCode: "BXNIM0106E",
			Message: "Validation of property 'response_type' with value '[" + shown + "]' failed. Valid values: 'cloud_iam'"}
	}
	var t cloud.Token
	switch form.Get("grant_type") {
	case grantPrefix + "apikey":
		if err := missing("apikey"); err != nil {
			return answer{}, err
		}
		t, err = s.cloud.ExchangeAPIKey(form.Get("apikey"))
	case grantPrefix + "cr-token":
		if err := missing("cr_token"); err != nil {
			return answer{}, err
		}
		t, err = s.cloud.ExchangeCRToken(form.Get("cr_token"), form.Get("profile_name"), form.Get("profile_id"))
	case grantPrefix + "assume":
		if err := missing("access_token"); err != nil {
			return answer{}, err
		}
		t, err = s.cloud.AssumeProfile(form.Get("access_token"), form.Get("profile_name"), form.Get("profile_id"))
	case "":
		return answer{}, tokenMissing("grant_type")
	default:
		return answer{}, &cloud.Error{Status: 400, MessageCode: "BXNIM0120E", Message: "The grant type is not supported."}
	}
	if err != nil {
		return answer{}, err
	}
	c.actor = cloud.Actor{IAMID: t.IAMID}
	return answer{status: 200, body: tokenOut{
		AccessToken: t.AccessToken, RefreshToken: "not_supported", IMSUserID: 1, TokenType: "Bearer",
		ExpiresIn: int64(t.Expires.Sub(t.IssuedAt).Seconds()), Expiration: t.Expires.Unix(), Scope: "ibm openid",
	}}, nil
}

func tokenMissing(property string) error {
	return &cloud.Error{Status: 400, MessageCode: "BXNIM0109E", Message: "Property missing or empty.",
		Details: "Property '" + property + "' either missing or empty."}
}
