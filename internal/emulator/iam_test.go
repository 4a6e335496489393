package emulator_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// parts decodes the header and the payload of a token.
func parts(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	for i, v := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
		if err == nil {
			err = json.Unmarshal(text, v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

func TestTokensAreVerifiedByThePublishedKeys(t *testing.T) {
	w := newWorld(t)
	token := w.token(w.Ready().APIKey)
	header, _ := parts(t, token)
	if header["alg"] != "RS256" || !regexp.MustCompile(`^\d+$`).MatchString(header["kid"].(string)) {
		t.Errorf("header %v", header)
	}
	_, body := w.raw("GET", "/identity/keys", "")
	key := body["keys"].([]any)[0].(map[string]any)
	if key["kid"] != header["kid"] || key["kty"] != "RSA" || key["alg"] != "RS256" {
		t.Fatalf("key %v", key)
	}
	number := func(name string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(key[name].(string))
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Int).SetBytes(b)
	}
	public := &rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}
	i := strings.LastIndex(token, ".")
	sum := sha256.Sum256([]byte(token[:i]))
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature); err != nil || public.Size() != 256 {
		t.Errorf("a key of %d bytes: %v", public.Size(), err)
	}
	if other := newWorld(t); second(other.as(token).identity.ListAPIKeys(w.identity.NewListAPIKeysOptions())) == nil {
		t.Error("the token of one emulator is valid in another")
	}
}

