package iam

import (
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// This file converts policies between IAM's form and ours. Nothing is dropped: a
// policy is compared in full.

// accessPolicy is the type of a policy that grants an identity access.
const accessPolicy = "access"

// policySpec is what a policy says, as IAM's version 2 has it.
type policySpec struct {
	Type        string     `json:"type"`
	Description string     `json:"description"`
	Subject     *subject   `json:"subject"`
	Resource    *resource  `json:"resource"`
	Control     control    `json:"control"`
	Pattern     string     `json:"pattern,omitempty"`
	Rule        *condition `json:"rule,omitempty"`
}

// policy is IBM's V2PolicyTemplateMetaData.
type policy struct {
	policySpec

	ID         string        `json:"id"`
	State      string        `json:"state"`
	CreatedBy  string        `json:"created_by_id"`
	ModifiedAt upstream.Time `json:"last_modified_at"`
}

type subject struct {
	Attributes []attribute `json:"attributes"`
}

type resource struct {
	Attributes []attribute `json:"attributes"`
	Tags       []tag       `json:"tags,omitempty"`
}

type attribute struct {
	Key      string `json:"key"`
	Operator string `json:"operator"`
	Value    any    `json:"value"`
}

type tag struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Operator string `json:"operator"`
}

type control struct {
	Grant struct {
		Roles []roleID `json:"roles"`
	} `json:"grant"`
}

type roleID struct {
	ID string `json:"role_id"` // a CRN
}

// condition is IBM's V2PolicyRule, NestedCondition or RuleAttribute. It compares a key with
// a value, or combines conditions.
type condition struct {
	Key        string      `json:"key,omitempty"`
	Operator   string      `json:"operator"`
	Value      any         `json:"value,omitempty"`
	Conditions []condition `json:"conditions,omitempty"`
}

// policyOf converts an active access policy of one identity. It returns false for any
// other policy. own are our IAM IDs.
func (c *Client) policyOf(p *policy, account, iamID string, own []string) (out access.Policy, ok bool) {
	if p.Type != accessPolicy || p.State != "active" || p.Resource == nil || !subjectIs(p.Subject, iamID) {
		return out, false
	}
	for _, a := range p.Resource.Attributes {
		if a.Key == "accountId" && a.Operator == access.Equals {
			if a.Value != any(account) {
				return out, false
			}
			continue
		}
		out.Select(access.Attribute{Name: a.Key, Operator: a.Operator, Values: texts(a.Value)})
	}
	for _, t := range p.Resource.Tags {
		out.Tags = append(out.Tags, access.Attribute{Name: t.Key, Operator: t.Operator, Values: []string{t.Value}})
	}
	for _, crn := range rolesOf(p) {
		out.Roles = append(out.Roles, crn[strings.LastIndexByte(crn, ':')+1:])
	}
	out.Pattern, out.Rule = p.Pattern, ruleOf(p.Rule)
	out.ID, out.Creator, out.Since = p.ID, p.CreatedBy, p.ModifiedAt.Time
	out.Ours = slices.Contains(own, out.Creator) && c.marked(p)
	return out, true
}

// ruleOf converts a rule of IAM's.
func ruleOf(rule *condition) *access.Condition {
	if rule == nil {
		return nil
	}
	out := &access.Condition{Key: rule.Key, Operator: rule.Operator, Values: given(rule.Value)}
	for _, c := range rule.Conditions {
		out.Conditions = append(out.Conditions, *ruleOf(&c))
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
	case len(values) == 0:
		return nil // IAM refuses it
	case operator == "stringExists":
		return values[0] == "true"
	}
	return values[0]
}

// resourceOf converts what a policy selects.
func resourceOf(p access.Policy, account string) *resource {
	out := &resource{Attributes: []attribute{{Key: "accountId", Operator: access.Equals, Value: account}}}
	for _, a := range p.Selects() {
		out.Attributes = append(out.Attributes, attribute{Key: a.Name, Operator: a.Operator, Value: valueFor(a.Operator, a.Values)})
	}
	for _, t := range p.Tags {
		out.Tags = append(out.Tags, tag{Key: t.Name, Operator: t.Operator, Value: t.Values[0]})
	}
	return out
}

// ruleFor converts a rule of ours.
func ruleFor(rule *access.Condition) *condition {
	switch {
	case rule == nil:
		return nil
	case len(rule.Conditions) == 0:
		return &condition{Key: rule.Key, Operator: rule.Operator, Value: valueFor(rule.Operator, rule.Values)}
	}
	out := &condition{Operator: rule.Operator}
	for _, c := range rule.Conditions {
		out.Conditions = append(out.Conditions, *ruleFor(&c))
	}
	return out
}
