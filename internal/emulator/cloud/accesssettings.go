package cloud

import (
	"slices"
)

// IdentityRule says whether identities of a type from other accounts may use
// resources of the account. It is stored and returned but has no effect.
type IdentityRule struct {
	State    string   `json:"state"`
	Accounts []string `json:"external_allowed_accounts"`
}

// IdentityRules has the rule of each type of identity.
type IdentityRules struct {
	User      IdentityRule `json:"user"`
	ServiceID IdentityRule `json:"service_id"`
	Service   IdentityRule `json:"service"`
}

// AccessSettings are the account's settings of access management.
type AccessSettings struct {
	ETag  string        `json:"etag"`
	Rules IdentityRules `json:"identity_types"`
}

// IdentityRulesChange is the request to change rules. A nil rule stays as it is.
type IdentityRulesChange struct {
	User      *IdentityRule `json:"user"`
	ServiceID *IdentityRule `json:"service_id"`
	Service   *IdentityRule `json:"service"`
}

func newAccessSettings(tag string) AccessSettings {
	open := func() IdentityRule { return IdentityRule{State: "enabled", Accounts: []string{}} }
	return AccessSettings{ETag: tag, Rules: IdentityRules{User: open(), ServiceID: open(), Service: open()}}
}

func (s AccessSettings) copy() AccessSettings {
	for _, r := range []*IdentityRule{&s.Rules.User, &s.Rules.ServiceID, &s.Rules.Service} {
		r.Accounts = slices.Concat([]string{}, r.Accounts)
	}
	return s
}

func (c *Cloud) onAccessSettings(a Actor, account, action, role string) error {
	if err := c.known(a); err != nil {
		return policyError(err)
	}
	if account != AccountID || !c.may(a, target{service: serviceAccess}, role) {
		return serviceError(403, "insufficent_permissions", "You are not authorized to "+action+" the settings of this account.")
	}
	return nil
}

// AccessSettings returns the account's settings of access management.
func (c *Cloud) AccessSettings(a Actor, account string) (AccessSettings, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onAccessSettings(a, account, "read", "Viewer"); err != nil {
		return AccessSettings{}, err
	}
	return c.enterprise.settings.copy(), nil
}

// UpdateAccessSettings changes the settings if ifMatch is their ETag or "*".
func (c *Cloud) UpdateAccessSettings(a Actor, account, ifMatch string, ch IdentityRulesChange) (AccessSettings, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.onAccessSettings(a, account, "update", "Administrator"); err != nil {
		return AccessSettings{}, err
	}
	s := &c.enterprise.settings
	if err := c.policyIfMatch(ifMatch, s.ETag); err != nil {
		return AccessSettings{}, err
	}
	next := s.Rules
	for _, f := range []struct {
		name string
		to   *IdentityRule
		from *IdentityRule
	}{{"user", &next.User, ch.User}, {"service_id", &next.ServiceID, ch.ServiceID}, {"service", &next.Service, ch.Service}} {
		switch r := f.from; {
		case r == nil:
			continue
		case !slices.Contains([]string{"enabled", "limited", "monitor"}, r.State):
			return AccessSettings{}, invalidPolicy("%s.state must be enabled, limited or monitor", f.name)
		case r.Accounts == nil:
			return AccessSettings{}, invalidPolicy("%s.external_allowed_accounts is required", f.name)
		case r.State == "enabled" && len(r.Accounts) > 0:
			return AccessSettings{}, invalidPolicy("%s.external_allowed_accounts must be empty if the state is enabled", f.name)
		}
		*f.to = *f.from
	}
	s.Rules, s.ETag = next, c.nextTag(s.ETag)
	return s.copy(), nil
}
