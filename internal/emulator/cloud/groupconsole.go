package cloud

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// NewGroup is an access group that an administrator adds in the console.
type NewGroup struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	CreatedBy   string   `json:"createdBy"` // IAM ID; "" is the account's owner
	Members     []string `json:"members"`   // IAM IDs
	Grants      []Grant  `json:"grants"`
}

// Grant gives roles on all instances of a service.
type Grant struct {
	Service string   `json:"service"`
	Roles   []string `json:"roles"` // names or CRNs
}

// GroupChange changes an access group by hand.
type GroupChange struct {
	Add       []string `json:"add"`    // IAM IDs
	Remove    []string `json:"remove"` // IAM IDs
	CreatedBy string   `json:"createdBy"`
	Grants    []Grant  `json:"grants"`
}

// AddGroup adds an access group without checking policies or limits.
func (c *Cloud) AddGroup(n NewGroup) (GroupState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	owner := cmp.Or(n.CreatedBy, OwnerIAMID)
	if err := c.checkGroup(n.Name, n.Description, nil); err != nil {
		return GroupState{}, err
	}
	if err := c.checkByHand(nil, GroupChange{Add: n.Members, CreatedBy: owner, Grants: n.Grants}); err != nil {
		return GroupState{}, err
	}
	g := c.putGroup(owner, n.Name, n.Description)
	c.changeByHand(g, GroupChange{Add: n.Members, Grants: n.Grants})
	return GroupState{AccessGroup: g.AccessGroup, Members: g.sorted()}, nil
}

// ChangeGroup changes an access group without checking policies.
func (c *Cloud) ChangeGroup(id string, ch GroupChange) (GroupState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.groups[id]
	if !ok {
		return GroupState{}, groupNotFound(id)
	}
	if err := c.checkByHand(g, ch); err != nil {
		return GroupState{}, err
	}
	c.changeByHand(g, ch)
	return GroupState{AccessGroup: g.AccessGroup, Members: g.sorted()}, nil
}

// RemoveGroup deletes an access group with its policies. Its members lose their
// access at once.
func (c *Cloud) RemoveGroup(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.groups[id]
	if !ok {
		return groupNotFound(id)
	}
	c.dropGroup(g)
	return nil
}

func (c *Cloud) checkByHand(g *group, ch GroupChange) error {
	for _, id := range slices.Concat(ch.Add, []string{cmp.Or(ch.CreatedBy, OwnerIAMID)}) {
		if !c.alive(id) {
			return fmt.Errorf("there is no identity %q", id)
		}
	}
	for _, id := range ch.Remove {
		if g == nil || g.members[id].IAMID == "" {
			return fmt.Errorf("%q is not a member of the group", id)
		}
	}
	for _, grant := range ch.Grants {
		if grant.Service == "" || len(grant.Roles) == 0 {
			return errors.New("a grant needs a service and roles")
		}
		for _, name := range grant.Roles {
			if _, ok := RoleNamed(name, grant.Service); !ok {
				return fmt.Errorf("%s has no role %q", grant.Service, name)
			}
		}
	}
	return nil
}

// changeByHand applies a change that has been checked. A new member has the
// group's access after the policy lag, as one that the API adds.
func (c *Cloud) changeByHand(g *group, ch GroupChange) {
	for _, id := range ch.Remove {
		c.unjoin(g, id)
	}
	for _, id := range ch.Add {
		c.join(g, OwnerIAMID, id)
	}
	if ch.CreatedBy != "" {
		g.CreatedBy = ch.CreatedBy
		g.ETag, g.ModifiedAt, g.ModifiedBy = c.nextTag(g.ETag), c.now(), OwnerIAMID
	}
	for _, grant := range ch.Grants {
		var roles []string
		for _, name := range grant.Roles {
			crn, _ := RoleNamed(name, grant.Service)
			roles = append(roles, crn)
		}
		slices.Sort(roles)
		c.putPolicy(Owner(), PolicySpec{
			Type: "access", Roles: roles,
			Subject: []Attribute{{Key: "access_group_id", Operator: "stringEquals", Value: g.ID}},
			Resource: []Attribute{
				{Key: "accountId", Operator: "stringEquals", Value: AccountID},
				{Key: "serviceName", Operator: "stringEquals", Value: grant.Service},
			},
		}, roles)
	}
}
