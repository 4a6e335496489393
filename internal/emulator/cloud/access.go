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
	serviceObjects    = "cloud-object-storage"
	serviceRegistry   = "container-registry"
	serviceStreams    = "messagehub"
)

// target describes what an action touches, in the terms of a policy's resource.
type target struct {
	service  string
	instance string
	region   string
	kind     string // resourceType, such as "serviceid"
	id       string // resource
	group    string // resource group; IAM's own resources have none
	// kindOf and collection are the service type and the group of services of a
	// target without a service: what a policy on many services covers.
	kindOf, collection string
}

// iamServices are what a policy on the service group IAM covers, and
// platformServices what one on the type platform_service covers. Source:
// ibm-cloud-docs/iam, iam-account_management.md.
var (
	iamServices      = []string{serviceIdentity, serviceAccess, serviceGroups, "user-management"}
	platformServices = append([]string{"billing", "globalcatalog-collection", "context-based-restrictions", "enterprise", "globalcatalog",
		"cloudshell", "entitlement", "project", "support", "software-instance"}, iamServices...)
)

func (t target) serviceType() string {
	switch {
	case t.service == "":
		return t.kindOf
	case slices.Contains(platformServices, t.service):
		return "platform_service"
	}
	return "service"
}

func (t target) serviceGroup() string {
	if t.service == "" {
		return t.collection
	}
	if slices.Contains(iamServices, t.service) {
		return "IAM"
	}
	return ""
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

// mayAs is may without the order of the roles: one of them must be held itself.
// On the IAM Identity service an Editor may not what an Operator may.
func (c *Cloud) mayAs(a Actor, t target, roles ...string) bool {
	if a.IAMID == OwnerIAMID {
		return true
	}
	held := c.heldRoles(a, t)
	return slices.ContainsFunc(roles, func(want string) bool { return slices.Contains(held, want) })
}

// identityRoles are the roles that may act on the service IDs of others and on
// their keys. Sources: ibm-cloud-docs/iam, iam-account_management.md
// (#identity-service-account-management) and iam-serviceid.md for locks.
var identityRoles = map[string][]string{
	"get":    {"Viewer", "Operator", "Editor", "Administrator"},
	"create": {"Operator", "Editor", "Administrator"},
	"update": {"Editor", "Administrator"},
	"lock":   {"Editor", "Administrator"},
	"delete": {"Operator", "Administrator"},
}

// onServiceID reports whether the identity may perform an action on a service
// ID. The creator may perform all.
func (c *Cloud) onServiceID(a Actor, id, action string) bool {
	if s, ok := c.serviceIDs[id]; ok && s.CreatedBy == a.IAMID {
		return true
	}
	return c.mayAs(a, identityTarget(id), identityRoles[action]...)
}

// onKeysOf is onServiceID for the keys of a service ID.
func (c *Cloud) onKeysOf(a Actor, id, action string) bool {
	if s, ok := c.serviceIDs[id]; ok && s.CreatedBy == a.IAMID {
		return true
	}
	if action != "get" && c.switches.KeysNeedAdministrator {
		return c.mayAs(a, identityTarget(id), "Administrator")
	}
	return c.mayAs(a, identityTarget(id), identityRoles[action]...)
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
		if p.State != "active" || p.Type != "access" || c.hidden(since, lag) || !applies(*p, t) || !p.holds(c.now()) {
			return
		}
		for _, crn := range p.Roles {
			if r, ok := lookupRole(crn, t.service); ok {
				held = append(held, r.Name)
			} else if r := c.customRoleAt(crn, t.service); r != nil {
				held = append(append(held, r.CRN), r.grantedBy()...)
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
// is noticed, an extra one is not. So does a policy on tags, which nothing has here.
func applies(p Policy, t target) bool {
	if len(p.Tags) > 0 {
		return false
	}
	for _, a := range p.Resource {
		var have string
		switch a.Key {
		case "accountId":
			have = AccountID
		case "serviceName":
			have = t.service
		case "serviceType":
			have = t.serviceType()
		case "service_group_id":
			have = t.serviceGroup()
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
		return wildcard(pattern, have)
	case "stringMatchAnyOf":
		values, _ := a.Value.([]any)
		return slices.ContainsFunc(values, func(v any) bool {
			pattern, _ := v.(string)
			return wildcard(pattern, have)
		})
	case "stringExists":
		return a.Value == true || a.Value == "true"
	case "stringEqualsAnyOf":
		values, _ := a.Value.([]any)
		return slices.Contains(values, any(have))
	}
	return false
}

// wildcard reports whether the text matches a pattern with * and ?.
func wildcard(pattern, text string) bool {
	escape := strings.NewReplacer("/", "|", "[", `\[`, `\`, `\\`)
	ok, err := path.Match(escape.Replace(pattern), strings.ReplaceAll(text, "/", "|"))
	return err == nil && ok
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
