package cloud

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// ShareScope names an account or enterprise that may use an identity provider.
type ShareScope struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// NewIDP is the request for an identity provider. The properties and secrets are
// stored and returned, without private keys, and have no effect.
type NewIDP struct {
	AccountID  string         `json:"account_id"`
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Active     *bool          `json:"active"`
	Properties map[string]any `json:"properties"`
	Secrets    map[string]any `json:"secrets"`
	ShareScope []ShareScope   `json:"share_scope"`
}

// IDPChange is the request to change an identity provider. A nil field stays as
// it is.
type IDPChange struct {
	Name           *string        `json:"name"`
	Active         *bool          `json:"active"`
	SetupCompleted *bool          `json:"ui_setup_completed"`
	Properties     map[string]any `json:"properties"`
	Secrets        map[string]any `json:"secrets"`
	ShareScope     []ShareScope   `json:"share_scope"`
}

// IDP is an identity provider of the account.
type IDP struct {
	ID             string          `json:"idp_id"`
	EntityTag      string          `json:"entity_tag"`
	AccountID      string          `json:"account_id"`
	Name           string          `json:"name"`
	Type           string          `json:"type"`
	Properties     map[string]any  `json:"properties"`
	Secrets        map[string]any  `json:"secrets"`
	ShareScope     []ShareScope    `json:"share_scope"`
	Active         bool            `json:"active"`
	SetupCompleted bool            `json:"ui_setup_completed"`
	CreatedAt      time.Time       `json:"created_at"`
	ModifiedAt     time.Time       `json:"modified_at"`
	History        []HistoryRecord `json:"history,omitempty"`
}

func (p *IDP) copy(history bool) IDP {
	out := *p
	out.Properties, _ = cloneJSON(p.Properties).(map[string]any)
	out.Secrets, _ = cloneJSON(p.Secrets).(map[string]any)
	out.ShareScope = slices.Clone(p.ShareScope)
	out.History = nil
	if history {
		out.History = slices.Clone(p.History)
	}
	return out
}

// withoutKeys returns the secrets of a provider without its private keys.
func withoutKeys(secrets map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range secrets {
		switch v := v.(type) {
		case map[string]any:
			out[name] = withoutKeys(v)
		case []any:
			list := make([]any, len(v))
			for i, x := range v {
				if m, ok := x.(map[string]any); ok {
					x = withoutKeys(m)
				}
				list[i] = x
			}
			out[name] = list
		default:
			if name != "key_value" {
				out[name] = v
			}
		}
	}
	return out
}

func checkShareScope(list []ShareScope) error {
	for _, s := range list {
		if s.ID == "" || s.Type != "account" && s.Type != "enterprise" {
			return identityInvalid("share_scope needs an id and the type account or enterprise")
		}
	}
	return nil
}

func (n NewIDP) check() error {
	switch {
	case n.AccountID == "":
		return identityInvalid("account_id is required")
	case n.Name == "":
		return identityInvalid("name is required")
	case !slices.Contains([]string{"saml", "ldap", "appid"}, n.Type):
		return identityInvalid("type must be saml, ldap or appid")
	}
	return checkShareScope(n.ShareScope)
}

func (ch IDPChange) check() error {
	if ch.Name != nil && *ch.Name == "" {
		return identityInvalid("name must not be empty")
	}
	return checkShareScope(ch.ShareScope)
}

// onIDPs rejects an action on identity providers. The roles are those of service
// IDs.
func (c *Cloud) onIDPs(a Actor, account, action string) error {
	if err := c.known(a); err != nil {
		return err
	}
	if account != AccountID || !c.mayAs(a, target{service: serviceIdentity, kind: "idp"}, identityRoles[action]...) {
		return identityForbidden(a, "iam-identity.idp."+action)
	}
	return nil
}

func (c *Cloud) findIDP(a Actor, id, action string, invalid ...error) (*IDP, error) {
	if err := firstError(c.onIDPs(a, AccountID, action), invalid...); err != nil {
		return nil, err
	}
	for _, p := range c.idps {
		if p.ID == id {
			return p, nil
		}
	}
	return nil, identityNotFound("Idp", id)
}

