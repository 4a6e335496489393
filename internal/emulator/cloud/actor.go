package cloud

import (
	"fmt"
	"slices"
	"strings"
)

// The methods in this file make and weaken the identities of a scenario, as an
// administrator would in the console. Unlike those in console.go they take names
// and return errors, since a person may call them.

// NewActor describes a user, a service ID or an access group to add.
type NewActor struct {
	Kind     string   `json:"kind"` // user, serviceid or group
	Name     string   `json:"name"` // an e-mail address, if it is a user
	Policies []Access `json:"policies"`
	Groups   []string `json:"groups"`  // access groups to join
	Members  []string `json:"members"` // identities that join the new group
}

// Access describes a policy. At most one of Service, ServiceType and
// ServiceGroup is set; none means all services.
type Access struct {
	Service       string   `json:"service"`
	ServiceType   string   `json:"serviceType"`
	ServiceGroup  string   `json:"serviceGroup"`
	Instance      string   `json:"instance"`
	ResourceGroup string   `json:"resourceGroup"`
	Roles         []string `json:"roles"` // display names or CRNs
}

// AddedActor is what AddActor added. A group has no key.
type AddedActor struct {
	ID       string   `json:"id"`
	IAMID    string   `json:"iam_id,omitempty"`
	APIKeyID string   `json:"apikey_id,omitempty"`
	APIKey   string   `json:"apikey,omitempty"`
	Policies []string `json:"policies"` // IDs
}

// AddActor adds an identity with its policies and one API key, or an access
// group. Everything is effective after the lags.
func (c *Cloud) AddActor(n NewActor) (AddedActor, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	specs := make([]PolicySpec, 0, len(n.Policies))
	for _, p := range n.Policies {
		spec, err := p.spec()
		if err != nil {
			return AddedActor{}, err
		}
		specs = append(specs, spec)
	}
	joins, err := c.findAll(n.Groups, func(id string) bool { return c.groups[id] != nil })
	if err != nil {
		return AddedActor{}, err
	}
	members, err := c.findAll(n.Members, c.alive)
	if err != nil {
		return AddedActor{}, err
	}
	switch {
	case n.Name == "":
		return AddedActor{}, fmt.Errorf("adding a %s: the name is missing", n.Kind)
	case n.Kind == "group" && len(joins) > 0, n.Kind != "group" && len(members) > 0:
		return AddedActor{}, fmt.Errorf("adding %q: an access group has members, and an identity has groups", n.Name)
	}
	out, subject := AddedActor{Policies: []string{}}, "iam_id"
	switch n.Kind {
	case "user":
		out.IAMID = c.putUser(n.Name).IAMID
		out.ID = out.IAMID
	case "serviceid":
		s := c.putServiceID(OwnerIAMID, NewServiceID{Name: n.Name})
		out.ID, out.IAMID = s.ID, s.IAMID
	case "group":
		if err := c.checkGroup(n.Name, "", nil); err != nil {
			return AddedActor{}, err
		}
		out.ID, subject = c.putGroup(OwnerIAMID, n.Name, "").ID, "access_group_id"
		for _, iamID := range members {
			c.join(c.groups[out.ID], OwnerIAMID, iamID)
		}
	default:
		return AddedActor{}, fmt.Errorf("adding %q: the kind %q is not user, serviceid or group", n.Name, n.Kind)
	}
	if n.Kind != "group" {
		k := c.putKey(OwnerIAMID, NewAPIKey{Name: n.Name, IAMID: out.IAMID})
		out.APIKeyID, out.APIKey = k.ID, k.Value
	}
	for _, id := range joins {
		c.join(c.groups[id], OwnerIAMID, out.IAMID)
	}
	for _, spec := range specs {
		spec.Subject = []Attribute{{Key: subject, Operator: "stringEquals", Value: out.ID}}
		if subject == "iam_id" {
			spec.Subject[0].Value = out.IAMID
		}
		out.Policies = append(out.Policies, c.putPolicy(Owner(), spec, slices.Sorted(slices.Values(spec.Roles))).ID)
	}
	return out, nil
}

