package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/iam"
)

// resource is what a role is needed on. An empty field stands for all values, and
// unseen for one value that is not known.
type resource struct {
	service       string
	instance      string
	name          string // of the instance, for people
	region        string
	resourceGroup string
	kind, id      string // resourceType and resource
}

const unseen = "?"

// part returns which part of the service the resource is, such as " (instance
// 7a1c…)". It is empty for a whole service.
func (r resource) part() (text string) {
	for _, part := range [][2]string{
		{"instance ", r.instance}, {"project ", r.name}, {"resource group ", r.narrowGroup()}, {strings.TrimLeft(strings.ReplaceAll(r.kind, "-", " ")+" ", " "), r.id},
	} {
		if part[1] != "" && part[1] != unseen {
			text += " (" + part[0] + part[1] + ")"
		}
	}
	return text
}

// narrowGroup returns the resource group, if the resource is all of it.
func (r resource) narrowGroup() string {
	if r.instance != "" {
		return ""
	}
	return r.resourceGroup
}

// options returns the options with which ibmcloud limits a policy to the resource.
func (r resource) options() string {
	out := "--service-name " + r.service
	for _, part := range [][2]string{
		{"--service-instance", r.instance}, {"--resource-group-id", r.narrowGroup()}, {"--resource-type", r.kind}, {"--resource", r.id},
	} {
		switch {
		case part[1] == "" || part[1] == unseen:
		case part[0] == "--resource-type" && (r.id == "" || r.id == unseen):
		default:
			out += " " + part[0] + " " + part[1]
		}
	}
	return out
}

// need is a role that latchkey needs on a resource.
type need struct {
	role string // as the fix names it: the narrowest
	// enough are the roles of which each is enough, in the spelling of CRNs.
	enough []string
	on     resource
	// anywhere is set if the role is enough on any part of the resource.
	anywhere bool
	why      string
}

// ranks list roles from lowest to highest. A higher role includes the lower ones.
var ranks = [][]string{
	{"Viewer", "Operator", "Editor", "Administrator"},
	{"Reader", "Writer", "Manager"},
}

// atLeast returns the roles on a service that include the role. On IAM Identity,
// Operator creates and deletes and Editor creates and updates, so neither
// includes the other. See ibm-cloud-docs/iam, iam-account_management.md,
// #identity-service-account-management.
func atLeast(role, service string) []string {
	name := spelled(role)
	if service == identityService && (name == "Operator" || name == "Editor") {
		return []string{name, "Administrator"}
	}
	for _, names := range ranks {
		if i := slices.Index(names, name); i >= 0 {
			return names[i:]
		}
	}
	return []string{name}
}

// spelled returns a role's display name in the spelling of CRNs, which has no
// spaces: "Secrets Reader" is SecretsReader. "Service ID creator" is
// ServiceIdCreator, so roles are compared regardless of case.
func spelled(role string) string { return strings.ReplaceAll(role, " ", "") }

// granted is a policy of ours, or of an access group that we are a member of.
type granted struct {
	iam.Grant
	group string // name of the access group; empty for our own policies
}

// verdict is what the policies say about a need, from bad to good.
type verdict int

const (
	missing verdict = iota
	unknown
	held
)

// finding is a verdict with its explanation.
type finding struct {
	verdict
	by string // the access group that holds it, or why it is unknown
}

// decide compares a need with the policies that we can see. If others may exist, a
// role that none of them grants is unknown. unread says why.
func decide(n need, policies []granted, unread string) finding {
	best := finding{verdict: missing}
	for _, p := range policies {
		v, why := grants(p.Grant, n)
		switch {
		case v <= best.verdict:
		case v == held:
			best = finding{held, p.group}
		default:
			best = finding{v, fmt.Sprintf("policy %s %s", p.Policy, why)}
		}
	}
	if best.verdict == missing && unread != "" {
		return finding{unknown, unread}
	}
	return best
}

// grants reports whether a policy grants a role that is enough on the resource,
// and if that is unknown, why.
func grants(g iam.Grant, n need) (verdict, string) {
	why := ""
	roles := missing
	for _, r := range g.Roles {
		if slices.ContainsFunc(n.enough, func(e string) bool { return strings.EqualFold(e, spelled(r)) }) {
			roles = held
		}
	}
	if roles == missing && g.Custom {
		roles, why = unknown, "grants a custom role"
	}
	if roles == missing {
		return missing, ""
	}
	covered := held
	for _, a := range g.Attributes {
		if n.anywhere && !ofService(a.Key) && !slices.Contains(a.Values, "resource-group") {
			continue // a policy on a resource group itself has no service
		}
		if v := selects(a, n.on.value(a.Key)); v < covered {
			covered = v
			if v == unknown {
				why = fmt.Sprintf("is limited by %s %s", a.Key, strings.Join(a.Values, ", "))
			}
		}
	}
	if g.Conditional && covered == held {
		covered, why = unknown, "has a condition"
	}
	return min(roles, covered), why
}

func ofService(key string) bool {
	return key == "serviceName" || key == "serviceType" || key == "service_group_id"
}

// accountServices are the account management services, by ibm-cloud-docs/iam,
// iam-account_management.md, #account-management-servicenames. Those in the group
// IAM are true.
var accountServices = map[string]bool{
	identityService: true, groupsService: true, accessService: true, "user-management": true,
	"billing": false, "globalcatalog-collection": false, "context-based-restrictions": false, "enterprise": false, "globalcatalog": false,
	"cloudshell": false, "entitlement": false, "project": false, "security-compliance": false, "support": false,
}

const (
	identityService = "iam-identity"
	groupsService   = "iam-groups"
	accessService   = "iam-access-management"
)

// value returns the resource's value of a policy's attribute. A resource has no
// value of an attribute that is not known here: such a policy covers a part only.
func (r resource) value(key string) string {
	ofIAM, ofAccount := accountServices[r.service]
	switch key {
	case "serviceName":
		return r.service
	case "serviceType":
		if ofAccount {
			return "platform_service"
		}
		return "service"
	case "service_group_id":
		if ofIAM {
			return "IAM"
		}
	case "serviceInstance":
		return r.instance
	case "region":
		return r.region
	case "resourceGroupId":
		return r.resourceGroup
	case "resourceType":
		return r.kind
	case "resource":
		return r.id
	}
	return ""
}

// selects reports whether an attribute selects the value. An attribute does not
// select everything, so it never selects the empty value, which stands for all.
func selects(a iam.Attribute, value string) verdict {
	if value == "" {
		return missing
	}
	match := func(pattern string) bool { return pattern == value }
	switch a.Operator {
	case "stringEquals", "stringEqualsAnyOf":
	case "stringMatch", "stringMatchAnyOf":
		match = func(pattern string) bool { return wild(pattern, value) }
		if value == unseen && slices.Contains(a.Values, "*") {
			return held
		}
	case "stringExists":
		if slices.Equal(a.Values, []string{"true"}) {
			return held
		}
		return missing
	default:
		return unknown
	}
	switch {
	case value == unseen:
		return unknown
	case slices.ContainsFunc(a.Values, match):
		return held
	}
	return missing
}

// wild reports whether a text matches a pattern: * is any text, and ? any
// character.
func wild(pattern, text string) bool {
	star, mark := -1, 0 // the last *, and where its text ends
	i, j := 0, 0
	for j < len(text) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == text[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}
