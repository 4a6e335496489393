// Package access compares access policies in full: what the config wants, and what IAM
// has granted.
package access

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy grants roles on the resources that all of its attributes select, as long as
// its rule holds.
type Policy struct {
	Service       string   `json:"service,omitempty"`
	ServiceType   string   `json:"serviceType,omitempty"` // instead of Service: all services of a type
	Roles         []string `json:"roles"`                 // display names, as in the config
	Instance      string   `json:"instance,omitempty"`
	ResourceGroup string   `json:"resourceGroup,omitempty"`
	ResourceType  string   `json:"resourceType,omitempty"` // such as topic or bucket
	Resource      string   `json:"resource,omitempty"`     // its name
	// Attributes are further attributes, and those with another operator than
	// stringEquals. Tags are access management tags.
	Attributes []Attribute `json:"attributes,omitempty"`
	Tags       []Attribute `json:"tags,omitempty"`
	// Pattern and Rule restrict when the policy grants, in IAM's own words.
	Pattern string     `json:"pattern,omitempty"`
	Rule    *Condition `json:"rule,omitempty"`

	// The others are set for a policy that IAM has. Ours is set if IAM shows that we
	// made it, and it has our mark. Since is its last change.
	ID, Creator string    `json:"-"`
	Ours        bool      `json:"-"`
	Since       time.Time `json:"-"`
}

// Attribute selects resources by one of their properties, or by a tag.
type Attribute struct {
	Name     string   `json:"name"`
	Operator string   `json:"operator"`
	Values   []string `json:"values"` // more than one only for operators that end in AnyOf
}

