package cloud

import (
	"cmp"
	"slices"
)

// NewIDPSetting is the request to use an identity provider in an account, or to
// change how it is used. A nil field stays as it is.
type NewIDPSetting struct {
	Strategy  *string `json:"cloud_user_strategy"`
	Active    *bool   `json:"active"`
	UIDefault *bool   `json:"ui_default"`
}

// IDPSetting says how an account uses an identity provider. It has no effect.
type IDPSetting struct {
	ID        string `json:"idp_id"`
	Owner     string `json:"owner_account"`
	OwnerName string `json:"owner_account_name,omitempty"`
	Name      string `json:"idp_name,omitempty"`
	Type      string `json:"idp_type,omitempty"`
	Strategy  string `json:"cloud_user_strategy,omitempty"`
	Active    bool   `json:"active"`
	UIDefault bool   `json:"ui_default"`
}

func (n NewIDPSetting) check(created bool) error {
	if created && (n.Strategy == nil || n.Active == nil || n.UIDefault == nil) {
		return identityInvalid("cloud_user_strategy, active and ui_default are required")
	}
	if n.Strategy != nil && !slices.Contains([]string{"STATIC", "DYNAMIC", "NEVER"}, *n.Strategy) {
		return identityInvalid("cloud_user_strategy must be STATIC, DYNAMIC or NEVER")
	}
	return nil
}

// onLogin rejects an action on the login settings of an account. The roles are
// those of the account settings.
func (c *Cloud) onLogin(a Actor, account, action string) error {
	roles := []string{"Operator", "Editor", "Administrator"}
	if action == "get" {
		roles = append(roles, "Viewer")
	}
	return c.onAccount(a, account, action, roles...)
}

// LoginAlias returns the alias of the account in URLs, or "" if it has none.
func (c *Cloud) LoginAlias(a Actor, account string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onLogin(a, account, "get"); err != nil {
		return "", err
	}
	return c.alias, nil
}

// SetLoginAlias changes the alias of the account.
func (c *Cloud) SetLoginAlias(a Actor, account string, alias *string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onLogin(a, account, "update"); err != nil {
		return "", err
	}
	if alias != nil {
		c.alias = *alias
	}
	return c.alias, nil
}

// setting returns how an account uses an identity provider. An unused one has
// the zero setting.
func (c *Cloud) setting(p *IDP, account string) IDPSetting {
	out, ok := c.loginSettings[p.ID][account]
	if !ok {
		out = &IDPSetting{}
	}
	full := *out
	full.ID, full.Owner, full.OwnerName, full.Name, full.Type = p.ID, p.AccountID, "emulator", p.Name, p.Type
	return full
}

func (c *Cloud) findSetting(a Actor, account, id, action string, invalid ...error) (*IDP, *IDPSetting, error) {
	if err := firstError(c.onLogin(a, account, action), invalid...); err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(c.idps, func(p *IDP) bool { return p.ID == id })
	if i < 0 {
		return nil, nil, identityNotFound("Idp", id)
	}
	return c.idps[i], c.loginSettings[id][account], nil
}

// IDPSettings returns how the account uses the identity providers that it may use
// (consumable), or that it does use (consumed).
func (c *Cloud) IDPSettings(a Actor, account, kind string, names bool) ([]IDPSetting, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onLogin(a, account, "get"); err != nil {
		return nil, err
	}
	if kind != "consumable" && kind != "consumed" {
		return nil, identityInvalid("type must be consumable or consumed")
	}
	out := []IDPSetting{}
	for _, p := range c.idps {
		if kind == "consumed" && c.loginSettings[p.ID][account] == nil {
			continue
		}
		x := c.setting(p, account)
		if !names {
			x.OwnerName, x.Name, x.Type = "", "", ""
		}
		out = append(out, x)
	}
	return out, nil
}

// IDPSetting returns how the account uses an identity provider.
func (c *Cloud) IDPSetting(a Actor, account, id string) (IDPSetting, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, used, err := c.findSetting(a, account, id, "get")
	if err != nil {
		return IDPSetting{}, err
	}
	if used == nil {
		return IDPSetting{}, identityNotFound("IdpSetting", id)
	}
	return c.setting(p, account), nil
}

// AddIDPSetting uses an identity provider in the account.
func (c *Cloud) AddIDPSetting(a Actor, account, id string, n NewIDPSetting) (IDPSetting, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, used, err := c.findSetting(a, account, id, "update", n.check(true))
	if err != nil {
		return IDPSetting{}, err
	}
	if used != nil {
		return IDPSetting{}, identityError(409, "conflict", "", "The account uses the identity provider already", "")
	}
	if c.loginSettings[id] == nil {
		c.loginSettings[id] = map[string]*IDPSetting{}
	}
	c.loginSettings[id][account] = &IDPSetting{}
	c.changeSetting(account, c.loginSettings[id][account], n)
	return c.setting(p, account), nil
}

// changeSetting applies a change. An account has one default.
func (c *Cloud) changeSetting(account string, to *IDPSetting, n NewIDPSetting) {
	if n.UIDefault != nil && *n.UIDefault {
		for _, others := range c.loginSettings {
			if x := others[account]; x != nil {
				x.UIDefault = false
			}
		}
	}
	to.Strategy = *cmp.Or(n.Strategy, &to.Strategy)
	to.Active = *cmp.Or(n.Active, &to.Active)
	to.UIDefault = *cmp.Or(n.UIDefault, &to.UIDefault)
}

// UpdateIDPSetting changes how the account uses an identity provider.
func (c *Cloud) UpdateIDPSetting(a Actor, account, id string, n NewIDPSetting) (IDPSetting, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, used, err := c.findSetting(a, account, id, "update", n.check(false))
	if err != nil {
		return IDPSetting{}, err
	}
	if used == nil {
		return IDPSetting{}, identityNotFound("IdpSetting", id)
	}
	c.changeSetting(account, used, n)
	return c.setting(p, account), nil
}

// RemoveIDPSetting ends the use of an identity provider in the account.
func (c *Cloud) RemoveIDPSetting(a Actor, account, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, used, err := c.findSetting(a, account, id, "update")
	if err != nil {
		return err
	}
	if used == nil {
		return identityNotFound("IdpSetting", id)
	}
	delete(c.loginSettings[id], account)
	return nil
}
