package cloud

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// Token is an access token.
type Token struct {
	AccessToken string
	IAMID       string
	IssuedAt    time.Time
	Expires     time.Time
}

// claims of an access token. A service ID's are documented in
// ibm-cloud-docs/sell, on brokers.
type claims struct {
	IAMID      string       `json:"iam_id"`
	ID         string       `json:"id"`
	RealmID    string       `json:"realmid"`
	TokenID    string       `json:"jti"`
	Identifier string       `json:"identifier"`
	GivenName  string       `json:"given_name,omitempty"`
	FamilyName string       `json:"family_name,omitempty"`
	Name       string       `json:"name,omitempty"`
	Email      string       `json:"email,omitempty"`
	Subject    string       `json:"sub"`
	SubType    string       `json:"sub_type,omitempty"`
	Authn      *authnClaim  `json:"authn,omitempty"`
	Account    accountClaim `json:"account"`
	IssuedAt   int64        `json:"iat"`
	Expires    int64        `json:"exp"`
	Issuer     string       `json:"iss"`
	GrantType  string       `json:"grant_type"`
	Scope      string       `json:"scope"`
	ClientID   string       `json:"client_id"`
	ACR        int          `json:"acr"`
	AMR        []string     `json:"amr"`
	// Resource is set in a compute resource token only. Its name is a guess.
	Resource *ComputeResource `json:"compute_resource,omitempty"`
}

// authnClaim names the identity that authenticated. It differs from the
// token's if that is a trusted profile.
type authnClaim struct {
	Subject string `json:"sub"`
	IAMID   string `json:"iam_id"`
	SubType string `json:"sub_type,omitempty"`
	Name    string `json:"name,omitempty"`
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
		Message: "Provided API key could not be found."}
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
		c.loggedIn(k.IAMID)
	}
	return c.issue(k.IAMID, "urn:ibm:params:oauth:grant-type:apikey", nil), nil
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
// profile, given by name or ID (the cr-token grant). The token must be from
// [Cloud.IssueCRToken], [Cloud.IssueCRTokenFor] or [Cloud.TrustCRToken], and the
// profile must trust its compute resource.
func (c *Cloud) ExchangeCRToken(crToken, profileName, profileID string) (Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.profile(profileName, profileID)
	if crToken == "" || p == nil || !c.trusted(crToken) || !p.trusts(c.resourceOf(crToken), c.switches.LinkNameChecked) {
		return Token{}, &Error{Status: 400, Code: "bad_request", MessageCode: "BXNIM0437E",
			Message: "No trusted profile can be assumed with the provided compute resource token.",
			Details: "The profile is not known or does not trust the compute resource."}
	}
	c.loggedIn(p.IAMID)
	by := &authnClaim{Subject: crToken}
	if got, ok := c.open(crToken); ok {
		by = &authnClaim{Subject: got.Subject, IAMID: "crn-" + got.Subject}
	}
	return c.issue(p.IAMID, "urn:ibm:params:oauth:grant-type:cr-token", by), nil
}

// AssumeProfile exchanges an identity's token for one of a trusted profile (the
// assume grant).
func (c *Cloud) AssumeProfile(accessToken, profileName, profileID string) (Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, err := c.verify(accessToken)
	if err != nil {
		return Token{}, &Error{Status: 401, Code: "unauthorized", MessageCode: "BXNIM0407E",
			Message: "Provided access token is not valid."}
	}
	p := c.profile(profileName, profileID)
	if p == nil {
		return Token{}, &Error{Status: 400, Code: "bad_request", MessageCode: "BXNIM0437E",
			Message: "The trusted profile cannot be assumed."}
	}
	c.loggedIn(p.IAMID)
	by := c.subject(a.IAMID)
	return c.issue(p.IAMID, "urn:ibm:params:oauth:grant-type:assume", by.Authn), nil
}