func (p Access) spec() (PolicySpec, error) {
	spec := PolicySpec{Type: "access", Resource: []Attribute{{Key: "accountId", Operator: "stringEquals", Value: AccountID}}}
	for _, a := range [][2]string{
		{"serviceName", p.Service}, {"serviceType", p.ServiceType}, {"service_group_id", p.ServiceGroup},
		{"serviceInstance", p.Instance}, {"resourceGroupId", p.ResourceGroup},
	} {
		if a[1] != "" {
			spec.Resource = append(spec.Resource, Attribute{Key: a[0], Operator: "stringEquals", Value: a[1]})
		}
	}
	if len(spec.Resource) == 1 {
		spec.Resource = append(spec.Resource, Attribute{Key: "serviceType", Operator: "stringEquals", Value: "service"})
	}
	if len(p.Roles) == 0 {
		return spec, fmt.Errorf("adding a policy on %q: the roles are missing", p.Service)
	}
	for _, name := range p.Roles {
		crn, ok := RoleNamed(name, p.Service)
		if !ok {
			return spec, fmt.Errorf("adding a policy on %q: the role %q is unknown", p.Service, name)
		}
		spec.Roles = append(spec.Roles, crn)
	}
	return spec, nil
}

// Revocation selects what Pull takes: one policy, or a subject's access to a
// service, or one role of that. An empty Service means all of the subject's
// policies.
type Revocation struct {
	Policy  string `json:"policy"`
	From    string `json:"from"` // IAM ID, ID or name of an identity or access group
	Service string `json:"service"`
	Role    string `json:"role"` // display name or CRN
}

// Pull takes a role or a policy from a subject, at once and without a lag, and
// returns how many policies it changed or removed.
func (c *Cloud) Pull(r Revocation) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*policy
	switch {
	case (r.Policy == "") == (r.From == ""):
		return 0, fmt.Errorf("revoking: either policy or from is required")
	case r.Policy != "":
		p, ok := c.policies[r.Policy]
		if !ok {
			return 0, fmt.Errorf("revoking: there is no policy %q", r.Policy)
		}
		found = []*policy{p}
	default:
		subject, err := c.find(r.From)
		if err != nil {
			return 0, err
		}
		found = slices.Clone(c.policiesBySubject[subject])
	}
	changed := 0
	for _, p := range found {
		service := attribute(p.Resource, "serviceName")
		if r.Service != "" && r.Service != service {
			continue
		}
		left := p.Roles[:0:0]
		for _, crn := range p.Roles {
			if role, _ := c.roleFor(p.Resource, crn); r.Role != "" && r.Role != crn && r.Role != role.Name {
				left = append(left, crn)
			}
		}
		switch {
		case len(left) == len(p.Roles):
			continue
		case len(left) == 0:
			c.dropPolicy(p, false)
		default:
			p.Roles, p.asked = left, slices.Sorted(slices.Values(left))
			p.ETag, p.ModifiedAt, p.ModifiedBy = c.nextTag(p.ETag), c.now(), OwnerIAMID
		}
		changed++
	}
	if changed == 0 {
		return 0, fmt.Errorf("revoking: no policy matches")
	}
	return changed, nil
}

// find returns the IAM ID of an identity or the ID of an access group, given by
// either or by name. A service ID's name goes before those of profiles, access
// groups and users.
func (c *Cloud) find(name string) (string, error) {
	if c.alive(name) || c.groups[name] != nil {
		return name, nil
	}
	if c.alive("iam-" + name) {
		return "iam-" + name, nil
	}
	if same := c.serviceIDsByName[name]; len(same) > 0 {
		return same[0].IAMID, nil
	}
	if p := c.profile(name, ""); p != nil {
		return p.IAMID, nil
	}
	for _, g := range c.groupOrder {
		if strings.EqualFold(g.Name, name) {
			return g.ID, nil
		}
	}
	for iamID, u := range c.users {
		if u.Email == name {
			return iamID, nil
		}
	}
	return "", fmt.Errorf("there is no identity or access group %q", name)
}

func (c *Cloud) findAll(names []string, fits func(id string) bool) ([]string, error) {
	var out []string
	for _, name := range names {
		id, err := c.find(name)
		if err != nil {
			return nil, err
		}
		if !fits(id) {
			return nil, fmt.Errorf("%q has the wrong kind", name)
		}
		out = append(out, id)
	}
	return out, nil
}

// ChangeAccount changes the account settings without checking policies.
func (c *Cloud) ChangeAccount(ch AccountSettingsChange) (AccountSettings, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ch.check(); err != nil {
		return AccountSettings{}, err
	}
	c.changeAccount(Owner(), ch)
	return c.account.copy(true), nil
}

// Account returns the account settings without checking policies.
func (c *Cloud) Account() AccountSettings {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.account.copy(true)
}
