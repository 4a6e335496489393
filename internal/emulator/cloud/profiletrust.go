package cloud

import (
	"encoding/json"
	"slices"
	"strings"
)

// ComputeResource is what a compute resource token is about.
type ComputeResource struct {
	CRType string `json:"cr_type"`
	LinkedResource
}

// trusts reports whether a compute resource may assume the profile: one of its links
// names the resource, or all conditions of one of its claim rules hold. A resource that
// the token does not describe is trusted by a profile that names none.
func (p *profile) trusts(r *ComputeResource, nameChecked bool) bool {
	rules := slices.ContainsFunc(p.rules, func(x ClaimRule) bool { return x.Type == ruleOfResources })
	if r == nil {
		return len(p.links) == 0 && !rules
	}
	return slices.ContainsFunc(p.links, func(l ProfileLink) bool { return l.names(*r, nameChecked) }) ||
		slices.ContainsFunc(p.rules, func(x ClaimRule) bool { return x.admits(*r) })
}

// ruleOfResources is the type of the claim rules for compute resources.
const ruleOfResources = "Profile-CR"

// names reports whether the link is to the resource. A link to a Code Engine project
// without a component is to all its components.
func (l ProfileLink) names(r ComputeResource, nameChecked bool) bool {
	same := func(want, got string) bool { return want == "" || want == got }
	return l.CRType == r.CRType && l.Link.CRN == r.CRN && same(l.Link.Namespace, r.Namespace) &&
		(!nameChecked || same(l.Link.Name, r.Name)) &&
		same(l.Link.ComponentType, r.ComponentType) && same(l.Link.ComponentName, r.ComponentName)
}

// admits reports whether all conditions hold for the resource. The names of the claims
// are a guess: those of a link's fields.
func (x ClaimRule) admits(r ComputeResource) bool {
	if x.Type != ruleOfResources || x.CRType != r.CRType {
		return false
	}
	claims := map[string]string{
		"crn": r.CRN, "namespace": r.Namespace, "name": r.Name, "component_type": r.ComponentType, "component_name": r.ComponentName,
	}
	return !slices.ContainsFunc(x.Conditions, func(q ClaimCondition) bool { return !q.holds(claims[q.Claim]) })
}

// holds compares a claim. A value that is no text is compared as its JSON.
func (q ClaimCondition) holds(claim string) bool {
	text := q.Value
	_ = json.Unmarshal([]byte(q.Value), &text) // else it is no text
	switch q.Operator {
	case "EQUALS":
		return claim == text
	case "NOT_EQUALS":
		return claim != text
	case "EQUALS_IGNORE_CASE":
		return strings.EqualFold(claim, text)
	case "NOT_EQUALS_IGNORE_CASE":
		return !strings.EqualFold(claim, text)
	case "CONTAINS":
		return strings.Contains(claim, text)
	case "IN":
		var list []string
		return json.Unmarshal([]byte(q.Value), &list) == nil && slices.Contains(list, claim)
	}
	return false
}