func (c *Cloud) profile(name, id string) *profile {
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
// workload, of a compute resource that is not described.
func (c *Cloud) IssueCRToken(computeResource string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.crToken(computeResource, nil)
}

// IssueCRTokenFor returns a token of a compute resource. It rejects one that no
// link could name.
func (c *Cloud) IssueCRTokenFor(r ComputeResource) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := (ProfileLinkSpec{CRType: r.CRType, Link: r.LinkedResource, CrossAccount: true}).check(); err != nil {
		return "", err
	}
	return c.crToken(r.CRN, &r), nil
}

func (c *Cloud) crToken(subject string, r *ComputeResource) string {
	now := c.now()
	return c.seal(claims{
		Subject: subject, SubType: "ComputeResource", Issuer: "https://iam.cloud.ibm.com/identity",
		TokenID: c.uuid(), IssuedAt: now.Unix(), Expires: now.Add(defaultTokenLife).Unix(), Resource: r,
	})
}

// resourceOf returns the compute resource that a token describes, or nil.
func (c *Cloud) resourceOf(crToken string) *ComputeResource {
	got, _ := c.open(crToken)
	return got.Resource
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
	c.loggedIn(iamID)
	return c.issue(iamID, "urn:ibm:params:oauth:grant-type:passcode", nil), nil
}

// subject returns the claims that describe an identity.
func (c *Cloud) subject(iamID string) claims {
	id := strings.TrimPrefix(iamID, "iam-")
	cl := claims{IAMID: iamID, ID: iamID, RealmID: "iam", Identifier: id, Subject: id}
	if s, ok := c.serviceIDs[id]; ok {
		cl.SubType, cl.Name = "ServiceId", s.Name
	} else if p, ok := c.profiles[id]; ok {
		cl.SubType, cl.Name = "Profile", p.Name
	} else {
		cl.RealmID, cl.Identifier, _ = strings.Cut(iamID, "-")
		cl.Email = ownerEmail
		if u, ok := c.users[iamID]; ok {
			cl.Email = u.Email
		}
		cl.Subject, cl.Name = cl.Email, cl.Email
		cl.GivenName, cl.FamilyName, _ = strings.Cut(cl.Email, "@")
	}
	cl.Authn = &authnClaim{Subject: cl.Subject, IAMID: iamID, SubType: cl.SubType, Name: cl.Name}
	return cl
}

// issue returns a token of an identity. by is the identity that authenticated,
// if it is another one.
func (c *Cloud) issue(iamID, grant string, by *authnClaim) Token {
	now, life, id := c.now(), c.account.tokenLife(), c.uuid()
	token := Token{IAMID: iamID, IssuedAt: now, Expires: now.Add(life)}
	if c.blank {
		return token
	}
	cl := c.subject(iamID)
	if by != nil {
		cl.Authn = by
	}
	cl.TokenID, cl.GrantType = id, grant
	cl.Account = accountClaim{Valid: true, BSS: AccountID, Frozen: true}
	cl.IssuedAt, cl.Expires = now.Unix(), token.Expires.Unix()
	cl.Issuer, cl.Scope, cl.ClientID, cl.ACR, cl.AMR = "https://iam.cloud.ibm.com/identity", "ibm openid", "default", 1, []string{"pwd"}
	token.AccessToken = c.seal(cl)
	return token
}

func (c *Cloud) seal(cl claims) string {
	payload, err := json.Marshal(cl)
	if err != nil {
		panic("encoding claims: " + err.Error()) // claims are plain data
	}
	signed := c.tokenHeader() + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(sign(signed))
}

// tokenHeader returns the first part of every token of this cloud, with the dot
// behind it.
func (c *Cloud) tokenHeader() string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"kid":"`+c.keyID+`","alg":"RS256"}`)) + "."
}

func (c *Cloud) open(token string) (claims, bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || !strings.HasPrefix(token, c.tokenHeader()) {
		return claims{}, false
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil || !verifies(token[:i], signature) {
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