// Condition is a rule, or a part of one. It compares a key with values, or combines
// conditions.
type Condition struct {
	Key        string      `json:"key,omitempty"`
	Operator   string      `json:"operator"` // and, or: all or one of Conditions
	Values     []string    `json:"values,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
}

// Equals is the operator of an attribute with exactly one value.
const Equals = "stringEquals"

// Selects returns the attributes of the policy's resource, without the account.
func (p Policy) Selects() (all []Attribute) {
	for _, a := range [][2]string{
		{"serviceName", p.Service}, {"serviceType", p.ServiceType}, {"serviceInstance", p.Instance}, {"resourceGroupId", p.ResourceGroup},
		{"resourceType", p.ResourceType}, {"resource", p.Resource},
	} {
		if a[1] != "" {
			all = append(all, Attribute{Name: a[0], Operator: Equals, Values: []string{a[1]}})
		}
	}
	return append(all, p.Attributes...)
}

// Select adds an attribute of the policy's resource.
func (p *Policy) Select(a Attribute) {
	short := map[string]*string{
		"serviceName": &p.Service, "serviceType": &p.ServiceType, "serviceInstance": &p.Instance, "resourceGroupId": &p.ResourceGroup,
		"resourceType": &p.ResourceType, "resource": &p.Resource,
	}[a.Name]
	if short != nil && *short == "" && a.Operator == Equals && len(a.Values) == 1 {
		*short = a.Values[0]
		return
	}
	p.Attributes = append(p.Attributes, a)
}

// Missing returns the labels of the wanted policies that are not granted. A
// granted policy may be wider than a wanted one if latchkey did not create it.
func Missing(wanted, granted []Policy) (labels []string) {
	for _, w := range wanted {
		if !Fulfilled(w, granted) {
			labels = append(labels, w.Label())
		}
	}
	return labels
}

// Fulfilled reports whether the granted policies together grant a wanted one.
func Fulfilled(w Policy, granted []Policy) bool {
	for _, role := range w.Roles {
		if !slices.ContainsFunc(granted, func(g Policy) bool { return g.Covers(w) && g.Has(role) }) {
			return false
		}
	}
	return true
}

// Covers reports whether the policy grants wherever and whenever w does: each of its
// attributes, tags and its rule is one of w's.
func (p Policy) Covers(w Policy) bool {
	return within(p.Selects(), w.Selects()) && within(p.Tags, w.Tags) && (p.Rule == nil && p.Pattern == "" || p.restriction() == w.restriction())
}

// SameTarget reports whether two policies select the same resources at the same times.
func (p Policy) SameTarget(q Policy) bool { return p.Covers(q) && q.Covers(p) }

// within reports whether all attributes are among the others.
func within(all, others []Attribute) bool {
	return !slices.ContainsFunc(all, func(a Attribute) bool {
		return !slices.ContainsFunc(others, a.same)
	})
}

// same reports whether two attributes select the same. The order of values is no matter.
func (a Attribute) same(b Attribute) bool {
	if a.Name != b.Name || a.Operator != b.Operator || len(a.Values) != len(b.Values) {
		return false
	}
	return slices.Equal(a.Values, b.Values) || slices.Equal(slices.Sorted(slices.Values(a.Values)), slices.Sorted(slices.Values(b.Values)))
}

// String returns the attribute in words. Two equal attributes have the same words.
func (a Attribute) String() string {
	return a.Name + " " + a.Operator + " " + strings.Join(slices.Sorted(slices.Values(a.Values)), ",")
}

// restriction returns the rule in words.
func (p Policy) restriction() string {
	if p.Rule == nil {
		return p.Pattern
	}
	return p.Pattern + " " + p.Rule.String()
}

// String returns the condition in words. Two equal conditions have the same words.
func (c Condition) String() string {
	if len(c.Conditions) == 0 {
		key := strings.TrimSuffix(strings.TrimPrefix(c.Key, "{{"), "}}")
		return Attribute{Name: key, Operator: c.Operator, Values: c.Values}.String()
	}
	var parts []string
	for _, one := range c.Conditions {
		parts = append(parts, one.String())
	}
	slices.Sort(parts)
	return "(" + strings.Join(parts, " "+c.Operator+" ") + ")"
}

// Has reports whether the policy has a role. It compares without spaces and case,
// since the display name "Secrets Reader" is "SecretsReader" in a role's CRN.
func (p Policy) Has(role string) bool {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }
	return slices.ContainsFunc(p.Roles, func(r string) bool { return plain(r) == plain(role) })
}

// On returns the service of the policy in words, or the type of its services.
func (p Policy) On() string {
	switch {
	case p.Service != "":
		return p.Service
	case p.ServiceType != "":
		return "all of type " + p.ServiceType
	}
	return "all services"
}

const membership = "membership of "

// Membership returns the label of a group that a service ID has to join. It stands among
// those of policies.
func Membership(group string) string { return membership + group }

// IsMembership returns the access group if a label is one of Membership.
func IsMembership(label string) (group string, is bool) { return strings.CutPrefix(label, membership) }

// Label returns the policy in words, such as "Sender on logs (instance 7a1c…)".
// Policies with different targets have different labels.
func (p Policy) Label() string {
	label := strings.Join(p.Roles, "+") + " on " + p.On()
	add := func(format string, args ...any) { label += fmt.Sprintf(" ("+format+")", args...) }
	if p.Instance != "" {
		add("instance %s", p.Instance)
	}
	if p.ResourceGroup != "" {
		add("resource group %s", p.ResourceGroup)
	}
	switch {
	case p.ResourceType != "" && p.Resource != "":
		add("%s %s", p.ResourceType, p.Resource)
	case p.ResourceType != "":
		add("resource type %s", p.ResourceType)
	case p.Resource != "":
		add("resource %s", p.Resource)
	}
	for _, a := range p.Attributes {
		add("%s", a)
	}
	for _, t := range p.Tags {
		add("tag %s", t)
	}
	switch {
	case p.Rule != nil:
		add("if %s", p.Rule)
	case p.Pattern != "":
		add("pattern %s", p.Pattern)
	}
	return label
}
