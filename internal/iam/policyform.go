package iam

import (
	"slices"
	"strings"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"

	"github.com/latchkey-io/latchkey/internal/access"
)

// This file converts policies between IAM's form and ours. Nothing is dropped: a
// policy is compared in full.

// policyOf converts an active access policy of one identity. It returns false for any
// other policy. own are our IAM IDs.
func (c *Client) policyOf(p *iampolicymanagementv1.V2PolicyTemplateMetaData, account, iamID string, own []string) (out access.Policy, ok bool) {
	if str(p.Type) != "access" || str(p.State) != "active" || p.Resource == nil || !subjectIs(p.Subject, iamID) {
		return out, false
	}
	for _, a := range p.Resource.Attributes {
		if str(a.Key) == "accountId" && str(a.Operator) == access.Equals {
			if a.Value != any(account) {
				return out, false
			}
			continue
		}
		out.Select(access.Attribute{Name: str(a.Key), Operator: str(a.Operator), Values: texts(a.Value)})
	}
	for _, t := range p.Resource.Tags {
		out.Tags = append(out.Tags, access.Attribute{Name: str(t.Key), Operator: str(t.Operator), Values: []string{str(t.Value)}})
	}
	for _, crn := range rolesOf(p) {
		out.Roles = append(out.Roles, crn[strings.LastIndexByte(crn, ':')+1:])
	}
	out.Pattern, out.Rule = str(p.Pattern), ruleOf(p.Rule)
	out.ID, out.Creator = str(p.ID), str(p.CreatedByID)
	out.Ours = slices.Contains(own, out.Creator) && c.marked(p)
	if p.LastModifiedAt != nil {
		out.Since = time.Time(*p.LastModifiedAt)
	}
	return out, true
}

// ruleOf converts a rule, which the SDK reads as one model for all forms.
func ruleOf(r iampolicymanagementv1.V2PolicyRuleIntf) *access.Condition {
	rule, ok := r.(*iampolicymanagementv1.V2PolicyRule)
	if !ok || rule == nil {
		return nil
	}
	out := &access.Condition{Key: str(rule.Key), Operator: str(rule.Operator), Values: given(rule.Value)}
	for _, n := range rule.Conditions {
		nested, ok := n.(*iampolicymanagementv1.NestedCondition)
		if !ok {
			continue
		}
		one := access.Condition{Key: str(nested.Key), Operator: str(nested.Operator), Values: given(nested.Value)}
		for _, a := range nested.Conditions {
			one.Conditions = append(one.Conditions, access.Condition{Key: str(a.Key), Operator: str(a.Operator), Values: given(a.Value)})
		}
		out.Conditions = append(out.Conditions, one)
	}
	return out
}

// given returns the values of a condition, which has none if it combines others.
func given(v any) []string {
	if v == nil {
		return nil
	}
	return texts(v)
}

// valueFor returns values in the type that an operator takes.
func valueFor(operator string, values []string) any {
	switch {
	case strings.HasSuffix(operator, "AnyOf"):
		return values
	case operator == "stringExists":
		return values[0] == "true"
	}
	return values[0]
}

// resourceOf converts what a policy selects.
func resourceOf(p access.Policy, account string) *iampolicymanagementv1.V2PolicyResource {
	out := &iampolicymanagementv1.V2PolicyResource{}
	for _, a := range append([]access.Attribute{{Name: "accountId", Operator: access.Equals, Values: []string{account}}}, p.Selects()...) {
		out.Attributes = append(out.Attributes, iampolicymanagementv1.V2PolicyResourceAttribute{
			Key: &a.Name, Operator: &a.Operator, Value: valueFor(a.Operator, a.Values),
		})
	}
	for _, t := range p.Tags {
		out.Tags = append(out.Tags, iampolicymanagementv1.V2PolicyResourceTag{Key: &t.Name, Operator: &t.Operator, Value: &t.Values[0]})
	}
	return out
}

func patternOf(p access.Policy) *string {
	if p.Pattern == "" {
		return nil
	}
	return core.StringPtr(p.Pattern)
}

func ruleFor(p access.Policy) iampolicymanagementv1.V2PolicyRuleIntf {
	switch rule := p.Rule; {
	case rule == nil:
		return nil
	case len(rule.Conditions) == 0:
		return &iampolicymanagementv1.V2PolicyRuleRuleAttribute{Key: &rule.Key, Operator: &rule.Operator, Value: valueFor(rule.Operator, rule.Values)}
	}
	out := &iampolicymanagementv1.V2PolicyRuleRuleWithNestedConditions{Operator: &p.Rule.Operator}
	for _, c := range p.Rule.Conditions {
		if len(c.Conditions) == 0 {
			out.Conditions = append(out.Conditions, &iampolicymanagementv1.NestedConditionRuleAttribute{
				Key: &c.Key, Operator: &c.Operator, Value: valueFor(c.Operator, c.Values),
			})
			continue
		}
		nested := &iampolicymanagementv1.NestedConditionRuleWithConditions{Operator: &c.Operator}
		for _, one := range c.Conditions {
			nested.Conditions = append(nested.Conditions, iampolicymanagementv1.RuleAttribute{
				Key: &one.Key, Operator: &one.Operator, Value: valueFor(one.Operator, one.Values),
			})
		}
		out.Conditions = append(out.Conditions, nested)
	}
	return out
}
