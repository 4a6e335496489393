package emulator_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestTokenOfAKey(t *testing.T) {
	w := newWorld(t)
	sid, key := w.Cloud().AddIdentity("consumer")
	status, body := w.exchange("apikey", "apikey", key.Value, "response_type", "cloud_iam")
	if status != 200 || body["token_type"] != "Bearer" || body["expires_in"] != 3600.0 ||
		body["expiration"] != float64(start.Add(time.Hour).Unix()) || body["refresh_token"] != "not_supported" {
		t.Fatalf("answer %d %v", status, body)
	}
	parts := strings.Split(body["access_token"].(string), ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		IAMID   string `json:"iam_id"`
		ID      string `json:"id"`
		Sub     string `json:"sub"`
		Account struct {
			BSS string `json:"bss"`
		} `json:"account"`
		IssuedAt int64 `json:"iat"`
		Expires  int64 `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.IAMID != sid.IAMID || claims.ID != sid.IAMID || claims.Sub != sid.ID || claims.Account.BSS != cloud.AccountID ||
		claims.IssuedAt != start.Unix() || claims.Expires != start.Add(time.Hour).Unix() {
		t.Errorf("claims %s", payload)
	}
}

func TestTokenThroughTheSDKsAuthenticators(t *testing.T) {
	w := newWorld(t)
	iam, err := core.NewIamAuthenticatorBuilder().SetApiKey(w.Ready().APIKey).SetURL(w.URL()).SetClient(w.http).Build()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := iam.RequestToken()
	if err != nil || answer.AccessToken == "" {
		t.Fatalf("requesting a token: %v", err)
	}
	container, err := core.NewContainerAuthenticatorBuilder().SetIAMProfileName("latchkey").SetURL(w.URL()).SetClient(w.http).
		SetCRTokenFilename(w.crTokenFile()).Build()
	if err != nil {
		t.Fatal(err)
	}
	answer, err = container.RequestToken()
	if err != nil {
		t.Fatal(err)
	}
	actor, err := w.Cloud().Authenticate(answer.AccessToken)
	if err != nil || actor.IAMID != "iam-"+w.Cloud().Minter().ProfileID {
		t.Errorf("acting as %q, %v", actor.IAMID, err)
	}
	w.as(answer.AccessToken).newServiceID("made by the profile")
}

func TestRefusedTokens(t *testing.T) {
	w := newWorld(t)
	_, key := w.Cloud().AddIdentity("consumer")
	_, disabled := w.Cloud().AddIdentity("disabled")
	w.Cloud().SetKeyDisabled(disabled.ID, true)
	_, expired := w.Cloud().AddIdentity("expired")
	w.Cloud().SetKeyExpiry(expired.ID, start)
	_, lives := w.Cloud().AddIdentity("a second left")
	w.Cloud().SetKeyExpiry(lives.ID, start.Add(time.Second))
	w.token(lives.Value)
	for name, test := range map[string]struct {
		grant string
		pairs []string
		want  string
	}{
		"an unknown key":                        {"apikey", []string{"apikey", "unknown"}, "BXNIM0415E"},
		"a disabled key":                        {"apikey", []string{"apikey", disabled.Value}, "BXNIM0415E"},
		"a key at the moment of expiry":         {"apikey", []string{"apikey", expired.Value}, "BXNIM0415E"},
		"a missing key":                         {"apikey", nil, "BXNIM0109E"},
		"an unknown grant":                      {"magic", []string{"apikey", key.Value}, "BXNIM0120E"},
		"a compute token that was never issued": {"cr-token", []string{"cr_token", "a.b.c", "profile_name", "latchkey"}, "BXNIM0437E"},
		"an unknown profile":                    {"cr-token", []string{"cr_token", w.Cloud().IssueCRToken("x"), "profile_name", "unknown"}, "BXNIM0437E"},
		"no profile":                            {"cr-token", []string{"cr_token", w.Cloud().IssueCRToken("x")}, "BXNIM0437E"},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			status, body := w.exchange(test.grant, test.pairs...)
			if status != 400 || body["errorCode"] != test.want || body["errorMessage"] == "" {
				t.Errorf("answer %d %v, want 400 %s", status, body, test.want)
			}
			if body["context"].(map[string]any)["requestId"] == "" {
				t.Error("the answer has no request ID")
			}
		})
	}
	_, body := w.exchange("apikey", "apikey", "unknown")
	if _, detailed := body["errorDetails"]; detailed || body["errorMessage"] != "Provided API key could not be found." {
		t.Errorf("answer %v", body)
	}
}

func TestLifeOfAToken(t *testing.T) {
	w := newWorld(t)
	sid, key := w.Cloud().AddIdentity("consumer")
	use := func(token string) error {
		c := w.as(token)
		_, _, err := c.identity.ListAPIKeys(c.identity.NewListAPIKeysOptions())
		return err
	}
	token := w.token(key.Value)
	w.Cloud().RemoveKey(key.ID)
	if err := use(token); err != nil {
		t.Errorf("the token died with its key: %v", err)
	}
	w.Advance(time.Hour - time.Second)
	if err := use(token); err != nil {
		t.Errorf("the token died a second early: %v", err)
	}
	w.Advance(time.Second)
	refused(t, use(token), 401, "invalid_access_token")

	second := w.Cloud().AddAPIKey(cloud.NewAPIKey{Name: "second", IAMID: sid.IAMID})
	token = w.token(second.Value)
	w.Cloud().RemoveServiceID(sid.ID)
	refused(t, use(token), 401, "invalid_access_token")
}

func TestAssumingAProfile(t *testing.T) {
	w := newWorld(t)
	_, key := w.Cloud().AddIdentity("consumer")
	status, body := w.exchange("assume", "access_token", w.token(key.Value), "profile_id", w.Cloud().Minter().ProfileID)
	if status != 200 {
		t.Fatalf("answer %d %v", status, body)
	}
	if actor, err := w.Cloud().Authenticate(body["access_token"].(string)); err != nil || actor.IAMID != "iam-"+w.Cloud().Minter().ProfileID {
		t.Errorf("acting as %q, %v", actor.IAMID, err)
	}
	if status, _ := w.exchange("assume", "access_token", "a.b.c", "profile_id", w.Cloud().Minter().ProfileID); status != 401 {
		t.Errorf("a forged token: status %d", status)
	}
}

func TestRegisteredComputeTokens(t *testing.T) {
	w := newWorld(t)
	if _, body := w.raw("POST", "/emulator/cr-tokens", `{"token":"from-the-outside"}`); body["token"] != "from-the-outside" {
		t.Errorf("registering answered %v", body)
	}
	if status, _ := w.exchange("cr-token", "cr_token", "from-the-outside", "profile_name", "latchkey"); status != 200 {
		t.Errorf("a registered token: status %d", status)
	}
	issued := w.Cloud().IssueCRToken("crn:of:an:app")
	w.Advance(2 * time.Hour)
	if status, _ := w.exchange("cr-token", "cr_token", issued, "profile_name", "latchkey"); status != 400 {
		t.Errorf("an expired compute token: status %d", status)
	}
	refused(t, func() error {
		c := w.as(issued)
		_, _, err := c.identity.ListAPIKeys(c.identity.NewListAPIKeysOptions())
		return err
	}(), 401, "invalid_access_token")
}
