package cloud

import (
	"slices"
	"strings"
)

// Preference is what a trusted profile prefers in the console.
type Preference struct {
	Service   string   `json:"service"`
	ID        string   `json:"id"`
	AccountID string   `json:"account_id"`
	Scope     string   `json:"scope"`
	Value     string   `json:"value_string,omitempty"`
	Values    []string `json:"value_list_of_strings,omitempty"`
}

// NewPreference is the request to set a preference.
type NewPreference struct {
	Value  *string  `json:"value_string"`
	Values []string `json:"value_list_of_strings"`
}

// navigation lists the entries of the console's navigation that the SDK names.
var navigation = []string{"slash", "projects", "rex", "containers", "databases", "is", "logmet", "automation", "complianceAndSecurity",
	"apis", "cp4d", "partner-center", "sap", "satellite", "vmWare", "watsonx"}

func (n NewPreference) check(service, id string) error {
	switch service + "/" + id {
	case "console/landing_page":
		if n.Value == nil || !strings.HasPrefix(*n.Value, "/") || n.Values != nil {
			return identityInvalid("value_string must be a path of the console")
		}
	case "console/global_left_navigation":
		unknown := func(s string) bool { return !slices.Contains(navigation, s) }
		if n.Values == nil || n.Value != nil || slices.ContainsFunc(n.Values, unknown) {
			return identityInvalid("value_list_of_strings must list entries of the console's navigation")
		}
	default:
		return identityInvalid("there is no preference " + service + "/" + id)
	}
	return nil
}

// onPreferences finds the trusted profile whose preferences an identity may act
// on. Other identities have none.
func (c *Cloud) onPreferences(a Actor, account, iamID, action string, invalid ...error) (*profile, error) {
	if err := c.known(a); err != nil {
		return nil, err
	}
	if account != AccountID || a.IAMID != iamID && !c.may(a, target{service: serviceIdentity, kind: "preferences"}, "Administrator") {
		return nil, identityForbidden(a, "iam-identity.preferences."+action)
	}
	p := c.profiles[strings.TrimPrefix(iamID, "iam-")]
	if p == nil {
		invalid = append(invalid, identityNotFound("Profile", iamID))
	}
	return p, firstError(nil, invalid...)
}

func (p *profile) preference(service, id string) int {
	return slices.IndexFunc(p.preferences, func(x Preference) bool { return x.Service == service && x.ID == id })
}

// SetPreference sets a preference of a trusted profile.
func (c *Cloud) SetPreference(a Actor, account, iamID, service, id string, n NewPreference) (Preference, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.onPreferences(a, account, iamID, "update", n.check(service, id))
	if err != nil {
		return Preference{}, err
	}
	x := Preference{Service: service, ID: id, AccountID: account, Scope: "account", Values: n.Values}
	if n.Value != nil {
		x.Value = *n.Value
	}
	if i := p.preference(service, id); i >= 0 {
		p.preferences[i] = x
	} else {
		p.preferences = append(p.preferences, x)
	}
	return x, nil
}

// Preferences returns all preferences of a trusted profile.
func (c *Cloud) Preferences(a Actor, account, iamID string) ([]Preference, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.onPreferences(a, account, iamID, "get")
	if err != nil {
		return nil, err
	}
	return slices.Clone(p.preferences), nil
}

// Preference returns one preference of a trusted profile.
func (c *Cloud) Preference(a Actor, account, iamID, service, id string) (Preference, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.onPreferences(a, account, iamID, "get")
	if err != nil {
		return Preference{}, err
	}
	i := p.preference(service, id)
	if i < 0 {
		return Preference{}, identityNotFound("Preference", service+"/"+id)
	}
	return p.preferences[i], nil
}

// DeletePreference removes a preference of a trusted profile.
func (c *Cloud) DeletePreference(a Actor, account, iamID, service, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.onPreferences(a, account, iamID, "update")
	if err != nil {
		return err
	}
	i := p.preference(service, id)
	if i < 0 {
		return identityNotFound("Preference", service+"/"+id)
	}
	p.preferences = slices.Delete(p.preferences, i, i+1)
	return nil
}
