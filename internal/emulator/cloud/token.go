package cloud

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// Profile is a trusted profile: an identity without keys that other identities
// assume.
type Profile struct {
	ID        string    `json:"id"`
	IAMID     string    `json:"iam_id"`
	CRN       string    `json:"crn"`
	Name      string    `json:"name"`
	AccountID string    `json:"account_id"`
	CreatedAt time.Time `json:"created_at"`
}

// Token is an access token.
type Token struct {
	AccessToken string
	IAMID       string
	IssuedAt    time.Time
	Expires     time.Time
}

// tokenLife is IBM's default for an account.
const tokenLife = time.Hour

type claims struct {
	IAMID      string         `json:"iam_id"`
	ID         string         `json:"id"`
	RealmID    string         `json:"realmid"`
	TokenID    string         `json:"jti"`
	Identifier string         `json:"identifier"`
	Name       string         `json:"name,omitempty"`
	Subject    string         `json:"sub"`
	SubType    string         `json:"sub_type,omitempty"`
	Account    accountClaim   `json:"account"`
	IssuedAt   int64          `json:"iat"`
	Expires    int64          `json:"exp"`
	Issuer     string         `json:"iss"`
	GrantType  string         `json:"grant_type"`
	Scope      string         `json:"scope"`
	ClientID   string         `json:"client_id"`
	ACR        int            `json:"acr"`
	AMR        []string       `json:"amr"`
	Authn      map[string]any `json:"authn,omitempty"`
}

type accountClaim struct {
	Valid  bool   `json:"valid"`
	BSS    string `json:"bss"`
	Frozen bool   `json:"frozen"`
}

// unknownKey is IAM's answer for a key that was deleted, never existed, or is
// still within the key lag.
func unknownKey() *Error {
	return &Error{Status: 400, Code: "bad_request", MessageCode: "BXNIM0415E",
		Message: "Provided API key could not be found.",
		Details: "BXNIM0102E: Unable to find Object. Object Type: 'ApiKey'"}
}

// ExchangeAPIKey exchanges a key for a token of its identity (the apikey
// grant).
func (c *Cloud) ExchangeAPIKey(value string) (Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reap()
	k := c.keyByValue[value]
	if k == nil {
		k = c.lingering(value)
	} else if c.hidden(k.CreatedAt, c.settings.KeyLag) {
		k = nil
	}
	if k == nil {
		return Token{}, unknownKey()
	}
	now := c.now()
	if k.Disabled || !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) {
		e := unknownKey()
		e.Status, e.MessageCode = c.switches.UnusableKeyStatus, c.switches.UnusableKeyCode
		return Token{}, e
	}
	c.authenticated(&k.Activity, &k.fresh)
	if s, ok := c.serviceIDs[strings.TrimPrefix(k.IAMID, "iam-")]; ok {
		c.authenticated(&s.Activity, &s.fresh)
	} else {
		c.lastAuthn[k.IAMID] = now
	}
	return c.issue(k.IAMID, "urn:ibm:params:oauth:grant-type:apikey"), nil
}

// lingering finds a deleted key that is still within the key lag.
func (c *Cloud) lingering(value string) *apiKey {
	now := c.now()
	for len(c.deleted) > 0 && !now.Before(c.deleted[0].at.Add(c.settings.KeyLag)) {
		c.deleted = c.deleted[1:]
	}
	if !c.switches.DeletedKeysLive {
		return nil
	}
	for _, d := range c.deleted {
		if d.key.Value == value && c.alive(d.key.IAMID) {
			return d.key
		}
	}
	return nil
}

// ExchangeCRToken exchanges a compute resource token for a token of a trusted
// profile, given by name or ID (the cr-token grant). Which compute resources a
// profile trusts is not emulated: it accepts every token from
// [Cloud.IssueCRToken] or [Cloud.TrustCRToken].
func (c *Cloud) ExchangeCRToken(crToken, profileName, profileID string) (Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.profile(profileName, profileID)
	if crToken == "" || p == nil || !c.trusted(crToken) {
		return Token{}, &Error{Status: 400, Code: "bad_request", MessageCode: "BXNIM0437E",
			Message: "No trusted profile can be assumed with the provided compute resource token.",
			Details: "The profile is not known or does not trust the compute resource."}
	}
	c.lastAuthn[p.IAMID] = c.now()
	return c.issue(p.IAMID, "urn:ibm:params:oauth:grant-type:cr-token"), nil
}

