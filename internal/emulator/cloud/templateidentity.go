package cloud

import (
	"errors"
	"fmt"
	"slices"
)

// TemplateProfile is the trusted profile of a template.
type TemplateProfile struct {
	Name        string               `json:"name"`
	Description string               `json:"description,omitempty"`
	Email       string               `json:"email,omitempty"`
	Rules       []ClaimRuleSpec      `json:"rules,omitempty"`
	Identities  []NewProfileIdentity `json:"identities,omitempty"`
}

// TemplateControls say what the child account may change in a profile. They are
// stored and returned but have no effect.
type TemplateControls struct {
	Identities *AddAndRemove `json:"identities,omitempty"`
	Rules      *AddAndRemove `json:"rules"`
	Policies   *AddAndRemove `json:"policies"`
}

// AddAndRemove allows changes of a list.
type AddAndRemove struct {
	Add    bool `json:"add"`
	Remove bool `json:"remove"`
}

// TemplateSettings are the account settings of a template. A missing setting is
// that of the account.
type TemplateSettings struct {
	AccountSettingsChange
	RestrictUserDomains *TemplateDomains `json:"restrict_user_domains,omitempty"`
}

// TemplateDomains restrict the users that an account can invite.
type TemplateDomains struct {
	AccountSufficient bool             `json:"account_sufficient"`
	Restrictions      []map[string]any `json:"restrictions,omitempty"`
}

// check rejects what the SDK's model does not list. Unlike the account's, the
// setting of user lists may be NOT_SET.
func (s TemplateSettings) check() error {
	ch := s.AccountSettingsChange
	if ch.RestrictUserListVisibility != nil && *ch.RestrictUserListVisibility == NotSet {
		ch.RestrictUserListVisibility = nil
	}
	return ch.check()
}

func (c *Cloud) checkTemplateProfile(s TemplateSpec) error {
	p := s.Profile
	if p.Name == "" {
		return identityInvalid("profile.name is required")
	}
	for _, r := range p.Rules {
		if r.Type != "Profile-SAML" {
			return identityInvalid("profile.rules.type must be Profile-SAML")
		}
		if err := r.check(); err != nil {
			return err
		}
	}
	if _, err := identitiesOf(p.Identities); err != nil {
		return err
	}
	if s.Controls != nil && (s.Controls.Rules == nil || s.Controls.Policies == nil) {
		return identityInvalid("action_controls needs rules and policies")
	}
	for _, ref := range s.References {
		if _, err := c.referenced(ref); err != nil {
			return err
		}
	}
	return nil
}

// referenced returns the version of a policy template that the template of a
// profile names.
func (c *Cloud) referenced(ref TemplateRef) (*Template, error) {
	for _, t := range c.enterprise.templates {
		if v := t.version(ref.Version); t.kind == PolicyTemplates && t.id == ref.ID && v != nil {
			if !v.Committed || v.Policy.Type != "access" {
				return nil, identityInvalid(fmt.Sprintf("version %s of %s is not the committed template of an access policy", ref.Version, ref.ID))
			}
			return v, nil
		}
	}
	return nil, PolicyTemplates.notFound(ref.ID + ", version " + ref.Version)
}

// applyProfile creates or changes the profile of a template, with its policies,
// in the child account.
func (c *Cloud) applyProfile(a Actor, x *assignment, v *Template) {
	spec := v.Profile
	p := c.enterprise.profile(x.ResourceID)
	if p == nil {
		p = c.newProfile(a.IAMID, NewProfile{AccountID: x.Target.ID})
		c.enterprise.seq++
		p.seq, p.TemplateID, p.AssignmentID = c.enterprise.seq, x.Template.ID, x.ID
		c.enterprise.profiles = append(c.enterprise.profiles, p)
		x.ResourceID = p.ID
	} else {
		c.touchProfile(a, p)
	}
	p.Name, p.Description, p.Email, p.rules = spec.Name, spec.Description, spec.Email, nil
	for _, r := range spec.Rules {
		p.rules = append(p.rules, c.newClaimRule(r))
	}
	next, _ := identitiesOf(spec.Identities) // checked with the template
	next.EntityTag = c.nextTag(p.identities.EntityTag)
	p.identities = next
	c.dropChildPolicies(x.ID)
	x.Policies = nil
	for _, ref := range v.References {
		of, err := c.referenced(ref)
		if err != nil {
			continue // deleted since
		}
		policy := of.Policy.in(x.Target.ID)
		policy.Subject = []Attribute{{Key: "iam_id", Operator: "stringEquals", Value: p.IAMID}}
		x.Policies = append(x.Policies, TemplateRef{ID: c.putChildPolicy(a, policy, x.origin(ref)).ID, Version: ref.Version})
	}
}

// IdentityError returns the error of an operation on templates as IAM identity
// words it.
func (k TemplateKind) IdentityError(a Actor, err error) error {
	var e *Error
	if !k.OfIdentity() || !errors.As(err, &e) {
		return err
	}
	switch e.Status {
	case 400:
		if e.Details == "" {
			return identityInvalid(e.Message)
		}
	case 401:
		return unauthenticated()
	case 403:
		return identityForbidden(a, "iam-identity."+map[TemplateKind]string{ProfileTemplates: "profile", SettingsTemplates: "account-settings"}[k]+"-template.update")
	case 404:
		return identityError(404, "not_found", "BXNIM0102E", "Unable to find object", e.Message)
	}
	return err
}

// EffectiveSettings are the settings that hold in an account: those of the
// account, and those of the templates that are assigned to it.
type EffectiveSettings struct {
	AccountID string
	Effective AccountSettings
	Account   AccountSettings
	Assigned  []Template
}

// EffectiveAccountSettings returns the settings that hold in the account or in
// the child account. A template's setting goes before that of the account.
func (c *Cloud) EffectiveAccountSettings(a Actor, account string, history bool) (EffectiveSettings, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ofChild := account == ChildAccountID && c.seesChild(a)
	asked := account
	if ofChild {
		asked = AccountID
	}
	if err := c.onAccount(a, asked, "get", "Viewer", "Operator", "Editor", "Administrator"); err != nil {
		return EffectiveSettings{}, err
	}
	own := &c.account
	if ofChild {
		child := newAccountSettings("1-" + account)
		child.AccountID = account
		own = &child
	}
	out := EffectiveSettings{AccountID: account, Account: own.copy(history), Effective: own.copy(false)}
	for _, x := range c.enterprise.assignments {
		if x.kind != SettingsTemplates || x.Target.ID != account {
			continue
		}
		i := slices.IndexFunc(c.enterprise.templates, func(t *template) bool { return t.id == x.Template.ID })
		v := c.enterprise.templates[i].version(x.Template.Version).clone()
		out.Assigned = append(out.Assigned, v)
		out.Effective.set(v.Settings.AccountSettingsChange, func(value string) bool { return value != NotSet })
	}
	return out, nil
}