func TestClaimsOfATokenNameWhoAuthenticated(t *testing.T) {
	w := newWorld(t)
	sid, key := w.Cloud().AddIdentity("consumer")
	service := w.token(key.Value)
	_, body := w.exchange("assume", "access_token", service, "profile_id", w.Cloud().Minter().ProfileID)
	profile := body["access_token"].(string)
	of := func(token string) map[string]any { _, claims := parts(t, token); return claims }
	for name, test := range map[string]struct {
		claims map[string]any
		want   map[string]any
		authn  map[string]any
	}{
		"a service ID": {of(service),
			map[string]any{"iam_id": sid.IAMID, "id": sid.IAMID, "realmid": "iam", "identifier": sid.ID, "name": "consumer", "sub": sid.ID, "sub_type": "ServiceId",
				"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "scope": "ibm openid", "client_id": "default", "acr": 1.0, "iss": "https://iam.cloud.ibm.com/identity"},
			map[string]any{"sub": sid.ID, "iam_id": sid.IAMID, "sub_type": "ServiceId", "name": "consumer"}},
		"a profile that a service ID assumed": {of(profile),
			map[string]any{"iam_id": "iam-" + w.Cloud().Minter().ProfileID, "sub_type": "Profile"},
			map[string]any{"sub": sid.ID, "iam_id": sid.IAMID, "sub_type": "ServiceId", "name": "consumer"}},
		"the owner": {of(w.token(w.Ready().AdminKey)),
			map[string]any{"iam_id": cloud.OwnerIAMID, "realmid": "IBMid", "identifier": "2700000001", "email": "owner@example.com", "sub": "owner@example.com"},
			map[string]any{"sub": "owner@example.com", "iam_id": cloud.OwnerIAMID, "name": "owner@example.com"}},
	} {
		for claim, want := range test.want {
			if test.claims[claim] != want {
				t.Errorf("%s: %s is %v, want %v", name, claim, test.claims[claim], want)
			}
		}
		authn := test.claims["authn"].(map[string]any)
		for claim, want := range test.authn {
			if authn[claim] != want {
				t.Errorf("%s: authn.%s is %v, want %v", name, claim, authn[claim], want)
			}
		}
		account := test.claims["account"].(map[string]any)
		if account["valid"] != true || account["bss"] != cloud.AccountID || account["frozen"] == nil || test.claims["jti"] == "" ||
			test.claims["iat"] != float64(start.Unix()) || test.claims["exp"] != float64(start.Add(time.Hour).Unix()) {
			t.Errorf("%s: claims %v", name, test.claims)
		}
	}
}

func TestAnswersOfIAMHaveItsHeaders(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]map[string]string{
		"/identity/keys": {"Cache-Control": "no-store", "Pragma": "no-cache", "Expires": "0", "Content-Language": "en-US"},
		"/v1/apikeys":    {"Content-Language": "en-US"},
		"/v2/policies":   {},
	} {
		r, body := w.raw("GET", path, "")
		for name, value := range want {
			if got := r.Header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
		if id := r.Header.Get("Transaction-Id"); id == "" || body["trace"] != nil && body["trace"] != id {
			t.Errorf("%s: Transaction-Id %q of %v", path, id, body)
		}
	}
}

func TestErrorsOfTheTokenService(t *testing.T) {
	w := newWorld(t)
	post := func(form string) (*http.Response, map[string]any) {
		return w.raw("POST", "/identity/token", form, "Content-Type", "application/x-www-form-urlencoded", "User-Agent", "tester")
	}
	const grant = "grant_type=urn:ibm:params:oauth:grant-type:apikey"
	for name, test := range map[string]struct{ form, code, message, details string }{
		"without a grant type":    {"apikey=x", "BXNIM0109E", "Property missing or empty.", "Property 'grant_type' either missing or empty."},
		"without a key":           {grant, "BXNIM0109E", "Property missing or empty.", "Property 'apikey' either missing or empty."},
		"with two response types": {grant + "&apikey=x&response_type=uaa,cloud_iam", "BXNIM0106E", "Validation of property 'response_type' with value '[uaa, cloud_iam]' failed. Valid values: 'cloud_iam'", ""},
		"with an unknown key":     {grant + "&apikey=x&response_type=cloud_iam", "BXNIM0415E", "Provided API key could not be found.", ""},
	} {
		r, body := post(test.form)
		details, _ := body["errorDetails"].(string)
		if r.StatusCode != 400 || body["errorCode"] != test.code || body["errorMessage"] != test.message || details != test.details {
			t.Errorf("%s: %d %v", name, r.StatusCode, body)
		}
		context := body["context"].(map[string]any)
		for _, field := range []string{"requestId", "requestType", "userAgent", "url", "instanceId", "threadId", "host", "startTime", "endTime", "elapsedTime", "locale", "clusterName"} {
			if context[field] == nil || context[field] == "" {
				t.Errorf("%s: the context has no %s", name, field)
			}
		}
		if context["startTime"] != "24.11.2026 10:00:30:000 UTC" || context["requestId"] != r.Header.Get("Transaction-Id") || context["userAgent"] != "tester" {
			t.Errorf("%s: context %v", name, context)
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		r, body := w.raw(method, "/identity/token", "")
		if r.StatusCode != 405 || body["errorCode"] != "BXNIM0060E" || body["errorDetails"] != "HTTP 405 Method Not Allowed" {
			t.Errorf("%s: %d %v", method, r.StatusCode, body)
		}
	}
}

func TestRefusalsOfIdentityAreAsRecorded(t *testing.T) {
	w := newWorld(t)
	sid := w.newServiceID("s")
	first := func(body map[string]any) map[string]any { return body["errors"].([]any)[0].(map[string]any) }

	r, body := w.raw("GET", "/v1/apikeys", "")
	if e := first(body); r.StatusCode != 401 || e["message_code"] != "BXNIM0308E" || e["message"] != "No authorization header found" {
		t.Errorf("without a header: %d %v", r.StatusCode, e)
	}
	_, body = w.raw("GET", "/v1/apikeys", "", "Authorization", "Bearer a.b.c")
	if e := first(body); e["code"] != "invalid_access_token" || e["message_code"] != nil {
		t.Errorf("with a forged token: %v", e)
	}
	_, key := w.Cloud().AddIdentity("stranger")
	r, body = w.raw("DELETE", "/v1/serviceids/"+*sid.ID, "", "Authorization", "Bearer "+w.token(key.Value))
	e := first(body)
	want := "Reason: Access check for action 'iam-identity.serviceid.delete' for subject '" + key.IAMID + "' for resource 'a/" + cloud.AccountID +
		"' was denied due to lack of access policy. Outbound transaction id '" + r.Header.Get("Transaction-Id") + "'."
	if r.StatusCode != 403 || e["code"] != "forbidden" || e["message"] != "You are not authorized to use this API." || e["details"] != want {
		t.Errorf("without a role: %d %v", r.StatusCode, e)
	}
}

func TestControlOfIdentities(t *testing.T) {
	w := newWorld(t)
	r, made := w.raw("POST", "/emulator/identities", `{"kind":"serviceid","name":"helper","policies":[{"service":"iam-identity","roles":["Operator"]}]}`)
	if r.StatusCode != 200 {
		t.Fatalf("status %d: %v", r.StatusCode, made)
	}
	helper := w.as(w.token(made["apikey"].(string)))
	helper.newServiceID("made by the helper")
	if r, body := w.raw("POST", "/emulator/revoke", `{"from":"helper","service":"iam-identity","role":"Operator"}`); r.StatusCode != 200 || body["policies"] != 1.0 {
		t.Errorf("revoking: %d %v", r.StatusCode, body)
	}
	_, _, err := helper.identity.CreateServiceID(w.identity.NewCreateServiceIDOptions(cloud.AccountID, "x"))
	refused(t, err, 403, "forbidden")

	if r, body := w.raw("POST", "/emulator/account", `{"restrict_create_service_id":"RESTRICTED"}`); r.StatusCode != 200 || body["restrict_create_service_id"] != "RESTRICTED" {
		t.Errorf("restricting: %d %v", r.StatusCode, body)
	}
	for _, who := range []*world{w, w.as(w.token(w.Ready().AdminKey))} {
		_, _, err = who.identity.CreateServiceID(w.identity.NewCreateServiceIDOptions(cloud.AccountID, "x"))
		refused(t, err, 403, "forbidden")
	}
	if _, body := w.raw("GET", "/emulator/account", ""); body["restrict_create_service_id"] != "RESTRICTED" {
		t.Errorf("account %v", body)
	}
	for _, call := range [][2]string{
		{"/emulator/identities", `{"kind":"robot","name":"r"}`}, {"/emulator/identities", `{"king":"user"}`}, {"/emulator/identities", `{`},
		{"/emulator/revoke", `{"from":"unknown"}`}, {"/emulator/revoke", `{}`}, {"/emulator/revoke", `{"all":true}`},
		{"/emulator/account", `{"mfa":"LEVEL9"}`}, {"/emulator/account", `{"color":1}`},
	} {
		if r, _ := w.raw("POST", call[0], call[1]); r.StatusCode != 400 {
			t.Errorf("%s %s: status %d", call[0], call[1], r.StatusCode)
		}
	}
}

// TestTheCallsOfIBMsSuites makes the calls of the integration tests of IBM's Go
// SDK for identity and policies, as the administrator they ask for. The suites
// go on to trusted profiles, identity providers, templates and custom roles,
// which are not emulated.
func TestTheCallsOfIBMsSuites(t *testing.T) {
	w := newWorld(t)
	w = w.as(w.token(w.Ready().AdminKey))
	i := w.identity
	expires := "2049-01-02T18:30:00+0000"
	for range 2 {
		done(i.CreateAPIKey(i.NewCreateAPIKeyOptions("suite", cloud.OwnerIAMID).SetDescription("a key").SetExpiresAt(expires)))(t)
	}
	details := done(i.GetAPIKeysDetails(i.NewGetAPIKeysDetailsOptions().SetIamAPIKey(w.Ready().AdminKey).SetIncludeHistory(true)))(t)
	if *details.IamID != cloud.OwnerIAMID || *details.Locked || len(details.History) == 0 {
		t.Errorf("details %+v", details)
	}
	var ids []string
	for token := ""; ; {
		o := i.NewListAPIKeysOptions().SetAccountID(cloud.AccountID).SetIamID(cloud.OwnerIAMID).SetPagesize(1).SetFilter(`name co "uit"`)
		if token != "" {
			o.SetPagetoken(token)
		}
		list := done(i.ListAPIKeys(o))(t)
		for _, k := range list.Apikeys {
			ids = append(ids, *k.ID)
		}
		if list.Next == nil {
			break
		}
		token = (*list.Next)[strings.LastIndex(*list.Next, "pagetoken=")+len("pagetoken="):]
	}
	if len(ids) != 2 {
		t.Fatalf("keys %v", ids)
	}
	got, response, err := i.GetAPIKey(i.NewGetAPIKeyOptions(ids[0]).SetIncludeHistory(true).SetIncludeActivity(true))
	if err != nil || got.Activity.AuthnCount == nil || *got.CreatedBy != cloud.OwnerIAMID {
		t.Errorf("key %+v, %v", got, err)
	}
	done(i.UpdateAPIKey(i.NewUpdateAPIKeyOptions(ids[0], response.GetHeaders().Get("Etag")).SetDescription("updated").SetExpiresAt(expires)))(t)
	for _, id := range ids {
		if _, err := i.DeleteAPIKey(i.NewDeleteAPIKeyOptions(id)); err != nil {
			t.Error(err)
		}
	}

	sid := done(i.CreateServiceID(i.NewCreateServiceIDOptions(cloud.AccountID, "suite").SetDescription("d").SetApikey(
		&iamidentityv1.APIKeyInsideCreateServiceIDRequest{Name: ptr("nested"), StoreValue: ptr(true), ExpiresAt: &expires})))(t)
	if list := done(i.ListServiceIds(i.NewListServiceIdsOptions().SetAccountID(cloud.AccountID).SetName("suite").SetPagesize(100)))(t); len(list.Serviceids) != 1 || list.Offset == nil || list.Next != nil {
		t.Errorf("listed %+v", list)
	}
	if _, err := i.DeleteServiceID(i.NewDeleteServiceIDOptions(*sid.ID)); err != nil {
		t.Error(err)
	}

	settings, response, err := i.GetAccountSettings(i.NewGetAccountSettingsOptions(cloud.AccountID).SetIncludeHistory(true))
	if err != nil || settings.History == nil || *settings.RestrictCreateServiceID != "NOT_SET" || settings.UserMfa == nil || settings.RestrictUserDomains == nil {
		t.Fatalf("settings %+v, %v", settings, err)
	}
	changed := done(i.UpdateAccountSettings(i.NewUpdateAccountSettingsOptions(response.GetHeaders().Get("Etag"), cloud.AccountID).
		SetRestrictCreateServiceID("NOT_RESTRICTED").SetMfa("NONE").SetSessionExpirationInSeconds("86400").SetMaxSessionsPerIdentity("10").
		SetUserMfa([]iamidentityv1.UserMfa{{IamID: ptr(cloud.OwnerIAMID), Mfa: ptr("NONE")}}).SetSystemAccessTokenExpirationInSeconds("3600").
		SetRestrictUserDomains([]iamidentityv1.AccountSettingsUserDomainRestriction{{RealmID: ptr("IBMid"), RestrictInvitation: ptr(false),
			InvitationEmailAllowPatterns: []string{"*@example.com"}}})))(t)
	if *changed.EntityTag == *settings.EntityTag || *changed.RestrictCreateServiceID != "NOT_RESTRICTED" || *changed.UserMfa[0].IamID != cloud.OwnerIAMID ||
		*changed.RestrictUserDomains[0].RealmID != "IBMid" || len(changed.History) != 1 {
		t.Errorf("changed to %+v", changed)
	}

	user, p := "IBMid-GoSDK12345", w.policies
	v1 := p.NewCreatePolicyOptions("access", v1Subject(user), v1Roles(viewerRole), v1Resources("accountId", cloud.AccountID, "serviceType", "service"))
	made := done(p.CreatePolicy(v1))(t)
	done(p.UpdatePolicyState(p.NewUpdatePolicyStateOptions(*made.ID, "*").SetState("active")))(t)
	v2 := p.NewCreateV2PolicyOptions(grantOf(viewerRole), "access").SetSubject(subjectOf(user)).
		SetResource(resourceOf("accountId", cloud.AccountID, "serviceType", "service")).SetRule(mondays()).SetPattern("time-based-conditions:weekly:all-day")
	second := done(p.CreateV2Policy(v2))(t)
	list := done(p.ListV2Policies(p.NewListV2PoliciesOptions(cloud.AccountID).SetIamID(user).SetSort("-id")))(t)
	if len(list.Policies) != 2 {
		t.Errorf("%d policies of the user", len(list.Policies))
	}
	roles := done(p.ListRoles(p.NewListRolesOptions().SetAccountID(cloud.AccountID).SetServiceGroupID("IAM")))(t)
	found := map[string]bool{}
	for _, r := range append(roles.SystemRoles, roles.ServiceRoles...) {
		found[*r.CRN] = true
	}
	if !found[viewerRole] || !found["crn:v1:bluemix:public:iam-identity::::serviceRole:ServiceIdCreator"] {
		t.Errorf("roles %v", found)
	}
	for _, id := range []string{*made.ID, *second.ID} {
		if _, err := p.DeleteV2Policy(p.NewDeleteV2PolicyOptions(id)); err != nil {
			t.Error(err)
		}
	}
}
