package cloud

import (
	"path"
	"slices"
	"strings"
	"time"
)

// Names of the services whose access is emulated.
const (
	serviceIdentity   = "iam-identity"
	serviceAccess     = "iam-access-management"
	serviceGroups     = "iam-groups"
	serviceLogs       = "logs"
	serviceCodeEngine = "codeengine"
)

// target describes what an action touches, in the terms of a policy's resource.
type target struct {
	service  string
	instance string
	region   string
	kind     string // resourceType, such as "serviceid"
	id       string // resource
	group    string // resource group; IAM's own resources have none
}

func identityTarget(serviceID string) target {
	return target{service: serviceIdentity, kind: "serviceid", id: serviceID}
}

// may reports whether the identity holds one of the roles on the target, by the
// policies that are effective now. The account's owner holds all roles.
func (c *Cloud) may(a Actor, t target, roles ...string) bool {
	if a.IAMID == OwnerIAMID {
		return true
	}
	held := c.heldRoles(a, t)
	return slices.ContainsFunc(roles, func(want string) bool { return covers(held, want) })
}

// heldRoles returns the names of the roles that policies give the identity on
// the target.
func (c *Cloud) heldRoles(a Actor, t target) []string {
	held := c.rolesFor(nil, a.IAMID, t)
	for _, g := range c.groupsByMember[a.IAMID] {
		if !c.hidden(g.members[a.IAMID].CreatedAt, c.settings.PolicyLag) {
			held = c.rolesFor(held, g.ID, t)
		}
	}
	return held
}

// rolesFor appends the roles that the subject's effective policies give.
func (c *Cloud) rolesFor(held []string, subject string, t target) []string {
	lag := c.settings.PolicyLag
	add := func(p *Policy, since time.Time) {
		if p.State != "active" || p.Type != "access" || c.hidden(since, lag) || !applies(*p, t) {
			return
		}
		for _, crn := range p.Roles {
			if r, ok := lookupRole(crn, t.service); ok {
				held = append(held, r.Name)
			}
		}
	}
	for _, p := range c.policiesBySubject[subject] {
		add(&p.Policy, p.since)
	}
	for i := range c.pastPolicies[subject] {
		if f := &c.pastPolicies[subject][i]; c.hidden(f.gone, lag) {
			add(&f.Policy, f.since)
		}
	}
	return held
}

// roleRanks lists roles from lowest to highest. A higher role includes the
// lower ones.
var roleRanks = [][]string{
	{"Viewer", "Operator", "Editor", "Administrator"},
	{"Reader", "Writer", "Manager"},
}

func covers(held []string, want string) bool {
	if slices.Contains(held, want) {
		return true
	}
	for _, ranks := range roleRanks {
		if i := slices.Index(ranks, want); i >= 0 {
			return slices.ContainsFunc(ranks[i:], func(r string) bool { return slices.Contains(held, r) })
		}
	}
	return false
}

// applies reports whether a policy's resource covers the target. A policy with
// an attribute that the emulator does not know covers nothing: a missing grant
// is noticed, an extra one is not.
func applies(p Policy, t target) bool {
	for _, a := range p.Resource {
		var have string
		switch a.Key {
		case "accountId":
			have = AccountID
		case "serviceName":
			have = t.service
		case "serviceType":
			have = "service"
			if t.service == serviceIdentity || t.service == serviceAccess || t.service == serviceGroups {
				have = "platform_service"
			}
		case "serviceInstance":
			have = t.instance
		case "region":
			have = t.region
		case "resourceType":
			have = t.kind
		case "resource":
			have = t.id
		case "resourceGroupId":
			have = t.group
		}
		if !a.matches(have) {
			return false
		}
	}
	return true
}

func (a Attribute) matches(have string) bool {
	if have == "" {
		return false
	}
	switch a.Operator {
	case "", "stringEquals":
		return a.Value == have
	case "stringMatch":
		pattern, _ := a.Value.(string)
		ok, err := path.Match(strings.ReplaceAll(pattern, "/", "|"), strings.ReplaceAll(have, "/", "|"))
		return err == nil && ok
	case "stringExists":
		return a.Value == true || a.Value == "true"
	case "stringEqualsAnyOf":
		values, _ := a.Value.([]any)
		return slices.Contains(values, any(have))
	}
	return false
}

// administers reports whether the identity may change the service ID and its
// keys. Its creator may, and so may an Administrator.
func (c *Cloud) administers(a Actor, s *serviceID) bool {
	return s.CreatedBy == a.IAMID || c.may(a, identityTarget(s.ID), "Administrator")
}

// known rejects an unknown identity. It is the first check of every operation.
func (c *Cloud) known(a Actor) error {
	c.reap()
	if !c.alive(a.IAMID) {
		return unauthenticated()
	}
	return nil
}

// alive reports whether the identity exists.
func (c *Cloud) alive(iamID string) bool {
	if c.isUser(iamID) {
		return true
	}
	id := strings.TrimPrefix(iamID, "iam-")
	if id == iamID {
		return false
	}
	if _, ok := c.serviceIDs[id]; ok {
		return true
	}
	_, ok := c.profiles[id]
	return ok
}