// AssumeProfile exchanges an identity's token for one of a trusted profile (the
// assume grant).
func (c *Cloud) AssumeProfile(accessToken, profileName, profileID string) (Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.verify(accessToken); err != nil {
		return Token{}, &Error{Status: 401, Code: "unauthorized", MessageCode: "BXNIM0407E",
			Message: "Provided access token is not valid."}
	}
	p := c.profile(profileName, profileID)
	if p == nil {
		return Token{}, &Error{Status: 400, Code: "bad_request", MessageCode: "BXNIM0437E",
			Message: "The trusted profile cannot be assumed."}
	}
	c.lastAuthn[p.IAMID] = c.now()
	return c.issue(p.IAMID, "urn:ibm:params:oauth:grant-type:assume"), nil
}

func (c *Cloud) profile(name, id string) *Profile {
	if id != "" {
		return c.profiles[id]
	}
	for _, p := range c.profiles {
		if name != "" && p.Name == name {
			return p
		}
	}
	return nil
}

func (c *Cloud) trusted(crToken string) bool {
	if c.crTokens[crToken] {
		return true
	}
	got, ok := c.open(crToken)
	return ok && got.GrantType == "" && c.now().Before(time.Unix(got.Expires, 0))
}

// IssueCRToken returns a token like the one that Code Engine mounts into a
// workload.
func (c *Cloud) IssueCRToken(computeResource string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	return c.seal(claims{
		Subject: computeResource, SubType: "ComputeResource", Issuer: "https://iam.cloud.ibm.com/identity",
		TokenID: c.uuid(), IssuedAt: now.Unix(), Expires: now.Add(tokenLife).Unix(),
	})
}

// TrustCRToken makes any string a valid compute resource token.
func (c *Cloud) TrustCRToken(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.crTokens[token] = true
}

// TokenFor issues a token for any existing identity, as an interactive login
// does.
func (c *Cloud) TokenFor(iamID string) (Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.alive(iamID) {
		return Token{}, unauthenticated()
	}
	c.lastAuthn[iamID] = c.now()
	return c.issue(iamID, "urn:ibm:params:oauth:grant-type:passcode"), nil
}

func (c *Cloud) issue(iamID, grant string) Token {
	now := c.now()
	subject := strings.TrimPrefix(iamID, "iam-")
	cl := claims{
		IAMID: iamID, ID: iamID, RealmID: "iam", TokenID: c.uuid(), Identifier: subject, Subject: subject,
		Account: accountClaim{Valid: true, BSS: AccountID}, IssuedAt: now.Unix(), Expires: now.Add(tokenLife).Unix(),
		Issuer: "https://iam.cloud.ibm.com/identity", GrantType: grant, Scope: "ibm openid", ClientID: "default",
		ACR: 1, AMR: []string{"pwd"},
	}
	if s, ok := c.serviceIDs[subject]; ok {
		cl.SubType, cl.Name = "ServiceId", s.Name
	} else if p, ok := c.profiles[subject]; ok {
		cl.SubType, cl.Name = "Profile", p.Name
	}
	return Token{AccessToken: c.seal(cl), IAMID: iamID, IssuedAt: now, Expires: now.Add(tokenLife)}
}

var jwtHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"emulator","typ":"JWT"}`))

func (c *Cloud) seal(cl claims) string {
	payload, err := json.Marshal(cl)
	if err != nil {
		panic("encoding claims: " + err.Error()) // claims are plain data
	}
	signed := jwtHeader + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(c.sign(signed))
}

func (c *Cloud) sign(s string) []byte {
	mac := hmac.New(sha256.New, c.signing)
	mac.Write([]byte(s))
	return mac.Sum(nil)
}

func (c *Cloud) open(token string) (claims, bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return claims{}, false
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil || !hmac.Equal(signature, c.sign(token[:i])) {
		return claims{}, false
	}
	_, payload, _ := strings.Cut(token[:i], ".")
	b, err := base64.RawURLEncoding.DecodeString(payload)
	var cl claims
	if err != nil || json.Unmarshal(b, &cl) != nil {
		return claims{}, false
	}
	return cl, true
}

// verify accepts an issued token that has not expired and whose identity
// exists. The key that it came from may be deleted.
func (c *Cloud) verify(token string) (Actor, error) {
	cl, ok := c.open(token)
	if !ok || cl.GrantType == "" || !c.now().Before(time.Unix(cl.Expires, 0)) || !c.alive(cl.IAMID) {
		return Actor{}, unauthenticated()
	}
	return Actor{IAMID: cl.IAMID}, nil
}

// Authenticate returns the identity of an access token.
func (c *Cloud) Authenticate(accessToken string) (Actor, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.verify(accessToken)
}