// CreateIDP adds an identity provider.
func (c *Cloud) CreateIDP(a Actor, n NewIDP) (IDP, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := firstError(c.onIDPs(a, cmp.Or(n.AccountID, AccountID), "create"), n.check()); err != nil {
		return IDP{}, err
	}
	now := c.now()
	p := &IDP{ID: c.uuid(), EntityTag: c.nextTag(""), AccountID: n.AccountID, Name: n.Name, Type: n.Type, Active: n.Active == nil || *n.Active,
		Properties: mergePatch(map[string]any{}, n.Properties).(map[string]any), Secrets: withoutKeys(n.Secrets), ShareScope: n.ShareScope, CreatedAt: now, ModifiedAt: now,
		History: []HistoryRecord{{Timestamp: now, IAMID: a.IAMID, Action: "CREATED", Message: "Created"}}}
	c.idps = append(c.idps, p)
	return p.copy(false), nil
}

// ListIDPs returns the identity providers of the account, oldest first.
func (c *Cloud) ListIDPs(a Actor, account string, history bool) ([]IDP, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onIDPs(a, account, "get"); err != nil {
		return nil, err
	}
	out := make([]IDP, len(c.idps))
	for i, p := range c.idps {
		out[i] = p.copy(history)
	}
	return out, nil
}

// GetIDP returns one identity provider.
func (c *Cloud) GetIDP(a Actor, id string, history bool) (IDP, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findIDP(a, id, "get")
	if err != nil {
		return IDP{}, err
	}
	return p.copy(history), nil
}

// UpdateIDP changes an identity provider if ifMatch is its entity tag or "*". An
// account that uses it and loses its share keeps it unless force is set.
func (c *Cloud) UpdateIDP(a Actor, id, ifMatch string, ch IDPChange, force bool) (IDP, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findIDP(a, id, "update", ch.check())
	if err != nil {
		return IDP{}, err
	}
	if err := c.identityIfMatch(ifMatch, p.EntityTag); err != nil {
		return IDP{}, err
	}
	if ch.ShareScope != nil {
		for account := range c.loginSettings[id] {
			if account != AccountID && !shares(ch.ShareScope, account) && !force {
				return IDP{}, identityError(409, "conflict", "", "An account outside share_scope uses the identity provider", "account "+account)
			}
		}
		p.ShareScope = ch.ShareScope
	}
	if ch.Name != nil {
		p.Name = *ch.Name
	}
	for _, f := range []struct{ to, from *bool }{{&p.Active, ch.Active}, {&p.SetupCompleted, ch.SetupCompleted}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if ch.Properties != nil {
		p.Properties, _ = mergePatch(p.Properties, ch.Properties).(map[string]any)
	}
	if ch.Secrets != nil {
		p.Secrets, _ = mergePatch(p.Secrets, withoutKeys(ch.Secrets)).(map[string]any)
	}
	p.EntityTag, p.ModifiedAt = c.nextTag(p.EntityTag), c.now()
	p.History = append(p.History, HistoryRecord{Timestamp: p.ModifiedAt, IAMID: a.IAMID, Action: "UPDATED", Message: "UPDATED"})
	return p.copy(false), nil
}

// DeleteIDP deletes an identity provider that no account uses.
func (c *Cloud) DeleteIDP(a Actor, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findIDP(a, id, "delete")
	if err != nil {
		return err
	}
	if len(c.loginSettings[id]) > 0 {
		return identityError(409, "conflict", "", "An account uses the identity provider", "remove it from the login settings first")
	}
	c.idps = slices.DeleteFunc(c.idps, func(x *IDP) bool { return x == p })
	return nil
}

// IDPConsumer is an account that uses an identity provider.
type IDPConsumer struct {
	AccountID  string       `json:"account_id"`
	ShareScope []ShareScope `json:"share_scope"`
}

// IDPConsumers returns the accounts that use an identity provider.
func (c *Cloud) IDPConsumers(a Actor, id string) ([]IDPConsumer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findIDP(a, id, "get")
	if err != nil {
		return nil, err
	}
	out := []IDPConsumer{}
	for _, account := range slices.Sorted(maps.Keys(c.loginSettings[id])) {
		x := IDPConsumer{AccountID: account, ShareScope: []ShareScope{}}
		for _, s := range p.ShareScope {
			if s.ID == account || s.Type == "enterprise" {
				x.ShareScope = append(x.ShareScope, s)
			}
		}
		out = append(out, x)
	}
	return out, nil
}

// shares reports whether a scope includes an account. Both accounts are in the
// same enterprise.
func shares(list []ShareScope, account string) bool {
	return slices.ContainsFunc(list, func(s ShareScope) bool { return s.ID == account || s.Type == "enterprise" })
}
